/* SPDX-License-Identifier: MIT
 * The delivery machine's words: what verdicts and the store's answers mean to it, and its names. */
#include "transfer.h"

enum idem_transfer_event
idem_transfer_verdict(enum idem_verdict verdict,
                      const struct idem_transfer_policy *policy) {
    switch (verdict) {
    case IDEM_VERDICT_DELIVER:
        return IDEM_ON_DELIVER;
    case IDEM_VERDICT_DROP:
        return IDEM_ON_DROP;
    case IDEM_VERDICT_REPLAY:
        return IDEM_ON_REPLAY;
    case IDEM_VERDICT_HOLD:
        return IDEM_ON_HOLD;
    case IDEM_VERDICT_REJECT:
    case IDEM_VERDICT_QUARANTINE:
        return policy->quarantine ? IDEM_ON_SET_ASIDE : IDEM_ON_DEAD_LETTER;
    case IDEM_VERDICT_REFUSE:
        return IDEM_ON_REFUSE;
    case IDEM_VERDICT_COUNT:
        break;
    }
    return IDEM_ON_DELIVER; /* a second delivery is better than a loss */
}

enum idem_transfer_event idem_transfer_settlement(enum idem_code code) {
    switch (code) {
    case IDEM_ERR_IO:
    case IDEM_ERR_BUSY:
    case IDEM_ERR_FULL:
    case IDEM_ERR_NOMEM:
    case IDEM_ERR_TIMEOUT:
    case IDEM_ERR_UNAVAILABLE:
        return IDEM_ON_UNSETTLED;
    case IDEM_OK:
    case IDEM_ERR_INVALID:
    case IDEM_ERR_CONFIG:
    case IDEM_ERR_FORMAT:
    case IDEM_ERR_VERSION:
    case IDEM_ERR_NOT_OWNER: /* taken over: the other one answers for it now */
    case IDEM_ERR_NOT_FOUND: /* the lease ended long ago; ours was delivered all the same */
    case IDEM_ERR_UNSUPPORTED:
    case IDEM_CODE_COUNT:
        break;
    }
    return IDEM_ON_SETTLED;
}

const char *idem_transfer_state_name(enum idem_transfer_state state) {
    static const char *const names[IDEM_TRANSFER_STATE_COUNT] = {
        [IDEM_TRANSFER_IDLE] = "idle",
        [IDEM_TRANSFER_CLAIMING] = "claiming",
        [IDEM_TRANSFER_HELD] = "held",
        [IDEM_TRANSFER_READY] = "ready",
        [IDEM_TRANSFER_PUBLISHED] = "published",
        [IDEM_TRANSFER_RETURNED] = "returned",
        [IDEM_TRANSFER_WAITING] = "waiting",
        [IDEM_TRANSFER_AWAITING] = "awaiting",
        [IDEM_TRANSFER_COMPLETING] = "completing",
        [IDEM_TRANSFER_ABANDONING] = "abandoning",
        [IDEM_TRANSFER_SETTLED] = "settled",
    };
    return (unsigned)state < IDEM_TRANSFER_STATE_COUNT ? names[state] : "unknown";
}

const char *idem_transfer_event_name(enum idem_transfer_event event) {
    static const char *const names[IDEM_ON_COUNT] = {
        [IDEM_ON_ARRIVED] = "arrived",
        [IDEM_ON_DELIVER] = "deliver",
        [IDEM_ON_SET_ASIDE] = "set_aside",
        [IDEM_ON_DEAD_LETTER] = "dead_letter",
        [IDEM_ON_DROP] = "drop",
        [IDEM_ON_REPLAY] = "replay",
        [IDEM_ON_HOLD] = "hold",
        [IDEM_ON_REFUSE] = "refuse",
        [IDEM_ON_SENT] = "sent",
        [IDEM_ON_CONFIRMED] = "confirmed",
        [IDEM_ON_RETURNED] = "returned",
        [IDEM_ON_NACKED] = "nacked",
        [IDEM_ON_BARRED] = "barred",
        [IDEM_ON_SPOILED] = "spoiled",
        [IDEM_ON_UNDONE] = "undone",
        [IDEM_ON_SETTLED] = "settled",
        [IDEM_ON_UNSETTLED] = "unsettled",
        [IDEM_ON_WAKE] = "wake",
        [IDEM_ON_REPLIED] = "replied",
        [IDEM_ON_LEASE_OVER] = "lease_over",
        [IDEM_ON_SOURCE_LOST] = "source_lost",
        [IDEM_ON_SINK_LOST] = "sink_lost",
        [IDEM_ON_TOLD] = "told",
    };
    return (unsigned)event < IDEM_ON_COUNT ? names[event] : "unknown";
}
