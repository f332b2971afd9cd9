/* SPDX-License-Identifier: MIT
 * One AMQP connection of a worker, and how it comes back. */
#ifndef IDEM_RABBITMQ_END_H
#define IDEM_RABBITMQ_END_H

#include "address.h"
#include "http/observation.h"
#include "link.h"

#include <event2/event.h>

struct idem_worker;

struct idem_end {
    struct idem_worker *worker;
    struct idem_link link;
    const struct idem_addresses *addresses;
    const struct idem_address *address; /* whose turn it is: the connected one */
    struct event *readable;             /* NULL: not connected */
    struct event *retry;
    /* Connects, and makes ready for use; blocks, for a bounded time. On error nothing is left open.
     * _UNAVAILABLE: may be better later. */
    enum idem_code (*connect)(struct idem_end *end, struct idem_error *error);
    void *arg;            /* whatever connect wants */
    unsigned failures;    /* since it was last up */
    uint64_t connections; /* made so far */
    bool up;
    bool failed; /* to be taken down at the end of the turn */
    bool last;   /* once down, it stays down */
};

/* connect and arg are for the caller to set. IDEM_ERR_NOMEM; fini it in any case. */
IDEM_MUST_USE enum idem_code idem_end_init(struct idem_end *end,
                                           struct idem_worker *worker, const char *name,
                                           const struct idem_addresses *addresses);
void idem_end_fini(struct idem_end *end);

/* The first try: a broker that is not there yet is tried again later, and is no error; one that refuses
 * has to be told apart, while somebody looks. */
IDEM_MUST_USE enum idem_code idem_end_start(struct idem_end *end,
                                            struct idem_error *error);

/* Takes a connection that has failed down, and sees to the next one. */
void idem_end_down(struct idem_end *end);

/* How long to wait after so many failures: grows, and differs between the bridges that lost the same
 * server. */
struct timeval idem_end_backoff(unsigned failures);

/* What is to be told of it. */
struct idem_observed_end idem_end_observed(const struct idem_end *end);

/* For events that only have to make the loop turn. */
void idem_end_woken(evutil_socket_t fd, short what, void *arg);

#endif
