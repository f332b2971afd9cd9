/* SPDX-License-Identifier: MIT
 * One message inside a worker: what it is, how far it is, and where it stands in line. */
#ifndef IDEM_RABBITMQ_PARCEL_H
#define IDEM_RABBITMQ_PARCEL_H

#include "acks.h"
#include "letter.h"
#include "transfer.h"

#include <event2/event_struct.h>
#include <stddef.h>
#include <sys/queue.h>

struct idem_worker;

TAILQ_HEAD(idem_parcels, idem_parcel);
TAILQ_HEAD(idem_waiting, idem_parcel);

struct idem_parcel {
    struct idem_transfer transfer;
    struct idem_delivery delivery;
    struct idem_letter letter;
    struct idem_ack_node ack;
    struct event pause; /* wakes it */
    struct idem_worker *worker;
    TAILQ_ENTRY(idem_parcel) live; /* among those in use, or those at rest */
    TAILQ_ENTRY(idem_parcel) line; /* among those to be handed on */
    struct idem_parcels *in_line;  /* which one, of which sink; NULL: none */
    bool idle;                     /* counted in the worker's idle_count */
    bool suspect;        /* the sink may have closed a channel over it: published alone */
    const char *trouble; /* why it could not be delivered the last time; static */
    char sqlstate[6];    /* with it, where a database said so; "": none */
    int64_t arrived_ms;  /* wall clock */
    int64_t submitted_ms;
    int64_t asked_ns;       /* monotonic: when the store was asked last */
    int64_t lease_until_ms; /* 0: no lease */
    unsigned pauses;        /* since it last got on */

    /* Mode rpc: see rpc.h. */
    TAILQ_ENTRY(idem_parcel) wait; /* among those that wait for one reply */
    struct idem_waiting *waits;    /* in which list; NULL: it does not */
    int64_t claim_until_ms;        /* when the claim that was made for it ends */
    size_t reply_to_at;            /* in the letter's properties */
    size_t reply_to_len;
    uint8_t *answer; /* owned: an encoded result */
    size_t answer_len;
    size_t answer_room;
};

static inline struct idem_parcel *idem_parcel_of_ack(struct idem_ack_node *node) {
    return (struct idem_parcel *)(void *)((char *)node -
                                          offsetof(struct idem_parcel, ack));
}

#endif
