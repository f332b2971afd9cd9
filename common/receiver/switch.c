/* SPDX-License-Identifier: MIT
 * Rules that are taken out while the program runs. */
#include "receiver/internal.h"

static void set(struct idem_receiver *receiver, size_t place, bool disabled) {
    receiver->without[place] = disabled;
    atomic_store_explicit(&receiver->rows[place]->disabled, disabled,
                          memory_order_relaxed);
}

enum idem_code idem_receiver_enable_rule(struct idem_receiver *receiver, const char *name,
                                         bool enabled) {
    for (size_t i = 0; i < receiver->rules->count; i++) {
        if (strcmp(receiver->rules->rules[i].name, name) != 0) {
            continue;
        }
        if (receiver->without[i] == enabled) {
            set(receiver, i, !enabled);
            receiver->without_count += enabled ? (size_t)-1 : 1;
        }
        return IDEM_OK;
    }
    return IDEM_ERR_NOT_FOUND;
}

/* The rules may be gone by now; their rows are not. */
void idem_receiver_put_back(struct idem_receiver *receiver) {
    struct idem_counter_row *row = &receiver->counters.unmatched;
    do {
        atomic_store_explicit(&row->disabled, false, memory_order_relaxed);
        row = atomic_load_explicit(&row->next, memory_order_acquire);
    } while (row != NULL);
    receiver->without_count = 0;
}
