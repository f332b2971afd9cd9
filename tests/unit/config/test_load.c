/* SPDX-License-Identifier: MIT
 * Files from disk, and the secret that a configuration names. */
#include <idem/config.h>

#include "files.h"
#include "testing.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static char folder[FILES_PATH_MAX];

static int make_folder(void **state) {
    (void)state;
    files_make_dir(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    files_remove_dir(folder);
    return 0;
}

static const char *path_of(const char *name) {
    static char path[FILES_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void assert_not_loaded(const char *path, enum idem_code expected,
                              const char *rest) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    char whole[4 * FILES_PATH_MAX];
    (void)snprintf(whole, sizeof whole, "%s%s", path, rest);
    assert_int_equal(idem_config_load(&config, path, NULL, NULL, &error), expected);
    idem_config_fini(&config);
    assert_string_equal(error.text, whole);
}

static void absent_files_and_folders_are_refused_by_name(void **state) {
    (void)state;
    assert_not_loaded(path_of("absent.yaml"), IDEM_ERR_IO,
                      ": cannot be read: No such file or directory");
    assert_not_loaded(folder, IDEM_ERR_IO, ": cannot be read: Is a directory");
}

static void mistakes_are_told_with_the_path(void **state) {
    (void)state;
    files_write(folder, "c.yaml", "log: {}\nlgo: {}\n");
    assert_not_loaded(path_of("c.yaml"), IDEM_ERR_CONFIG,
                      ":2: lgo: unknown key; did you mean 'log'?");
}

static void endless_files_are_not_read_to_their_end(void **state) {
    (void)state;
    assert_not_loaded("/dev/zero", IDEM_ERR_CONFIG,
                      ":1: document: longer than 1048576 bytes; a configuration is "
                      "shorter than that");
}

static void secrets_are_found_beside_the_configuration(void **state) {
    struct idem_config config;
    struct idem_secret expected;
    (void)state;
    files_write(folder, "secret", "0123456789abcdef0123456789abcdef\n");
    files_write(folder, "c.yaml", "secret_file: secret\n");
    assert_int_equal(idem_secret_load(&expected, path_of("secret"), NULL), IDEM_OK);
    assert_int_equal(idem_config_load(&config, path_of("c.yaml"), NULL, NULL, NULL),
                     IDEM_OK);
    assert_string_equal(config.secret_file, path_of("secret"));
    assert_memory_equal(&config.rules.secret, &expected, sizeof expected);
    idem_config_fini(&config);
}

static void secrets_with_an_absolute_path_are_found_there(void **state) {
    struct idem_config config;
    char text[2 * FILES_PATH_MAX];
    (void)state;
    files_write(folder, "secret", "0123456789abcdef0123456789abcdef\n");
    (void)snprintf(text, sizeof text, "secret_file: %s\n", path_of("secret"));
    files_write(folder, "c.yaml", text);
    assert_int_equal(idem_config_load(&config, path_of("c.yaml"), NULL, NULL, NULL),
                     IDEM_OK);
    assert_string_equal(config.secret_file, path_of("secret"));
    idem_config_fini(&config);
}

static void a_configuration_without_a_folder_has_its_secret_in_this_one(void **state) {
    struct idem_config config;
    char before[FILES_PATH_MAX * 16];
    (void)state;
    files_write(folder, "secret", "0123456789abcdef0123456789abcdef\n");
    files_write(folder, "c.yaml", "secret_file: secret\n");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    enum idem_code code = idem_config_load(&config, "c.yaml", NULL, NULL, NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(code, IDEM_OK);
    assert_string_equal(config.secret_file, "secret");
    idem_config_fini(&config);
}

/* The library would find out by itself that these bytes could be another encoding's. */
static void files_in_other_encodings_are_refused(void **state) {
    (void)state;
    files_write(folder, "c.yaml", "\xff\xfe{}");
    assert_not_loaded(path_of("c.yaml"), IDEM_ERR_CONFIG,
                      ":1: syntax: invalid leading UTF-8 octet; the file must be UTF-8 "
                      "text without control characters");
}

static void secrets_that_cannot_be_had_refuse_the_file(void **state) {
    char text[2 * FILES_PATH_MAX];
    (void)state;
    files_write(folder, "c.yaml", "log: {}\nsecret_file: absent\n");
    (void)snprintf(text, sizeof text,
                   ":2: secret_file: secret file %s cannot be opened: No such file or "
                   "directory",
                   path_of("absent"));
    assert_not_loaded(path_of("c.yaml"), IDEM_ERR_CONFIG, text);
}

static void long_paths_leave_room_for_the_finding(void **state) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    char name[1024];
    (void)state;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(idem_config_parse(&config, name, "a: b\n", 5, NULL, NULL, &error),
                     IDEM_ERR_CONFIG);
    idem_config_fini(&config);
    assert_memory_equal(error.text, "...nnn", 6);
    assert_non_null(strstr(error.text, "n:1: a: unknown key; known here are instance"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_files_and_folders_are_refused_by_name),
        cmocka_unit_test(mistakes_are_told_with_the_path),
        cmocka_unit_test(endless_files_are_not_read_to_their_end),
        cmocka_unit_test(secrets_are_found_beside_the_configuration),
        cmocka_unit_test(secrets_with_an_absolute_path_are_found_there),
        cmocka_unit_test(a_configuration_without_a_folder_has_its_secret_in_this_one),
        cmocka_unit_test(files_in_other_encodings_are_refused),
        cmocka_unit_test(secrets_that_cannot_be_had_refuse_the_file),
        cmocka_unit_test(long_paths_leave_room_for_the_finding),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
