/* SPDX-License-Identifier: MIT
 * Rules that contradict themselves or each other, or that can have no effect: refused, with the reason. */
#include "refusals.h"

static void rules_that_contradict_themselves(void **state) {
    static const struct mistake mistakes[] = {
        {"2: rules[0].name: 'a b' is not a name; write 1 to 128 of A-Z a-z 0-9 _ . -",
         "rules:\n- name: a b\n"},
        {"2: rules[0].name: '' is not a name; write 1 to 128 of A-Z a-z 0-9 _ . -",
         "rules:\n- name: ''\n"},
        {"5: rules[1].name: 'a' is the name of the rule in line 2 already; give each its "
         "own",
         RULE "- {name: a, match: {topic: b}, key: client}\n"},
        {"5: rules[0].ttl: has no meaning with strategy: natural; remove it, or use "
         "strategy: key",
         RULE_HEAD "  strategy: natural\n  ttl: 2h\n"},
        {"4: rules[0].key: has no meaning with strategy: natural; remove it, or use "
         "strategy: key",
         RULE "  strategy: natural\n"},
        {"5: rules[0].sequence: has no meaning with strategy: key; remove it, or use "
         "strategy: sequence",
         RULE "  sequence: {number: topic:1}\n"},
        {"4: rules[0].key: has no meaning with strategy: sequence; remove it, or use "
         "strategy: key",
         RULE "  strategy: sequence\n  sequence: {number: topic:1}\n"},
        {"5: rules[0].ttl: the ttl (30s) is not longer than the lease (30s); make the "
         "ttl "
         "longer or the lease shorter",
         RULE "  ttl: 30s\n  short_ttl: true\n"},
        {"6: rules[0].ttl: the ttl (2h) is not longer than the lease (3h); make the ttl "
         "longer or the lease shorter",
         RULE "  lease: 3h\n  ttl: 2h\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void replies_that_nothing_can_give(void **state) {
    static const struct mistake mistakes[] = {
        {"5: rules[0].on_duplicate: has no meaning with strategy: natural; remove it, or "
         "use strategy: key",
         RULE_HEAD "  strategy: natural\n  on_duplicate: replay\n"},
        {"6: rules[0].on_duplicate: strategy: sequence keeps a mark for all numbers and "
         "no result of any to replay; use drop, or strategy: key",
         RULE_HEAD "  strategy: sequence\n  sequence: {number: topic:1}\n"
                   "  on_duplicate: replay\n"},
        {"5: rules[0].result: has no meaning without on_duplicate: replay; remove it, or "
         "use on_duplicate: replay",
         RULE "  result: {max: 1000}\n"},
        {"6: rules[0].result.store_failed: no response counts as failed; say which do, "
         "as "
         "in failed: {header: status, values: [5*]}",
         RULE "  on_duplicate: replay\n  result: {store_failed: true}\n"},
        {"6: rules[0].result: has no meaning with strategy: sequence; remove it, or use "
         "strategy: key",
         RULE_HEAD "  strategy: sequence\n  sequence: {number: topic:1}\n"
                   "  result: {max: 1000}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

#define BRIDGE                                                                           \
    "bridge:\n  source: {url: 'amqp://h', queue: q}\n  sink: {url: 'amqp://h'}\n"

static void bridges_between_whom_nobody_answers(void **state) {
    static const struct mistake mistakes[] = {
        {"4: bridge.replies: has no meaning in mode: forward; remove it, or use mode: "
         "rpc",
         BRIDGE "  replies: r\n"},
        {"4: bridge.replies: is missing; mode: rpc needs it, as in replies: {queue: "
         "payments.replies}",
         BRIDGE "  mode: rpc\n"},
        {"4: bridge.mode: rpc needs a worker that replies; a PostgreSQL sink does not: "
         "use "
         "an amqp:// sink",
         "bridge:\n  source: {url: 'amqp://h', queue: q}\n"
         "  sink: {url: 'postgresql://h/d', statement: SELECT 1}\n"
         "  mode: rpc\n  replies: r\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void windows_that_cannot_be(void **state) {
    static const struct mistake mistakes[] = {
        {"5: rules[0].window: unknown key here; it belongs at rules[].sequence.window",
         RULE "  window: 64\n"},
        {"6: rules[0].ttl_from: has no meaning with strategy: sequence; remove it, or "
         "use "
         "strategy: key",
         RULE_HEAD "  strategy: sequence\n  sequence: {number: topic:1}\n"
                   "  ttl_from: last\n"},
        {"5: rules[0].ttl_header.name: is missing; add it (text)",
         RULE "  ttl_header: {min: 1m}\n"},
        {"5: rules[0].ttl_header.min: the shortest ttl (30s) is not longer than the "
         "lease "
         "(30s); make it longer or the lease shorter",
         RULE "  ttl_header: {name: t, min: 30s}\n"},
        {"5: rules[0].ttl_header.min: the shortest ttl (3m) is longer than the longest "
         "(2m)",
         RULE "  ttl_header: {name: t, min: 3m, max: 2m}\n"},
        {"5: rules[0].ttl_header.min: the shortest ttl (4d) is longer than the longest "
         "(3d)",
         RULE "  ttl_header: {name: t, min: 4d}\n"},
        {"5: rules[0].ttl_header.max: the longest ttl (20s) is not longer than the lease",
         RULE "  ttl_header: {name: t, max: 20s}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

#define RULES_OF(first, second)                                                          \
    "rules:\n- {name: a, key: user, match: {" first "}}\n"                               \
    "- {name: b, key: user, match: {" second "}}\n"
#define TAKEN                                                                            \
    "3: rules[1].match: never used: the rule 'a' in line 2 comes first and takes all "   \
    "that this one matches; put this one before it"

static void rules_whose_turn_never_comes(void **state) {
    static const struct mistake mistakes[] = {
        {TAKEN, RULES_OF("topic: a/+", "topic: a/+")},
        {TAKEN, RULES_OF("topic: '#'", "topic: a/b")},
        {TAKEN, RULES_OF("topic: a", "topic: a, header: kind")},
        {TAKEN, RULES_OF("header: kind", "header: {kind: order}, queue: q")},
        {TAKEN, RULES_OF("queue: q", "queue: q, routing_key: k")},
    };
    static const char *const taken[] = {
        RULES_OF("topic: '#'", "topic: $a/b"),
        RULES_OF("topic: '#'", "queue: q"),
        RULES_OF("topic: '#'", "header: kind"),
        RULES_OF("topic: a, header: kind", "topic: a"),
        RULES_OF("header: {kind: order}", "header: kind"),
        RULES_OF("queue: q, routing_key: k", "queue: q"),
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        refusals_assert_taken(taken[i]);
    }
}

#define AMQP_HEAD "rules:\n- name: a\n  match: {queue: q}\n"

static void values_that_no_message_of_the_rule_has(void **state) {
    static const struct mistake mistakes[] = {
        {"4: rules[0].key: never yields a value: message-id is of AMQP, and the rule is "
         "for MQTT; use user, property:NAME or another extractor",
         RULE_HEAD "  key: message-id\n"},
        {"4: rules[0].key: never yields a value: client is of MQTT, and the rule is for "
         "AMQP; use user, property:NAME or another extractor",
         AMQP_HEAD "  key: {all: [client, message-id]}\n"},
        {"5: rules[0].scope: never yields a value: client is of MQTT, and the rule is "
         "for "
         "AMQP; use user, property:NAME or another extractor",
         AMQP_HEAD "  key: user\n  scope: {by: client}\n"},
        {"2: rules[0].sequence.producer: never yields a value: client is of MQTT, and "
         "the "
         "rule is for AMQP; use user, property:NAME or another extractor",
         AMQP_HEAD "  strategy: sequence\n  sequence: {number: topic:1}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
    refusals_assert_taken(RULE_HEAD "  key: [message-id, client]\n");
}

static void properties_that_overwrite_each_other(void **state) {
    static const struct mistake mistakes[] = {
        {"6: rules[0].propagate: t brings the ttl (ttl_header): the key would replace it "
         "for the next hop; use another name",
         RULE "  ttl_header: t\n  propagate: {as: [a, t]}\n"},
        {"5: rules[0].propagate: a is there twice; keep one",
         RULE "  propagate: {as: [a, b, a]}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_that_contradict_themselves),
        cmocka_unit_test(replies_that_nothing_can_give),
        cmocka_unit_test(bridges_between_whom_nobody_answers),
        cmocka_unit_test(windows_that_cannot_be),
        cmocka_unit_test(rules_whose_turn_never_comes),
        cmocka_unit_test(values_that_no_message_of_the_rule_has),
        cmocka_unit_test(properties_that_overwrite_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
