/* SPDX-License-Identifier: MIT
 * idemctl export and import: from one store to the other and back, and files that are none. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "ctl.h"

#include <idem/clock.h>
#include <idem/config.h>
#include <idem/transfer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[FILES_PATH_MAX + 16];

static const char *file(const char *name) {
    (void)snprintf(path, sizeof path, "%s/%s", ctl_dir, name);
    return path;
}

/* Two done, one pending, a sequence with an open number. */
static void fill(void) {
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_deliver("orders/1", "{\"id\":\"b\"}");
    ctl_claim("orders/1", "{\"id\":\"c\"}");
    ctl_deliver("counted/p/5", "x");
    ctl_claim("counted/p/7", "x");
}

static void assert_filled(const char *config) {
    assert_int_equal(ctl("-c", config, "lookup", "orders", "a"), 0);
    assert_says("state        done");
    assert_says(" (test)\n");
    assert_int_equal(ctl("-c", config, "lookup", "orders", "c"), 0);
    assert_says("state        pending");
    assert_int_equal(ctl("-c", config, "lookup", "counted", "p"), 0);
    assert_says("mark         5");
    assert_says("in_flight    1");
    assert_int_equal(ctl("-c", config, "explain", "-t", "orders/1", "-m",
                         "{\"id\":\"b\",\"other\":1}"),
                     0);
    assert_says("(conflict)");
}

/* Embedded -> Redis -> embedded: what the configured store is stands between two embedded ones. */
static void test_all_records_go_from_store_to_store_and_back(void **state) {
    (void)state;
    char first[FILES_PATH_MAX + 64];
    char url[FILES_PATH_MAX + 64];
    fill();
    assert_int_equal(ctl_on("export", file("first")), 0);
    assert_says("records      4");
    (void)snprintf(url, sizeof url, "embedded://%s/second", ctl_dir);
    (void)snprintf(first, sizeof first, "%s", ctl_configure_store("second.yaml", url));
    assert_int_equal(ctl("-c", first, "import", file("first")), 0);
    assert_says("imported     4");
    assert_filled(first);
    assert_int_equal(ctl("-c", first, "export", file("again")), 0);
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 0);
    assert_int_equal(ctl_on("import", file("again")), 0);
    assert_says("imported     4");
    assert_filled(ctl_config);
    assert_false(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
}

static void test_importing_again_takes_nothing_away(void **state) {
    (void)state;
    fill();
    assert_int_equal(ctl_on("export", file("all")), 0);
    ctl_deliver("orders/1", "{\"id\":\"d\"}");
    assert_int_equal(ctl_on("import", file("all")), 0);
    assert_says("imported     0");
    assert_says("known        4");
    assert_int_equal(ctl_on("lookup", "orders", "d"), 0);
    assert_filled(ctl_config);
}

static void test_a_pipe_will_do(void **state) {
    (void)state;
    char command[8 * FILES_PATH_MAX];
    fill();
    char *self = realpath("/proc/self/exe", NULL);
    char *tests = strstr(self, "/tests/unit/");
    assert_non_null(tests);
    *tests = '\0';
    (void)snprintf(command, sizeof command,
                   "set -e; cd %s; %s/idemctl -c idem.yaml export - >all 2>said; "
                   "grep -q '4 records exported' said; "
                   "%s/idemctl -c idem.yaml purge --all --yes >said; "
                   "cat all | %s/idemctl -c idem.yaml import - >said; "
                   "grep -q 'imported     4' said",
                   ctl_dir, self, self, self);
    assert_int_equal(system(command), 0);
    assert_filled(ctl_config);
    free(self);
}

static void test_check_says_what_is_in_a_file_and_changes_nothing(void **state) {
    (void)state;
    fill();
    assert_int_equal(ctl_on("export", file("all")), 0);
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 0);
    assert_int_equal(ctl_on("import", "--check", file("all")), 0);
    assert_says("exported_at  20");
    assert_says("records      4");
    assert_int_equal(ctl_on("list"), 0);
    assert_string_equal(ctl_output, "");
}

static void cut(const char *name, off_t less) {
    struct stat status;
    assert_int_equal(stat(file(name), &status), 0);
    assert_int_equal(truncate(path, status.st_size - less), 0);
}

static void change_byte(const char *name, long at) {
    FILE *stream = fopen(file(name), "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, at, SEEK_SET), 0);
    int byte = fgetc(stream);
    assert_int_equal(fseek(stream, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, stream), byte ^ 1);
    assert_int_equal(fclose(stream), 0);
}

static void refuse(const char *why) {
    assert_int_equal(ctl_on("import", file("all")), 1);
    assert_says(why);
    assert_int_equal(ctl_on("list"), 0);
    assert_string_equal(ctl_output, "");
}

static void test_nothing_is_taken_from_a_file_that_is_not_whole(void **state) {
    (void)state;
    fill();
    assert_int_equal(ctl_on("export", file("all")), 0);
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 0);
    cut("all", 1);
    refuse("it ends early, after 4 records");
    cut("all", 60);
    refuse("it was cut off");
    assert_int_equal(ctl_on("import", "--check", file("all")), 1);
}

static void test_nothing_is_taken_from_a_damaged_or_a_foreign_file(void **state) {
    (void)state;
    fill();
    assert_int_equal(ctl_on("export", file("all")), 0);
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 0);
    change_byte("all", 45); /* a digest */
    refuse("its checksum is another");
    change_byte("all", 0);
    refuse("it is no export of Idem");
    files_write(ctl_dir, "all", "instance: test\n");
    refuse("it is no export of Idem");
    files_write(ctl_dir, "all", "");
    refuse("it is no export of Idem");
}

static bool put_bytes(void *arg, const void *bytes, size_t length) {
    return fwrite(bytes, 1, length, arg) == length;
}

static void add_forged(struct idem_export *out, uint8_t n, enum idem_record_state state,
                       int64_t now_ms) {
    struct idem_digest digest;
    struct idem_record record = {.state = state,
                                 .first_seen_ms = now_ms,
                                 .until_ms = now_ms + 60000,
                                 .result = idem_span_text("whatever it is")};
    memset(digest.bytes, n, sizeof digest.bytes);
    assert_int_equal(idem_export_add(out, &digest, &record), IDEM_OK);
}

/* Whole by its checksum; a good record comes before what no store would take. */
static void test_nothing_is_taken_from_a_file_with_a_forged_sequence(void **state) {
    (void)state;
    struct idem_secret secret;
    struct idem_export *out = NULL;
    uint64_t count = 0;
    int64_t now_ms = idem_clock_wall_ms();
    ctl_deliver("orders/1", "{\"id\":\"a\"}"); /* so that there is a store */
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 0);
    FILE *stream = fopen(file("all"), "wb");
    assert_non_null(stream);
    idem_secret_default(&secret);
    assert_int_equal(idem_export_open(&out, put_bytes, stream, &secret, now_ms), IDEM_OK);
    add_forged(out, 1, IDEM_RECORD_DONE, now_ms);
    add_forged(out, 2, IDEM_RECORD_SEQUENCE, now_ms);
    assert_int_equal(idem_export_finish(out, &count), IDEM_OK);
    idem_export_close(out);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(ctl_on("import", "--check", file("all")), 1);
    refuse("it is damaged, after 1 records");
}

static void test_an_export_of_another_secret_is_refused(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("export", file("all")), 0);
    files_write(ctl_dir, "secret", "0123456789abcdef0123456789abcdef\n");
    ctl_configure_with("instance: test\n", "instance: test\nsecret_file: secret\n");
    assert_int_equal(ctl_on("import", file("all")), 1);
    assert_says("another secret");
}

static void test_a_file_is_replaced_only_where_that_is_wanted(void **state) {
    (void)state;
    struct stat status;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    files_write(ctl_dir, "all", "precious");
    assert_int_equal(ctl_on("export", file("all")), 6);
    char *left = files_read(file("all"));
    assert_string_equal(left, "precious");
    free(left);
    assert_int_equal(ctl_on("export", "--yes", file("all")), 0);
    assert_int_equal(stat(file("all"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(access(file("all.part"), F_OK), -1);
    assert_int_equal(ctl_on("import", file("all")), 0);
}

static void test_files_that_cannot_be_had_are_named(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("import", file("absent")), 1);
    assert_says("absent: No such file");
    assert_int_equal(ctl_on("import", ctl_dir), 1);
    assert_int_equal(ctl_on("export", file("absent/all")), 1);
    assert_says("absent/all: No such file");
    assert_int_equal(ctl_on("export", "/dev/full/x"), 1);
    assert_int_equal(ctl_on("export"), 2);
    assert_int_equal(ctl_on("import"), 2);
    assert_int_equal(ctl_on("import", "a", "b"), 2);
    assert_int_equal(ctl_on("export", "--help"), 0);
    assert_int_equal(ctl_on("import", "--help"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST_BOTH(test_all_records_go_from_store_to_store_and_back),
        CTL_TEST_BOTH(test_importing_again_takes_nothing_away),
        CTL_TEST_BOTH(test_a_pipe_will_do),
        CTL_TEST_BOTH(test_check_says_what_is_in_a_file_and_changes_nothing),
        CTL_TEST_BOTH(test_nothing_is_taken_from_a_file_that_is_not_whole),
        CTL_TEST_BOTH(test_nothing_is_taken_from_a_damaged_or_a_foreign_file),
        CTL_TEST_BOTH(test_nothing_is_taken_from_a_file_with_a_forged_sequence),
        CTL_TEST(test_an_export_of_another_secret_is_refused),
        CTL_TEST(test_a_file_is_replaced_only_where_that_is_wanted),
        CTL_TEST(test_files_that_cannot_be_had_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
