/* SPDX-License-Identifier: MIT
 * The receiver beside its decisions: late answers, claims, propagation. What a copy gets in which situation,
 * tests/scenarios says. */
#include "receiving.h"

#include <stdlib.h>
#include <string.h>

static void an_answer_at_once_decides_before_submit_returns(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_int_equal(delivery.verdict, IDEM_VERDICT_DELIVER);
    assert_int_equal(delivery.reason, IDEM_REASON_NEW);
    assert_true(delivery.claimed);
    assert_true(delivery.has_identity);
    assert_ptr_equal(delivery.rule, &fixture->rules.rules[0]);
    assert_string_equal(delivery.rule_name, "orders");
    assert_int_equal(delivery.ttl_ms, 10000);
}

static void late_answers_decide_the_right_copies_in_any_order(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery deliveries[3];
    unsigned decisions[3] = {0, 0, 0};
    static const char *const keys[] = {"K", "L", "K"};
    scripted_store_delay(fixture->scripted, true);
    for (size_t i = 0; i < 3; i++) {
        receiving_submit(fixture, keys[i], &deliveries[i], &decisions[i]);
        assert_int_equal(decisions[i], 0);
    }
    scripted_store_release(fixture->scripted, 1);
    assert_int_equal(decisions[1], 1);
    assert_int_equal(deliveries[1].reason, IDEM_REASON_NEW);
    scripted_store_release(fixture->scripted, 1);
    assert_int_equal(decisions[2], 1);
    assert_int_equal(deliveries[2].reason, IDEM_REASON_NEW);
    assert_int_equal(decisions[0], 0);
    scripted_store_release(fixture->scripted, 0);
    assert_int_equal(deliveries[0].reason, IDEM_REASON_IN_FLIGHT);
    assert_int_equal(deliveries[0].retry_at_ms, NOW_MS + 2000);
    assert_int_equal(decisions[0] + decisions[1] + decisions[2], 3);
}

static void the_claim_says_who_wants_what_for_how_long(void **state) {
    struct receiving *fixture = *state;
    sample_spec(&fixture->rules.rules[0].fingerprint, "payload");
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    const struct idem_claim *claim = scripted_store_claim(fixture->scripted);
    assert_true(idem_digest_equal(&claim->digest, &delivery.digest));
    assert_true(claim->has_fingerprint);
    assert_true(idem_digest_equal(&claim->fingerprint, &delivery.fingerprint));
    assert_int_equal(claim->now_ms, NOW_MS);
    assert_int_equal(claim->lease_ms, 2000);
    assert_int_equal(claim->owner.incarnation, 7);
    assert_false(claim->durable);
}

static void a_store_failure_says_why(void **state) {
    struct receiving *fixture = *state;
    scripted_store_fail(fixture->scripted, IDEM_ERR_FULL, 1);
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_int_equal(delivery.reason, IDEM_REASON_STORE_FAILURE);
    assert_int_equal(delivery.store_code, IDEM_ERR_FULL);
    assert_false(delivery.claimed);
}

static void what_was_found_tells_when_it_was_first_seen(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery first = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &first, NOW_MS, NULL, NULL);
    assert_int_equal(first.first_seen_ms, 0);
    struct idem_delivery second = receiving_submit_now(fixture, "K");
    assert_int_equal(second.first_seen_ms, NOW_MS);
}

static void a_delivered_conflict_holds_no_claim(void **state) {
    struct receiving *fixture = *state;
    struct idem_rule *rule = &fixture->rules.rules[0];
    sample_spec(&rule->fingerprint, "property:amount");
    rule->policies.on_conflict = IDEM_ACTION_DELIVER;
    struct idem_delivery first = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &first, NOW_MS, NULL, NULL);
    struct idem_delivery conflict;
    unsigned decisions = 0;
    sample_add(&fixture->sample, "id", "K");
    sample_add(&fixture->sample, "amount", "5");
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, &conflict,
                         receiving_decided, &decisions);
    assert_int_equal(conflict.reason, IDEM_REASON_CONFLICT);
    assert_int_equal(conflict.verdict, IDEM_VERDICT_DELIVER);
    assert_false(conflict.claimed);
}

/* What a copy submitted with the fixture's sample and decided at once would carry on. */
static void assert_carries(struct receiving *fixture,
                           const struct idem_delivery *delivery, const char *expected_as,
                           const char *expected_text) {
    const char *const *as = NULL;
    const char *text = "?";
    size_t len = idem_receiver_propagation(fixture->receiver, delivery, &as, &text);
    if (expected_as == NULL) {
        assert_int_equal(len, 0);
        assert_null(as);
        assert_null(text);
        return;
    }
    assert_int_equal(len, strlen(expected_text));
    assert_non_null(as);
    assert_string_equal(as[0], expected_as);
    assert_null(as[1]);
    assert_string_equal(text, expected_text);
}

static void a_rule_that_does_not_propagate_carries_nothing(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_carries(fixture, &delivery, NULL, NULL);
}

static void the_key_travels_until_the_next_submit(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery first;
    struct idem_delivery second;
    unsigned decisions = 0;
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    receiving_submit(fixture, "K", &first, &decisions);
    assert_carries(fixture, &first, "idempotency-key", "K");
    idem_receiver_complete(fixture->receiver, &first, NOW_MS, NULL, NULL);
    assert_carries(fixture, &first, "idempotency-key", "K");
    receiving_submit(fixture, "L", &second, &decisions);
    assert_carries(fixture, &first, NULL, NULL);
    assert_carries(fixture, &second, "idempotency-key", "L");
}

static void a_copy_that_was_not_identified_carries_nothing(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery delivery;
    unsigned decisions = 0;
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    receiving_submit(fixture, "K", &delivery, &decisions);
    receiving_submit(fixture, "", &delivery, &decisions);
    assert_int_equal(delivery.reason, IDEM_REASON_MISSING_KEY);
    assert_carries(fixture, &delivery, NULL, NULL);
}

struct carried {
    struct receiving *fixture;
    const char *expected;
    unsigned decisions;
};

static void check_carried(void *arg, struct idem_delivery *delivery) {
    struct carried *carried = arg;
    carried->decisions++;
    assert_carries(carried->fixture, delivery, "idempotency-key", carried->expected);
}

static void copies_that_are_decided_later_carry_their_own_keys(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery deliveries[3];
    struct carried carried[3] = {{fixture, "K", 0}, {fixture, "L", 0}, {fixture, "M", 0}};
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    scripted_store_delay(fixture->scripted, true);
    for (unsigned round = 1; round <= 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            struct sample sample;
            sample_init(&sample);
            sample_add(&sample, "id", carried[i].expected);
            idem_receiver_submit(fixture->receiver, &sample.message, NOW_MS,
                                 &deliveries[i], check_carried, &carried[i]);
        }
        scripted_store_release(fixture->scripted, 2);
        scripted_store_release(fixture->scripted, 0);
        scripted_store_release(fixture->scripted, 0);
        assert_int_equal(carried[0].decisions + carried[1].decisions +
                             carried[2].decisions,
                         3 * round);
    }
}

static void rules_can_be_replaced_under_open_copies(void **state) {
    struct receiving *fixture = *state;
    struct idem_rule rule;
    struct idem_ruleset next;
    struct carried carried = {fixture, "K", 0};
    struct idem_delivery delivery;
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    fixture->rules.rules[0].policies.on_store_failure = IDEM_ACTION_REFUSE;
    sample_add(&fixture->sample, "id", "K");
    scripted_store_delay(fixture->scripted, true);
    scripted_store_fail(fixture->scripted, IDEM_ERR_IO, 1);
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, &delivery,
                         check_carried, &carried);
    sample_rule(&rule, "invoices");
    sample_set(&next, &rule);
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &next, NULL), IDEM_OK);
    idem_ruleset_fini(&fixture->rules);
    fixture->rules = next;
    assert_int_equal(idem_receiver_set_rules(fixture->receiver, &fixture->rules, NULL),
                     IDEM_OK);
    scripted_store_release_all(fixture->scripted);
    assert_int_equal(carried.decisions, 1);
    assert_null(delivery.rule);
    assert_string_equal(delivery.rule_name, "orders");
    assert_int_equal(delivery.verdict, IDEM_VERDICT_REFUSE);
}

static void a_text_is_never_lent_to_another_copy_of_its_delivery(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery deliveries[2];
    unsigned decisions = 0;
    fixture->rules.rules[0].propagate.as[0] = sample_text("idempotency-key");
    scripted_store_delay(fixture->scripted, true);
    receiving_submit(fixture, "K", &deliveries[0], &decisions);
    receiving_submit(fixture, "L", &deliveries[1], &decisions);
    scripted_store_release_all(fixture->scripted);
    scripted_store_delay(fixture->scripted, false);
    free(fixture->rules.rules[0].propagate.as[0]);
    fixture->rules.rules[0].propagate.as[0] = NULL;
    receiving_submit(fixture, "M", &deliveries[0], &decisions);
    assert_int_equal(decisions, 3);
    assert_carries(fixture, &deliveries[0], NULL, NULL);
}

/* A rule that has been given a fingerprint, or lost it, while records of before are there. */
static void a_fingerprint_on_one_side_only_is_no_conflict(void **state) {
    struct receiving *fixture = *state;
    struct idem_key_spec *fingerprint = &fixture->rules.rules[0].fingerprint;
    struct idem_delivery without = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &without, NOW_MS, NULL, NULL);
    sample_spec(fingerprint, "payload");
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_DUPLICATE);
    struct idem_delivery with = receiving_submit_now(fixture, "L");
    idem_receiver_complete(fixture->receiver, &with, NOW_MS, NULL, NULL);
    idem_key_spec_fini(fingerprint);
    assert_int_equal(receiving_submit_now(fixture, "L").reason, IDEM_REASON_DUPLICATE);
}

struct on_its_way {
    bool answer;
    unsigned asked;
    struct idem_digest digest;
};

static bool say_whether(void *arg, const struct idem_digest *digest) {
    struct on_its_way *on_its_way = arg;
    on_its_way->asked++;
    on_its_way->digest = *digest;
    return on_its_way->answer;
}

/* Opens the fixture's receiver anew, as an adapter that knows what it still delivers. */
static void reopen(struct receiving *fixture, struct on_its_way *on_its_way,
                   bool can_hold, const char *instance) {
    struct idem_receiver_options options = receiving_options(fixture);
    options.can_hold = can_hold;
    options.instance = instance;
    options.delivering = say_whether;
    options.delivering_arg = on_its_way;
    idem_receiver_close(fixture->receiver);
    assert_int_equal(idem_receiver_open(&fixture->receiver, &options, NULL), IDEM_OK);
}

static void a_copy_of_what_is_on_its_way_here_is_a_duplicate(void **state) {
    struct receiving *fixture = *state;
    struct on_its_way on_its_way = {.answer = true};
    reopen(fixture, &on_its_way, false, "edge-1");
    struct idem_delivery first = receiving_submit_now(fixture, "K");
    assert_int_equal(on_its_way.asked, 0);
    struct idem_delivery second = receiving_submit_now(fixture, "K");
    assert_int_equal(on_its_way.asked, 1);
    assert_true(idem_digest_equal(&on_its_way.digest, &first.digest));
    assert_int_equal(second.reason, IDEM_REASON_DUPLICATE);
    assert_int_equal(second.verdict, IDEM_VERDICT_DROP);
    assert_false(second.claimed);
    assert_int_equal(second.first_seen_ms, NOW_MS);
}

static void other_content_of_what_is_on_its_way_here_is_a_conflict(void **state) {
    struct receiving *fixture = *state;
    struct on_its_way on_its_way = {.answer = true};
    unsigned decisions = 0;
    struct idem_delivery second;
    sample_spec(&fixture->rules.rules[0].fingerprint, "payload");
    reopen(fixture, &on_its_way, false, "edge-1");
    (void)receiving_submit_now(fixture, "K");
    sample_add(&fixture->sample, "id", "K");
    fixture->sample.message.payload = idem_span_text("other");
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, &second,
                         receiving_decided, &decisions);
    assert_int_equal(second.reason, IDEM_REASON_CONFLICT);
}

static void a_claim_that_nobody_delivers_stays_in_flight(void **state) {
    struct receiving *fixture = *state;
    struct on_its_way on_its_way = {.answer = false};
    reopen(fixture, &on_its_way, false, "edge-1");
    (void)receiving_submit_now(fixture, "K");
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_IN_FLIGHT);
    assert_int_equal(on_its_way.asked, 1);
}

static void nobody_is_asked_about_the_claims_of_others(void **state) {
    struct receiving *fixture = *state;
    struct on_its_way on_its_way = {.answer = true};
    (void)receiving_submit_now(fixture, "K");
    reopen(fixture, &on_its_way, false, "edge-2");
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_IN_FLIGHT);
    assert_int_equal(on_its_way.asked, 0);
}

static void who_can_hold_a_copy_holds_it(void **state) {
    struct receiving *fixture = *state;
    struct on_its_way on_its_way = {.answer = true};
    reopen(fixture, &on_its_way, true, "edge-1");
    (void)receiving_submit_now(fixture, "K");
    assert_int_equal(receiving_submit_now(fixture, "K").verdict, IDEM_VERDICT_HOLD);
    assert_int_equal(on_its_way.asked, 0);
}

#define WITH_RECEIVER(test)                                                              \
    cmocka_unit_test_setup_teardown(test, receiving_open, receiving_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RECEIVER(an_answer_at_once_decides_before_submit_returns),
        WITH_RECEIVER(late_answers_decide_the_right_copies_in_any_order),
        WITH_RECEIVER(the_claim_says_who_wants_what_for_how_long),
        WITH_RECEIVER(a_store_failure_says_why),
        WITH_RECEIVER(what_was_found_tells_when_it_was_first_seen),
        WITH_RECEIVER(a_delivered_conflict_holds_no_claim),
        WITH_RECEIVER(a_rule_that_does_not_propagate_carries_nothing),
        WITH_RECEIVER(the_key_travels_until_the_next_submit),
        WITH_RECEIVER(a_copy_that_was_not_identified_carries_nothing),
        WITH_RECEIVER(copies_that_are_decided_later_carry_their_own_keys),
        WITH_RECEIVER(rules_can_be_replaced_under_open_copies),
        WITH_RECEIVER(a_text_is_never_lent_to_another_copy_of_its_delivery),
        WITH_RECEIVER(a_fingerprint_on_one_side_only_is_no_conflict),
        WITH_RECEIVER(a_copy_of_what_is_on_its_way_here_is_a_duplicate),
        WITH_RECEIVER(other_content_of_what_is_on_its_way_here_is_a_conflict),
        WITH_RECEIVER(a_claim_that_nobody_delivers_stays_in_flight),
        WITH_RECEIVER(nobody_is_asked_about_the_claims_of_others),
        WITH_RECEIVER(who_can_hold_a_copy_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
