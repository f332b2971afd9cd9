/* SPDX-License-Identifier: MIT
 * Relaxed counters: each figure is right, a set of them is not a snapshot of one instant. */
#include "receiver/counters.h"

#include <stdlib.h>

void idem_counters_init(struct idem_counters *counters) {
    memset(counters, 0, sizeof *counters);
}

static struct idem_counter_row *next_row(const struct idem_counter_row *row) {
    return atomic_load_explicit(&row->next, memory_order_acquire);
}

void idem_counters_fini(struct idem_counters *counters) {
    struct idem_counter_row *row = next_row(&counters->unmatched);
    while (row != NULL) {
        struct idem_counter_row *next = next_row(row);
        free(row);
        row = next;
    }
}

struct idem_counter_row *idem_counters_row(struct idem_counters *counters,
                                           const char *name) {
    struct idem_counter_row *last = &counters->unmatched;
    for (struct idem_counter_row *row = last; row != NULL; row = next_row(row)) {
        if (strcmp(row->name, name) == 0) {
            return row;
        }
        last = row;
    }
    struct idem_counter_row *row = calloc(1, sizeof *row);
    if (row == NULL) {
        return NULL;
    }
    size_t len = strlen(name);
    memcpy(row->name, name, len < IDEM_NAME_MAX ? len : IDEM_NAME_MAX);
    atomic_store_explicit(&last->next, row, memory_order_release);
    return row;
}

void idem_counter_raise(_Atomic uint64_t *counter) {
    /* One writer: a plain sum, published whole, is enough and needs no locked instruction. */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

static uint64_t value_of(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void read_row(const struct idem_counter_row *row,
                     struct idem_rule_counts *counts) {
    memcpy(counts->name, row->name, sizeof counts->name);
    for (size_t i = 0; i < IDEM_REASON_COUNT; i++) {
        counts->by_reason[i] = value_of(&row->by_reason[i]);
    }
    for (size_t i = 0; i < IDEM_VERDICT_COUNT; i++) {
        counts->by_verdict[i] = value_of(&row->by_verdict[i]);
    }
    counts->bypassed = value_of(&row->bypassed);
    counts->disabled = atomic_load_explicit(&row->disabled, memory_order_relaxed);
    counts->without_result = value_of(&row->without_result);
}

static void add_row(struct idem_receiver_counts *total,
                    const struct idem_rule_counts *row) {
    for (size_t i = 0; i < IDEM_REASON_COUNT; i++) {
        total->by_reason[i] += row->by_reason[i];
    }
    for (size_t i = 0; i < IDEM_VERDICT_COUNT; i++) {
        total->by_verdict[i] += row->by_verdict[i];
    }
    total->without_result += row->without_result;
}

size_t idem_counters_read(const struct idem_counters *counters,
                          struct idem_receiver_counts *total,
                          struct idem_rule_counts *rules, size_t rules_max) {
    size_t count = 0;
    memset(total, 0, sizeof *total);
    total->completed = value_of(&counters->completed);
    total->abandoned = value_of(&counters->abandoned);
    total->settle_failures = value_of(&counters->settle_failures);
    total->results = value_of(&counters->results);
    for (const struct idem_counter_row *row = &counters->unmatched; row != NULL;
         row = next_row(row)) {
        struct idem_rule_counts counts;
        read_row(row, &counts);
        add_row(total, &counts);
        if (count < rules_max) {
            rules[count] = counts;
        }
        count++;
    }
    return count;
}
