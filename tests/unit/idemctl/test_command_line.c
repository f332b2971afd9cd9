/* SPDX-License-Identifier: MIT
 * What holds for every command of idemctl. */
#include "ctl.h"

#include <idem/message.h>
#include <idem/version.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_a_store_that_cannot_be_read_has_its_own_exit_code(void **state) {
    (void)state;
    files_write(ctl_dir, "store",
                "this is no store, but long enough to be looked at as one\n");
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":7}"), 3);
    assert_says("/store");
}

static void test_a_wrong_command_line_is_refused(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config), 2);
    assert_says("usage:");
    assert_int_equal(ctl("-c", ctl_config, "exlpain"), 2);
    assert_says("exlpain");
    assert_int_equal(ctl("-c", ctl_config, "check", "more"), 2);
    assert_int_equal(ctl("-c", ctl_config, "explain"), 2);
    assert_says("-t TOPIC");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "a", "-D", "no-value"), 2);
    assert_says("NAME=VALUE");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "a", "-D", "=value"), 2);
    assert_says("NAME=VALUE");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "a", "more"), 2);
    assert_says("more is no option");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "a", "-f", "/nonexistent"),
                     2);
    assert_int_equal(ctl("--nonsense"), 2);
    assert_int_equal(ctl("--nonsense", "--version"), 2);
}

static void test_no_more_properties_are_taken_than_a_rule_looks_at(void **state) {
    (void)state;
    const char *arguments[2 * (IDEM_MESSAGE_PROPERTIES_MAX + 1) + 8] = {
        "-c", ctl_config, "explain", "--no-store", "-t", "orders/1"};
    size_t used = 6;
    for (size_t i = 0; i < IDEM_MESSAGE_PROPERTIES_MAX; i++) {
        arguments[used++] = "-D";
        arguments[used++] =
            i + 1 < IDEM_MESSAGE_PROPERTIES_MAX ? "other=x" : "idempotency-key=last";
    }
    assert_int_equal(ctl_with("", arguments), 0);
    assert_says("property:idempotency-key = last");
    arguments[used++] = "-D";
    arguments[used++] = "one=more";
    assert_int_equal(ctl_with("", arguments), 2);
    assert_says("at most 64 properties");
}

static void test_help_and_version_are_no_errors(void **state) {
    (void)state;
    assert_int_equal(ctl("--help"), 0);
    assert_says("explain");
    assert_int_equal(ctl("--version"), 0);
    assert_says("idemctl " IDEM_VERSION);
    assert_int_equal(ctl("explain", "--help"), 0);
    assert_says("--property");
}

/* Every command, with as much as it needs to look into a store. NULL, and a name without a store: they need none. */
static const struct {
    const char *words[6];
    bool stored;
} commands[] = {
    {{"bench", "--seconds", "1"}, true},
    {{"check"}, false},
    {{"explain", "-t", "orders/1", "-m", "{\"id\":7}"}, true},
    {{"export", "-"}, true},
    {{"exporter", "--mqtt", "127.0.0.1:1"}, false},
    {{"forget", "--yes", "orders", "7"}, true},
    {{"import", "keys"}, true},
    {{"list"}, true},
    {{"lookup", "orders", "7"}, true},
    {{"purge", "--all", "--yes"}, true},
    {{"stats"}, true},
    {{"tail", "--mqtt", "127.0.0.1:1"}, false},
    {{"top", "--mqtt", "127.0.0.1:1"}, false},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* The command with these words after it; "keys" is the file of that name in the test's directory. */
static int run_command(size_t i, const char *config, const char *more) {
    const char *arguments[12] = {"-c", config};
    char keys[FILES_PATH_MAX + 16];
    size_t used = 2;
    (void)snprintf(keys, sizeof keys, "%s/keys", ctl_dir);
    for (size_t at = 0; commands[i].words[at] != NULL; at++) {
        bool named = strcmp(commands[i].words[at], "keys") == 0;
        arguments[used++] = named ? keys : commands[i].words[at];
    }
    arguments[used] = more;
    return ctl_with("", arguments);
}

static void expect_of_all(const char *config, const char *more, bool stored_only,
                          int status, const char *text) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].stored || !stored_only) {
            int got = run_command(i, config, more);
            if (got != status || strstr(ctl_output, text) == NULL) {
                fail_msg("%s: %d, and not %d with \"%s\":\n%s", commands[i].words[0], got,
                         status, text, ctl_output);
            }
        }
    }
}

/* An export of the store as it is, which import needs. */
static void write_keys(void) {
    char keys[FILES_PATH_MAX + 16];
    (void)snprintf(keys, sizeof keys, "%s/keys", ctl_dir);
    assert_int_equal(ctl_on("export", keys), 0);
}

static void test_every_command_refuses_an_option_that_it_does_not_know(void **state) {
    (void)state;
    expect_of_all(ctl_config, "--nonsense", false, 2, "unrecognized option '--nonsense'");
}

static void test_every_command_explains_itself(void **state) {
    (void)state;
    expect_of_all(ctl_config, "--help", false, 0, "usage: idemctl");
}

static void test_every_command_names_a_configuration_that_is_not_there(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":7}");
    write_keys();
    expect_of_all("/nonexistent", NULL, true, 1, "/nonexistent: cannot be read");
}

static void test_every_command_names_a_store_s_url_that_is_not_right(void **state) {
    (void)state;
    const char *path = ctl_configure_store("other.yaml", "ftp://here");
    expect_of_all(path, NULL, true, 1, "store URL 'ftp://here' is not of a known form");
}

/* bench measures a scratch store of its own where it is embedded or in memory. */
static void test_no_command_waits_for_a_server_that_is_not_there(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":7}");
    write_keys();
    const char *path = ctl_configure_store("other.yaml", "redis://127.0.0.1:1");
    expect_of_all(path, NULL, true, 3, "store");
}

static void test_a_store_of_another_secret_is_left_alone(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":7}");
    files_write(ctl_dir, "secret", "0123456789abcdef0123456789abcdef\n");
    ctl_configure_with("instance: test\n", "instance: test\nsecret_file: secret\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *name = commands[i].words[0];
        if (commands[i].stored && strcmp(name, "bench") != 0 &&
            strcmp(name, "import") != 0) {
            assert_int_equal(run_command(i, ctl_config, NULL), 3);
            assert_says("secret");
        }
    }
    ctl_configure_with("instance: test\n", "instance: test\n");
    assert_false(ctl_delivers("orders/1", "{\"id\":7}"));
}

static void test_what_a_program_keeps_in_memory_is_not_called_empty(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":7}");
    write_keys();
    const char *path = ctl_configure_store("other.yaml", "memory:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].stored && strcmp(commands[i].words[0], "bench") != 0) {
            assert_int_equal(run_command(i, path, NULL), 3);
            assert_says("in the memory of the program that runs");
        }
    }
    assert_int_equal(ctl("-c", path, "bench", "--seconds", "1"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST(test_a_store_that_cannot_be_read_has_its_own_exit_code),
        CTL_TEST(test_a_wrong_command_line_is_refused),
        CTL_TEST(test_no_more_properties_are_taken_than_a_rule_looks_at),
        CTL_TEST(test_help_and_version_are_no_errors),
        CTL_TEST(test_every_command_refuses_an_option_that_it_does_not_know),
        CTL_TEST(test_every_command_explains_itself),
        CTL_TEST(test_every_command_names_a_configuration_that_is_not_there),
        CTL_TEST(test_every_command_names_a_store_s_url_that_is_not_right),
        CTL_TEST(test_no_command_waits_for_a_server_that_is_not_there),
        CTL_TEST(test_a_store_of_another_secret_is_left_alone),
        CTL_TEST(test_what_a_program_keeps_in_memory_is_not_called_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
