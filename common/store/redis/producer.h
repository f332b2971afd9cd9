/* SPDX-License-Identifier: MIT
 * One producer's line: what waits, what is asked, and the record as it was last seen. */
#ifndef IDEM_REDIS_PRODUCER_H
#define IDEM_REDIS_PRODUCER_H

#include "store/redis/producers.h"

enum idem_turn_kind {
    IDEM_TURN_CLAIM,
    IDEM_TURN_COMPLETE,
    IDEM_TURN_ABANDON,
};

/* An operation in the line. */
struct idem_turn {
    struct idem_turn *next;
    enum idem_turn_kind kind;
    union {
        struct idem_claim claim;
        struct idem_completion completion;
        struct idem_abandonment abandonment;
    } as;
    bool durable;
    struct idem_answer answer;
    idem_store_done *done;
    void *arg;
};

struct idem_turns {
    struct idem_turn *first;
    struct idem_turn **last; /* set before the first use */
};

/* Bytes of a record; owned. No bytes: there is none. */
struct idem_record_bytes {
    uint8_t *data;
    size_t length;
};

struct idem_producer {
    struct idem_producers *all;
    struct idem_producer *in_bucket;
    struct idem_producer *newer; /* in the ring */
    struct idem_producer *older;
    struct idem_digest digest;
    struct idem_turns waiting;
    struct idem_turns asked; /* what the question under way decides */
    bool asking;
    bool durable;     /* something in the question is */
    bool seen_before; /* seen is the record as it was at some time */
    struct idem_record_bytes seen;
    /* What the question makes of seen; none: it changes nothing. */
    struct idem_record_bytes next;
    int64_t kept_ms;  /* what the server is told to keep it for */
    int64_t since_ms; /* of the monotonic clock: when the question began */
};

/* Frees it and what is seen; its line must be empty. */
void idem_producer_free(struct idem_producer *producer);

/* Decides all that is asked upon what is seen, which leaves in next what is to be written. */
IDEM_MUST_USE enum idem_code idem_producer_decide(struct idem_producer *producer);

/* What was seen last. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_producer_see(struct idem_producer *producer,
                                               struct idem_span record);

/* The question has come to its end: all turns in it are answered, with code unless that is IDEM_OK. With a
 * failure, those that wait are answered too: what kept the question from an answer kept them as long. */
void idem_producer_answer(struct idem_producer *producer, enum idem_code code);

/* Asks the server about all that waits, unless something is asked already. */
void idem_producer_ask(struct idem_producer *producer);

void idem_turns_init(struct idem_turns *turns);
void idem_turns_add(struct idem_turns *turns, struct idem_turn *turn);

#endif
