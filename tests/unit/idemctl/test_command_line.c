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

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST(test_a_store_that_cannot_be_read_has_its_own_exit_code),
        CTL_TEST(test_a_wrong_command_line_is_refused),
        CTL_TEST(test_no_more_properties_are_taken_than_a_rule_looks_at),
        CTL_TEST(test_help_and_version_are_no_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
