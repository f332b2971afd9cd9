/* SPDX-License-Identifier: MIT
 * Fixed buckets from 10 microseconds, a store in memory, to 2.5 seconds, a store that is ill. */
#include "histogram.h"

#define US INT64_C(1000)
#define MS (1000 * US)

static const int64_t bounds_ns[IDEM_HISTOGRAM_BOUNDS] = {
    10 * US, 25 * US, 50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,    2500 * US, 5 * MS,
    10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, 1000 * MS, 2500 * MS};

int64_t idem_histogram_bound_ns(size_t index) {
    return bounds_ns[index];
}

/* One writer: a plain sum, published whole, is enough and needs no locked instruction. */
static void raise_by(_Atomic uint64_t *counter, uint64_t by) {
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}

void idem_histogram_add(struct idem_histogram *histogram, int64_t ns) {
    size_t bucket = 0;
    while (bucket < IDEM_HISTOGRAM_BOUNDS && ns > bounds_ns[bucket]) {
        bucket++;
    }
    raise_by(&histogram->buckets[bucket], 1);
    raise_by(&histogram->sum_ns, ns > 0 ? (uint64_t)ns : 0);
}

void idem_histogram_collect(const struct idem_histogram *histogram,
                            struct idem_histogram_values *values) {
    for (size_t i = 0; i <= IDEM_HISTOGRAM_BOUNDS; i++) {
        values->buckets[i] +=
            atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    }
    values->sum_ns += atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
}
