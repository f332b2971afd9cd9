/* SPDX-License-Identifier: MIT
 * The contract of store.h, run unchanged against every backend: one operation after
 * another. */
#include "contract.h"

#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static void assert_outcome(struct idem_answer answer, enum idem_claim_outcome outcome) {
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.outcome, outcome);
}

static void a_first_claim_is_new(void **state) {
    struct idem_answer answer = stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_outcome(answer, IDEM_CLAIM_NEW);
    assert_int_equal(answer.record.state, IDEM_RECORD_NONE);
}

static void a_claimed_key_is_in_flight_for_all(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0, 1000), IDEM_CLAIM_IN_FLIGHT);
    struct idem_answer answer = stores_claim(*state, 1, &stores_other, T0, 1000);
    assert_outcome(answer, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(answer.record.state, IDEM_RECORD_PENDING);
    assert_int_equal(answer.record.owner.instance, stores_me.instance);
    assert_int_equal(answer.record.owner.incarnation, stores_me.incarnation);
    assert_int_equal(answer.record.first_seen_ms, T0);
    assert_int_equal(answer.record.until_ms, T0 + 1000);
}

static void a_completed_key_is_done(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    struct idem_answer answer = stores_claim(*state, 1, &stores_other, T0 + 5, 1000);
    struct idem_digest fingerprint = stores_digest(~UINT64_C(1));
    assert_outcome(answer, IDEM_CLAIM_DONE);
    assert_int_equal(answer.record.state, IDEM_RECORD_DONE);
    assert_true(answer.record.has_fingerprint);
    assert_true(idem_digest_equal(&answer.record.fingerprint, &fingerprint));
    assert_int_equal(answer.record.owner.instance, stores_me.instance);
    assert_int_equal(answer.record.owner.incarnation, 0);
    assert_int_equal(answer.record.first_seen_ms, T0);
    assert_int_equal(answer.record.until_ms, T0 + HOUR);
}

static void keys_do_not_touch_each_other(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_outcome(stores_claim(*state, 2, &stores_me, T0, 1000), IDEM_CLAIM_NEW);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0, 1000), IDEM_CLAIM_DONE);
}

static void a_record_may_have_no_fingerprint(void **state) {
    struct stores_box *box = *state;
    struct stores_answer note = {.calls = 0};
    struct idem_claim claim = {
        .digest = stores_digest(1), .owner = stores_me, .now_ms = T0, .lease_ms = 1000};
    idem_store_claim(box->store, &claim, stores_note, &note);
    stores_await(box->store, &note);
    assert_int_equal(stores_complete(box, 1, &stores_me, T0, HOUR), IDEM_OK);
    assert_false(stores_lookup(box, 1, T0).answer.record.has_fingerprint);
}

static void a_lease_holds_until_its_last_millisecond(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_outcome(stores_claim(*state, 1, &stores_other, T0 + 999, 1000),
                   IDEM_CLAIM_IN_FLIGHT);
}

static void a_lease_is_free_when_it_ends(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    struct idem_answer answer = stores_claim(*state, 1, &stores_other, T0 + 1000, 1000);
    assert_outcome(answer, IDEM_CLAIM_TAKEN_OVER);
    assert_int_equal(answer.record.owner.instance, stores_me.instance);
    assert_int_equal(answer.record.until_ms, T0 + 1000);
}

static void a_restarted_owner_takes_its_claims_over_at_once(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_outcome(stores_claim(*state, 1, &stores_me_restarted, T0 + 1, 1000),
                   IDEM_CLAIM_TAKEN_OVER);
    assert_outcome(stores_claim(*state, 1, &stores_me_restarted, T0 + 1, 1000),
                   IDEM_CLAIM_IN_FLIGHT);
}

static void another_instance_waits_for_the_lease(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    struct idem_owner other = {stores_other.instance, stores_me_restarted.incarnation};
    assert_outcome(stores_claim(*state, 1, &other, T0 + 1, 1000), IDEM_CLAIM_IN_FLIGHT);
}

static void taking_over_keeps_when_the_key_was_first_seen(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    (void)stores_claim(*state, 1, &stores_me_restarted, T0 + 500, 1000);
    struct idem_record record = stores_lookup(*state, 1, T0 + 600).answer.record;
    assert_int_equal(record.first_seen_ms, T0);
    assert_int_equal(record.until_ms, T0 + 1500);
    assert_int_equal(record.owner.incarnation, stores_me_restarted.incarnation);
    assert_int_equal(stores_complete(*state, 1, &stores_me_restarted, T0 + 700, HOUR),
                     IDEM_OK);
    assert_int_equal(stores_lookup(*state, 1, T0 + 800).answer.record.first_seen_ms, T0);
}

static void the_former_owner_cannot_complete_what_was_taken_over(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    (void)stores_claim(*state, 1, &stores_other, T0 + 1000, 1000);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + 1001, HOUR),
                     IDEM_ERR_NOT_OWNER);
    assert_int_equal(stores_complete(*state, 1, &stores_other, T0 + 1001, HOUR), IDEM_OK);
}

static void another_incarnation_cannot_complete(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_complete(*state, 1, &stores_me_restarted, T0 + 1, HOUR),
                     IDEM_ERR_NOT_OWNER);
}

static void completing_nothing_is_not_found(void **state) {
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0, HOUR),
                     IDEM_ERR_NOT_FOUND);
}

static void an_owner_may_complete_after_its_lease(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + 5000, HOUR), IDEM_OK);
    assert_int_equal(stores_lookup(*state, 1, T0 + 5000).answer.record.state,
                     IDEM_RECORD_DONE);
}

static void completing_again_succeeds_and_changes_nothing(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + 10, 2 * HOUR), IDEM_OK);
    assert_int_equal(stores_lookup(*state, 1, T0 + 10).answer.record.until_ms, T0 + HOUR);
}

static void completing_what_another_completed_is_not_owner(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(stores_complete(*state, 1, &stores_other, T0, HOUR),
                     IDEM_ERR_NOT_OWNER);
}

static void an_abandoned_key_is_new_again(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_abandon(*state, 1, &stores_me), IDEM_OK);
    assert_int_equal(stores_lookup(*state, 1, T0).answer.code, IDEM_ERR_NOT_FOUND);
    assert_outcome(stores_claim(*state, 1, &stores_other, T0 + 7, 1000), IDEM_CLAIM_NEW);
    assert_int_equal(stores_lookup(*state, 1, T0 + 7).answer.record.first_seen_ms,
                     T0 + 7);
}

static void only_the_owner_may_abandon(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_abandon(*state, 1, &stores_other), IDEM_ERR_NOT_OWNER);
    assert_int_equal(stores_abandon(*state, 1, &stores_me_restarted), IDEM_ERR_NOT_OWNER);
    assert_outcome(stores_claim(*state, 1, &stores_other, T0, 1000),
                   IDEM_CLAIM_IN_FLIGHT);
}

static void a_done_key_cannot_be_abandoned(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(stores_abandon(*state, 1, &stores_me), IDEM_ERR_NOT_OWNER);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0, 1000), IDEM_CLAIM_DONE);
}

static void abandoning_nothing_is_not_found(void **state) {
    assert_int_equal(stores_abandon(*state, 1, &stores_me), IDEM_ERR_NOT_FOUND);
}

static void a_done_key_lives_until_the_last_millisecond_of_its_ttl(void **state) {
    stores_put_done(*state, 1, T0, 1000);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0 + 999, 1000), IDEM_CLAIM_DONE);
}

static void a_done_key_is_new_after_its_ttl(void **state) {
    stores_put_done(*state, 1, T0, 1000);
    assert_int_equal(stores_lookup(*state, 1, T0 + 1000).answer.code, IDEM_ERR_NOT_FOUND);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0 + 1000, 1000), IDEM_CLAIM_NEW);
    assert_int_equal(stores_lookup(*state, 1, T0 + 1000).answer.record.first_seen_ms,
                     T0 + 1000);
}

static void completing_an_expired_done_key_is_not_found(void **state) {
    stores_put_done(*state, 1, T0, 1000);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + 1000, HOUR),
                     IDEM_ERR_NOT_FOUND);
}

static void a_lookup_changes_nothing(void **state) {
    assert_int_equal(stores_lookup(*state, 1, T0).answer.code, IDEM_ERR_NOT_FOUND);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0, 1000), IDEM_CLAIM_NEW);
    assert_int_equal(stores_lookup(*state, 1, T0).answer.record.state,
                     IDEM_RECORD_PENDING);
    assert_int_equal(stores_lookup(*state, 1, T0 + 1000).answer.code, IDEM_ERR_NOT_FOUND);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + 1, HOUR), IDEM_OK);
}

static void forgetting_removes_pending_and_done(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    stores_put_done(*state, 2, T0, HOUR);
    assert_int_equal(stores_forget(*state, 1), IDEM_OK);
    assert_int_equal(stores_forget(*state, 2), IDEM_OK);
    assert_int_equal(stores_forget(*state, 1), IDEM_ERR_NOT_FOUND);
    assert_int_equal(stores_forget(*state, 3), IDEM_ERR_NOT_FOUND);
    assert_outcome(stores_claim(*state, 1, &stores_other, T0, 1000), IDEM_CLAIM_NEW);
    assert_outcome(stores_claim(*state, 2, &stores_other, T0, 1000), IDEM_CLAIM_NEW);
}

static void a_result_comes_back_as_it_was_stored(void **state) {
    static const char result[] = "a\0b";
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(
        stores_complete_with(*state, 1, T0, HOUR, idem_span_of(result, sizeof result)),
        IDEM_OK);
    struct stores_answer found = stores_lookup(*state, 1, T0);
    assert_int_equal(found.answer.record.result.len, sizeof result);
    assert_memory_equal(found.result, result, sizeof result);
    struct idem_claim claim = stores_claim_of(1, &stores_other, T0, 1000);
    claim.wants_result = true;
    struct stores_answer claimed = stores_claim_as(*state, &claim);
    assert_int_equal(claimed.answer.record.result.len, sizeof result);
    assert_memory_equal(claimed.result, result, sizeof result);
}

static void a_new_claim_has_no_result_of_the_old_one(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_complete_with(*state, 1, T0, HOUR, idem_span_text("old")),
                     IDEM_OK);
    assert_outcome(stores_claim(*state, 1, &stores_me, T0 + HOUR, 1000), IDEM_CLAIM_NEW);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + HOUR, HOUR), IDEM_OK);
    struct stores_answer found = stores_lookup(*state, 1, T0 + HOUR);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.record.result.len, 0);
}

static void the_longest_result_is_stored_and_a_longer_one_refused(void **state) {
    static uint8_t result[IDEM_RESULT_MAX + 1];
    memset(result, 'r', sizeof result);
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(
        stores_complete_with(*state, 1, T0, HOUR, idem_span_of(result, sizeof result)),
        IDEM_ERR_INVALID);
    assert_int_equal(
        stores_complete_with(*state, 1, T0, HOUR, idem_span_of(result, IDEM_RESULT_MAX)),
        IDEM_OK);
    stores_sync(*state);
    struct stores_answer found = stores_lookup(*state, 1, T0);
    assert_int_equal(found.answer.record.result.len, IDEM_RESULT_MAX);
    assert_memory_equal(found.result, result, STORES_RESULT_MAX);
}

static void impossible_times_are_refused(void **state) {
    const int64_t limit = INT64_C(1) << 48;
    assert_int_equal(stores_claim(*state, 1, &stores_me, -1, 1000).code,
                     IDEM_ERR_INVALID);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0, 0).code, IDEM_ERR_INVALID);
    assert_int_equal(stores_claim(*state, 1, &stores_me, limit - 1000, 1000).code,
                     IDEM_ERR_INVALID);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0, INT64_MAX).code,
                     IDEM_ERR_INVALID);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0, 0), IDEM_ERR_INVALID);
    assert_outcome(stores_claim(*state, 1, &stores_me, limit - 1001, 1000),
                   IDEM_CLAIM_NEW);
}

static void durable_operations_are_answered_exactly_once(void **state) {
    enum { COUNT = 50 };
    struct stores_box *box = *state;
    struct stores_answer claimed[COUNT] = {{.calls = 0}};
    struct stores_answer completed[COUNT] = {{.calls = 0}};
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_submit_claim(box, n, T0, &claimed[n]);
        stores_submit_completion(box, n, T0, HOUR, &completed[n]);
    }
    stores_sync(box);
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_await(box->store, &claimed[n]);
        stores_await(box->store, &completed[n]);
        assert_outcome(claimed[n].answer, IDEM_CLAIM_NEW);
        assert_int_equal(completed[n].answer.code, IDEM_OK);
    }
    idem_store_dispatch(box->store);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(claimed[n].calls + completed[n].calls, 2);
    }
}

static void a_durable_claim_of_a_known_key_is_answered(void **state) {
    struct stores_box *box = *state;
    struct stores_answer note = {.calls = 0};
    (void)stores_claim(box, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_complete_with(box, 1, T0, HOUR, idem_span_text("result")),
                     IDEM_OK);
    struct idem_claim claim = stores_claim_of(1, &stores_me, T0, 1000);
    claim.durable = true;
    claim.wants_result = true;
    idem_store_claim(box->store, &claim, stores_note, &note);
    stores_sync(box);
    stores_await(box->store, &note);
    assert_outcome(note.answer, IDEM_CLAIM_DONE);
    assert_int_equal(note.answer.record.result.len, 6);
    assert_memory_equal(note.result, "result", 6);
}

static void closing_answers_what_is_open(void **state) {
    struct stores_answer note = {.calls = 0};
    stores_submit_claim(*state, 1, T0, &note);
    stores_close(*state);
    assert_int_equal(note.calls, 1);
    assert_outcome(note.answer, IDEM_CLAIM_NEW);
}

/* Claims the next key from within the answer for this one. */
struct chain {
    struct stores_box *box;
    uint64_t next;
    struct stores_answer last;
};

static void claim_next(void *arg, const struct idem_answer *answer) {
    struct chain *chain = arg;
    assert_outcome(*answer, IDEM_CLAIM_NEW);
    if (chain->next < 20) {
        struct idem_claim claim = {.digest = stores_digest(chain->next++),
                                   .owner = stores_me,
                                   .now_ms = T0,
                                   .lease_ms = 1000};
        idem_store_claim(chain->box->store, &claim, claim_next, chain);
    } else {
        stores_note(&chain->last, answer);
    }
}

static void a_callback_may_submit_the_next_operation(void **state) {
    struct chain chain = {.box = *state};
    struct idem_answer start = {.code = IDEM_OK, .outcome = IDEM_CLAIM_NEW};
    claim_next(&chain, &start);
    stores_await(chain.box->store, &chain.last);
    assert_int_equal(stores_lookup(*state, 19, T0).answer.code, IDEM_OK);
}

static void stats_count_the_keys(void **state) {
    struct stores_box *box = *state;
    struct idem_store_stats stats;
    for (uint64_t n = 0; n < 100; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
    assert_int_equal(stores_forget(box, 5), IDEM_OK);
    (void)stores_claim(box, 200, &stores_me, T0, 1000);
    assert_int_equal(stores_abandon(box, 200, &stores_me), IDEM_OK);
    idem_store_read_stats(box->store, &stats);
    assert_int_equal(stats.keys, 99);
    stores_sync(box);
    idem_store_read_stats(box->store, &stats);
    assert_int_equal(stats.keys, 99);
    assert_true(stats.bytes > 0 || contract_variant()->hides_size);
    assert_false(stats.failing);
    assert_int_equal(stats.commit_failures, 0);
}

static const struct CMUnitTest contract[] = {
    CONTRACT_CASE(a_first_claim_is_new),
    CONTRACT_CASE(a_claimed_key_is_in_flight_for_all),
    CONTRACT_CASE(a_completed_key_is_done),
    CONTRACT_CASE(keys_do_not_touch_each_other),
    CONTRACT_CASE(a_record_may_have_no_fingerprint),
    CONTRACT_CASE(a_lease_holds_until_its_last_millisecond),
    CONTRACT_CASE(a_lease_is_free_when_it_ends),
    CONTRACT_CASE(a_restarted_owner_takes_its_claims_over_at_once),
    CONTRACT_CASE(another_instance_waits_for_the_lease),
    CONTRACT_CASE(taking_over_keeps_when_the_key_was_first_seen),
    CONTRACT_CASE(the_former_owner_cannot_complete_what_was_taken_over),
    CONTRACT_CASE(another_incarnation_cannot_complete),
    CONTRACT_CASE(completing_nothing_is_not_found),
    CONTRACT_CASE(an_owner_may_complete_after_its_lease),
    CONTRACT_CASE(completing_again_succeeds_and_changes_nothing),
    CONTRACT_CASE(completing_what_another_completed_is_not_owner),
    CONTRACT_CASE(an_abandoned_key_is_new_again),
    CONTRACT_CASE(only_the_owner_may_abandon),
    CONTRACT_CASE(a_done_key_cannot_be_abandoned),
    CONTRACT_CASE(abandoning_nothing_is_not_found),
    CONTRACT_CASE(a_done_key_lives_until_the_last_millisecond_of_its_ttl),
    CONTRACT_CASE(a_done_key_is_new_after_its_ttl),
    CONTRACT_CASE(completing_an_expired_done_key_is_not_found),
    CONTRACT_CASE(a_lookup_changes_nothing),
    CONTRACT_CASE(forgetting_removes_pending_and_done),
    CONTRACT_CASE(a_result_comes_back_as_it_was_stored),
    CONTRACT_CASE(a_new_claim_has_no_result_of_the_old_one),
    CONTRACT_CASE(the_longest_result_is_stored_and_a_longer_one_refused),
    CONTRACT_CASE(impossible_times_are_refused),
    CONTRACT_CASE(durable_operations_are_answered_exactly_once),
    CONTRACT_CASE(a_durable_claim_of_a_known_key_is_answered),
    CONTRACT_CASE(closing_answers_what_is_open),
    CONTRACT_CASE(a_callback_may_submit_the_next_operation),
    CONTRACT_CASE(stats_count_the_keys),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
