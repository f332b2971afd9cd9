/* SPDX-License-Identifier: MIT
 * The delivery machine: every event in every state, and what the flags change. */
#include "transfer.h"

#include "testing.h"

#define S(name) IDEM_TRANSFER_##name
#define E(name) IDEM_ON_##name
#define A(name) IDEM_DO_##name

static const struct idem_transfer_policy with_quarantine = {3, true};
static const struct idem_transfer_policy without_quarantine = {3, false};

static struct idem_transfer_counts counts;

static int forget_counts(void **state) {
    (void)state;
    memset(&counts, 0, sizeof counts);
    return 0;
}

/* What a claimed copy on its way to the sink does; all that is not here does nothing. */
static const struct {
    enum idem_transfer_state from;
    enum idem_transfer_event event;
    enum idem_transfer_state to;
    enum idem_transfer_act act;
} rows[] = {
    {S(IDLE), E(ARRIVED), S(CLAIMING), A(CLAIM)},

    {S(CLAIMING), E(DELIVER), S(READY), A(ENQUEUE)},
    {S(CLAIMING), E(SET_ASIDE), S(READY), A(ENQUEUE)},
    {S(CLAIMING), E(DEAD_LETTER), S(ABANDONING), A(ABANDON)},
    {S(CLAIMING), E(DROP), S(COMPLETING), A(COMPLETE)},
    {S(CLAIMING), E(REPLAY), S(COMPLETING), A(COMPLETE)},
    {S(CLAIMING), E(HOLD), S(HELD), A(WAIT)},
    {S(CLAIMING), E(REFUSE), S(HELD), A(WAIT)},
    {S(CLAIMING), E(SOURCE_LOST), S(CLAIMING), A(NOTHING)},

    {S(HELD), E(WAKE), S(CLAIMING), A(CLAIM)},
    {S(HELD), E(REPLIED), S(READY), A(ENQUEUE)},
    {S(HELD), E(SOURCE_LOST), S(ABANDONING), A(ABANDON)},

    {S(READY), E(SENT), S(PUBLISHED), A(NOTHING)},
    {S(READY), E(LEASE_OVER), S(ABANDONING), A(ABANDON)},
    {S(READY), E(SOURCE_LOST), S(ABANDONING), A(ABANDON)},

    {S(PUBLISHED), E(CONFIRMED), S(COMPLETING), A(COMPLETE)},
    {S(PUBLISHED), E(RETURNED), S(RETURNED), A(NOTHING)},
    {S(PUBLISHED), E(NACKED), S(ABANDONING), A(ABANDON)},
    {S(PUBLISHED), E(BARRED), S(ABANDONING), A(ABANDON)},
    {S(PUBLISHED), E(SPOILED), S(ABANDONING), A(ABANDON)},
    {S(PUBLISHED), E(UNDONE), S(ABANDONING), A(ABANDON)},
    {S(PUBLISHED), E(SINK_LOST), S(READY), A(ENQUEUE)},
    {S(PUBLISHED), E(SOURCE_LOST), S(PUBLISHED), A(NOTHING)},

    {S(RETURNED), E(CONFIRMED), S(ABANDONING), A(ABANDON)},
    {S(RETURNED), E(NACKED), S(ABANDONING), A(ABANDON)},
    {S(RETURNED), E(SINK_LOST), S(ABANDONING), A(ABANDON)},
    {S(RETURNED), E(SOURCE_LOST), S(RETURNED), A(NOTHING)},

    {S(WAITING), E(WAKE), S(CLAIMING), A(CLAIM)},
    {S(WAITING), E(SOURCE_LOST), S(ABANDONING), A(ABANDON)},

    {S(AWAITING), E(WAKE), S(CLAIMING), A(CLAIM)},
    {S(AWAITING), E(REPLIED), S(READY), A(ENQUEUE)},
    {S(AWAITING), E(SOURCE_LOST), S(ABANDONING), A(ABANDON)},

    {S(COMPLETING), E(SETTLED), S(SETTLED), A(ACK)},
    {S(COMPLETING), E(UNSETTLED), S(COMPLETING), A(WAIT)},
    {S(COMPLETING), E(WAKE), S(COMPLETING), A(COMPLETE)},
    {S(COMPLETING), E(SOURCE_LOST), S(COMPLETING), A(NOTHING)},

    {S(ABANDONING), E(SETTLED), S(CLAIMING), A(CLAIM)},
    {S(ABANDONING), E(UNSETTLED), S(CLAIMING), A(CLAIM)},
    {S(ABANDONING), E(SOURCE_LOST), S(ABANDONING), A(NOTHING)},

    {S(SETTLED), E(TOLD), S(IDLE), A(RELEASE)},
    {S(SETTLED), E(SOURCE_LOST), S(IDLE), A(RELEASE)},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static enum idem_transfer_act step(struct idem_transfer *transfer,
                                   enum idem_transfer_event event) {
    return idem_transfer_step(transfer, event, &with_quarantine, &counts);
}

static void check_pair(enum idem_transfer_state from, enum idem_transfer_event event) {
    struct idem_transfer transfer = {.state = from, .claimed = true};
    enum idem_transfer_state to = from;
    enum idem_transfer_act act = IDEM_DO_NOTHING;
    uint64_t unexpected = 1;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].from == from && rows[i].event == event) {
            to = rows[i].to;
            act = rows[i].act;
            unexpected = 0;
        }
    }
    (void)forget_counts(NULL);
    if (step(&transfer, event) != act || transfer.state != to ||
        counts.unexpected != unexpected || counts.on[event] != 1 - unexpected) {
        fail_msg("%s + %s leads to %s", idem_transfer_state_name(from),
                 idem_transfer_event_name(event),
                 idem_transfer_state_name(transfer.state));
    }
}

static void every_event_in_every_state_does_what_the_table_says(void **state) {
    (void)state;
    for (int from = 0; from < IDEM_TRANSFER_STATE_COUNT; from++) {
        for (int event = 0; event < IDEM_ON_COUNT; event++) {
            check_pair((enum idem_transfer_state)from, (enum idem_transfer_event)event);
        }
    }
}

/* An answer that nobody can be given: it came back, or its budget is spent. */
static bool gives_answer_up(const struct idem_transfer *transfer,
                            enum idem_transfer_event event) {
    return transfer->route == IDEM_ROUTE_ANSWER &&
           (transfer->state == IDEM_TRANSFER_RETURNED ||
            (transfer->state == IDEM_TRANSFER_WAITING && event == IDEM_ON_WAKE &&
             transfer->attempts >= with_quarantine.attempts_max));
}

/* The promise of the machine, whatever comes in whatever order: the source is acknowledged only after a
 * completion that the store has answered, or when nothing was claimed; nothing is completed that was not
 * confirmed or dropped; and while the transfer lasts its claim is never forgotten. */
static void no_sequence_of_events_acknowledges_too_early(void **state) {
    uint32_t random = 12345;
    (void)state;
    for (int run = 0; run < 20000; run++) {
        struct idem_transfer transfer = {.state = IDEM_TRANSFER_IDLE};
        bool certain = false;
        for (int i = 0; i < 40; i++) {
            random = random * 1664525u + 1013904223u;
            enum idem_transfer_event event =
                (enum idem_transfer_event)((random >> 16) % IDEM_ON_COUNT);
            if (transfer.state == IDEM_TRANSFER_CLAIMING) {
                transfer.claimed = event == IDEM_ON_DELIVER;
                transfer.answerable = run % 2 == 1;
            }
            enum idem_transfer_state before = transfer.state;
            bool asks = idem_transfer_asks(&transfer);
            certain = certain ||
                      (before == IDEM_TRANSFER_PUBLISHED && event == IDEM_ON_CONFIRMED &&
                       !asks) ||
                      (before == IDEM_TRANSFER_CLAIMING &&
                       (event == IDEM_ON_DROP ||
                        (event == IDEM_ON_REPLAY && !transfer.answerable))) ||
                      gives_answer_up(&transfer, event);
            enum idem_transfer_act act = step(&transfer, event);
            if (act == IDEM_DO_ACK) {
                assert_true(certain);
                assert_false(transfer.claimed);
                assert_false(transfer.orphan);
            }
            if (act == IDEM_DO_COMPLETE) {
                assert_true(certain);
            }
            if (act == IDEM_DO_RELEASE) {
                assert_true(transfer.orphan || before == IDEM_TRANSFER_SETTLED);
                break;
            }
        }
    }
}

static void an_unclaimed_copy_needs_no_store(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_PUBLISHED};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_ACK);
    assert_int_equal(counts.delivered, 1);
    transfer.state = IDEM_TRANSFER_CLAIMING;
    assert_int_equal(step(&transfer, IDEM_ON_DROP), IDEM_DO_ACK);
    transfer.state = IDEM_TRANSFER_CLAIMING;
    assert_int_equal(step(&transfer, IDEM_ON_DEAD_LETTER), IDEM_DO_REJECT);
}

static void an_orphan_ends_without_an_acknowledgement(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_PUBLISHED, .claimed = true};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_SOURCE_LOST), IDEM_DO_NOTHING);
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_COMPLETE);
    assert_int_equal(step(&transfer, IDEM_ON_SETTLED), IDEM_DO_RELEASE);
    assert_int_equal(transfer.state, IDEM_TRANSFER_IDLE);
}

static void an_orphan_that_is_not_out_gives_its_claim_back(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_CLAIMING};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_SOURCE_LOST), IDEM_DO_NOTHING);
    transfer.claimed = true; /* the answer came after all */
    assert_int_equal(step(&transfer, IDEM_ON_DELIVER), IDEM_DO_ABANDON);
    assert_int_equal(step(&transfer, IDEM_ON_SETTLED), IDEM_DO_RELEASE);
}

static void an_orphan_without_a_claim_is_over(void **state) {
    static const enum idem_transfer_state states[] = {
        IDEM_TRANSFER_HELD, IDEM_TRANSFER_READY, IDEM_TRANSFER_WAITING};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct idem_transfer transfer = {.state = states[i]};
        assert_int_equal(step(&transfer, IDEM_ON_SOURCE_LOST), IDEM_DO_RELEASE);
    }
}

static void an_orphan_whose_sink_is_lost_too_is_published_again(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_PUBLISHED, .claimed = true};
    (void)state;
    (void)step(&transfer, IDEM_ON_SOURCE_LOST);
    assert_int_equal(step(&transfer, IDEM_ON_SINK_LOST), IDEM_DO_ENQUEUE);
    assert_true(transfer.doubtful);
    assert_int_equal(counts.in_doubt, 1);
    assert_int_equal(step(&transfer, IDEM_ON_SOURCE_LOST), IDEM_DO_NOTHING);
    assert_int_equal(transfer.state, IDEM_TRANSFER_READY);
}

static void a_doubtful_copy_follows_its_rule(void **state) {
    struct idem_transfer dropped = {.state = IDEM_TRANSFER_PUBLISHED,
                                    .claimed = true,
                                    .on_in_doubt = IDEM_ACTION_DROP};
    struct idem_transfer aside = {.state = IDEM_TRANSFER_PUBLISHED,
                                  .claimed = true,
                                  .on_in_doubt = IDEM_ACTION_QUARANTINE};
    (void)state;
    assert_int_equal(step(&dropped, IDEM_ON_SINK_LOST), IDEM_DO_COMPLETE);
    assert_int_equal(step(&aside, IDEM_ON_SINK_LOST), IDEM_DO_ENQUEUE);
    assert_int_equal(aside.route, IDEM_ROUTE_QUARANTINE);
    assert_int_equal(counts.in_doubt, 2);
}

static void a_doubtful_copy_is_not_asked_about_its_lease(void **state) {
    struct idem_transfer transfer = {
        .state = IDEM_TRANSFER_READY, .claimed = true, .doubtful = true};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_LEASE_OVER), IDEM_DO_NOTHING);
    assert_int_equal(transfer.state, IDEM_TRANSFER_READY);
}

/* One failed attempt, from READY to WAITING. */
static void fail_once(struct idem_transfer *transfer) {
    (void)step(transfer, IDEM_ON_SENT);
    if (step(transfer, IDEM_ON_NACKED) == IDEM_DO_ABANDON) {
        assert_int_equal(step(transfer, IDEM_ON_SETTLED), IDEM_DO_WAIT);
    }
    assert_int_equal(transfer->state, IDEM_TRANSFER_WAITING);
    assert_false(transfer->claimed && transfer->route == IDEM_ROUTE_SINK);
}

static void claim_again(struct idem_transfer *transfer) {
    assert_int_equal(step(transfer, IDEM_ON_WAKE), IDEM_DO_CLAIM);
    transfer->claimed = true;
    assert_int_equal(step(transfer, IDEM_ON_DELIVER), IDEM_DO_ENQUEUE);
}

static void a_spent_budget_leads_to_the_quarantine(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_READY, .claimed = true};
    (void)state;
    fail_once(&transfer);
    claim_again(&transfer);
    fail_once(&transfer);
    claim_again(&transfer);
    fail_once(&transfer);
    assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_ENQUEUE);
    assert_int_equal(transfer.route, IDEM_ROUTE_QUARANTINE);
    assert_int_equal(counts.poisoned, 1);
    fail_once(&transfer); /* the quarantine cannot take it either: for ever */
    assert_int_equal(step(&transfer, IDEM_ON_WAKE), IDEM_DO_ENQUEUE);
    (void)step(&transfer, IDEM_ON_SENT);
    assert_int_equal(step(&transfer, IDEM_ON_CONFIRMED), IDEM_DO_ACK);
    assert_int_equal(counts.quarantined, 1);
}

static void without_a_quarantine_it_is_tried_for_ever(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_WAITING, .attempts = 1000};
    (void)state;
    assert_int_equal(
        idem_transfer_step(&transfer, IDEM_ON_WAKE, &without_quarantine, &counts),
        IDEM_DO_CLAIM);
}

static void a_copy_for_the_quarantine_keeps_its_claim_when_it_fails(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_PUBLISHED,
                                     .route = IDEM_ROUTE_QUARANTINE,
                                     .claimed = true};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_NACKED), IDEM_DO_WAIT);
    assert_true(transfer.claimed);
    assert_int_equal(step(&transfer, IDEM_ON_SOURCE_LOST), IDEM_DO_ABANDON);
}

static void a_lease_that_is_over_is_claimed_anew(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_READY, .claimed = true};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_LEASE_OVER), IDEM_DO_ABANDON);
    assert_int_equal(step(&transfer, IDEM_ON_SETTLED), IDEM_DO_CLAIM);
    assert_int_equal(transfer.attempts, 0);
}

static void a_claimed_dead_letter_is_given_back_before_it_is_rejected(void **state) {
    struct idem_transfer transfer = {.state = IDEM_TRANSFER_CLAIMING, .claimed = true};
    (void)state;
    assert_int_equal(step(&transfer, IDEM_ON_DEAD_LETTER), IDEM_DO_ABANDON);
    assert_int_equal(step(&transfer, IDEM_ON_SETTLED), IDEM_DO_REJECT);
    assert_int_equal(step(&transfer, IDEM_ON_TOLD), IDEM_DO_RELEASE);
}

static void verdicts_become_events(void **state) {
    (void)state;
#define VERDICT(verdict, quarantine)                                                     \
    idem_transfer_verdict(IDEM_VERDICT_##verdict, &(quarantine))
    assert_int_equal(VERDICT(DELIVER, with_quarantine), IDEM_ON_DELIVER);
    assert_int_equal(VERDICT(DROP, with_quarantine), IDEM_ON_DROP);
    assert_int_equal(VERDICT(REPLAY, with_quarantine), IDEM_ON_REPLAY);
    assert_int_equal(VERDICT(HOLD, with_quarantine), IDEM_ON_HOLD);
    assert_int_equal(VERDICT(REFUSE, with_quarantine), IDEM_ON_REFUSE);
    assert_int_equal(VERDICT(REJECT, with_quarantine), IDEM_ON_SET_ASIDE);
    assert_int_equal(VERDICT(QUARANTINE, with_quarantine), IDEM_ON_SET_ASIDE);
    assert_int_equal(VERDICT(REJECT, without_quarantine), IDEM_ON_DEAD_LETTER);
    assert_int_equal(VERDICT(QUARANTINE, without_quarantine), IDEM_ON_DEAD_LETTER);
}

static void only_a_store_that_may_recover_is_asked_again(void **state) {
    (void)state;
    assert_int_equal(idem_transfer_settlement(IDEM_OK), IDEM_ON_SETTLED);
    assert_int_equal(idem_transfer_settlement(IDEM_ERR_NOT_OWNER), IDEM_ON_SETTLED);
    assert_int_equal(idem_transfer_settlement(IDEM_ERR_NOT_FOUND), IDEM_ON_SETTLED);
    assert_int_equal(idem_transfer_settlement(IDEM_ERR_UNAVAILABLE), IDEM_ON_UNSETTLED);
    assert_int_equal(idem_transfer_settlement(IDEM_ERR_TIMEOUT), IDEM_ON_UNSETTLED);
    assert_int_equal(idem_transfer_settlement(IDEM_ERR_FULL), IDEM_ON_UNSETTLED);
}

static void every_state_and_event_has_a_name(void **state) {
    (void)state;
    for (int i = 0; i < IDEM_TRANSFER_STATE_COUNT; i++) {
        assert_non_null(idem_transfer_state_name((enum idem_transfer_state)i));
    }
    for (int i = 0; i < IDEM_ON_COUNT; i++) {
        assert_non_null(idem_transfer_event_name((enum idem_transfer_event)i));
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, forget_counts)
    const struct CMUnitTest tests[] = {
        TEST(every_event_in_every_state_does_what_the_table_says),
        TEST(no_sequence_of_events_acknowledges_too_early),
        TEST(an_unclaimed_copy_needs_no_store),
        TEST(an_orphan_ends_without_an_acknowledgement),
        TEST(an_orphan_that_is_not_out_gives_its_claim_back),
        TEST(an_orphan_without_a_claim_is_over),
        TEST(an_orphan_whose_sink_is_lost_too_is_published_again),
        TEST(a_doubtful_copy_follows_its_rule),
        TEST(a_doubtful_copy_is_not_asked_about_its_lease),
        TEST(a_spent_budget_leads_to_the_quarantine),
        TEST(without_a_quarantine_it_is_tried_for_ever),
        TEST(a_copy_for_the_quarantine_keeps_its_claim_when_it_fails),
        TEST(a_lease_that_is_over_is_claimed_anew),
        TEST(a_claimed_dead_letter_is_given_back_before_it_is_rejected),
        TEST(verdicts_become_events),
        TEST(only_a_store_that_may_recover_is_asked_again),
        TEST(every_state_and_event_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
