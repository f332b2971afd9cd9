/* SPDX-License-Identifier: MIT
 * Situations, verdicts, and the pure decision that leads from one to the other. */
#ifndef IDEM_VERDICT_H
#define IDEM_VERDICT_H

#include <idem/rule.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of a copy. Each has a name, a counter, and a row for each policy in decide.c. */
enum idem_reason {
    IDEM_REASON_NO_RULE,       /* no rule matched */
    IDEM_REASON_NATURAL,       /* the operation is idempotent by nature */
    IDEM_REASON_NEW,           /* the first copy */
    IDEM_REASON_AFTER_GAP,     /* the first copy, and it leaves numbers out */
    IDEM_REASON_DUPLICATE,     /* done, same fingerprint */
    IDEM_REASON_CONFLICT,      /* done, other fingerprint */
    IDEM_REASON_IN_FLIGHT,     /* another copy is being delivered right now */
    IDEM_REASON_IN_DOUBT,      /* its earlier delivery may or may not have happened */
    IDEM_REASON_MISSING_KEY,   /* no extractor yielded a value */
    IDEM_REASON_STORE_FAILURE, /* the store could not answer: unprotected */
    IDEM_REASON_FENCED,        /* of an epoch of its producer that is over */
    IDEM_REASON_GAP,           /* leaves numbers out, which the rule does not accept */
    IDEM_REASON_COUNT
};

enum idem_verdict {
    IDEM_VERDICT_DELIVER,
    IDEM_VERDICT_DROP,   /* acknowledge, deliver to nobody */
    IDEM_VERDICT_REPLAY, /* acknowledge, answer with the stored result */
    IDEM_VERDICT_HOLD,   /* decide later: keep the copy, unacknowledged */
    IDEM_VERDICT_REJECT, /* never deliver; tell the publisher where the protocol can */
    IDEM_VERDICT_QUARANTINE, /* acknowledge, set aside for a person to look at */
    IDEM_VERDICT_REFUSE, /* not now: no success acknowledgement, the source keeps the message */
    IDEM_VERDICT_COUNT
};

/* can_hold: whether the adapter can keep a copy unacknowledged; where it cannot, a copy in flight
 * elsewhere that it should hold is treated as in doubt, and a gap is not waited for. Pure, total: every
 * reason and policy has a verdict. */
IDEM_API enum idem_verdict
idem_decide(enum idem_reason reason, const struct idem_policies *policies, bool can_hold);

/* Stable lower-case names for logs, metrics and JSON ("duplicate", "in_doubt"); static. */
IDEM_API const char *idem_reason_name(enum idem_reason reason);
IDEM_API const char *idem_verdict_name(enum idem_verdict verdict);
IDEM_API const char *idem_action_name(enum idem_action action);

#ifdef __cplusplus
}
#endif

#endif
