/* SPDX-License-Identifier: MIT
 * From what is known of a copy, and what the rule says, to what is done with it: one table.
 *
 * An action that a policy does not offer cannot come out of a checked configuration. A rule that was
 * built by hand could still hold one: the reason's first row is then taken, which is its default. */
#include "decide/table.h"

/* clang-format off */
const struct idem_decision idem_decisions[] = {
    /* reason                    policy that is asked       its action              verdict */
    {IDEM_REASON_NO_RULE,        IDEM_POLICY_NONE,          IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_NATURAL,        IDEM_POLICY_NONE,          IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_NEW,            IDEM_POLICY_NONE,          IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_AFTER_GAP,      IDEM_POLICY_NONE,          IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},

    {IDEM_REASON_DUPLICATE,      IDEM_POLICY_DUPLICATE,     IDEM_ACTION_DROP,       IDEM_VERDICT_DROP},
    {IDEM_REASON_DUPLICATE,      IDEM_POLICY_DUPLICATE,     IDEM_ACTION_QUARANTINE, IDEM_VERDICT_QUARANTINE},
    {IDEM_REASON_DUPLICATE,      IDEM_POLICY_DUPLICATE,     IDEM_ACTION_REPLAY,     IDEM_VERDICT_REPLAY},

    {IDEM_REASON_CONFLICT,       IDEM_POLICY_CONFLICT,      IDEM_ACTION_QUARANTINE, IDEM_VERDICT_QUARANTINE},
    {IDEM_REASON_CONFLICT,       IDEM_POLICY_CONFLICT,      IDEM_ACTION_REJECT,     IDEM_VERDICT_REJECT},
    {IDEM_REASON_CONFLICT,       IDEM_POLICY_CONFLICT,      IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_CONFLICT,       IDEM_POLICY_CONFLICT,      IDEM_ACTION_DROP,       IDEM_VERDICT_DROP},

    /* An adapter that cannot hold a copy treats one that it should hold as in doubt. */
    {IDEM_REASON_IN_FLIGHT,      IDEM_POLICY_IN_FLIGHT,     IDEM_ACTION_HOLD,       IDEM_VERDICT_HOLD},
    {IDEM_REASON_IN_FLIGHT,      IDEM_POLICY_IN_FLIGHT,     IDEM_ACTION_REJECT,     IDEM_VERDICT_REJECT},
    {IDEM_REASON_IN_FLIGHT,      IDEM_POLICY_IN_FLIGHT,     IDEM_ACTION_QUARANTINE, IDEM_VERDICT_QUARANTINE},

    {IDEM_REASON_IN_DOUBT,       IDEM_POLICY_IN_DOUBT,      IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_IN_DOUBT,       IDEM_POLICY_IN_DOUBT,      IDEM_ACTION_QUARANTINE, IDEM_VERDICT_QUARANTINE},
    {IDEM_REASON_IN_DOUBT,       IDEM_POLICY_IN_DOUBT,      IDEM_ACTION_DROP,       IDEM_VERDICT_DROP},

    {IDEM_REASON_MISSING_KEY,    IDEM_POLICY_MISSING_KEY,   IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_MISSING_KEY,    IDEM_POLICY_MISSING_KEY,   IDEM_ACTION_REJECT,     IDEM_VERDICT_REJECT},
    {IDEM_REASON_MISSING_KEY,    IDEM_POLICY_MISSING_KEY,   IDEM_ACTION_QUARANTINE, IDEM_VERDICT_QUARANTINE},

    {IDEM_REASON_STORE_FAILURE,  IDEM_POLICY_STORE_FAILURE, IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_STORE_FAILURE,  IDEM_POLICY_STORE_FAILURE, IDEM_ACTION_REFUSE,     IDEM_VERDICT_REFUSE},

    {IDEM_REASON_FENCED,         IDEM_POLICY_FENCED,        IDEM_ACTION_QUARANTINE, IDEM_VERDICT_QUARANTINE},
    {IDEM_REASON_FENCED,         IDEM_POLICY_FENCED,        IDEM_ACTION_REJECT,     IDEM_VERDICT_REJECT},
    {IDEM_REASON_FENCED,         IDEM_POLICY_FENCED,        IDEM_ACTION_DROP,       IDEM_VERDICT_DROP},

    {IDEM_REASON_GAP,            IDEM_POLICY_GAP,           IDEM_ACTION_DELIVER,    IDEM_VERDICT_DELIVER},
    {IDEM_REASON_GAP,            IDEM_POLICY_GAP,           IDEM_ACTION_REJECT,     IDEM_VERDICT_REJECT},
    /* Where the adapter can hold a copy; where it cannot, the verdict is DELIVER. */
    {IDEM_REASON_GAP,            IDEM_POLICY_GAP,           IDEM_ACTION_HOLD,       IDEM_VERDICT_HOLD},
};
/* clang-format on */

const size_t idem_decisions_count = sizeof idem_decisions / sizeof idem_decisions[0];

static enum idem_action action_of(const struct idem_policies *policies,
                                  enum idem_policy policy) {
    switch (policy) {
    case IDEM_POLICY_NONE:
        return IDEM_ACTION_DELIVER;
    case IDEM_POLICY_MISSING_KEY:
        return policies->on_missing_key;
    case IDEM_POLICY_DUPLICATE:
        return policies->on_duplicate;
    case IDEM_POLICY_CONFLICT:
        return policies->on_conflict;
    case IDEM_POLICY_IN_FLIGHT:
        return policies->on_in_flight;
    case IDEM_POLICY_IN_DOUBT:
        return policies->on_in_doubt;
    case IDEM_POLICY_STORE_FAILURE:
        return policies->on_store_failure;
    case IDEM_POLICY_FENCED:
        return policies->on_fenced;
    case IDEM_POLICY_GAP:
        return policies->on_gap;
    }
    return IDEM_ACTION_DELIVER;
}

static enum idem_verdict look_up(enum idem_reason reason,
                                 const struct idem_policies *policies) {
    const struct idem_decision *fallback = NULL;
    for (size_t i = 0; i < idem_decisions_count; i++) {
        const struct idem_decision *row = &idem_decisions[i];
        if (row->reason != reason) {
            continue;
        }
        if (row->action == action_of(policies, row->policy)) {
            return row->verdict;
        }
        fallback = fallback != NULL ? fallback : row;
    }
    return fallback != NULL ? fallback->verdict : IDEM_VERDICT_DELIVER;
}

enum idem_verdict idem_decide(enum idem_reason reason,
                              const struct idem_policies *policies, bool can_hold) {
    enum idem_verdict verdict = look_up(reason, policies);
    if (verdict != IDEM_VERDICT_HOLD || can_hold) {
        return verdict;
    }
    return reason == IDEM_REASON_GAP ? IDEM_VERDICT_DELIVER
                                     : look_up(IDEM_REASON_IN_DOUBT, policies);
}
