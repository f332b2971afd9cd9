/* SPDX-License-Identifier: MIT
 * A receiver before a store that remembers claims which failed, and one whose adapter has no room. */
#include "receiving.h"

static bool delivers;
static bool roomy;

static bool delivering(void *arg, const struct idem_digest *digest) {
    (void)arg;
    (void)digest;
    return delivers;
}

static bool room(void *arg) {
    (void)arg;
    return roomy;
}

static int open_remembering(void **state) {
    assert_int_equal(receiving_open(state), 0);
    struct receiving *fixture = *state;
    struct idem_receiver_options options = receiving_options(fixture);
    idem_receiver_close(fixture->receiver);
    options.can_hold = false;
    options.completes_unprotected = true;
    options.delivering = delivering;
    options.room = room;
    delivers = false;
    roomy = true;
    return idem_receiver_open(&fixture->receiver, &options, NULL) == IDEM_OK ? 0 : -1;
}

static void what_is_delivered_unprotected_is_to_be_completed(void **state) {
    struct receiving *fixture = *state;
    enum idem_code settled = IDEM_ERR_INVALID;
    scripted_store_fail(fixture->scripted, IDEM_ERR_UNAVAILABLE, 1);
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_int_equal(delivery.reason, IDEM_REASON_STORE_FAILURE);
    assert_int_equal(delivery.verdict, IDEM_VERDICT_DELIVER);
    assert_true(delivery.claimed);
    idem_receiver_complete(fixture->receiver, &delivery, NOW_MS, receiving_settled,
                           &settled);
    assert_int_equal(settled, IDEM_ERR_NOT_FOUND); /* this store remembers nothing */
    assert_true(idem_digest_equal(&scripted_store_completion(fixture->scripted)->digest,
                                  &delivery.digest));
}

static void what_is_refused_is_not_to_be_completed(void **state) {
    struct receiving *fixture = *state;
    fixture->rules.rules[0].policies.on_store_failure = IDEM_ACTION_REFUSE;
    scripted_store_fail(fixture->scripted, IDEM_ERR_UNAVAILABLE, 1);
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_int_equal(delivery.verdict, IDEM_VERDICT_REFUSE);
    assert_false(delivery.claimed);
}

/* Its claim was made, and the answer came too late for anybody to deliver. */
static void an_orphaned_claim_goes_to_the_next_copy(void **state) {
    struct receiving *fixture = *state;
    enum idem_code settled = IDEM_ERR_INVALID;
    struct idem_delivery first = receiving_submit_now(fixture, "K");
    assert_int_equal(first.reason, IDEM_REASON_NEW);
    struct idem_delivery second = receiving_submit_now(fixture, "K");
    assert_int_equal(second.reason, IDEM_REASON_IN_DOUBT);
    assert_true(second.claimed);
    idem_receiver_complete(fixture->receiver, &second, NOW_MS, receiving_settled,
                           &settled);
    assert_int_equal(settled, IDEM_OK);
    assert_int_equal(receiving_submit_now(fixture, "K").reason, IDEM_REASON_DUPLICATE);
}

static void a_claim_that_is_being_delivered_is_no_orphan(void **state) {
    struct receiving *fixture = *state;
    (void)receiving_submit_now(fixture, "K");
    delivers = true;
    struct idem_delivery second = receiving_submit_now(fixture, "K");
    assert_int_equal(second.reason, IDEM_REASON_DUPLICATE);
    assert_false(second.claimed);
}

static void without_a_remembered_claim_a_failure_is_a_failure(void **state) {
    struct receiving *fixture = *state;
    delivers = true; /* what of, the answer does not say */
    scripted_store_fail(fixture->scripted, IDEM_ERR_UNAVAILABLE, 1);
    assert_int_equal(receiving_submit_now(fixture, "K").reason,
                     IDEM_REASON_STORE_FAILURE);
}

static void without_room_the_store_is_not_asked(void **state) {
    struct receiving *fixture = *state;
    roomy = false;
    unsigned before = scripted_store_operations(fixture->scripted);
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_int_equal(delivery.reason, IDEM_REASON_STORE_FAILURE);
    assert_int_equal(delivery.store_code, IDEM_ERR_FULL);
    assert_int_equal(delivery.verdict, IDEM_VERDICT_DELIVER);
    assert_false(delivery.claimed);
    assert_int_equal(scripted_store_operations(fixture->scripted), before);
}

/* A store that cannot be reached, and what is remembered in front of it. */
static struct idem_record remembered;
static struct idem_claim asked;

static void away_claim(struct idem_store *store, const struct idem_claim *claim,
                       idem_store_done *done, void *arg) {
    const struct idem_answer answer = {.code = IDEM_ERR_UNAVAILABLE,
                                       .record = remembered};
    (void)store;
    asked = *claim;
    done(arg, &answer);
}

static const struct idem_store_ops away_ops = {.name = "away", .claim = away_claim};
static struct idem_store away = {&away_ops};

static int open_holding(void **state) {
    assert_int_equal(receiving_open(state), 0);
    struct receiving *fixture = *state;
    struct idem_receiver_options options = receiving_options(fixture);
    idem_receiver_close(fixture->receiver);
    options.store = &away;
    options.completes_unprotected = true;
    remembered = (struct idem_record){.state = IDEM_RECORD_NONE};
    return idem_receiver_open(&fixture->receiver, &options, NULL) == IDEM_OK ? 0 : -1;
}

static void a_copy_of_what_is_on_its_way_here_is_held_without_the_store(void **state) {
    struct receiving *fixture = *state;
    struct idem_delivery first = receiving_submit_now(fixture, "K");
    assert_int_equal(first.verdict, IDEM_VERDICT_DELIVER);
    assert_true(first.claimed);
    assert_true(asked.deferrable);
    remembered = (struct idem_record){.state = IDEM_RECORD_PENDING,
                                      .owner = asked.owner,
                                      .first_seen_ms = NOW_MS,
                                      .until_ms = NOW_MS + 5000};
    struct idem_delivery second = receiving_submit_now(fixture, "K");
    assert_int_equal(second.reason, IDEM_REASON_IN_FLIGHT);
    assert_int_equal(second.verdict, IDEM_VERDICT_HOLD);
    assert_int_equal(second.retry_at_ms, NOW_MS + 5000);
    assert_false(second.claimed);
}

static void what_may_be_refused_cannot_be_deferred(void **state) {
    struct receiving *fixture = *state;
    fixture->rules.rules[0].policies.on_store_failure = IDEM_ACTION_REFUSE;
    struct idem_delivery delivery = receiving_submit_now(fixture, "K");
    assert_int_equal(delivery.verdict, IDEM_VERDICT_REFUSE);
    assert_false(asked.deferrable);
    assert_false(delivery.deferrable);
}

#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, open_remembering, receiving_close)

#define HOLDING(name) cmocka_unit_test_setup_teardown(name, open_holding, receiving_close)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(what_is_delivered_unprotected_is_to_be_completed),
        CASE(what_is_refused_is_not_to_be_completed),
        CASE(an_orphaned_claim_goes_to_the_next_copy),
        CASE(a_claim_that_is_being_delivered_is_no_orphan),
        CASE(without_a_remembered_claim_a_failure_is_a_failure),
        CASE(without_room_the_store_is_not_asked),
        HOLDING(a_copy_of_what_is_on_its_way_here_is_held_without_the_store),
        HOLDING(what_may_be_refused_cannot_be_deferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
