/* SPDX-License-Identifier: MIT
 * The contract of store.h where results are concerned: a response that comes after the delivery it answers,
 * and one that says that the delivery came to nothing. */
#include "contract.h"

#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static struct stores_answer wanting(struct stores_box *box, int64_t now_ms) {
    struct idem_claim claim = stores_claim_of(1, &stores_other, now_ms, 1000);
    claim.wants_result = true;
    return stores_claim_as(box, &claim);
}

static void assert_result(struct stores_box *box, const char *text, int64_t now_ms) {
    struct stores_answer found = wanting(box, now_ms);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.outcome, IDEM_CLAIM_DONE);
    assert_int_equal(found.answer.record.result.len, strlen(text));
    assert_memory_equal(found.result, text, strlen(text));
}

static enum idem_code withdraw(struct stores_box *box, const struct idem_owner *owner) {
    const struct idem_abandonment abandonment = {
        .digest = stores_digest(1), .owner = *owner, .completed = true};
    struct stores_answer note = {.calls = 0};
    idem_store_abandon(box->store, &abandonment, stores_note, &note);
    stores_await(box->store, &note);
    return note.answer.code;
}

static enum idem_code complete_as(struct stores_box *box, const struct idem_owner *owner,
                                  int64_t now_ms, const char *result) {
    const struct idem_completion completion = {.digest = stores_digest(1),
                                               .owner = *owner,
                                               .now_ms = now_ms,
                                               .ttl_ms = HOUR,
                                               .result = idem_span_text(result)};
    struct stores_answer note = {.calls = 0};
    idem_store_complete(box->store, &completion, stores_note, &note);
    stores_await(box->store, &note);
    return note.answer.code;
}

static void a_result_may_come_after_the_completion(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_result(*state, "", T0 + 1);
    assert_int_equal(complete_as(*state, &stores_me, T0 + 10, "response"), IDEM_OK);
    assert_result(*state, "response", T0 + 11);
}

static void a_result_moves_neither_the_end_nor_the_fingerprint(void **state) {
    struct idem_digest fingerprint = stores_digest(~UINT64_C(1));
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(complete_as(*state, &stores_me, T0 + 10, "response"), IDEM_OK);
    struct idem_record record = stores_lookup(*state, 1, T0 + 11).answer.record;
    assert_int_equal(record.until_ms, T0 + HOUR);
    assert_int_equal(record.first_seen_ms, T0);
    assert_true(record.has_fingerprint);
    assert_true(idem_digest_equal(&record.fingerprint, &fingerprint));
    assert_int_equal(record.owner.instance, stores_me.instance);
}

static void a_record_without_a_fingerprint_takes_a_result(void **state) {
    struct idem_claim claim = stores_claim_of(1, &stores_me, T0, 1000);
    claim.has_fingerprint = false;
    (void)stores_claim_as(*state, &claim);
    assert_int_equal(complete_as(*state, &stores_me, T0, ""), IDEM_OK);
    assert_int_equal(complete_as(*state, &stores_me, T0, "response"), IDEM_OK);
    assert_result(*state, "response", T0 + 1);
}

static void the_first_result_stays(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(complete_as(*state, &stores_me, T0, "first"), IDEM_OK);
    assert_int_equal(complete_as(*state, &stores_me, T0, "second"), IDEM_OK);
    assert_int_equal(complete_as(*state, &stores_me, T0, ""), IDEM_OK);
    assert_result(*state, "first", T0 + 1);
}

static void a_restarted_instance_may_bring_the_result(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(complete_as(*state, &stores_me_restarted, T0, "response"), IDEM_OK);
    assert_result(*state, "response", T0 + 1);
}

static void another_instance_may_not(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(complete_as(*state, &stores_other, T0, "forged"),
                     IDEM_ERR_NOT_OWNER);
    assert_result(*state, "", T0 + 1);
}

static void a_result_does_not_revive_what_has_expired(void **state) {
    stores_put_done(*state, 1, T0, 1000);
    assert_int_equal(complete_as(*state, &stores_me, T0 + 1000, "late"),
                     IDEM_ERR_NOT_FOUND);
    assert_int_equal(wanting(*state, T0 + 1000).answer.outcome, IDEM_CLAIM_NEW);
}

static void a_sliding_window_keeps_the_result(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(complete_as(*state, &stores_me, T0, "response"), IDEM_OK);
    struct idem_claim claim = stores_claim_of(1, &stores_other, T0 + 10, 1000);
    claim.wants_result = true;
    claim.extend_ms = 2 * HOUR;
    assert_int_equal(stores_claim_as(*state, &claim).answer.record.result.len, 8);
    assert_result(*state, "response", T0 + HOUR + 1);
}

static void what_came_to_nothing_is_new_again(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(withdraw(*state, &stores_me), IDEM_OK);
    assert_int_equal(withdraw(*state, &stores_me), IDEM_ERR_NOT_FOUND);
    assert_int_equal(stores_claim(*state, 1, &stores_other, T0 + 1, 1000).outcome,
                     IDEM_CLAIM_NEW);
}

static void only_who_completed_it_may_withdraw(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(withdraw(*state, &stores_other), IDEM_ERR_NOT_OWNER);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_DONE);
}

static void what_has_a_result_is_not_withdrawn(void **state) {
    stores_put_done(*state, 1, T0, HOUR);
    assert_int_equal(complete_as(*state, &stores_me, T0, "response"), IDEM_OK);
    assert_int_equal(withdraw(*state, &stores_me), IDEM_ERR_NOT_OWNER);
    assert_result(*state, "response", T0 + 1);
}

static void a_result_stays_as_long_as_its_record(void **state) {
    struct stores_box *box = *state;
    stores_put_done(box, 1, T0, HOUR);
    assert_int_equal(complete_as(box, &stores_me, T0, "response"), IDEM_OK);
    if (contract_variant()->keeps) {
        stores_close(box);
        stores_open(box);
    }
    assert_result(box, "response", T0 + 1);
}

static const struct CMUnitTest contract[] = {
    CONTRACT_CASE(a_result_may_come_after_the_completion),
    CONTRACT_CASE(a_result_moves_neither_the_end_nor_the_fingerprint),
    CONTRACT_CASE(a_record_without_a_fingerprint_takes_a_result),
    CONTRACT_CASE(the_first_result_stays),
    CONTRACT_CASE(a_restarted_instance_may_bring_the_result),
    CONTRACT_CASE(another_instance_may_not),
    CONTRACT_CASE(a_result_does_not_revive_what_has_expired),
    CONTRACT_CASE(a_sliding_window_keeps_the_result),
    CONTRACT_CASE(what_came_to_nothing_is_new_again),
    CONTRACT_CASE(only_who_completed_it_may_withdraw),
    CONTRACT_CASE(what_has_a_result_is_not_withdrawn),
    CONTRACT_CASE(a_result_stays_as_long_as_its_record),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
