/* SPDX-License-Identifier: MIT
 * Numbers of producers in every store: windows, gaps, epochs, take-over, giving back. */
#include "contract.h"
#include "numbers.h"

#define T0   INT64_C(1700000000000)
#define HOUR INT64_C(3600000)

static struct numbers numbers_in(struct stores_box *box) {
    return (struct numbers){.box = box, .window = 8};
}

static void assert_claim(const struct numbers *numbers, uint64_t value, int64_t now_ms,
                         enum idem_claim_outcome outcome) {
    struct idem_answer answer = numbers_claim(numbers, value, &stores_me, now_ms);
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.outcome, outcome);
}

static void deliver(const struct numbers *numbers, uint64_t value, int64_t now_ms) {
    assert_claim(numbers, value, now_ms, IDEM_CLAIM_NEW);
    assert_int_equal(numbers_complete(numbers, value, &stores_me, now_ms), IDEM_OK);
}

static void a_number_is_new_then_in_flight_then_done(void **state) {
    struct numbers numbers = numbers_in(*state);
    assert_claim(&numbers, 7, T0, IDEM_CLAIM_NEW);
    struct idem_answer answer = numbers_claim(&numbers, 7, &stores_other, T0 + 1);
    assert_int_equal(answer.outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(answer.record.state, IDEM_RECORD_PENDING);
    assert_int_equal(answer.record.owner.instance, stores_me.instance);
    assert_int_equal(answer.record.owner.incarnation, stores_me.incarnation);
    assert_int_equal(answer.record.until_ms, T0 + 1000);
    assert_int_equal(numbers_complete(&numbers, 7, &stores_me, T0 + 2), IDEM_OK);
    assert_claim(&numbers, 7, T0 + 3, IDEM_CLAIM_DONE);
    assert_int_equal(numbers_complete(&numbers, 7, &stores_me, T0 + 4), IDEM_OK);
}

static void a_late_number_is_new_once_inside_the_window_and_never_below_it(void **state) {
    struct numbers numbers = numbers_in(*state);
    deliver(&numbers, 100, T0);
    deliver(&numbers, 93, T0);
    assert_claim(&numbers, 93, T0, IDEM_CLAIM_DONE);
    assert_claim(&numbers, 92, T0, IDEM_CLAIM_DONE);
    deliver(&numbers, 101, T0);
    assert_claim(&numbers, 94, T0, IDEM_CLAIM_NEW);
    assert_claim(&numbers, 93, T0, IDEM_CLAIM_DONE);
}

static void without_a_window_numbers_must_rise(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.window = 0;
    deliver(&numbers, 5, T0);
    assert_claim(&numbers, 4, T0, IDEM_CLAIM_DONE);
    assert_claim(&numbers, 5, T0, IDEM_CLAIM_DONE);
    deliver(&numbers, 6, T0);
}

static void producers_do_not_touch_each_other(void **state) {
    struct numbers one = numbers_in(*state);
    struct numbers two = numbers_in(*state);
    two.producer = 2;
    deliver(&one, 9, T0);
    assert_claim(&two, 9, T0, IDEM_CLAIM_NEW);
}

/* A crash between claim and completion must not take numbers along that nobody has claimed. */
static void the_mark_moves_at_completion_only(void **state) {
    struct numbers numbers = numbers_in(*state);
    deliver(&numbers, 1, T0);
    assert_claim(&numbers, 500, T0, IDEM_CLAIM_NEW);
    assert_claim(&numbers, 2, T0, IDEM_CLAIM_NEW);
    assert_int_equal(numbers_complete(&numbers, 500, &stores_me, T0), IDEM_OK);
    assert_claim(&numbers, 3, T0, IDEM_CLAIM_DONE);
    assert_int_equal(numbers_complete(&numbers, 2, &stores_me, T0), IDEM_OK);
}

static void many_in_flight_end_in_any_order(void **state) {
    struct numbers numbers = numbers_in(*state);
    for (uint64_t n = 0; n < 300; n++) {
        assert_claim(&numbers, n, T0, IDEM_CLAIM_NEW);
    }
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t n = i * 7 % 300; /* 7 and 300 have no common factor */
        assert_claim(&numbers, n, T0, IDEM_CLAIM_IN_FLIGHT);
        assert_int_equal(numbers_complete(&numbers, n, &stores_me, T0), IDEM_OK);
        assert_claim(&numbers, n, T0, IDEM_CLAIM_DONE);
    }
    assert_claim(&numbers, 300, T0, IDEM_CLAIM_NEW);
}

static void of_a_dead_owner_each_number_is_in_doubt_by_itself(void **state) {
    struct numbers numbers = numbers_in(*state);
    for (uint64_t n = 1; n <= 4; n++) {
        assert_claim(&numbers, n, T0, IDEM_CLAIM_NEW);
    }
    assert_int_equal(numbers_complete(&numbers, 3, &stores_me, T0), IDEM_OK);
    const struct idem_owner *again = &stores_me_restarted;
    struct idem_answer answer = numbers_claim(&numbers, 2, again, T0 + 1);
    assert_int_equal(answer.outcome, IDEM_CLAIM_TAKEN_OVER);
    assert_int_equal(answer.record.owner.incarnation, stores_me.incarnation);
    assert_int_equal(numbers_claim(&numbers, 3, again, T0 + 1).outcome, IDEM_CLAIM_DONE);
    assert_int_equal(numbers_complete(&numbers, 2, &stores_me, T0 + 2),
                     IDEM_ERR_NOT_OWNER);
    assert_int_equal(numbers_complete(&numbers, 2, again, T0 + 2), IDEM_OK);
    assert_int_equal(numbers_claim(&numbers, 1, again, T0 + 3).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
    assert_int_equal(numbers_claim(&numbers, 5, again, T0 + 3).outcome, IDEM_CLAIM_NEW);
}

static void a_lease_that_is_over_lets_others_in(void **state) {
    struct numbers numbers = numbers_in(*state);
    assert_claim(&numbers, 1, T0, IDEM_CLAIM_NEW);
    assert_int_equal(numbers_claim(&numbers, 1, &stores_other, T0 + 999).outcome,
                     IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(numbers_claim(&numbers, 1, &stores_other, T0 + 1000).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
    assert_int_equal(numbers_complete(&numbers, 1, &stores_me, T0 + 1001),
                     IDEM_ERR_NOT_OWNER);
}

/* Even without a window, and with everything after it delivered. */
static void what_is_given_back_is_new_however_far_the_mark_has_come(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.window = 0;
    for (uint64_t n = 1; n <= 9; n++) {
        assert_claim(&numbers, n, T0, IDEM_CLAIM_NEW);
    }
    assert_int_equal(numbers_abandon(&numbers, 4, &stores_other), IDEM_ERR_NOT_OWNER);
    assert_int_equal(numbers_abandon(&numbers, 4, &stores_me), IDEM_OK);
    assert_int_equal(numbers_abandon(&numbers, 4, &stores_me), IDEM_ERR_NOT_FOUND);
    for (uint64_t n = 1; n <= 9; n++) {
        if (n != 4) {
            assert_int_equal(numbers_complete(&numbers, n, &stores_me, T0), IDEM_OK);
        }
    }
    assert_int_equal(numbers_complete(&numbers, 4, &stores_me, T0), IDEM_ERR_NOT_FOUND);
    deliver(&numbers, 4, T0 + 1);
    assert_claim(&numbers, 4, T0 + 2, IDEM_CLAIM_DONE);
    assert_int_equal(numbers_abandon(&numbers, 4, &stores_me), IDEM_ERR_NOT_OWNER);
    assert_int_equal(numbers_abandon(&numbers, 77, &stores_me), IDEM_ERR_NOT_FOUND);
}

static void a_newer_epoch_starts_afresh_and_fences_the_older_one(void **state) {
    struct numbers old = numbers_in(*state);
    struct numbers new = numbers_in(*state);
    old.epoch = 3;
    new.epoch = 4;
    deliver(&old, 50, T0);
    assert_claim(&old, 51, T0, IDEM_CLAIM_NEW);
    deliver(&new, 0, T0 + 1);
    assert_claim(&old, 52, T0 + 2, IDEM_CLAIM_FENCED);
    assert_claim(&old, 50, T0 + 2, IDEM_CLAIM_FENCED);
    assert_int_equal(numbers_complete(&old, 51, &stores_me, T0 + 2), IDEM_OK);
    assert_int_equal(numbers_abandon(&old, 51, &stores_me), IDEM_ERR_NOT_FOUND);
    assert_claim(&new, 50, T0 + 3, IDEM_CLAIM_NEW);
}

static void a_gap_is_accepted_and_told(void **state) {
    struct numbers numbers = numbers_in(*state);
    deliver(&numbers, 1, T0);
    struct idem_answer answer = numbers_claim(&numbers, 5, &stores_me, T0);
    assert_int_equal(answer.outcome, IDEM_CLAIM_NEW);
    assert_int_equal(answer.skipped, 3);
    assert_int_equal(numbers_claim(&numbers, 3, &stores_me, T0).skipped, 0);
}

static void a_gap_is_rejected_and_changes_nothing(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.terms.on_gap = IDEM_GAP_REJECT;
    assert_claim(&numbers, 1, T0, IDEM_CLAIM_NEW);
    struct idem_answer answer = numbers_claim(&numbers, 3, &stores_me, T0);
    assert_int_equal(answer.outcome, IDEM_CLAIM_GAP);
    assert_int_equal(answer.skipped, 1);
    assert_claim(&numbers, 2, T0, IDEM_CLAIM_NEW);
    assert_claim(&numbers, 3, T0, IDEM_CLAIM_NEW);
    numbers.epoch = 1;
    numbers.terms.require_zero = true;
    assert_claim(&numbers, 1, T0, IDEM_CLAIM_GAP);
    numbers.epoch = 0;
    assert_claim(&numbers, 4, T0, IDEM_CLAIM_NEW);
}

static void a_gap_is_held_for_a_time_and_a_number_of_numbers(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.terms.on_gap = IDEM_GAP_HOLD;
    numbers.terms.hold_ms = 500;
    numbers.terms.hold_numbers = 4;
    deliver(&numbers, 1, T0);
    struct idem_answer answer = numbers_claim(&numbers, 3, &stores_me, T0 + 10);
    assert_int_equal(answer.outcome, IDEM_CLAIM_GAP);
    assert_int_equal(answer.record.until_ms, T0 + 510);
    assert_claim(&numbers, 4, T0 + 300, IDEM_CLAIM_GAP);
    deliver(&numbers, 2, T0 + 400);
    deliver(&numbers, 3, T0 + 400);
    deliver(&numbers, 4, T0 + 400);
    assert_claim(&numbers, 6, T0 + 1000, IDEM_CLAIM_GAP);
    assert_claim(&numbers, 6, T0 + 1499, IDEM_CLAIM_GAP);
    assert_claim(&numbers, 6, T0 + 1500, IDEM_CLAIM_NEW);
    assert_claim(&numbers, 11, T0 + 1500, IDEM_CLAIM_GAP);
    assert_claim(&numbers, 12, T0 + 1500, IDEM_CLAIM_NEW);
}

static void an_unknown_producer_may_have_to_begin_with_zero(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.terms.on_gap = IDEM_GAP_REJECT;
    numbers.terms.require_zero = true;
    struct idem_answer answer = numbers_claim(&numbers, 6, &stores_me, T0);
    assert_int_equal(answer.outcome, IDEM_CLAIM_GAP);
    assert_int_equal(answer.skipped, 6);
    deliver(&numbers, 0, T0);
    deliver(&numbers, 1, T0);
}

static void an_idle_producer_is_forgotten(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.terms.ttl_ms = 5000;
    deliver(&numbers, 40, T0);
    deliver(&numbers, 41, T0 + 4000);
    assert_claim(&numbers, 40, T0 + 8999, IDEM_CLAIM_DONE);
    assert_claim(&numbers, 40, T0 + 9000, IDEM_CLAIM_NEW);
}

static void numbers_that_start_again_go_on(void **state) {
    struct numbers numbers = numbers_in(*state);
    const uint64_t last = UINT32_MAX;
    numbers.wrap = 32;
    numbers.terms.on_gap = IDEM_GAP_REJECT;
    deliver(&numbers, last - 1, T0);
    assert_claim(&numbers, last, T0, IDEM_CLAIM_NEW);
    deliver(&numbers, 0, T0);
    deliver(&numbers, 1, T0);
    assert_claim(&numbers, last, T0, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(numbers_complete(&numbers, last, &stores_me, T0), IDEM_OK);
    assert_claim(&numbers, last, T0, IDEM_CLAIM_DONE);
    assert_claim(&numbers, last - 1, T0, IDEM_CLAIM_DONE);
    assert_claim(&numbers, 3, T0, IDEM_CLAIM_GAP);
    assert_int_equal(numbers_claim(&numbers, UINT64_C(1) << 32, &stores_me, T0).code,
                     IDEM_ERR_INVALID);
}

static void sixty_four_bits_are_counted_to_the_last(void **state) {
    struct numbers numbers = numbers_in(*state);
    numbers.terms.on_gap = IDEM_GAP_REJECT;
    deliver(&numbers, UINT64_MAX - 1, T0);
    deliver(&numbers, UINT64_MAX, T0);
    assert_claim(&numbers, UINT64_MAX, T0, IDEM_CLAIM_DONE);
    assert_claim(&numbers, 0, T0, IDEM_CLAIM_DONE);
}

/* As many as there can be at once, so far apart that none shares a group with another. */
static void a_producer_with_too_many_open_ends_is_full_and_recovers(void **state) {
    struct numbers numbers = numbers_in(*state);
    uint64_t n = 0;
    while (numbers_claim(&numbers, n, &stores_me, T0).code == IDEM_OK) {
        n += 100000;
        assert_true(n < 100 * 100000);
    }
    assert_int_equal(numbers_claim(&numbers, n, &stores_me, T0).code, IDEM_ERR_FULL);
    assert_int_equal(numbers_abandon(&numbers, 0, &stores_me), IDEM_OK);
    assert_int_equal(numbers_complete(&numbers, 100000, &stores_me, T0), IDEM_OK);
    assert_claim(&numbers, 0, T0, IDEM_CLAIM_NEW);
}

static void a_larger_window_takes_nothing_in_that_was_delivered(void **state) {
    struct numbers numbers = numbers_in(*state);
    for (uint64_t n = 1; n <= 30; n++) {
        deliver(&numbers, n, T0);
    }
    numbers.window = 64;
    deliver(&numbers, 31, T0);
    for (uint64_t n = 1; n <= 31; n++) {
        assert_claim(&numbers, n, T0, IDEM_CLAIM_DONE);
    }
}

static void a_producer_can_be_forgotten(void **state) {
    struct numbers numbers = numbers_in(*state);
    struct stores_box *box = *state;
    struct stores_answer note = {.calls = 0};
    struct idem_digest digest = stores_digest(UINT64_C(1) << 40);
    deliver(&numbers, 5, T0);
    idem_store_lookup(box->store, &digest, T0, stores_note, &note);
    stores_await(box->store, &note);
    assert_int_equal(note.answer.code, IDEM_OK);
    assert_int_equal(note.answer.record.state, IDEM_RECORD_SEQUENCE);
    assert_int_equal(stores_forget(box, UINT64_C(1) << 40), IDEM_OK);
    assert_claim(&numbers, 5, T0, IDEM_CLAIM_NEW);
}

static const struct CMUnitTest contract[] = {
    CONTRACT_CASE(a_number_is_new_then_in_flight_then_done),
    CONTRACT_CASE(a_late_number_is_new_once_inside_the_window_and_never_below_it),
    CONTRACT_CASE(without_a_window_numbers_must_rise),
    CONTRACT_CASE(producers_do_not_touch_each_other),
    CONTRACT_CASE(the_mark_moves_at_completion_only),
    CONTRACT_CASE(many_in_flight_end_in_any_order),
    CONTRACT_CASE(of_a_dead_owner_each_number_is_in_doubt_by_itself),
    CONTRACT_CASE(a_lease_that_is_over_lets_others_in),
    CONTRACT_CASE(what_is_given_back_is_new_however_far_the_mark_has_come),
    CONTRACT_CASE(a_newer_epoch_starts_afresh_and_fences_the_older_one),
    CONTRACT_CASE(a_gap_is_accepted_and_told),
    CONTRACT_CASE(a_gap_is_rejected_and_changes_nothing),
    CONTRACT_CASE(a_gap_is_held_for_a_time_and_a_number_of_numbers),
    CONTRACT_CASE(an_unknown_producer_may_have_to_begin_with_zero),
    CONTRACT_CASE(an_idle_producer_is_forgotten),
    CONTRACT_CASE(numbers_that_start_again_go_on),
    CONTRACT_CASE(sixty_four_bits_are_counted_to_the_last),
    CONTRACT_CASE(a_producer_with_too_many_open_ends_is_full_and_recovers),
    CONTRACT_CASE(a_larger_window_takes_nothing_in_that_was_delivered),
    CONTRACT_CASE(a_producer_can_be_forgotten),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
