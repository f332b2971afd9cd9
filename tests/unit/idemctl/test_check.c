/* SPDX-License-Identifier: MIT
 * idemctl check. */
#include "ctl.h"

#include <stdio.h>

static void test_check_accepts_a_right_configuration(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "check"), 0);
    assert_says("ok");
    assert_says("rules        8");
    assert_says(ctl_config);
}

static void test_check_passes_warnings_on(void **state) {
    (void)state;
    ctl_configure_with("    scope: global\n", "    scope: global\n    ttl: 10m\n");
    assert_int_equal(ctl("-c", ctl_config, "check"), 0);
    assert_says("warning: ");
    assert_says("idem.yaml:8: rules[0].ttl: shorter than 1h");
}

static void test_without_a_path_the_usual_one_is_taken(void **state) {
    (void)state;
    (void)ctl("check");
    assert_says("/etc/idem/idem.yaml");
}

static void test_check_names_file_line_and_key_of_a_mistake(void **state) {
    (void)state;
    char path[FILES_PATH_MAX + 16];
    files_write(ctl_dir, "bad.yaml", "instance: test\nstroe: {}\n");
    (void)snprintf(path, sizeof path, "%s/bad.yaml", ctl_dir);
    assert_int_equal(ctl("-c", path, "check"), 1);
    assert_says("bad.yaml:2: stroe: ");
    assert_says("store");
    (void)snprintf(path, sizeof path, "%s/absent.yaml", ctl_dir);
    assert_int_equal(ctl("-c", path, "check"), 1);
    assert_says("absent.yaml");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST(test_check_accepts_a_right_configuration),
        CTL_TEST(test_check_passes_warnings_on),
        CTL_TEST(test_without_a_path_the_usual_one_is_taken),
        CTL_TEST(test_check_names_file_line_and_key_of_a_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
