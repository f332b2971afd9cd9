/* SPDX-License-Identifier: MIT
 * The contract of claims that extend what they find, run unchanged against every backend: fixed and
 * sliding windows. */
#include "contract.h"

#include <string.h>

#define T0  INT64_C(1700000000000)
#define TTL INT64_C(300000)

/* A copy at a time, by another owner, of a rule whose window slides by extend_ms. */
static struct stores_answer copy_at(struct stores_box *box, int64_t now_ms,
                                    int64_t extend_ms) {
    struct idem_claim claim = stores_claim_of(1, &stores_other, now_ms, 1000);
    claim.extend_ms = extend_ms;
    return stores_claim_as(box, &claim);
}

static void assert_repeated(struct stores_answer note) {
    assert_int_equal(note.answer.code, IDEM_OK);
    assert_int_equal(note.answer.outcome, IDEM_CLAIM_DONE);
}

static int64_t end_at(struct stores_box *box, int64_t now_ms) {
    struct stores_answer found = stores_lookup(box, 1, now_ms);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.record.state, IDEM_RECORD_DONE);
    return found.answer.record.until_ms;
}

static void a_fixed_window_ends_when_it_would_have_ended(void **state) {
    stores_put_done(*state, 1, T0, TTL);
    for (int64_t at = 1; at < TTL; at += TTL / 10) {
        assert_repeated(copy_at(*state, T0 + at, 0));
    }
    assert_int_equal(end_at(*state, T0 + TTL - 1), T0 + TTL);
    assert_int_equal(copy_at(*state, T0 + TTL, 0).answer.outcome, IDEM_CLAIM_NEW);
}

static void a_sliding_window_ends_its_length_after_the_last_copy(void **state) {
    int64_t last = T0;
    stores_put_done(*state, 1, T0, TTL);
    for (int i = 0; i < 5; i++) {
        last += TTL - 1;
        assert_repeated(copy_at(*state, last, TTL));
        assert_int_equal(end_at(*state, last), last + TTL);
    }
    assert_int_equal(copy_at(*state, last + TTL, TTL).answer.outcome, IDEM_CLAIM_NEW);
}

static void extending_changes_nothing_but_the_end(void **state) {
    struct idem_digest fingerprint = stores_digest(~UINT64_C(1));
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_complete_with(*state, 1, T0, TTL, idem_span_text("result")),
                     IDEM_OK);
    struct stores_answer copy = copy_at(*state, T0 + 10, TTL);
    assert_repeated(copy);
    assert_int_equal(copy.answer.record.result.len, 6);
    assert_memory_equal(copy.result, "result", 6);
    struct stores_answer found = stores_lookup(*state, 1, T0 + TTL);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.record.first_seen_ms, T0);
    assert_int_equal(found.answer.record.until_ms, T0 + 10 + TTL);
    assert_int_equal(found.answer.record.owner.instance, stores_me.instance);
    assert_true(idem_digest_equal(&found.answer.record.fingerprint, &fingerprint));
    assert_int_equal(found.answer.record.result.len, 6);
    assert_memory_equal(found.result, "result", 6);
}

static void a_window_never_becomes_shorter(void **state) {
    stores_put_done(*state, 1, T0, TTL);
    assert_repeated(copy_at(*state, T0 + 1000, 1000));
    assert_repeated(copy_at(*state, T0 - 1000, TTL)); /* a clock that is behind */
    assert_int_equal(end_at(*state, T0), T0 + TTL);
}

static void another_fingerprint_extends_nothing(void **state) {
    struct stores_box *box = *state;
    struct idem_claim claim = stores_claim_of(1, &stores_other, T0 + 1, 1000);
    claim.fingerprint = stores_digest(77);
    claim.extend_ms = 2 * TTL;
    stores_put_done(box, 1, T0, TTL);
    assert_repeated(stores_claim_as(box, &claim));
    assert_int_equal(end_at(box, T0 + 1), T0 + TTL);
}

static void a_claim_in_flight_is_not_extended(void **state) {
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(copy_at(*state, T0 + 1, TTL).answer.outcome, IDEM_CLAIM_IN_FLIGHT);
    struct stores_answer found = stores_lookup(*state, 1, T0 + 1);
    assert_int_equal(found.answer.record.state, IDEM_RECORD_PENDING);
    assert_int_equal(found.answer.record.until_ms, T0 + 1000);
}

static void an_ended_window_is_not_extended(void **state) {
    stores_put_done(*state, 1, T0, TTL);
    struct stores_answer late = copy_at(*state, T0 + TTL, TTL);
    assert_int_equal(late.answer.outcome, IDEM_CLAIM_NEW);
    assert_int_equal(late.answer.record.state, IDEM_RECORD_NONE);
}

static void an_extended_window_outlives_closing(void **state) {
    struct stores_box *box = *state;
    stores_put_done(box, 1, T0, TTL);
    stores_sync(box);
    assert_repeated(copy_at(box, T0 + TTL - 1, TTL));
    if (contract_variant()->keeps) {
        stores_close(box);
        stores_open(box);
    }
    assert_int_equal(end_at(box, T0 + TTL), T0 + TTL - 1 + TTL);
}

/* The same key from many callers at once: each of them is answered, and the latest end holds. */
static void many_copies_at_once_extend_to_the_latest_end(void **state) {
    enum { COPIES = 100 };
    struct stores_box *box = *state;
    struct stores_answer notes[COPIES] = {{.calls = 0}};
    stores_put_done(box, 1, T0, TTL);
    for (int i = 0; i < COPIES; i++) {
        struct idem_claim claim =
            stores_claim_of(1, &stores_other, T0 + (i * 37) % COPIES, 1000);
        claim.extend_ms = TTL;
        idem_store_claim(box->store, &claim, stores_note, &notes[i]);
    }
    for (int i = 0; i < COPIES; i++) {
        stores_await(box->store, &notes[i]);
        assert_repeated(notes[i]);
    }
    assert_int_equal(end_at(box, T0 + COPIES), T0 + COPIES - 1 + TTL);
}

static void impossible_extensions_are_refused(void **state) {
    stores_put_done(*state, 1, T0, TTL);
    assert_int_equal(copy_at(*state, T0, -1).answer.code, IDEM_ERR_INVALID);
    assert_int_equal(copy_at(*state, T0, INT64_MAX).answer.code, IDEM_ERR_INVALID);
    assert_int_equal(end_at(*state, T0), T0 + TTL);
}

static const struct CMUnitTest contract[] = {
    CONTRACT_CASE(a_fixed_window_ends_when_it_would_have_ended),
    CONTRACT_CASE(a_sliding_window_ends_its_length_after_the_last_copy),
    CONTRACT_CASE(extending_changes_nothing_but_the_end),
    CONTRACT_CASE(a_window_never_becomes_shorter),
    CONTRACT_CASE(another_fingerprint_extends_nothing),
    CONTRACT_CASE(a_claim_in_flight_is_not_extended),
    CONTRACT_CASE(an_ended_window_is_not_extended),
    CONTRACT_CASE(an_extended_window_outlives_closing),
    CONTRACT_CASE(many_copies_at_once_extend_to_the_latest_end),
    CONTRACT_CASE(impossible_extensions_are_refused),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
