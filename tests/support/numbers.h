/* SPDX-License-Identifier: MIT
 * Operations on numbers of producers, one at a time, for tests of stores. */
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include "stores.h"

/* A number as a rule would have it: window, wrap and terms are set before, and may change between
 * operations. */
struct numbers {
    struct stores_box *box;
    uint64_t producer;
    uint64_t epoch;
    unsigned window;
    unsigned wrap;
    struct idem_sequence_terms terms; /* ttl_ms 0: an hour */
    int64_t lease_ms;                 /* 0: a second */
};

struct idem_number numbers_number(const struct numbers *numbers, uint64_t value);
struct idem_answer numbers_claim(const struct numbers *numbers, uint64_t value,
                                 const struct idem_owner *owner, int64_t now_ms);
enum idem_code numbers_complete(const struct numbers *numbers, uint64_t value,
                                const struct idem_owner *owner, int64_t now_ms);
enum idem_code numbers_abandon(const struct numbers *numbers, uint64_t value,
                               const struct idem_owner *owner);

/* Without waiting for the answer. */
void numbers_submit_claim(const struct numbers *numbers, uint64_t value,
                          const struct idem_owner *owner, int64_t now_ms,
                          struct stores_answer *answer);
void numbers_submit_completion(const struct numbers *numbers, uint64_t value,
                               const struct idem_owner *owner, int64_t now_ms,
                               struct stores_answer *answer);

#endif
