/* SPDX-License-Identifier: MIT
 * The reply machine: a table of what each event means in each state. */
#include "reply.h"

struct row {
    bool known; /* an event that can happen there */
    enum idem_reply_state to;
    enum idem_reply_act act;
};

#define ROW(state, act)                                                                  \
    { true, IDEM_REPLY_##state, IDEM_REPLY_DO_##act }

static const struct row table[IDEM_REPLY_STATE_COUNT][IDEM_REPLY_ON_COUNT] = {
    [IDEM_REPLY_IDLE] = {[IDEM_REPLY_ON_FOUND] = ROW(SETTLING, SETTLE),
                         [IDEM_REPLY_ON_ELSEWHERE] = ROW(LOOKING, LOOK),
                         [IDEM_REPLY_ON_STRAY] = ROW(ENDED, ACK),
                         [IDEM_REPLY_ON_ALIEN] = ROW(ENDED, ACK)},
    [IDEM_REPLY_SETTLING] = {[IDEM_REPLY_ON_SETTLED] = ROW(ENDED, ACK),
                             [IDEM_REPLY_ON_DEAD] = ROW(ENDED, ACK),
                             [IDEM_REPLY_ON_UNSETTLED] = ROW(PAUSING, WAIT),
                             [IDEM_REPLY_ON_LOST] = ROW(SETTLING, NOTHING)},
    [IDEM_REPLY_PAUSING] = {[IDEM_REPLY_ON_WAKE] = ROW(SETTLING, SETTLE),
                            [IDEM_REPLY_ON_LOST] = ROW(IDLE, RELEASE)},
    [IDEM_REPLY_LOOKING] = {[IDEM_REPLY_ON_OPEN] = ROW(PASSING, WAIT),
                            [IDEM_REPLY_ON_DEAD] = ROW(ENDED, ACK),
                            [IDEM_REPLY_ON_UNSETTLED] = ROW(PASSING, WAIT),
                            [IDEM_REPLY_ON_LOST] = ROW(LOOKING, NOTHING)},
    [IDEM_REPLY_PASSING] = {[IDEM_REPLY_ON_WAKE] = ROW(ENDED, PUT_BACK),
                            [IDEM_REPLY_ON_LOST] = ROW(IDLE, RELEASE)},
    [IDEM_REPLY_ENDED] = {[IDEM_REPLY_ON_TOLD] = ROW(IDLE, RELEASE),
                          [IDEM_REPLY_ON_LOST] = ROW(IDLE, RELEASE)},
};

static void count(_Atomic uint64_t *counter) {
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

enum idem_reply_act idem_reply_step(struct idem_reply *reply, enum idem_reply_event event,
                                    struct idem_reply_counts *counts) {
    const struct row *row = &table[reply->state][event];
    if (!row->known) {
        count(&counts->unexpected);
        return IDEM_REPLY_DO_NOTHING;
    }
    count(&counts->on[event]);
    reply->orphan = reply->orphan || event == IDEM_REPLY_ON_LOST;
    reply->state = row->to;
    bool asked =
        reply->state == IDEM_REPLY_SETTLING || reply->state == IDEM_REPLY_LOOKING;
    if (reply->orphan && !asked) {
        reply->state = IDEM_REPLY_IDLE; /* it comes again, and is judged anew */
        return IDEM_REPLY_DO_RELEASE;
    }
    return row->act;
}

enum idem_reply_event idem_reply_settlement(enum idem_code code) {
    switch (code) {
    case IDEM_OK:
        return IDEM_REPLY_ON_SETTLED;
    case IDEM_ERR_IO:
    case IDEM_ERR_BUSY:
    case IDEM_ERR_FULL:
    case IDEM_ERR_NOMEM:
    case IDEM_ERR_TIMEOUT:
    case IDEM_ERR_UNAVAILABLE:
        return IDEM_REPLY_ON_UNSETTLED;
    case IDEM_ERR_INVALID:
    case IDEM_ERR_CONFIG:
    case IDEM_ERR_FORMAT:
    case IDEM_ERR_VERSION:
    case IDEM_ERR_NOT_OWNER:
    case IDEM_ERR_NOT_FOUND:
    case IDEM_ERR_UNSUPPORTED:
    case IDEM_CODE_COUNT:
        break;
    }
    return IDEM_REPLY_ON_DEAD;
}
