/* SPDX-License-Identifier: MIT
 * The decision table against an independent statement of what each policy offers, over the full product
 * of reasons, actions and adapters. */
#include "decide/table.h"
#include "files.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTION_COUNT (IDEM_ACTION_HOLD + 1)

/* What the configuration reference promises, by reason. The columns of the text are the actions: deliver,
 * drop, reject, quarantine, replay, refuse, hold; a letter is the verdict of an adapter that cannot hold,
 * '-' an action that the policy does not offer: then the fallback. What cannot be held is in doubt, and
 * then quarantined: see only. */
struct promise {
    enum idem_reason reason;
    enum idem_verdict fallback;
    const char *by_action;
};

static const struct promise promises[IDEM_REASON_COUNT] = {
    {IDEM_REASON_NO_RULE, IDEM_VERDICT_DELIVER, "ddddddd"},
    {IDEM_REASON_NATURAL, IDEM_VERDICT_DELIVER, "ddddddd"},
    {IDEM_REASON_NEW, IDEM_VERDICT_DELIVER, "ddddddd"},
    {IDEM_REASON_AFTER_GAP, IDEM_VERDICT_DELIVER, "ddddddd"},
    {IDEM_REASON_DUPLICATE, IDEM_VERDICT_DROP, "-x-qp--"},
    {IDEM_REASON_CONFLICT, IDEM_VERDICT_QUARANTINE, "dxjq---"},
    {IDEM_REASON_IN_FLIGHT, IDEM_VERDICT_QUARANTINE, "--jq--q"},
    {IDEM_REASON_IN_DOUBT, IDEM_VERDICT_DELIVER, "dx-q---"},
    {IDEM_REASON_MISSING_KEY, IDEM_VERDICT_DELIVER, "d-jq---"},
    {IDEM_REASON_STORE_FAILURE, IDEM_VERDICT_DELIVER, "d----f-"},
    {IDEM_REASON_FENCED, IDEM_VERDICT_QUARANTINE, "-xjq---"},
    {IDEM_REASON_GAP, IDEM_VERDICT_DELIVER, "d-j---d"},
};

static enum idem_verdict promised(const struct promise *promise, unsigned action) {
    switch (promise->by_action[action]) {
    case 'd':
        return IDEM_VERDICT_DELIVER;
    case 'x':
        return IDEM_VERDICT_DROP;
    case 'j':
        return IDEM_VERDICT_REJECT;
    case 'q':
        return IDEM_VERDICT_QUARANTINE;
    case 'p':
        return IDEM_VERDICT_REPLAY;
    case 'f':
        return IDEM_VERDICT_REFUSE;
    default:
        return promise->fallback;
    }
}

/* Sets the one policy that must be asked; every other one holds an action that no row offers for it, or
 * that would lead to another verdict. */
static struct idem_policies only(enum idem_reason reason, enum idem_action action) {
    struct idem_policies policies = {
        .on_missing_key = IDEM_ACTION_QUARANTINE,
        .on_duplicate = IDEM_ACTION_REPLAY,
        .on_conflict = IDEM_ACTION_REJECT,
        .on_in_flight = IDEM_ACTION_REJECT,
        .on_in_doubt = IDEM_ACTION_QUARANTINE,
        .on_store_failure = IDEM_ACTION_REFUSE,
        .on_fenced = IDEM_ACTION_REJECT,
        .on_gap = IDEM_ACTION_REJECT,
    };
    switch (reason) {
    case IDEM_REASON_DUPLICATE:
        policies.on_duplicate = action;
        break;
    case IDEM_REASON_CONFLICT:
        policies.on_conflict = action;
        break;
    case IDEM_REASON_IN_FLIGHT:
        policies.on_in_flight = action;
        break;
    case IDEM_REASON_IN_DOUBT:
        policies.on_in_doubt = action;
        break;
    case IDEM_REASON_MISSING_KEY:
        policies.on_missing_key = action;
        break;
    case IDEM_REASON_STORE_FAILURE:
        policies.on_store_failure = action;
        break;
    case IDEM_REASON_FENCED:
        policies.on_fenced = action;
        break;
    case IDEM_REASON_GAP:
        policies.on_gap = action;
        break;
    case IDEM_REASON_NO_RULE:
    case IDEM_REASON_NATURAL:
    case IDEM_REASON_NEW:
    case IDEM_REASON_AFTER_GAP:
    case IDEM_REASON_COUNT:
        break;
    }
    return policies;
}

static void every_reason_and_action_has_the_promised_verdict(void **state) {
    (void)state;
    for (unsigned reason = 0; reason < IDEM_REASON_COUNT; reason++) {
        assert_int_equal(promises[reason].reason, reason);
        for (unsigned action = 0; action < ACTION_COUNT; action++) {
            struct idem_policies policies =
                only((enum idem_reason)reason, (enum idem_action)action);
            enum idem_verdict verdict =
                idem_decide((enum idem_reason)reason, &policies, false);
            if (verdict != promised(&promises[reason], action)) {
                fail_msg("%s with %s: %s", idem_reason_name((enum idem_reason)reason),
                         idem_action_name((enum idem_action)action),
                         idem_verdict_name(verdict));
            }
        }
    }
}

static void holding_changes_copies_in_flight_and_gaps_and_nothing_else(void **state) {
    (void)state;
    for (unsigned reason = 0; reason < IDEM_REASON_COUNT; reason++) {
        for (unsigned action = 0; action < ACTION_COUNT; action++) {
            struct idem_policies policies =
                only((enum idem_reason)reason, (enum idem_action)action);
            bool told_apart =
                action == IDEM_ACTION_REJECT || action == IDEM_ACTION_QUARANTINE;
            bool gap = reason == IDEM_REASON_GAP && action == IDEM_ACTION_HOLD;
            enum idem_verdict expected =
                gap || (reason == IDEM_REASON_IN_FLIGHT && !told_apart)
                    ? IDEM_VERDICT_HOLD
                    : idem_decide((enum idem_reason)reason, &policies, false);
            assert_int_equal(idem_decide((enum idem_reason)reason, &policies, true),
                             expected);
        }
    }
}

static void no_row_of_the_table_is_dead(void **state) {
    (void)state;
    for (size_t i = 0; i < idem_decisions_count; i++) {
        const struct idem_decision *row = &idem_decisions[i];
        struct idem_policies policies = only(row->reason, row->action);
        assert_int_equal(idem_decide(row->reason, &policies, true), row->verdict);
        for (size_t j = 0; j < i; j++) {
            assert_false(idem_decisions[j].reason == row->reason &&
                         idem_decisions[j].action == row->action);
        }
    }
}

static const char *policy_name(enum idem_policy policy) {
    switch (policy) {
    case IDEM_POLICY_NONE:
        return NULL;
    case IDEM_POLICY_MISSING_KEY:
        return "on_missing_key";
    case IDEM_POLICY_DUPLICATE:
        return "on_duplicate";
    case IDEM_POLICY_CONFLICT:
        return "on_conflict";
    case IDEM_POLICY_IN_FLIGHT:
        return "on_in_flight";
    case IDEM_POLICY_IN_DOUBT:
        return "on_in_doubt";
    case IDEM_POLICY_STORE_FAILURE:
        return "on_store_failure";
    case IDEM_POLICY_FENCED:
        return "sequence.on_fenced";
    case IDEM_POLICY_GAP:
        return "sequence.on_gap";
    }
    return "unknown";
}

static void the_documented_table_is_this_one(void **state) {
    (void)state;
    char *page = files_read("docs/design/protocol.md");
    const char *at = strstr(page, "|---|---|---|---|\n| `no_rule`");
    assert_non_null(at); /* run from the top of the tree */
    at = strchr(at, '\n') + 1;
    for (size_t i = 0; i < idem_decisions_count; i++) {
        const struct idem_decision *row = &idem_decisions[i];
        const char *policy = policy_name(row->policy);
        char line[160];
        int len =
            policy == NULL
                ? snprintf(line, sizeof line, "| `%s` | | | `%s` |\n",
                           idem_reason_name(row->reason), idem_verdict_name(row->verdict))
                : snprintf(line, sizeof line, "| `%s` | `%s` | `%s` | `%s` |\n",
                           idem_reason_name(row->reason), policy,
                           idem_action_name(row->action),
                           idem_verdict_name(row->verdict));
        if (strncmp(at, line, (size_t)len) != 0) {
            fail_msg("the page lacks, or has elsewhere: %s", line);
        }
        at += len;
    }
    assert_int_equal(at[0], '\n');
    free(page);
}

static void the_table_reaches_every_verdict(void **state) {
    (void)state;
    bool reached[IDEM_VERDICT_COUNT] = {false};
    for (size_t i = 0; i < idem_decisions_count; i++) {
        reached[idem_decisions[i].verdict] = true;
    }
    for (size_t i = 0; i < IDEM_VERDICT_COUNT; i++) {
        assert_true(reached[i]);
    }
}

static void every_name_is_there_and_differs(void **state) {
    (void)state;
    for (unsigned i = 0; i < IDEM_REASON_COUNT; i++) {
        assert_non_null(idem_reason_name((enum idem_reason)i));
        assert_string_not_equal(idem_reason_name((enum idem_reason)i), "unknown");
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(idem_reason_name((enum idem_reason)i),
                                    idem_reason_name((enum idem_reason)j));
        }
    }
    for (unsigned i = 0; i < IDEM_VERDICT_COUNT; i++) {
        assert_non_null(idem_verdict_name((enum idem_verdict)i));
        assert_string_not_equal(idem_verdict_name((enum idem_verdict)i), "unknown");
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(idem_verdict_name((enum idem_verdict)i),
                                    idem_verdict_name((enum idem_verdict)j));
        }
    }
    for (unsigned i = 0; i < ACTION_COUNT; i++) {
        assert_string_not_equal(idem_action_name((enum idem_action)i), "unknown");
    }
    assert_string_equal(idem_reason_name(IDEM_REASON_COUNT), "unknown");
    assert_string_equal(idem_verdict_name(IDEM_VERDICT_COUNT), "unknown");
    assert_string_equal(idem_action_name((enum idem_action)ACTION_COUNT), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_and_action_has_the_promised_verdict),
        cmocka_unit_test(holding_changes_copies_in_flight_and_gaps_and_nothing_else),
        cmocka_unit_test(no_row_of_the_table_is_dead),
        cmocka_unit_test(the_documented_table_is_this_one),
        cmocka_unit_test(the_table_reaches_every_verdict),
        cmocka_unit_test(every_name_is_there_and_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
