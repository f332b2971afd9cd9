/* SPDX-License-Identifier: MIT
 * How long decisions take for which the store is asked: from the message's arrival to its verdict. */
#ifndef IDEM_MOSQUITTO_LATENCY_H
#define IDEM_MOSQUITTO_LATENCY_H

#include <stdint.h>

enum { IDEM_LATENCY_STEPS = 8 };

struct idem_latency_step {
    const char *name; /* as figures name it */
    int64_t most_ns;
};
extern const struct idem_latency_step idem_latency_steps[IDEM_LATENCY_STEPS];

/* Counters only rise. */
struct idem_latency {
    uint64_t count;
    uint64_t sum_us;
    uint64_t within[IDEM_LATENCY_STEPS]; /* those of the steps before included */
    uint64_t rest_ns;                    /* of sum_us: what is no whole microsecond yet */
};

void idem_latency_note(struct idem_latency *latency, int64_t duration_ns);

#endif
