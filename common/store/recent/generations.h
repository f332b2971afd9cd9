/* SPDX-License-Identifier: MIT
 * A bounded memory of records: two generations, of which the older one is forgotten as a whole when the
 * younger one is full. So the most recent half, at least, is always there, and nothing is sorted. */
#ifndef IDEM_RECENT_GENERATIONS_H
#define IDEM_RECENT_GENERATIONS_H

#include "store/record_set.h"

struct idem_generations {
    struct idem_record_set sets[2];
    unsigned young; /* which of them */
    size_t most;    /* records of one generation */
};

/* most: records in all. False: no memory; may be finished all the same. */
IDEM_MUST_USE bool idem_generations_init(struct idem_generations *generations,
                                         size_t most);
void idem_generations_fini(struct idem_generations *generations);

/* The record, or state NONE. */
struct idem_record idem_generations_find(const struct idem_generations *generations,
                                         const struct idem_digest *digest);

/* Without its result. Where there is no memory it is not remembered. */
void idem_generations_put(struct idem_generations *generations,
                          const struct idem_digest *digest,
                          const struct idem_record *record);
void idem_generations_remove(struct idem_generations *generations,
                             const struct idem_digest *digest);

void idem_generations_clear(struct idem_generations *generations);

size_t idem_generations_count(const struct idem_generations *generations);
size_t idem_generations_bytes(const struct idem_generations *generations);

#endif
