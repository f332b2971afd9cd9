/* SPDX-License-Identifier: MIT
 * Records that come from another store, in every store: taken over as they were, and never over newer
 * knowledge. */
#include "contract.h"
#include "numbers.h"

#include <string.h>

#define T0   INT64_C(1700000000000)
#define HOUR INT64_C(3600000)

static struct idem_record done_until(int64_t until_ms) {
    return (struct idem_record){.state = IDEM_RECORD_DONE,
                                .has_fingerprint = true,
                                .fingerprint = stores_digest(77),
                                .owner = {stores_other.instance, 0},
                                .first_seen_ms = T0 - HOUR,
                                .until_ms = until_ms,
                                .result = idem_span_text("answer")};
}

static struct idem_record pending_until(int64_t until_ms) {
    return (struct idem_record){.state = IDEM_RECORD_PENDING,
                                .has_fingerprint = true,
                                .fingerprint = stores_digest(78),
                                .owner = stores_other,
                                .first_seen_ms = T0 - HOUR,
                                .until_ms = until_ms};
}

static enum idem_code restore_as(struct stores_box *box, const struct idem_digest *digest,
                                 const struct idem_record *record, int64_t now_ms,
                                 bool durable) {
    struct idem_restoration restoration = {
        .digest = *digest, .record = *record, .now_ms = now_ms, .durable = durable};
    return stores_restore(box, &restoration);
}

static enum idem_code restore(struct stores_box *box, uint64_t n,
                              const struct idem_record *record) {
    struct idem_digest digest = stores_digest(n);
    return restore_as(box, &digest, record, T0, false);
}

static void a_done_record_comes_back_as_it_was(void **state) {
    struct idem_record given = done_until(T0 + HOUR);
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    struct stores_answer found = stores_lookup(*state, 1, T0);
    const struct idem_record *record = &found.answer.record;
    assert_int_equal(record->state, IDEM_RECORD_DONE);
    assert_true(record->has_fingerprint);
    assert_true(idem_digest_equal(&record->fingerprint, &given.fingerprint));
    assert_int_equal(record->owner.instance, stores_other.instance);
    assert_int_equal(record->first_seen_ms, given.first_seen_ms);
    assert_int_equal(record->until_ms, given.until_ms);
    assert_int_equal(record->result.len, 6);
    assert_memory_equal(found.result, "answer", 6);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0 + HOUR, 1000).outcome,
                     IDEM_CLAIM_NEW);
}

static void a_pending_record_comes_back_with_its_holder(void **state) {
    struct idem_record given = pending_until(T0 + 1000);
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    struct idem_answer answer = stores_claim(*state, 1, &stores_me, T0 + 1, 1000);
    assert_int_equal(answer.outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(answer.record.owner.instance, stores_other.instance);
    assert_int_equal(answer.record.owner.incarnation, stores_other.incarnation);
    assert_int_equal(answer.record.first_seen_ms, given.first_seen_ms);
    struct idem_owner restarted = {stores_other.instance, stores_other.incarnation + 1};
    assert_int_equal(stores_claim(*state, 1, &restarted, T0 + 1, 1000).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
}

static void a_claim_in_doubt_stays_in_doubt(void **state) {
    struct idem_record given = pending_until(T0 - IDEM_DOUBT_KEPT_MS + 60000);
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
}

static void what_has_expired_is_not_taken_over(void **state) {
    struct idem_record done = done_until(T0);
    struct idem_record pending = pending_until(T0 - IDEM_DOUBT_KEPT_MS);
    assert_int_equal(restore(*state, 1, &done), IDEM_ERR_NOT_FOUND);
    assert_int_equal(restore(*state, 2, &pending), IDEM_ERR_NOT_FOUND);
    assert_int_equal(stores_claim(*state, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_NEW);
    assert_int_equal(stores_claim(*state, 2, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_NEW);
}

static void done_beats_pending(void **state) {
    struct idem_record given = done_until(T0 + HOUR);
    (void)stores_claim(*state, 1, &stores_me, T0 - 2 * HOUR, 3 * HOUR);
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    struct idem_record found = stores_lookup(*state, 1, T0).answer.record;
    assert_int_equal(found.state, IDEM_RECORD_DONE);
    assert_int_equal(found.first_seen_ms, T0 - 2 * HOUR);
    struct idem_record pending = pending_until(T0 + 9 * HOUR);
    assert_int_equal(restore(*state, 1, &pending), IDEM_ERR_NOT_OWNER);
    assert_int_equal(stores_lookup(*state, 1, T0).answer.record.state, IDEM_RECORD_DONE);
}

static void of_two_done_records_the_later_end_counts(void **state) {
    struct idem_record earlier = done_until(T0 + HOUR / 2);
    struct idem_record later = done_until(T0 + 2 * HOUR);
    stores_put_done(*state, 1, T0 - 2 * HOUR, 3 * HOUR);
    assert_int_equal(restore(*state, 1, &earlier), IDEM_ERR_NOT_OWNER);
    assert_int_equal(stores_lookup(*state, 1, T0).answer.record.until_ms, T0 + HOUR);
    assert_int_equal(restore(*state, 1, &later), IDEM_OK);
    struct idem_record found = stores_lookup(*state, 1, T0).answer.record;
    assert_int_equal(found.until_ms, T0 + 2 * HOUR);
    assert_int_equal(found.first_seen_ms, T0 - 2 * HOUR);
    assert_int_equal(found.result.len, 6);
}

static void a_live_claim_is_left_to_its_holder(void **state) {
    struct idem_record given = pending_until(T0 + HOUR);
    (void)stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(restore(*state, 1, &given), IDEM_ERR_NOT_OWNER);
    assert_int_equal(stores_complete(*state, 1, &stores_me, T0 + 1, HOUR), IDEM_OK);
}

static void of_two_claims_in_doubt_the_later_lease_counts(void **state) {
    struct idem_record earlier = pending_until(T0 - 2 * HOUR);
    struct idem_record later = pending_until(T0 - HOUR / 2);
    (void)stores_claim(*state, 1, &stores_me, T0 - 2 * HOUR, HOUR);
    assert_int_equal(restore(*state, 1, &earlier), IDEM_ERR_NOT_OWNER);
    assert_int_equal(restore(*state, 1, &later), IDEM_OK);
    struct idem_answer answer = stores_claim(*state, 1, &stores_me, T0, 1000);
    assert_int_equal(answer.outcome, IDEM_CLAIM_TAKEN_OVER);
    assert_int_equal(answer.record.owner.instance, stores_other.instance);
}

static void what_has_ended_gives_way(void **state) {
    struct idem_record given = done_until(T0 + 1);
    stores_put_done(*state, 1, T0 - HOUR, HOUR);
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    assert_int_equal(stores_lookup(*state, 1, T0).answer.record.until_ms, T0 + 1);
}

static void restoring_again_changes_nothing(void **state) {
    struct idem_record given = done_until(T0 + HOUR);
    struct idem_store_stats stats;
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    assert_int_equal(restore(*state, 1, &given), IDEM_ERR_NOT_OWNER);
    idem_store_read_stats(((struct stores_box *)*state)->store, &stats);
    assert_int_equal(stats.keys, 1);
}

static void what_no_record_can_be_is_refused(void **state) {
    struct idem_record none = {.state = IDEM_RECORD_NONE};
    struct idem_record late = done_until(INT64_C(1) << 48);
    struct idem_record with_result = pending_until(T0 + 1000);
    struct idem_record no_sequence = done_until(T0 + HOUR);
    with_result.result = idem_span_text("x");
    no_sequence.state = IDEM_RECORD_SEQUENCE;
    assert_int_equal(restore(*state, 1, &none), IDEM_ERR_INVALID);
    assert_int_equal(restore(*state, 1, &late), IDEM_ERR_INVALID);
    assert_int_equal(restore(*state, 1, &with_result), IDEM_ERR_INVALID);
    assert_int_equal(restore(*state, 1, &no_sequence), IDEM_ERR_INVALID);
}

static void a_durable_one_is_answered_once(void **state) {
    struct idem_record given = done_until(T0 + HOUR);
    struct idem_digest digest = stores_digest(1);
    assert_int_equal(restore_as(*state, &digest, &given, T0, true), IDEM_OK);
    assert_int_equal(restore_as(*state, &digest, &given, T0, true), IDEM_ERR_NOT_OWNER);
}

static void what_was_restored_survives_closing(void **state) {
    struct idem_record given = done_until(T0 + HOUR);
    if (!contract_variant()->keeps) {
        return;
    }
    assert_int_equal(restore(*state, 1, &given), IDEM_OK);
    stores_close(*state);
    stores_open(*state);
    struct stores_answer found = stores_lookup(*state, 1, T0);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_memory_equal(found.result, "answer", 6);
}

/* Sequences: what another store of the same kind knew of a producer. */
struct known {
    struct idem_digest digest;
    struct idem_record record;
    uint8_t state[IDEM_SEQUENCE_STATE_MAX];
};

static bool keep_visited(void *arg, const struct idem_digest *digest,
                         const struct idem_record *record) {
    struct known *known = arg;
    known->digest = *digest;
    known->record = *record;
    assert_true(record->result.len <= sizeof known->state);
    memcpy(known->state, record->result.data, record->result.len);
    known->record.result = idem_span_of(known->state, record->result.len);
    return true;
}

/* Takes the one record out of the store. */
static void take_out(struct stores_box *box, struct known *known) {
    struct stores_answer note = {.calls = 0};
    assert_int_equal(idem_store_iterate(box->store, T0, keep_visited, known, NULL),
                     IDEM_OK);
    assert_int_equal(known->record.state, IDEM_RECORD_SEQUENCE);
    idem_store_forget(box->store, &known->digest, stores_note, &note);
    stores_await(box->store, &note);
    assert_int_equal(note.answer.code, IDEM_OK);
}

static enum idem_code put_back(struct stores_box *box, const struct known *known) {
    return restore_as(box, &known->digest, &known->record, T0, false);
}

static void expect(const struct numbers *numbers, uint64_t value,
                   enum idem_claim_outcome outcome) {
    struct idem_answer answer = numbers_claim(numbers, value, &stores_me, T0);
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.outcome, outcome);
}

static void deliver(const struct numbers *numbers, uint64_t value) {
    expect(numbers, value, IDEM_CLAIM_NEW);
    assert_int_equal(numbers_complete(numbers, value, &stores_me, T0), IDEM_OK);
}

static void a_sequence_comes_back_as_it_was(void **state) {
    struct numbers numbers = {.box = *state, .window = 8};
    struct known known;
    deliver(&numbers, 100);
    deliver(&numbers, 97);
    expect(&numbers, 99, IDEM_CLAIM_NEW);
    take_out(*state, &known);
    assert_int_equal(put_back(*state, &known), IDEM_OK);
    expect(&numbers, 100, IDEM_CLAIM_DONE);
    expect(&numbers, 97, IDEM_CLAIM_DONE);
    expect(&numbers, 99, IDEM_CLAIM_IN_FLIGHT);
    expect(&numbers, 98, IDEM_CLAIM_NEW);
}

/* What either store knows to be delivered is delivered, whichever of them is further on. */
static void two_sequences_are_joined(void **state) {
    struct numbers numbers = {.box = *state, .window = 8};
    struct known behind;
    struct known ahead;
    deliver(&numbers, 95);
    deliver(&numbers, 98);
    expect(&numbers, 96, IDEM_CLAIM_NEW);
    take_out(*state, &behind);
    deliver(&numbers, 97);
    deliver(&numbers, 100);
    expect(&numbers, 98, IDEM_CLAIM_NEW);
    assert_int_equal(put_back(*state, &behind), IDEM_OK);
    take_out(*state, &ahead);
    assert_int_equal(put_back(*state, &behind), IDEM_OK);
    assert_int_equal(put_back(*state, &ahead), IDEM_OK);
    assert_int_equal(put_back(*state, &ahead), IDEM_ERR_NOT_OWNER);
    const uint64_t done[] = {95, 97, 98, 100};
    for (size_t i = 0; i < sizeof done / sizeof *done; i++) {
        expect(&numbers, done[i], IDEM_CLAIM_DONE);
    }
    expect(&numbers, 96, IDEM_CLAIM_IN_FLIGHT);
    expect(&numbers, 99, IDEM_CLAIM_NEW);
    expect(&numbers, 101, IDEM_CLAIM_NEW);
}

static void a_later_epoch_is_not_taken_back(void **state) {
    struct numbers numbers = {.box = *state, .window = 8, .epoch = 1};
    struct known older;
    deliver(&numbers, 50);
    take_out(*state, &older);
    numbers.epoch = 2;
    deliver(&numbers, 3);
    assert_int_equal(put_back(*state, &older), IDEM_ERR_NOT_OWNER);
    expect(&numbers, 3, IDEM_CLAIM_DONE);
    numbers.epoch = 1;
    expect(&numbers, 51, IDEM_CLAIM_FENCED);
}

static const struct CMUnitTest contract[] = {
    CONTRACT_CASE(a_done_record_comes_back_as_it_was),
    CONTRACT_CASE(a_pending_record_comes_back_with_its_holder),
    CONTRACT_CASE(a_claim_in_doubt_stays_in_doubt),
    CONTRACT_CASE(what_has_expired_is_not_taken_over),
    CONTRACT_CASE(done_beats_pending),
    CONTRACT_CASE(of_two_done_records_the_later_end_counts),
    CONTRACT_CASE(a_live_claim_is_left_to_its_holder),
    CONTRACT_CASE(of_two_claims_in_doubt_the_later_lease_counts),
    CONTRACT_CASE(what_has_ended_gives_way),
    CONTRACT_CASE(restoring_again_changes_nothing),
    CONTRACT_CASE(what_no_record_can_be_is_refused),
    CONTRACT_CASE(a_durable_one_is_answered_once),
    CONTRACT_CASE(what_was_restored_survives_closing),
    CONTRACT_CASE(a_sequence_comes_back_as_it_was),
    CONTRACT_CASE(two_sequences_are_joined),
    CONTRACT_CASE(a_later_epoch_is_not_taken_back),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
