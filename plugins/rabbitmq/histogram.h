/* SPDX-License-Identifier: MIT
 * How long something took, counted in fixed buckets. One thread writes, any thread reads. */
#ifndef IDEM_RABBITMQ_HISTOGRAM_H
#define IDEM_RABBITMQ_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define IDEM_HISTOGRAM_BOUNDS 17 /* and one bucket more, for what is beyond the last */

struct idem_histogram {
    _Atomic uint64_t buckets[IDEM_HISTOGRAM_BOUNDS + 1];
    _Atomic uint64_t sum_ns;
};

/* The same at one moment, perhaps of several. */
struct idem_histogram_values {
    uint64_t
        buckets[IDEM_HISTOGRAM_BOUNDS + 1]; /* each alone, not with those before it */
    uint64_t sum_ns;
};

/* The longest time, in nanoseconds, that still belongs into a bucket: index below IDEM_HISTOGRAM_BOUNDS. */
int64_t idem_histogram_bound_ns(size_t index);

/* The writer's thread. */
void idem_histogram_add(struct idem_histogram *histogram, int64_t ns);

/* Adds it to values. Any thread. */
void idem_histogram_collect(const struct idem_histogram *histogram,
                            struct idem_histogram_values *values);

#endif
