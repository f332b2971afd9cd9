/* SPDX-License-Identifier: MIT
 * How long decisions take. */
#include "latency.h"

const struct idem_latency_step idem_latency_steps[IDEM_LATENCY_STEPS] = {
    {"10us", 10000},    {"100us", 100000},    {"1ms", 1000000},     {"5ms", 5000000},
    {"20ms", 20000000}, {"100ms", 100000000}, {"500ms", 500000000}, {"2s", 2000000000},
};

void idem_latency_note(struct idem_latency *latency, int64_t duration_ns) {
    uint64_t ns = duration_ns > 0 ? (uint64_t)duration_ns : 0;
    latency->count++;
    latency->rest_ns += ns;
    latency->sum_us += latency->rest_ns / 1000;
    latency->rest_ns %= 1000;
    for (int i = IDEM_LATENCY_STEPS - 1;
         i >= 0 && duration_ns <= idem_latency_steps[i].most_ns; i--) {
        latency->within[i]++;
    }
}
