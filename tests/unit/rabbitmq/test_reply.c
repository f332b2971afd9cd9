/* SPDX-License-Identifier: MIT
 * The reply machine: every event in every state. */
#include "reply.h"

#include "testing.h"

#define S(name) IDEM_REPLY_##name
#define E(name) IDEM_REPLY_ON_##name
#define A(name) IDEM_REPLY_DO_##name

/* All that is not here does nothing. */
static const struct {
    enum idem_reply_state from;
    enum idem_reply_event event;
    enum idem_reply_state to;
    enum idem_reply_act act;
} rows[] = {
    {S(IDLE), E(FOUND), S(SETTLING), A(SETTLE)},
    {S(IDLE), E(ELSEWHERE), S(LOOKING), A(LOOK)},
    {S(IDLE), E(STRAY), S(ENDED), A(ACK)},
    {S(IDLE), E(ALIEN), S(ENDED), A(ACK)},

    {S(SETTLING), E(SETTLED), S(ENDED), A(ACK)},
    {S(SETTLING), E(DEAD), S(ENDED), A(ACK)},
    {S(SETTLING), E(UNSETTLED), S(PAUSING), A(WAIT)},
    {S(SETTLING), E(LOST), S(SETTLING), A(NOTHING)},

    {S(PAUSING), E(WAKE), S(SETTLING), A(SETTLE)},
    {S(PAUSING), E(LOST), S(IDLE), A(RELEASE)},

    {S(LOOKING), E(OPEN), S(PASSING), A(WAIT)},
    {S(LOOKING), E(DEAD), S(ENDED), A(ACK)},
    {S(LOOKING), E(UNSETTLED), S(PASSING), A(WAIT)},
    {S(LOOKING), E(LOST), S(LOOKING), A(NOTHING)},

    {S(PASSING), E(WAKE), S(ENDED), A(PUT_BACK)},
    {S(PASSING), E(LOST), S(IDLE), A(RELEASE)},

    {S(ENDED), E(TOLD), S(IDLE), A(RELEASE)},
    {S(ENDED), E(LOST), S(IDLE), A(RELEASE)},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static void check_pair(enum idem_reply_state from, enum idem_reply_event event) {
    struct idem_reply_counts counts = {0};
    struct idem_reply reply = {.state = from};
    enum idem_reply_state to = from;
    enum idem_reply_act act = IDEM_REPLY_DO_NOTHING;
    uint64_t unexpected = 1;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].from == from && rows[i].event == event) {
            to = rows[i].to;
            act = rows[i].act;
            unexpected = 0;
        }
    }
    if (idem_reply_step(&reply, event, &counts) != act || reply.state != to ||
        counts.unexpected != unexpected || counts.on[event] != 1 - unexpected) {
        fail_msg("state %d, event %d lead to %d", (int)from, (int)event,
                 (int)reply.state);
    }
}

static void every_event_in_every_state_does_what_the_table_says(void **state) {
    (void)state;
    for (int from = 0; from < IDEM_REPLY_STATE_COUNT; from++) {
        for (int event = 0; event < IDEM_REPLY_ON_COUNT; event++) {
            check_pair((enum idem_reply_state)from, (enum idem_reply_event)event);
        }
    }
}

/* The promise of the machine: the queue forgets a reply only when its claim has ended, or when it is of use
 * to nobody; and one whose delivery was lost tells nobody anything. */
static void no_sequence_of_events_acknowledges_too_early(void **state) {
    uint32_t random = 99;
    (void)state;
    for (int run = 0; run < 20000; run++) {
        struct idem_reply_counts counts = {0};
        struct idem_reply reply = {.state = IDEM_REPLY_IDLE};
        bool certain = false;
        for (int i = 0; i < 40; i++) {
            random = random * 1664525u + 1013904223u;
            enum idem_reply_event event =
                (enum idem_reply_event)((random >> 16) % IDEM_REPLY_ON_COUNT);
            enum idem_reply_state before = reply.state;
            bool lost = reply.orphan || event == IDEM_REPLY_ON_LOST;
            enum idem_reply_act act = idem_reply_step(&reply, event, &counts);
            certain = event == IDEM_REPLY_ON_SETTLED || event == IDEM_REPLY_ON_DEAD ||
                      event == IDEM_REPLY_ON_STRAY || event == IDEM_REPLY_ON_ALIEN;
            if (act == IDEM_REPLY_DO_ACK) {
                assert_true(certain);
                assert_false(lost);
            }
            if (act == IDEM_REPLY_DO_PUT_BACK || act == IDEM_REPLY_DO_WAIT) {
                assert_false(lost);
            }
            if (act == IDEM_REPLY_DO_RELEASE) {
                assert_true(lost || before == IDEM_REPLY_ENDED);
                break;
            }
        }
    }
}

static void
a_reply_whose_delivery_is_lost_ends_when_the_store_has_answered(void **state) {
    static const enum idem_reply_event answers[] = {E(SETTLED), E(DEAD), E(UNSETTLED)};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct idem_reply_counts counts = {0};
        struct idem_reply reply = {.state = IDEM_REPLY_SETTLING};
        assert_int_equal(idem_reply_step(&reply, E(LOST), &counts), A(NOTHING));
        assert_int_equal(idem_reply_step(&reply, answers[i], &counts), A(RELEASE));
        assert_int_equal(reply.state, IDEM_REPLY_IDLE);
    }
}

static void only_a_store_that_may_recover_is_asked_again(void **state) {
    (void)state;
    assert_int_equal(idem_reply_settlement(IDEM_OK), E(SETTLED));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_NOT_OWNER), E(DEAD));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_NOT_FOUND), E(DEAD));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_INVALID), E(DEAD));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_UNAVAILABLE), E(UNSETTLED));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_TIMEOUT), E(UNSETTLED));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_FULL), E(UNSETTLED));
    assert_int_equal(idem_reply_settlement(IDEM_ERR_NOMEM), E(UNSETTLED));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state_does_what_the_table_says),
        cmocka_unit_test(no_sequence_of_events_acknowledges_too_early),
        cmocka_unit_test(a_reply_whose_delivery_is_lost_ends_when_the_store_has_answered),
        cmocka_unit_test(only_a_store_that_may_recover_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
