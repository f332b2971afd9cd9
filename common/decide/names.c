/* SPDX-License-Identifier: MIT
 * Stable names of reasons, verdicts and actions, for logs, metrics and JSON. */
#include <idem/verdict.h>

static const char *const reason_names[IDEM_REASON_COUNT] = {
    [IDEM_REASON_NO_RULE] = "no_rule",
    [IDEM_REASON_NATURAL] = "natural",
    [IDEM_REASON_NEW] = "new",
    [IDEM_REASON_AFTER_GAP] = "after_gap",
    [IDEM_REASON_DUPLICATE] = "duplicate",
    [IDEM_REASON_CONFLICT] = "conflict",
    [IDEM_REASON_IN_FLIGHT] = "in_flight",
    [IDEM_REASON_IN_DOUBT] = "in_doubt",
    [IDEM_REASON_MISSING_KEY] = "missing_key",
    [IDEM_REASON_STORE_FAILURE] = "store_failure",
    [IDEM_REASON_FENCED] = "fenced",
    [IDEM_REASON_GAP] = "gap",
};

static const char *const verdict_names[IDEM_VERDICT_COUNT] = {
    [IDEM_VERDICT_DELIVER] = "deliver", [IDEM_VERDICT_DROP] = "drop",
    [IDEM_VERDICT_REPLAY] = "replay",   [IDEM_VERDICT_HOLD] = "hold",
    [IDEM_VERDICT_REJECT] = "reject",   [IDEM_VERDICT_QUARANTINE] = "quarantine",
    [IDEM_VERDICT_REFUSE] = "refuse",
};

const char *idem_reason_name(enum idem_reason reason) {
    return (unsigned)reason < IDEM_REASON_COUNT ? reason_names[reason] : "unknown";
}

const char *idem_verdict_name(enum idem_verdict verdict) {
    return (unsigned)verdict < IDEM_VERDICT_COUNT ? verdict_names[verdict] : "unknown";
}

const char *idem_action_name(enum idem_action action) {
    switch (action) {
    case IDEM_ACTION_DELIVER:
        return "deliver";
    case IDEM_ACTION_DROP:
        return "drop";
    case IDEM_ACTION_REJECT:
        return "reject";
    case IDEM_ACTION_QUARANTINE:
        return "quarantine";
    case IDEM_ACTION_REPLAY:
        return "replay";
    case IDEM_ACTION_REFUSE:
        return "refuse";
    case IDEM_ACTION_HOLD:
        return "hold";
    }
    return "unknown";
}
