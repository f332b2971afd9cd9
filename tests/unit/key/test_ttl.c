/* SPDX-License-Identifier: MIT
 * A ttl that a message brings along: what counts, and within which bounds. */
#include "sample.h"

#include <stdlib.h>

#define RULE_TTL 3600000
#define LEASE    30000

static struct idem_rule rule;
static struct sample sample;

static int start(void **state) {
    (void)state;
    sample_rule(&rule, "orders");
    sample_init(&sample);
    rule.ttl_ms = RULE_TTL;
    rule.lease_ms = LEASE;
    rule.ttl_header.name = sample_text("x-cache-ttl");
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_rule_fini(&rule);
    return 0;
}

static int64_t ttl_with(const char *value) {
    sample_init(&sample);
    sample_add(&sample, "x-cache-ttl", value);
    return idem_rule_ttl(&rule, &sample.message);
}

static void without_the_header_it_is_the_rules(void **state) {
    (void)state;
    sample_add(&sample, "x-other", "60000");
    assert_int_equal(idem_rule_ttl(&rule, &sample.message), RULE_TTL);
    sample.message.property = NULL; /* MQTT 3.1.1 */
    assert_int_equal(idem_rule_ttl(&rule, &sample.message), RULE_TTL);
}

static void a_rule_that_does_not_ask_ignores_the_header(void **state) {
    (void)state;
    free(rule.ttl_header.name);
    rule.ttl_header.name = NULL;
    assert_int_equal(ttl_with("60000"), RULE_TTL);
}

static void digits_are_milliseconds(void **state) {
    (void)state;
    assert_int_equal(ttl_with("60000"), 60000);
    assert_int_equal(ttl_with("060000"), 60000);
    assert_int_equal(ttl_with("30001"), 30001);
}

static void anything_else_counts_as_absent(void **state) {
    static const char *const values[] = {"",        "-1",   "+60000",       " 60000",
                                         "60000 ",  "60s",  "6e4",          "0x10",
                                         "60000.0", "true", "\xEF\xBC\x96", "60,000"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(ttl_with(values[i]), RULE_TTL);
    }
}

static void a_message_shortens_its_ttl_down_to_the_lease(void **state) {
    (void)state;
    assert_int_equal(ttl_with("0"), LEASE + 1);
    assert_int_equal(ttl_with("1"), LEASE + 1);
    assert_int_equal(ttl_with("30000"), LEASE + 1);
    rule.ttl_header.min_ms = 60000;
    assert_int_equal(ttl_with("59999"), 60000);
    assert_int_equal(ttl_with("60001"), 60001);
}

static void a_message_lengthens_its_ttl_only_as_far_as_it_may(void **state) {
    static const char *const huge[] = {"3600001", "9223372036854775807",
                                       "9223372036854775808", "18446744073709551616",
                                       "99999999999999999999999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        assert_int_equal(ttl_with(huge[i]), RULE_TTL);
    }
    rule.ttl_header.max_ms = 2 * RULE_TTL;
    assert_int_equal(ttl_with("3600001"), 3600001);
    for (size_t i = 1; i < sizeof huge / sizeof huge[0]; i++) {
        assert_int_equal(ttl_with(huge[i]), 2 * RULE_TTL);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(without_the_header_it_is_the_rules),
        CASE(a_rule_that_does_not_ask_ignores_the_header),
        CASE(digits_are_milliseconds),
        CASE(anything_else_counts_as_absent),
        CASE(a_message_shortens_its_ttl_down_to_the_lease),
        CASE(a_message_lengthens_its_ttl_only_as_far_as_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
