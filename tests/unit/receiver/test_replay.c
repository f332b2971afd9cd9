/* SPDX-License-Identifier: MIT
 * Results: stored with a completion or after it, handed to the copy that is to be answered. */
#include "receiving.h"

#include <stdlib.h>
#include <string.h>

static int open_replaying(void **state) {
    int rc = receiving_open(state);
    struct receiving *fixture = *state;
    fixture->rules.rules[0].policies.on_duplicate = IDEM_ACTION_REPLAY;
    return rc;
}

static void assert_answered(struct receiving *fixture, const char *text) {
    struct idem_span result;
    struct idem_delivery own; /* asked about in place */
    unsigned decisions = 0;
    receiving_submit(fixture, "K", &own, &decisions);
    assert_int_equal(decisions, 1);
    assert_int_equal(own.verdict, IDEM_VERDICT_REPLAY);
    assert_int_equal(idem_receiver_result(fixture->receiver, &own, &result),
                     strlen(text) > 0);
    assert_int_equal(result.len, strlen(text));
    assert_memory_equal(result.data != NULL ? (const char *)result.data : "", text,
                        strlen(text));
}

static void a_repeat_is_handed_the_result_of_the_first(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete_with(fixture->receiver, &delivery, NOW_MS,
                                idem_span_text("response"), receiving_settled, &code);
    assert_int_equal(code, IDEM_OK);
    assert_answered(fixture, "response");
    assert_true(scripted_store_claim(fixture->scripted)->wants_result);
    assert_int_equal(receiving_totals(fixture).completed, 1);
    assert_int_equal(receiving_totals(fixture).results, 1);
    assert_int_equal(receiving_totals(fixture).without_result, 0);
}

static void a_response_may_come_after_the_completion(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, NULL, NULL);
    assert_answered(fixture, "");
    assert_int_equal(receiving_totals(fixture).without_result, 1);
    idem_receiver_complete_with(fixture->receiver, &delivery, NOW_MS,
                                idem_span_text("late"), receiving_settled, &code);
    assert_int_equal(code, IDEM_OK);
    assert_answered(fixture, "late");
    assert_int_equal(receiving_totals(fixture).completed, 1);
    assert_int_equal(receiving_totals(fixture).results, 1);
}

static void what_was_not_completed_takes_no_result(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_OK;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_abandon(fixture->receiver, &delivery, NULL, NULL);
    unsigned operations = scripted_store_operations(fixture->scripted);
    idem_receiver_complete_with(fixture->receiver, &delivery, NOW_MS, idem_span_text("r"),
                                receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_INVALID);
    assert_int_equal(scripted_store_operations(fixture->scripted), operations);
}

static void a_result_beyond_the_limit_leaves_the_claim_as_it_was(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_OK;
    uint8_t *bytes = calloc(1, IDEM_RESULT_MAX + 1);
    assert_non_null(bytes);
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete_with(fixture->receiver, &delivery, NOW_MS,
                                idem_span_of(bytes, IDEM_RESULT_MAX + 1),
                                receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_INVALID);
    assert_true(delivery.claimed);
    idem_receiver_complete_with(fixture->receiver, &delivery, NOW_MS,
                                idem_span_of(bytes, IDEM_RESULT_MAX), receiving_settled,
                                &code);
    assert_int_equal(code, IDEM_OK);
    free(bytes);
    struct idem_span result;
    struct idem_delivery repeat;
    unsigned decisions = 0;
    receiving_submit(fixture, "K", &repeat, &decisions);
    assert_true(idem_receiver_result(fixture->receiver, &repeat, &result));
    assert_int_equal(result.len, IDEM_RESULT_MAX);
}

static void a_withdrawn_request_is_new_again(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_withdraw(fixture->receiver, &delivery, receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_INVALID); /* claimed: that is abandoned */
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, NULL, NULL);
    idem_receiver_withdraw(fixture->receiver, &delivery, receiving_settled, &code);
    assert_int_equal(code, IDEM_OK);
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_NEW);
    idem_receiver_withdraw(fixture->receiver, &delivery, receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_INVALID);
}

static void a_result_is_for_one_copy_until_the_next(void **state) {
    struct receiving *fixture = *state;
    struct idem_span result;
    unsigned decisions = 0;
    struct idem_delivery first = receiving_submit_now(fixture, "K");
    idem_receiver_complete_with(fixture->receiver, &first, NOW_MS, idem_span_text("r"),
                                NULL, NULL);
    struct idem_delivery repeat;
    struct idem_delivery other;
    receiving_submit(fixture, "K", &repeat, &decisions);
    assert_false(idem_receiver_result(fixture->receiver, &other, &result));
    receiving_submit(fixture, "L", &other, &decisions);
    assert_false(idem_receiver_result(fixture->receiver, &repeat, &result));
    assert_null(result.data);
    assert_false(idem_receiver_result(fixture->receiver, &other, &result));
}

static void rules_that_drop_do_not_ask_for_results(void **state) {
    struct receiving *fixture = *state;
    fixture->rules.rules[0].policies.on_duplicate = IDEM_ACTION_DROP;
    (void)receiving_submit_now(fixture, "K");
    assert_false(scripted_store_claim(fixture->scripted)->wants_result);
}

#define REPLAYING(test)                                                                  \
    cmocka_unit_test_setup_teardown(test, open_replaying, receiving_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        REPLAYING(a_repeat_is_handed_the_result_of_the_first),
        REPLAYING(a_response_may_come_after_the_completion),
        REPLAYING(what_was_not_completed_takes_no_result),
        REPLAYING(a_result_beyond_the_limit_leaves_the_claim_as_it_was),
        REPLAYING(a_withdrawn_request_is_new_again),
        REPLAYING(a_result_is_for_one_copy_until_the_next),
        REPLAYING(rules_that_drop_do_not_ask_for_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
