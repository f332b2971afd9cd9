/* SPDX-License-Identifier: MIT
 * Operations on numbers, which share a record with all others of their producer.
 *
 * Sent one by one, a thousand claims of one producer in flight would all be made upon the record as it was
 * before the first of them, and all but one fail. So the operations of a producer form a line. What stands
 * in it is decided here, by the code that all stores share, upon the record as it was last seen, and goes
 * to the server as one question: "replace this record by that one, if it is still this one". The script
 * that does it is atomic and touches one key, hence one slot. Where the record has become another one,
 * since another program shares the producer, the answer has it, and all is decided anew upon that. While
 * a question is under way the line grows; the next one takes all of it along. So the deeper the pipeline,
 * the fewer questions.
 *
 * No logic is written twice, in C and in Lua, whose only numbers are of 53 bits.
 *
 *   a crash ...                      what is recorded
 *   before the question arrives      nothing
 *   after it has                     all that was decided with it: claims, of which the next copies are in
 *                                    doubt; completions, whose sources were not told: their next copies are
 *                                    duplicates
 *
 * A record as it was last seen is only ever a guess that saves a round trip: nothing is answered from it
 * alone. What would change nothing is decided upon a record that is fetched for it. */
#ifndef IDEM_REDIS_PRODUCERS_H
#define IDEM_REDIS_PRODUCERS_H

#include "store/sequence/step.h"

#include <idem/store.h>

struct idem_redis;
struct idem_producer;

/* Embedded in the store; all zeroes but for redis to begin with. */
struct idem_producers {
    struct idem_redis *redis;
    struct idem_producer **buckets; /* owned; NULL until there is one */
    struct idem_producer *newest;   /* a ring of all, by last use */
    size_t count;
    size_t open;    /* operations that are not answered */
    int64_t now_ms; /* the latest that an operation was told */
    struct idem_number_step step;
    uint8_t *encoded; /* owned: a record, while it is decided upon */
};

/* Answers every operation that is left: UNAVAILABLE. */
void idem_producers_fini(struct idem_producers *producers);

void idem_producers_claim(struct idem_producers *producers,
                          const struct idem_claim *claim, idem_store_done *done,
                          void *arg);
void idem_producers_complete(struct idem_producers *producers,
                             const struct idem_completion *completion,
                             idem_store_done *done, void *arg);
void idem_producers_abandon(struct idem_producers *producers,
                            const struct idem_abandonment *abandonment,
                            idem_store_done *done, void *arg);

#endif
