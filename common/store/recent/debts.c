/* SPDX-License-Identifier: MIT
 * Keys that the store behind has not been told of. */
#include "store/recent/debts.h"

#include <stdlib.h>

#define CAPACITY_LEAST 64

void idem_debts_init(struct idem_debts *debts, size_t most, size_t bytes_most) {
    *debts = (struct idem_debts){.most = most, .bytes_most = bytes_most};
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

void idem_debts_lose_result(struct idem_debts *debts, struct idem_debt *debt) {
    debts->results_lost += debt->result_len > 0;
    free(debt->result);
    debt->result = NULL;
    debt->result_len = 0;
}

bool idem_debts_add(struct idem_debts *debts, struct idem_debt *debt) {
    bool room =
        debts->count < debts->most && (debts->count != debts->capacity || grow(debts));
    bool fits = room && debt->result_len <= debts->bytes_most - debts->bytes;
    if (!fits) {
        idem_debts_lose_result(debts, debt);
    }
    if (!room) {
        debts->lost++;
        return false;
    }
    debts->count++;
    debts->bytes += debt->result_len;
    *at(debts, debts->count - 1) = *debt;
    debt->result = NULL;
    debt->result_len = 0;
    return fits;
}

bool idem_debts_take(struct idem_debts *debts, struct idem_debt *debt) {
    if (debts->count == 0) {
        return false;
    }
    *debt = *at(debts, 0);
    debts->first = (debts->first + 1) % debts->capacity;
    debts->count--;
    debts->bytes -= debt->result_len;
    return true;
}

void idem_debts_fini(struct idem_debts *debts) {
    struct idem_debt debt;
    while (idem_debts_take(debts, &debt)) {
        free(debt.result);
    }
    free(debts->items);
    idem_debts_init(debts, 0, 0);
}

void idem_debts_forget(struct idem_debts *debts, const struct idem_digest *digest) {
    size_t kept = 0;
    for (size_t i = 0; i < debts->count; i++) {
        struct idem_debt *debt = at(debts, i);
        if (idem_digest_equal(&debt->digest, digest)) {
            debts->bytes -= debt->result_len;
            free(debt->result);
        } else {
            *at(debts, kept++) = *debt;
        }
    }
    debts->count = kept;
}
