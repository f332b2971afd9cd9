/* SPDX-License-Identifier: MIT
 * Keys that the store behind has not been told of. */
#include "store/recent/debts.h"

#include <stdlib.h>

#define CAPACITY_LEAST 64

void idem_debts_init(struct idem_debts *debts, size_t most) {
    *debts = (struct idem_debts){.most = most};
}

void idem_debts_fini(struct idem_debts *debts) {
    free(debts->items);
    idem_debts_init(debts, 0);
}

static struct idem_debt *at(const struct idem_debts *debts, size_t index) {
    return &debts->items[(debts->first + index) % debts->capacity];
}

static bool grow(struct idem_debts *debts) {
    size_t capacity = debts->capacity == 0 ? CAPACITY_LEAST : debts->capacity * 2;
    struct idem_debt *items = malloc(capacity * sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < debts->count; i++) {
        items[i] = *at(debts, i);
    }
    free(debts->items);
    debts->items = items;
    debts->capacity = capacity;
    debts->first = 0;
    return true;
}

void idem_debts_add(struct idem_debts *debts, const struct idem_debt *debt) {
    if (debts->count >= debts->most ||
        (debts->count == debts->capacity && !grow(debts))) {
        debts->lost++;
        return;
    }
    debts->count++;
    *at(debts, debts->count - 1) = *debt;
}

bool idem_debts_take(struct idem_debts *debts, struct idem_debt *debt) {
    if (debts->count == 0) {
        return false;
    }
    *debt = *at(debts, 0);
    debts->first = (debts->first + 1) % debts->capacity;
    debts->count--;
    return true;
}

void idem_debts_forget(struct idem_debts *debts, const struct idem_digest *digest) {
    size_t kept = 0;
    for (size_t i = 0; i < debts->count; i++) {
        if (!idem_digest_equal(&at(debts, i)->digest, digest)) {
            *at(debts, kept++) = *at(debts, i);
        }
    }
    debts->count = kept;
}
