/* SPDX-License-Identifier: MIT
 * Completing and abandoning: what the store is told, who hears of it, what is counted. */
#include "receiving.h"

#include <stdlib.h>
#include <string.h>

static void completing_tells_how_it_went_and_clears_the_claim(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS + 5, receiving_settled,
                           &code);
    assert_int_equal(code, IDEM_OK);
    assert_false(delivery.claimed);
    assert_int_equal(scripted_store_completion(fixture->scripted)->now_ms, NOW_MS + 5);
    assert_int_equal(scripted_store_completion(fixture->scripted)->ttl_ms, 10000);
}

static void what_is_not_claimed_cannot_be_settled(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_OK;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, NULL, NULL);
    unsigned operations = scripted_store_operations(fixture->scripted);
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, receiving_settled,
                           &code);
    assert_int_equal(code, IDEM_ERR_INVALID);
    code = IDEM_OK;
    idem_receiver_abandon(fixture->receiver, &delivery, receiving_settled, &code);
    assert_int_equal(code, IDEM_ERR_INVALID);
    assert_int_equal(scripted_store_operations(fixture->scripted), operations);
}

static void a_delivery_is_not_looked_at_after_it_was_handed_back(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_CODE_COUNT;
    unsigned decisions = 0;
    struct idem_delivery *delivery = malloc(sizeof *delivery);
    assert_non_null(delivery);
    receiving_submit(fixture, "K", delivery, &decisions);
    scripted_store_delay(fixture->scripted, true);
    idem_receiver_complete(fixture->receiver, delivery, NOW_MS, receiving_settled, &code);
    free(delivery);
    assert_int_equal(code, IDEM_CODE_COUNT);
    scripted_store_release_all(fixture->scripted);
    assert_int_equal(code, IDEM_OK);
}

static void settlements_that_fail_are_counted_and_logged(void **state) {
    struct receiving *fixture = *state;
    enum idem_code code = IDEM_OK;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    scripted_store_fail(fixture->scripted, IDEM_ERR_NOT_OWNER, 1);
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, receiving_settled,
                           &code);
    assert_int_equal(code, IDEM_ERR_NOT_OWNER);
    assert_int_equal(receiving_totals(fixture).settle_failures, 1);
    assert_int_equal(receiving_totals(fixture).completed, 0);
    assert_non_null(strstr(fixture->line, "warning store.settle"));
    assert_non_null(strstr(fixture->line, "record belongs to another owner"));
    delivery = receiving_submit_now(fixture, "L");
    idem_receiver_abandon(fixture->receiver, &delivery, receiving_settled, &code);
    assert_int_equal(code, IDEM_OK);
    assert_int_equal(receiving_totals(fixture).abandoned, 1);
}

struct nested {
    struct receiving *fixture;
    struct idem_delivery other;
    unsigned others;
    enum idem_code code;
};

static void complete_and_submit(void *arg, struct idem_delivery *delivery) {
    struct nested *nested = arg;
    idem_receiver_complete(nested->fixture->receiver, delivery, NOW_MS, receiving_settled,
                           &nested->code);
    receiving_submit(nested->fixture, "K", &nested->other, &nested->others);
}

static void a_decision_may_settle_and_submit_at_once(void **state) {
    struct receiving *fixture = *state;
    struct nested nested = {.fixture = fixture, .code = IDEM_CODE_COUNT};
    struct idem_delivery delivery;
    sample_add(&fixture->sample, "id", "K");
    idem_receiver_submit(fixture->receiver, &fixture->sample.message, NOW_MS, &delivery,
                         complete_and_submit, &nested);
    assert_int_equal(nested.code, IDEM_OK);
    assert_int_equal(nested.others, 1);
    assert_int_equal(nested.other.reason, IDEM_REASON_DUPLICATE);
}

static void a_durable_receiver_asks_for_durable_answers(void **state) {
    struct receiving *fixture = *state;
    struct idem_receiver_options options = receiving_options(fixture);
    idem_receiver_close(fixture->receiver);
    options.durable = true;
    assert_int_equal(idem_receiver_open(&fixture->receiver, &options, NULL), IDEM_OK);
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS + 1, NULL, NULL);
    assert_true(scripted_store_claim(fixture->scripted)->durable);
    assert_true(scripted_store_completion(fixture->scripted)->durable);
}

#define WITH_RECEIVER(test)                                                              \
    cmocka_unit_test_setup_teardown(test, receiving_open, receiving_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RECEIVER(completing_tells_how_it_went_and_clears_the_claim),
        WITH_RECEIVER(what_is_not_claimed_cannot_be_settled),
        WITH_RECEIVER(a_delivery_is_not_looked_at_after_it_was_handed_back),
        WITH_RECEIVER(settlements_that_fail_are_counted_and_logged),
        WITH_RECEIVER(a_decision_may_settle_and_submit_at_once),
        WITH_RECEIVER(a_durable_receiver_asks_for_durable_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
