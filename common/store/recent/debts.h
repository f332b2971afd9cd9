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
    uint8_t *result; /* owned by whoever has the debt; NULL: none */
    size_t result_len;
};

struct idem_debts {
    struct idem_debt *items; /* a ring */
    size_t first;
    size_t count;
    size_t capacity;
    size_t most;
    size_t bytes; /* of all results */
    size_t bytes_most;
    uint64_t lost; /* no room or no memory for them */
    uint64_t results_lost;
};

void idem_debts_init(struct idem_debts *debts, size_t most, size_t bytes_most);
void idem_debts_fini(struct idem_debts *debts);

/* Takes the result over, whatever comes of it: *debt has none afterwards. Where only the result has no room,
 * its key is owed all the same. False: the result, if there is one, is lost. */
bool idem_debts_add(struct idem_debts *debts, struct idem_debt *debt);

/* It had a result, which will never be written. */
void idem_debts_lose_result(struct idem_debts *debts, struct idem_debt *debt);

/* Its result is the caller's. False: none is left. */
IDEM_MUST_USE bool idem_debts_take(struct idem_debts *debts, struct idem_debt *debt);
void idem_debts_forget(struct idem_debts *debts, const struct idem_digest *digest);

#endif
