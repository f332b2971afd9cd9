/* SPDX-License-Identifier: MIT
 * The consumer of one queue on a connection of its own: puts messages together from their frames, and tells
 * the broker what became of them. What they mean is for whoever consumes. */
#ifndef IDEM_RABBITMQ_CONSUMER_H
#define IDEM_RABBITMQ_CONSUMER_H

#include "acks.h"
#include "end.h"
#include "letter.h"

struct idem_consumer;

/* A message that has come whole, in the letter that begin gave. */
struct idem_consumed {
    uint64_t tag;
    bool redelivered;
    const amqp_basic_properties_t
        *properties; /* the library's, for the length of the call */
};

struct idem_consumer_ops {
    /* Where to put the message that begins now. NULL: there is no memory. */
    struct idem_letter *(*begin)(void *arg);
    void (*arrived)(void *arg, const struct idem_consumed *consumed);
    /* What was begun does not come any more. */
    void (*broken)(void *arg);
    /* The answer to idem_consumer_ask; NULL where nobody asks. */
    void (*measured)(void *arg, uint32_t messages, uint32_t consumers);
};

/* What does not change from one connection to the next; borrowed. */
struct idem_consumer_terms {
    const char *name;  /* of the connection, for logs */
    const char *queue; /* durable */
    const char *label; /* the consumer tag */
    unsigned prefetch;
    bool of_replies; /* not of the source: for logs, too */
    const struct idem_consumer_ops *ops;
    void *arg;
};

struct idem_consumer {
    struct idem_end end;
    struct idem_acks acks;
    struct idem_consumer_terms terms;
    struct idem_letter *letter; /* of which not all has come; NULL: none */
    struct idem_consumed coming;
};

/* Does not connect: idem_end_start does. IDEM_ERR_NOMEM; fini it in any case. */
IDEM_MUST_USE enum idem_code idem_consumer_init(struct idem_consumer *consumer,
                                                struct idem_worker *worker,
                                                const struct idem_addresses *addresses,
                                                const struct idem_consumer_terms *terms);
void idem_consumer_fini(struct idem_consumer *consumer);

/* Whether there is more to read. */
bool idem_consumer_read(struct idem_consumer *consumer);

/* The connection is gone, and with it all tags: nothing is coming, nothing is to be acknowledged. */
void idem_consumer_reset(struct idem_consumer *consumer);

/* It has failed, which the end of the turn deals with. */
void idem_consumer_fail(struct idem_consumer *consumer, const char *why);

bool idem_consumer_usable(const struct idem_consumer *consumer);

/* Both: false where the connection has failed. */
bool idem_consumer_ack(struct idem_consumer *consumer, uint64_t tag, bool multiple);
bool idem_consumer_reject(struct idem_consumer *consumer, struct idem_ack_node *node,
                          bool requeue);

/* How many messages wait in the queue, and how many consumers it has. Nobody waits for the answer: it comes
 * between two deliveries. */
void idem_consumer_ask(struct idem_consumer *consumer);

/* No more messages. Those that were on their way come before the answer. */
void idem_consumer_cancel(struct idem_consumer *consumer);

#endif
