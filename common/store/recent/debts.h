/* SPDX-License-Identifier: MIT
 * Keys that are done and that the store behind has not been told of: a bounded queue, oldest first. */
#ifndef IDEM_RECENT_DEBTS_H
#define IDEM_RECENT_DEBTS_H

#include <idem/store.h>

struct idem_debt {
    struct idem_digest digest;
    struct idem_number number; /* with one, digest is its producer's */
    struct idem_digest fingerprint;
    bool has_fingerprint;
    struct idem_owner owner;
    int64_t until_ms;
};

struct idem_debts {
    struct idem_debt *items; /* a ring */
    size_t first;
    size_t count;
    size_t capacity;
    size_t most;
    uint64_t lost; /* no room or no memory for them */
};

void idem_debts_init(struct idem_debts *debts, size_t most);
void idem_debts_fini(struct idem_debts *debts);

void idem_debts_add(struct idem_debts *debts, const struct idem_debt *debt);
/* False: none is left. */
IDEM_MUST_USE bool idem_debts_take(struct idem_debts *debts, struct idem_debt *debt);
void idem_debts_forget(struct idem_debts *debts, const struct idem_digest *digest);

#endif
