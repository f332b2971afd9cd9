/* SPDX-License-Identifier: MIT
 * The circuit breaker: whether a server that failed is asked again, and when. Pure; time is an argument.
 *
 *   CLOSED     operations are sent. A failure opens it.
 *   OPEN       operations are refused at once, which costs nobody a deadline. At retry_at_ms it is DUE.
 *   HALF_OPEN  one probe of the store's own is on its way; operations are still refused. It closes when
 *              the probe is answered in time, and opens again, for longer, when it is not.
 *
 * The waiting time doubles with each opening until an operation has been answered: a server that takes
 * probes and nothing else is not asked at the shortest interval for ever. */
#ifndef IDEM_REDIS_BREAKER_H
#define IDEM_REDIS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum idem_breaker_state {
    IDEM_BREAKER_CLOSED,
    IDEM_BREAKER_OPEN,
    IDEM_BREAKER_HALF_OPEN,
    IDEM_BREAKER_STATE_COUNT
};

enum idem_breaker_event {
    IDEM_BREAKER_ANSWERED, /* an operation, in time */
    IDEM_BREAKER_FAILED,   /* no answer in time, no connection, or one that was lost */
    IDEM_BREAKER_DUE,      /* retry_at_ms has come: a probe is about to be sent */
    IDEM_BREAKER_PROBED,   /* the probe was answered in time */
    IDEM_BREAKER_EVENT_COUNT
};

struct idem_breaker {
    enum idem_breaker_state state;
    unsigned openings;   /* since an operation was answered */
    int64_t retry_at_ms; /* OPEN only */
    int64_t least_ms;    /* the first waiting time, before jitter */
    int64_t most_ms;
    uint64_t random; /* never 0 */
};

/* Any seed will do; instances should have different ones, so that they do not come back all at once. */
void idem_breaker_init(struct idem_breaker *breaker, int64_t least_ms, int64_t most_ms,
                       uint64_t seed);

/* The only writer of the state. Events that mean nothing in a state change nothing. */
void idem_breaker_event(struct idem_breaker *breaker, enum idem_breaker_event event,
                        int64_t now_ms);

#endif
