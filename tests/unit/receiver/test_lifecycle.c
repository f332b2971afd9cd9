/* SPDX-License-Identifier: MIT
 * A receiver's life: opening, owners, replaced rules, counters, closing under open questions. */
#include "receiving.h"

#include <stdlib.h>
#include <string.h>

static struct idem_owner owner_of(struct receiving *fixture, const char *instance,
                                  uint64_t incarnation) {
    struct idem_receiver_options options = receiving_options(fixture);
    idem_receiver_close(fixture->receiver);
    options.instance = instance;
    options.incarnation = incarnation;
    assert_int_equal(idem_receiver_open(&fixture->receiver, &options, NULL), IDEM_OK);
    (void)receiving_submit_now(fixture, "K");
    return scripted_store_claim(fixture->scripted)->owner;
}

static void an_instance_keeps_its_number_and_every_start_has_its_own(void **state) {
    struct receiving *fixture = *state;
    struct idem_owner first = owner_of(fixture, "edge-1", 0);
    struct idem_owner second = owner_of(fixture, "edge-1", 0);
    struct idem_owner other = owner_of(fixture, "edge-2", 0);
    assert_true(first.instance == second.instance);
    assert_true(first.instance != other.instance);
    assert_true(first.incarnation != second.incarnation);
    assert_true(first.incarnation != 0 && second.incarnation != 0);
    /* A record on disk names its owner: the number must never change. */
    assert_true(first.instance == UINT64_C(0x8c4b0dfa3506298f));
}

static void counters_are_kept_by_name_across_rule_sets(void **state) {
    struct receiving *fixture = *state;
    struct idem_receiver_counts total;
    struct idem_rule_counts rows[3];
    struct idem_delivery delivery;
    unsigned decisions = 0;
    (void)receiving_submit_now(fixture, "K");
    fixture->rules.rules[0].name[5] = 'X';
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &fixture->rules, NULL),
                     IDEM_OK);
    (void)receiving_submit_now(fixture, "K");
    fixture->rules.rules[0].name[5] = 's';
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &fixture->rules, NULL),
                     IDEM_OK);
    (void)receiving_submit_now(fixture, "L");
    fixture->rules.rules[0].match.topic = sample_text("elsewhere");
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, &delivery,
                         receiving_decided, &decisions);
    assert_string_equal(delivery.rule_name, "");
    assert_int_equal(idem_receiver_read_counts(fixture->receiver, &total, rows, 3), 3);
    assert_string_equal(rows[0].name, "");
    assert_string_equal(rows[1].name, "orders");
    assert_string_equal(rows[2].name, "orderX");
    assert_int_equal(rows[0].by_reason[IDEM_REASON_NO_RULE], 1);
    assert_int_equal(rows[1].by_reason[IDEM_REASON_NEW], 2);
    assert_int_equal(rows[2].by_verdict[IDEM_VERDICT_HOLD], 1);
    assert_int_equal(total.by_reason[IDEM_REASON_NEW], 2);
    assert_int_equal(total.by_verdict[IDEM_VERDICT_DELIVER], 3);
    assert_int_equal(total.by_verdict[IDEM_VERDICT_HOLD], 1);
    assert_int_equal(idem_receiver_read_counts(fixture->receiver, &total, rows, 1), 3);
}

static void refused_rules_leave_the_old_ones_in_place(void **state) {
    struct receiving *fixture = *state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_rule rule;
    struct idem_ruleset next;
    sample_rule(&rule, "next");
    sample_set(&next, &rule);
    next.rules[0].strategy = IDEM_STRATEGY_SEQUENCE;
    next.rules[0].sequence.window = IDEM_WINDOW_MAX + 1;
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &next, &error),
                     IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "next"));
    next.rules[0].strategy = IDEM_STRATEGY_KEY;
    next.rules[0].ttl_ms = 0;
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &next, NULL),
                     IDEM_ERR_INVALID);
    next.rules[0].ttl_ms = 1;
    next.rules[0].lease_ms = 0;
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &next, NULL),
                     IDEM_ERR_INVALID);
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, NULL, NULL),
                     IDEM_ERR_INVALID);
    idem_ruleset_fini(&next);
    assert_string_equal(receiving_submit_now(fixture, "K").rule_name, "orders");
}

static void a_receiver_needs_a_store_a_name_and_rules(void **state) {
    struct receiving *fixture = *state;
    struct idem_receiver *receiver = NULL;
    for (unsigned i = 0; i < 4; i++) {
        struct idem_receiver_options options = receiving_options(fixture);
        options.store = i == 0 ? NULL : options.store;
        options.instance = i == 1 ? NULL : i == 2 ? "" : options.instance;
        options.rules = i == 3 ? NULL : options.rules;
        assert_int_equal(idem_receiver_open(&receiver, &options, NULL), IDEM_ERR_INVALID);
        assert_null(receiver);
    }
}

static void claims_of_replaced_rules_are_settled(void **state) {
    struct receiving *fixture = *state;
    struct idem_rule rule;
    struct idem_ruleset next;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    sample_rule(&rule, "invoices");
    sample_set(&next, &rule);
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &next, NULL), IDEM_OK);
    idem_ruleset_fini(&fixture->rules);
    fixture->rules = next;
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, receiving_settled,
                           &code);
    assert_int_equal(code, IDEM_OK);
    assert_int_equal(scripted_store_completion(fixture->scripted)->ttl_ms, 10000);
}

static void forbid_decision(void *arg, struct idem_delivery *delivery) {
    (void)arg;
    (void)delivery;
    fail_msg("decided after the receiver was closed");
}

static void forbid_settlement(void *arg, enum idem_code code) {
    (void)arg;
    (void)code;
    fail_msg("settled after the receiver was closed");
}

static void answers_after_closing_reach_nobody(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery claimed = receiving_submit_now(fixture, "K");
    struct idem_delivery *waiting = malloc(sizeof *waiting);
    assert_non_null(waiting);
    sample_add(&fixture->sample, "id", "L");
    scripted_store_delay(fixture->scripted, true);
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, waiting,
                         forbid_decision, NULL);
    idem_receiver_complete(fixture->receiver, &claimed, NOW_MS, forbid_settlement, NULL);
    idem_receiver_close(fixture->receiver);
    fixture->receiver = NULL;
    free(waiting);
    assert_int_equal(scripted_store_waiting(fixture->scripted), 2);
    scripted_store_release_all(fixture->scripted);
}

/* How many of them are written is the sink's affair. */
static void each_failure_is_a_line(void **state) {
    struct receiving *fixture = *state;
    struct sample *sample = &fixture->sample;
    struct idem_delivery delivery;
    unsigned decisions = 0;
    sample_add(sample, "id", "K");
    scripted_store_fail(fixture->scripted, IDEM_ERR_IO, 3);
    for (int64_t at_ms = 0; at_ms < 3; at_ms++) {
        unsigned before = fixture->lines;
        idem_receiver_submit(fixture->receiver, &sample->message, NOW_MS + at_ms,
                             &delivery, receiving_decided, &decisions);
        assert_int_equal(fixture->lines - before, 1);
    }
}

#define WITH_RECEIVER(test)                                                              \
    cmocka_unit_test_setup_teardown(test, receiving_open, receiving_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RECEIVER(an_instance_keeps_its_number_and_every_start_has_its_own),
        WITH_RECEIVER(counters_are_kept_by_name_across_rule_sets),
        WITH_RECEIVER(refused_rules_leave_the_old_ones_in_place),
        WITH_RECEIVER(a_receiver_needs_a_store_a_name_and_rules),
        WITH_RECEIVER(claims_of_replaced_rules_are_settled),
        WITH_RECEIVER(answers_after_closing_reach_nobody),
        WITH_RECEIVER(each_failure_is_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
