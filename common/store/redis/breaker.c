/* SPDX-License-Identifier: MIT
 * The transitions of the circuit breaker. */
#include "store/redis/breaker.h"

#define DOUBLINGS_MAX 20

/* xorshift64 (Marsaglia 2003): spreads retries, guards nothing. */
static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Between half of the interval and all of it. */
static int64_t waiting_time(struct idem_breaker *breaker) {
    unsigned doublings =
        breaker->openings < DOUBLINGS_MAX ? breaker->openings : DOUBLINGS_MAX;
    int64_t interval = breaker->least_ms << doublings;
    if (interval > breaker->most_ms) {
        interval = breaker->most_ms;
    }
    uint64_t half = (uint64_t)interval / 2;
    return interval - (int64_t)(next_random(&breaker->random) % (half + 1));
}

static void open_breaker(struct idem_breaker *breaker, int64_t now_ms) {
    breaker->state = IDEM_BREAKER_OPEN;
    breaker->retry_at_ms = now_ms + waiting_time(breaker);
    breaker->openings++;
}

void idem_breaker_init(struct idem_breaker *breaker, int64_t least_ms, int64_t most_ms,
                       uint64_t seed) {
    *breaker = (struct idem_breaker){
        .state = IDEM_BREAKER_CLOSED,
        .least_ms = least_ms,
        .most_ms = most_ms,
        .random = seed | 1,
    };
}

void idem_breaker_event(struct idem_breaker *breaker, enum idem_breaker_event event,
                        int64_t now_ms) {
    switch (breaker->state) {
    case IDEM_BREAKER_CLOSED:
        if (event == IDEM_BREAKER_FAILED) {
            open_breaker(breaker, now_ms);
        } else if (event == IDEM_BREAKER_ANSWERED) {
            breaker->openings = 0;
        }
        return;
    case IDEM_BREAKER_OPEN: /* what was sent before may still fail: that is no news */
        if (event == IDEM_BREAKER_DUE && now_ms >= breaker->retry_at_ms) {
            breaker->state = IDEM_BREAKER_HALF_OPEN;
        }
        return;
    case IDEM_BREAKER_HALF_OPEN:
        if (event == IDEM_BREAKER_FAILED) {
            open_breaker(breaker, now_ms);
        } else if (event == IDEM_BREAKER_PROBED) {
            breaker->state = IDEM_BREAKER_CLOSED;
        }
        return;
    case IDEM_BREAKER_STATE_COUNT:
        return;
    }
}
