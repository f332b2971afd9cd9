/* SPDX-License-Identifier: MIT
 * Which rule a message falls under. */
#include "sample.h"

#include <stdlib.h>

static struct idem_ruleset set;

static int open_two_rules(void **state) {
    (void)state;
    set = (struct idem_ruleset){.rules = calloc(2, sizeof *set.rules), .count = 2};
    assert_non_null(set.rules);
    sample_rule(&set.rules[0], "first");
    sample_rule(&set.rules[1], "second");
    return 0;
}

static int close_rules(void **state) {
    (void)state;
    idem_ruleset_fini(&set);
    return 0;
}

static const char *matched(const struct sample *sample) {
    const struct idem_rule *rule = idem_ruleset_match(&set, &sample->message);
    return rule != NULL ? rule->name : "none";
}

static void the_first_rule_that_matches_wins(void **state) {
    (void)state;
    struct sample sample;
    sample_init(&sample);
    assert_string_equal(matched(&sample), "first");
    set.rules[0].match.topic = sample_text("orders/+");
    set.rules[1].match.topic = sample_text("#");
    assert_string_equal(matched(&sample), "first");
    sample.message.topic = idem_span_text("orders/7/x");
    assert_string_equal(matched(&sample), "second");
}

static void no_rule_matches_what_no_rule_names(void **state) {
    (void)state;
    struct sample sample;
    sample_init(&sample);
    set.rules[0].match.topic = sample_text("a");
    set.rules[1].match.topic = sample_text("b");
    assert_string_equal(matched(&sample), "none");
    struct idem_ruleset empty = {.count = 0};
    assert_null(idem_ruleset_match(&empty, &sample.message));
}

static void amqp_parts_must_all_match(void **state) {
    (void)state;
    struct sample sample;
    sample_init(&sample);
    sample.message.protocol = IDEM_PROTOCOL_AMQP;
    sample.message.queue = idem_span_text("orders.in");
    sample.message.topic = idem_span_text("eu.created");
    set.rules[0].match.queue = sample_text("orders.*");
    set.rules[0].match.routing_key = sample_text("us.#");
    set.rules[1].match.routing_key = sample_text("#.created");
    assert_string_equal(matched(&sample), "second");
    sample.message.topic = idem_span_text("us.created");
    assert_string_equal(matched(&sample), "first");
    sample.message.queue = idem_span_text("invoices.in");
    assert_string_equal(matched(&sample), "second");
}

static void addresses_of_the_other_protocol_never_match(void **state) {
    (void)state;
    struct sample sample;
    sample_init(&sample);
    set.rules[0].match.queue = sample_text("#");
    set.rules[1].match.routing_key = sample_text("#");
    assert_string_equal(matched(&sample), "none");
    sample.message.protocol = IDEM_PROTOCOL_AMQP;
    assert_string_equal(matched(&sample), "first");
    free(set.rules[0].match.queue);
    set.rules[0].match.queue = NULL;
    set.rules[0].match.topic = sample_text("#");
    assert_string_equal(matched(&sample), "second");
}

static void a_header_must_be_there_and_have_its_value(void **state) {
    (void)state;
    struct sample sample;
    sample_init(&sample);
    set.rules[0].match.header_name = sample_text("tenant");
    set.rules[0].match.header_value = sample_text("acme");
    set.rules[1].match.header_name = sample_text("tenant");
    assert_string_equal(matched(&sample), "none");
    sample_add(&sample, "tenant", "acm");
    assert_string_equal(matched(&sample), "second");
    sample.properties[0].value = "acme";
    assert_string_equal(matched(&sample), "first");
    sample.message.property = NULL;
    assert_string_equal(matched(&sample), "none");
}

#define WITH_RULES(test)                                                                 \
    cmocka_unit_test_setup_teardown(test, open_two_rules, close_rules)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RULES(the_first_rule_that_matches_wins),
        WITH_RULES(no_rule_matches_what_no_rule_names),
        WITH_RULES(amqp_parts_must_all_match),
        WITH_RULES(addresses_of_the_other_protocol_never_match),
        WITH_RULES(a_header_must_be_there_and_have_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
