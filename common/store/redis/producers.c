/* SPDX-License-Identifier: MIT
 * The lines of all producers: found by digest, and forgotten when they have been idle for longest. */
#include "store/redis/producers.h"

#include "store/answer.h"
#include "store/record.h"
#include "store/redis/producer.h"

#include <stdlib.h>

#define BUCKETS       16384
#define PRODUCERS_MAX 16384
#define OPEN_MAX      262144
#define HEAD_MAX      64 /* of a record, before its state */

/* Digests are uniformly random: any bytes of them will do. */
static struct idem_producer **bucket_of(struct idem_producers *producers,
                                        const struct idem_digest *digest) {
    size_t i = (size_t)digest->bytes[0] | (size_t)digest->bytes[1] << 8;
    return &producers->buckets[i % BUCKETS];
}

static void join_ring(struct idem_producers *producers, struct idem_producer *producer) {
    struct idem_producer *newest = producers->newest;
    producer->older = newest != NULL ? newest : producer;
    producer->newer = newest != NULL ? newest->newer : producer;
    producer->newer->older = producer;
    producer->older->newer = producer;
    producers->newest = producer;
}

static void leave_ring(struct idem_producers *producers, struct idem_producer *producer) {
    producer->newer->older = producer->older;
    producer->older->newer = producer->newer;
    if (producers->newest == producer) {
        producers->newest = producer->older != producer ? producer->older : NULL;
    }
}

static void drop(struct idem_producers *producers, struct idem_producer *producer) {
    struct idem_producer **at = bucket_of(producers, &producer->digest);
    while (*at != producer) {
        at = &(*at)->in_bucket;
    }
    *at = producer->in_bucket;
    leave_ring(producers, producer);
    producers->count--;
    idem_producer_free(producer);
}

static bool is_idle(const struct idem_producer *producer) {
    return !producer->asking && producer->waiting.first == NULL;
}

/* The newest one's newer is the oldest. One that is not idle has just been used, or will be heard of. */
static void make_room(struct idem_producers *producers) {
    struct idem_producer *oldest =
        producers->newest != NULL ? producers->newest->newer : NULL;
    if (producers->count < PRODUCERS_MAX) {
        return;
    }
    if (is_idle(oldest)) {
        drop(producers, oldest);
    } else {
        producers->newest = oldest;
    }
}

static bool prepare(struct idem_producers *producers) {
    if (producers->buckets == NULL) {
        producers->buckets = calloc(BUCKETS, sizeof *producers->buckets);
    }
    if (producers->encoded == NULL) {
        producers->encoded = malloc(HEAD_MAX + IDEM_SEQUENCE_SIZE_MAX);
    }
    return producers->buckets != NULL && producers->encoded != NULL;
}

static struct idem_producer *new_producer(struct idem_producers *producers,
                                          const struct idem_digest *digest) {
    struct idem_producer *producer = calloc(1, sizeof *producer);
    if (producer == NULL) {
        return NULL;
    }
    make_room(producers);
    producer->all = producers;
    producer->digest = *digest;
    idem_turns_init(&producer->waiting);
    idem_turns_init(&producer->asked);
    producer->in_bucket = *bucket_of(producers, digest);
    *bucket_of(producers, digest) = producer;
    join_ring(producers, producer);
    producers->count++;
    return producer;
}

/* NULL: no memory. */
static struct idem_producer *find(struct idem_producers *producers,
                                  const struct idem_digest *digest) {
    if (!prepare(producers)) {
        return NULL;
    }
    struct idem_producer *producer = *bucket_of(producers, digest);
    while (producer != NULL && !idem_digest_equal(&producer->digest, digest)) {
        producer = producer->in_bucket;
    }
    if (producer == NULL) {
        return new_producer(producers, digest);
    }
    if (producer != producers->newest) {
        leave_ring(producers, producer);
        join_ring(producers, producer);
    }
    return producer;
}

/* A turn in its producer's line, to be filled in; or NULL, and why there is none. */
static struct idem_turn *line_up(struct idem_producers *producers,
                                 const struct idem_digest *digest, int64_t now_ms,
                                 struct idem_producer **producer, idem_store_done *done,
                                 void *arg) {
    *producer = producers->open < OPEN_MAX ? find(producers, digest) : NULL;
    struct idem_turn *turn = *producer != NULL ? calloc(1, sizeof *turn) : NULL;
    if (turn == NULL) {
        idem_answer_code(producers->open < OPEN_MAX ? IDEM_ERR_NOMEM : IDEM_ERR_FULL,
                         done, arg);
        return NULL;
    }
    turn->done = done;
    turn->arg = arg;
    producers->now_ms = now_ms > producers->now_ms ? now_ms : producers->now_ms;
    producers->open++;
    idem_turns_add(&(*producer)->waiting, turn);
    return turn;
}

void idem_producers_claim(struct idem_producers *producers,
                          const struct idem_claim *claim, idem_store_done *done,
                          void *arg) {
    struct idem_producer *producer = NULL;
    struct idem_turn *turn =
        line_up(producers, &claim->digest, claim->now_ms, &producer, done, arg);
    if (turn != NULL) {
        turn->kind = IDEM_TURN_CLAIM;
        turn->as.claim = *claim;
        turn->durable = claim->durable;
        idem_producer_ask(producer);
    }
}

void idem_producers_complete(struct idem_producers *producers,
                             const struct idem_completion *completion,
                             idem_store_done *done, void *arg) {
    struct idem_producer *producer = NULL;
    struct idem_turn *turn =
        line_up(producers, &completion->digest, completion->now_ms, &producer, done, arg);
    if (turn != NULL) {
        turn->kind = IDEM_TURN_COMPLETE;
        turn->as.completion = *completion;
        turn->durable = completion->durable;
        idem_producer_ask(producer);
    }
}

void idem_producers_abandon(struct idem_producers *producers,
                            const struct idem_abandonment *abandonment,
                            idem_store_done *done, void *arg) {
    struct idem_producer *producer = NULL;
    struct idem_turn *turn =
        line_up(producers, &abandonment->digest, 0, &producer, done, arg);
    if (turn != NULL) {
        turn->kind = IDEM_TURN_ABANDON;
        turn->as.abandonment = *abandonment;
        idem_producer_ask(producer);
    }
}

void idem_producers_fini(struct idem_producers *producers) {
    while (producers->newest != NULL) {
        drop(producers, producers->newest);
    }
    free(producers->buckets);
    free(producers->encoded);
    producers->buckets = NULL;
    producers->encoded = NULL;
}
