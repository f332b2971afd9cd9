/* SPDX-License-Identifier: MIT
 * The delivery machine in mode rpc: requests, replies, answers and refusals. */
#include "transfer.h"

#include "testing.h"

static const struct idem_transfer_policy policy = {3, true};
static struct idem_transfer_counts counts;

static int forget_counts(void **state) {
    (void)state;
    memset(&counts, 0, sizeof counts);
    return 0;
}

static enum idem_transfer_act step(struct idem_transfer *transfer,
                                   enum idem_transfer_event event) {
    return idem_transfer_step(transfer, event, &policy, &counts);
}

/* A request that is new, at the moment when the sink has it. */
static struct idem_transfer request_that_is_out(void) {
    struct idem_transfer transfer = {
        .state = IDEM_TRANSFER_PUBLISHED, .claimed = true, .answerable = true};
    return transfer;
}

static void a_request_waits_for_its_reply_and_leaves_it_its_claim(void **state) {
    struct idem_transfer transfer = request_that_is_out();
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_WAIT);
    assert_int_equal(transfer.state, IDEM_TRANSFER_AWAITING);
    assert_false(transfer.claimed);
    assert_int_equal(counts.delivered, 1);
    assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_CLAIM);
    assert_int_equal(step(&transfer, IDEM_ON_HOLD), IDEM_DO_WAIT);
    assert_int_equal(transfer.state, IDEM_TRANSFER_AWAITING);
    assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_CLAIM);
    assert_int_equal(step(&transfer, IDEM_ON_REPLAY), IDEM_DO_ENQUEUE);
    assert_int_equal(transfer.route, IDEM_ROUTE_ANSWER);
    assert_true(transfer.asked); /* its answer is the first one */
    (void)step(&transfer, IDEM_ON_SENT);
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_ACK);
    assert_int_equal(counts.answered, 1);
}

static void a_request_that_may_be_out_is_not_published_again(void **state) {
    struct idem_transfer transfer = request_that_is_out();
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_SINK_LOST), IDEM_DO_WAIT);
    assert_int_equal(transfer.state, IDEM_TRANSFER_AWAITING);
    assert_int_equal(counts.in_doubt, 0);
    (void)step(&transfer, IDEM_ON_WAKE);
    transfer.claimed = true; /* taken over when its lease had ended */
    assert_int_equal(step(&transfer, IDEM_ON_DELIVER), IDEM_DO_ENQUEUE);
    assert_false(transfer.asked);
    assert_int_equal(transfer.route, IDEM_ROUTE_SINK);
}

static void a_request_that_lost_its_source_leaves_its_claim_to_the_reply(void **state) {
    struct idem_transfer out = request_that_is_out();
    struct idem_transfer waiting = request_that_is_out();
    (void)state;
    assert_int_equal(step(&out, IDEM_ON_SOURCE_LOST), IDEM_DO_NOTHING);
    assert_int_equal(step(&out, IDEM_ON_CONFIRMED), IDEM_DO_RELEASE);
    (void)step(&waiting, IDEM_ON_CONFIRMED);
    assert_int_equal(step(&waiting, IDEM_ON_SOURCE_LOST), IDEM_DO_RELEASE);
}

static void a_request_that_no_queue_took_gives_its_claim_back(void **state) {
    struct idem_transfer transfer = request_that_is_out();
    (void)state;
    (void)step(&transfer, IDEM_ON_RETURNED);
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_ABANDON);
}

static void a_repeat_that_nobody_waits_for_is_dropped(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_CLAIMING};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_REPLAY), IDEM_DO_ACK);
    assert_int_equal(counts.answered, 0);
}

static struct idem_transfer answer_that_is_out(void) {
    struct idem_transfer transfer = {
        .state = IDEM_TRANSFER_PUBLISHED, .route = IDEM_ROUTE_ANSWER, .answerable = true};
    return transfer;
}

static void an_answer_that_comes_back_ends_its_copy(void **state) {
    static const enum idem_transfer_event ends[] = {IDEM_ON_CONFIRMED, IDEM_ON_NACKED,
                                                    IDEM_ON_SINK_LOST};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct idem_transfer transfer = answer_that_is_out();
        (void)step(&transfer, IDEM_ON_RETURNED);
        assert_int_equal(step(&transfer, ends[i]), IDEM_DO_ACK);
        assert_int_equal(counts.unanswerable, i + 1);
    }
}

static void an_answer_that_is_refused_is_tried_until_its_budget_is_spent(void **state) {
    struct idem_transfer transfer = answer_that_is_out();
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(step(&transfer, IDEM_ON_NACKED), IDEM_DO_WAIT);
        if (i < 2) {
            assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_ENQUEUE);
            (void)step(&transfer, IDEM_ON_SENT);
        }
    }
    assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_ACK);
    assert_int_equal(counts.unanswerable, 1);
    assert_int_equal(counts.poisoned, 0);
}

static void an_answer_that_may_be_lost_is_given_again(void **state) {
    struct idem_transfer transfer = answer_that_is_out();
    struct idem_transfer orphan = answer_that_is_out();
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_SINK_LOST), IDEM_DO_ENQUEUE);
    assert_int_equal(counts.in_doubt, 0);
    (void)step(&orphan, IDEM_ON_SOURCE_LOST);
    assert_int_equal(step(&orphan, IDEM_ON_SINK_LOST), IDEM_DO_RELEASE);
}

/* From the verdict to where the rule sends it, as far as that is a broker's to confirm. */
static struct idem_transfer refused_request(enum idem_transfer_event verdict,
                                            bool claimed) {
    struct idem_transfer transfer = {
        .state = IDEM_TRANSFER_CLAIMING, .claimed = claimed, .answerable = true};
    if (step(&transfer, verdict) == IDEM_DO_ENQUEUE &&
        transfer.route == IDEM_ROUTE_QUARANTINE) {
        (void)step(&transfer, IDEM_ON_SENT);
        (void)step(&transfer, IDEM_ON_CONFIRMED);
    }
    if (claimed) {
        (void)step(&transfer, IDEM_ON_SETTLED);
    }
    return transfer;
}

static void expect_refusal(struct idem_transfer *transfer, enum idem_transfer_act end) {
    uint64_t before = counts.refused;
    assert_int_equal(transfer->state, IDEM_TRANSFER_READY);
    assert_int_equal(transfer->route, IDEM_ROUTE_ANSWER);
    assert_true(idem_transfer_refuses(transfer));
    assert_false(transfer->claimed);
    (void)step(transfer, IDEM_ON_SENT);
    assert_int_equal(step(transfer, IDEM_ON_CONFIRMED), end);
    assert_int_equal(counts.refused, before + 1);
    assert_int_equal(counts.answered, 0);
}

static void a_requester_is_told_once_its_refused_request_is_where_it_goes(void **state) {
    struct idem_transfer aside = refused_request(IDEM_ON_SET_ASIDE, false);
    struct idem_transfer dropped = refused_request(IDEM_ON_DROP, false);
    struct idem_transfer rejected = refused_request(IDEM_ON_DEAD_LETTER, false);
    struct idem_transfer doubted = refused_request(IDEM_ON_SET_ASIDE, true);
    (void)state;
    assert_int_equal(counts.quarantined, 2);
    expect_refusal(&aside, IDEM_DO_ACK);
    expect_refusal(&dropped, IDEM_DO_ACK);
    expect_refusal(&rejected, IDEM_DO_REJECT);
    expect_refusal(&doubted, IDEM_DO_ACK);
}

static void a_request_that_no_worker_could_be_given_is_refused_at_last(void **state) {
    struct idem_transfer transfer = {
        .state = IDEM_TRANSFER_WAITING, .attempts = 3, .answerable = true};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_ENQUEUE);
    assert_int_equal(transfer.route, IDEM_ROUTE_QUARANTINE);
    (void)step(&transfer, IDEM_ON_SENT);
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_ENQUEUE);
    expect_refusal(&transfer, IDEM_DO_ACK);
}

static void a_refused_request_that_is_claimed_anew_can_be_asked(void **state) {
    struct idem_transfer transfer = {
        .state = IDEM_TRANSFER_CLAIMING, .claimed = true, .answerable = true};
    (void)state;
    (void)step(&transfer, IDEM_ON_SET_ASIDE);
    assert_int_equal(step(&transfer, IDEM_ON_LEASE_OVER), IDEM_DO_ABANDON);
    assert_int_equal(step(&transfer, IDEM_ON_SETTLED), IDEM_DO_CLAIM);
    transfer.claimed = true;
    (void)step(&transfer, IDEM_ON_DELIVER);
    assert_false(idem_transfer_refuses(&transfer));
    assert_true(idem_transfer_asks(&transfer));
}

static void a_refusal_without_anybody_to_take_it_holds_up_nothing(void **state) {
    struct idem_transfer gone = refused_request(IDEM_ON_DEAD_LETTER, false);
    struct idem_transfer orphan = refused_request(IDEM_ON_DROP, false);
    struct idem_transfer unasked = {.state = IDEM_TRANSFER_CLAIMING};
    (void)state;
    (void)step(&gone, IDEM_ON_SENT);
    (void)step(&gone, IDEM_ON_RETURNED);
    assert_int_equal(step(&gone, IDEM_ON_CONFIRMED), IDEM_DO_REJECT);
    assert_int_equal(counts.unanswerable, 1);
    assert_int_equal(step(&orphan, IDEM_ON_SOURCE_LOST), IDEM_DO_RELEASE);
    assert_int_equal(step(&unasked, IDEM_ON_DROP), IDEM_DO_ACK);
    assert_int_equal(counts.refused, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, forget_counts)
    const struct CMUnitTest tests[] = {
        TEST(a_request_waits_for_its_reply_and_leaves_it_its_claim),
        TEST(a_request_that_may_be_out_is_not_published_again),
        TEST(a_request_that_lost_its_source_leaves_its_claim_to_the_reply),
        TEST(a_request_that_no_queue_took_gives_its_claim_back),
        TEST(a_repeat_that_nobody_waits_for_is_dropped),
        TEST(an_answer_that_comes_back_ends_its_copy),
        TEST(an_answer_that_is_refused_is_tried_until_its_budget_is_spent),
        TEST(an_answer_that_may_be_lost_is_given_again),
        TEST(a_requester_is_told_once_its_refused_request_is_where_it_goes),
        TEST(a_request_that_no_worker_could_be_given_is_refused_at_last),
        TEST(a_refused_request_that_is_claimed_anew_can_be_asked),
        TEST(a_refusal_without_anybody_to_take_it_holds_up_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
