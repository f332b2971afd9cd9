/* SPDX-License-Identifier: MIT
 * Counters that one thread writes and any thread reads. Rows live as long as the receiver. */
#ifndef IDEM_RECEIVER_COUNTERS_H
#define IDEM_RECEIVER_COUNTERS_H

#include <idem/receiver.h>

#include <stdatomic.h>

/* One per rule name, kept when the rules are replaced, so that figures only rise. */
struct idem_counter_row {
    char name[IDEM_NAME_MAX + 1];
    _Atomic uint64_t by_reason[IDEM_REASON_COUNT];
    _Atomic uint64_t by_verdict[IDEM_VERDICT_COUNT];
    _Atomic uint64_t bypassed;
    atomic_bool disabled;
    _Atomic uint64_t without_result;
    _Atomic(struct idem_counter_row *) next; /* set once, when the next row is complete */
};

struct idem_counters {
    struct idem_counter_row unmatched; /* name "", the head of the list */
    _Atomic uint64_t completed;
    _Atomic uint64_t abandoned;
    _Atomic uint64_t settle_failures;
    _Atomic uint64_t results;
};

void idem_counters_init(struct idem_counters *counters);
void idem_counters_fini(struct idem_counters *counters);

/* The row of that name, made where there is none yet; NULL: no memory. The writer's thread. */
struct idem_counter_row *idem_counters_row(struct idem_counters *counters,
                                           const char *name);

/* See idem_receiver_read_counts. Any thread. */
size_t idem_counters_read(const struct idem_counters *counters,
                          struct idem_receiver_counts *total,
                          struct idem_rule_counts *rules, size_t rules_max);

void idem_counter_raise(_Atomic uint64_t *counter);

#endif
