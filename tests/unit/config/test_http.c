/* SPDX-License-Identifier: MIT
 * Where the bridge's web server listens: by default, elsewhere, guarded, not at all. */
#include <idem/config.h>

#include "testing.h"

#include <string.h>

static struct idem_config config;

static void parse(const char *text) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_config_parse(&config, "f", text, strlen(text), NULL, NULL, &error) !=
        IDEM_OK) {
        fail_msg("%s", error.text);
    }
}

static void nothing_said_is_the_default_and_known_to_be_it(void **state) {
    (void)state;
    parse("");
    assert_string_equal(config.http.listen, "127.0.0.1:9477");
    assert_false(config.http.listen_given);
    assert_null(config.http.token_file);
    idem_config_fini(&config);
    parse("http: {listen: '127.0.0.1:9477'}\n");
    assert_true(config.http.listen_given);
    idem_config_fini(&config);
}

static void off_is_nowhere(void **state) {
    (void)state;
    parse("http: {listen: off}\n");
    assert_null(config.http.listen);
    assert_true(config.http.listen_given);
    idem_config_fini(&config);
}

static void the_loopback_needs_no_token_and_the_rest_has_one(void **state) {
    static const char *const taken[] = {
        "http: {listen: '127.1.2.3:80'}\n", "http: {listen: 'localhost:80'}\n",
        "http: {listen: '[::1]:80'}\n",
        "http: {listen: '0.0.0.0:80', token_file: /etc/idem/token}\n",
        "http: {listen: '[::]:80', token_file: /etc/idem/token}\n"};
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        parse(taken[i]);
        assert_non_null(config.http.listen);
        idem_config_fini(&config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_the_default_and_known_to_be_it),
        cmocka_unit_test(off_is_nowhere),
        cmocka_unit_test(the_loopback_needs_no_token_and_the_rest_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
