/* SPDX-License-Identifier: MIT
 * Every verdict at every QoS, protocol and state of the claim: what the broker is made to do. */
#include "plan.h"

#include "testing.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A letter for each outcome. */
#define PASS       'p'
#define HAND_ON    'h'
#define DENY       'n'
#define DISCONNECT 'x'
#define DUPLICATE  'd'
#define QUARANTINE 'q'
#define REJECTED   'r'

/* What comes out at QoS 0, 1 and 2, without and with a claim. */
static const struct {
    enum idem_verdict verdict;
    bool mqtt5;
    const char *unclaimed;
    const char *claimed;
} rows[] = {
    {IDEM_VERDICT_DELIVER, false, "ppp", "pph"},
    {IDEM_VERDICT_DELIVER, true, "ppp", "pph"},
    {IDEM_VERDICT_DROP, false, "ddd", "ddd"},
    {IDEM_VERDICT_DROP, true, "ddd", "ddd"},
    {IDEM_VERDICT_REPLAY, false, "ddd", "ddd"},
    {IDEM_VERDICT_REPLAY, true, "ddd", "ddd"},
    {IDEM_VERDICT_HOLD, false, "ppp", "ppp"},
    {IDEM_VERDICT_HOLD, true, "ppp", "ppp"},
    {IDEM_VERDICT_REJECT, false, "rrr", "rrr"},
    {IDEM_VERDICT_REJECT, true, "rnn", "rnn"},
    {IDEM_VERDICT_QUARANTINE, false, "qqq", "qqq"},
    {IDEM_VERDICT_QUARANTINE, true, "qqq", "qqq"},
    {IDEM_VERDICT_REFUSE, false, "nxx", "nxx"},
    {IDEM_VERDICT_REFUSE, true, "nnn", "nnn"},
};

static char outcome(struct idem_plan plan) {
    switch (plan.act) {
    case IDEM_ACT_PASS:
        return PASS;
    case IDEM_ACT_HAND_ON:
        return HAND_ON;
    case IDEM_ACT_DENY:
        return DENY;
    case IDEM_ACT_DISCONNECT:
        return DISCONNECT;
    case IDEM_ACT_DIVERT:
        break;
    }
    switch (plan.channel) {
    case IDEM_CHANNEL_DUPLICATE:
        return DUPLICATE;
    case IDEM_CHANNEL_QUARANTINE:
        return QUARANTINE;
    case IDEM_CHANNEL_REJECTED:
        break;
    }
    return REJECTED;
}

static void check_cell(size_t row, int qos, bool claimed) {
    const char *expected = claimed ? rows[row].claimed : rows[row].unclaimed;
    struct idem_delivery delivery = {.verdict = rows[row].verdict, .claimed = claimed};
    char got = outcome(idem_plan_of(&delivery, qos, rows[row].mqtt5));
    if (got != expected[qos]) {
        fail_msg("%s, MQTT %s, QoS %d, %s: '%c' instead of '%c'",
                 idem_verdict_name(rows[row].verdict), rows[row].mqtt5 ? "5" : "3.1.1",
                 qos, claimed ? "claimed" : "unclaimed", got, expected[qos]);
    }
}

static void every_verdict_has_its_outcome(void **state) {
    (void)state;
    for (size_t row = 0; row < COUNT(rows); row++) {
        for (int qos = 0; qos < 3; qos++) {
            check_cell(row, qos, false);
            check_cell(row, qos, true);
        }
    }
}

static void the_table_has_every_verdict_under_both_protocols(void **state) {
    (void)state;
    for (int verdict = 0; verdict < IDEM_VERDICT_COUNT; verdict++) {
        int old = 0;
        int new = 0;
        for (size_t row = 0; row < COUNT(rows); row++) {
            old += (int)rows[row].verdict == verdict && !rows[row].mqtt5;
            new += (int)rows[row].verdict == verdict &&rows[row].mqtt5;
        }
        assert_int_equal(old, 1);
        assert_int_equal(new, 1);
    }
}

/* A retransmission at QoS 2 must never be refused on MQTT 5: the client would give up the first copy. */
static void a_duplicate_is_a_success_to_its_publisher(void **state) {
    (void)state;
    for (int at = 0; at < 12; at++) {
        struct idem_delivery delivery = {.verdict = IDEM_VERDICT_DROP,
                                         .claimed = at >= 6};
        struct idem_plan plan = idem_plan_of(&delivery, at % 3, (at / 3) % 2 == 0);
        assert_int_equal(plan.act, IDEM_ACT_DIVERT);
    }
}

static void channels_have_topics_that_belong_to_the_plugin(void **state) {
    (void)state;
    assert_string_equal(idem_channel_topic(IDEM_CHANNEL_DUPLICATE), "$idem/duplicate");
    assert_string_equal(idem_channel_topic(IDEM_CHANNEL_QUARANTINE), "$idem/quarantine");
    assert_string_equal(idem_channel_topic(IDEM_CHANNEL_REJECTED), "$idem/rejected");
    assert_true(idem_topic_reserved(idem_channel_topic(IDEM_CHANNEL_DUPLICATE)));
    assert_true(idem_topic_reserved(IDEM_TOPIC_SINK));
}

static void only_the_tree_of_the_plugin_is_reserved(void **state) {
    (void)state;
    static const char *const reserved[] = {"$idem", "$idem/", "$idem/sink", "$idem//"};
    static const char *const open[] = {"",      "$",      "$ide",       "$idemx",
                                       "idem",  "$SYS/x", "$IDEM/sink", "$idempotent/a",
                                       "/$idem"};
    for (size_t i = 0; i < COUNT(reserved); i++) {
        assert_true(idem_topic_reserved(reserved[i]));
    }
    for (size_t i = 0; i < COUNT(open); i++) {
        assert_false(idem_topic_reserved(open[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verdict_has_its_outcome),
        cmocka_unit_test(the_table_has_every_verdict_under_both_protocols),
        cmocka_unit_test(a_duplicate_is_a_success_to_its_publisher),
        cmocka_unit_test(channels_have_topics_that_belong_to_the_plugin),
        cmocka_unit_test(only_the_tree_of_the_plugin_is_reserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
