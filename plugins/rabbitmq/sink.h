/* SPDX-License-Identifier: MIT
 * A sink: takes the parcels in its line to where they go, in order, and says what became of each by the
 * event that it steps the parcel with. It decides nothing: whether a copy is delivered at all is the
 * receiver's verdict, and what follows from an outcome is the delivery machine's.
 *
 * One implementation publishes to an exchange and learns by confirms (exchange.c), one executes statements
 * in a database and learns by commits (postgres.c). A worker has one of them for what it delivers, and an
 * exchange for what it sets aside: the same one where both go to a broker. */
#ifndef IDEM_RABBITMQ_SINK_H
#define IDEM_RABBITMQ_SINK_H

#include "address.h"
#include "http/observation.h"
#include "parcel.h"

struct idem_sink;

/* All run on the worker's thread. Parcels may be at rest after any of read, deliver and mend. */
struct idem_sink_ops {
    /* Tries to connect, once, and sees to all later tries by itself. Blocks for a bounded time. An error is
     * what time will not mend. */
    enum idem_code (*start)(struct idem_sink *sink, struct idem_error *error);

    /* Takes in what has come. Returns whether there is more. Never blocks. */
    bool (*read)(struct idem_sink *sink);

    /* Hands on what is READY at the head of the line, as far as possible now. */
    void (*deliver)(struct idem_sink *sink);

    /* Between two turns, when nobody is in the middle of the parcels: deals with a lost connection. */
    void (*mend)(struct idem_sink *sink);

    /* Whether read has something to do that no descriptor tells of. */
    bool (*pending)(const struct idem_sink *sink);

    /* What the line waits for, in words; NULL: for nothing of the sink's. */
    const char *(*waits_for)(const struct idem_sink *sink);

    /* What is to be told of its connection. */
    void (*observe)(const struct idem_sink *sink, struct idem_observed_end *end);

    /* The worker ends: closes the connection. What was not confirmed is the source's again. */
    void (*leave)(struct idem_sink *sink);

    void (*free)(struct idem_sink *sink);
};

/* The first member of an implementation's own struct. */
struct idem_sink {
    const struct idem_sink_ops *ops;
    /* Those that come before READY ones are READY, or will be. */
    struct idem_parcels line;
    /* NULL, or where the sink keeps records itself: use no other. */
    struct idem_store *store;
    bool wants_keys; /* letters carry the text of their key */
};

/* Both: *sink is NULL, or is to be freed, whatever happens. name is for logs. bare: only for the default
 * exchange, so that there is nothing to declare or to look for. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code
idem_exchange_open(struct idem_sink **sink, struct idem_worker *worker, const char *name,
                   const struct idem_addresses *addresses, bool bare);

IDEM_MUST_USE enum idem_code idem_postgres_open(struct idem_sink **sink,
                                                struct idem_worker *worker);

#endif
