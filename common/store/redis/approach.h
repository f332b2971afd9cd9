/* SPDX-License-Identifier: MIT
 * From an endpoint to a connected socket: the host's name is looked up, and its addresses are tried in turn,
 * all within one time. */
#ifndef IDEM_REDIS_APPROACH_H
#define IDEM_REDIS_APPROACH_H

#include "store/redis/link.h"
#include "store/redis/lookup.h"

struct idem_approach {
    struct idem_endpoint endpoint;
    struct idem_tls_context *tls; /* borrowed; NULL: plain */
    struct idem_lookup
        *lookup; /* owned; may outlive an approach that it was too slow for */
    struct addrinfo *addresses;  /* owned; NULL: not known yet, or a Unix socket */
    const struct addrinfo *next; /* the address to try next; NULL: the first of all */
    unsigned untried;            /* addresses that are left */
    unsigned first;              /* which one is the first to be tried, in turn */
    int64_t look_at_ms;          /* when the lookup is looked at */
    int64_t look_after_ms;       /* how long after that again */
    int64_t next_at_ms;          /* when the next address is tried; INT64_MAX: never */
    int64_t until_ms;
};

/* Begins. attempt: which of the addresses is tried first, in turn. tick does the rest. */
void idem_approach_begin(struct idem_approach *approach,
                         const struct idem_endpoint *endpoint,
                         struct idem_tls_context *tls, unsigned attempt, int64_t now_ms,
                         int64_t until_ms);

/* Does what is due; never waits. *begun: the link has a new socket, which becomes writable when its
 * connection is decided; one that it had before is closed. Errors: nothing is left to try. */
IDEM_MUST_USE enum idem_code idem_approach_tick(struct idem_approach *approach,
                                                struct idem_redis_link *link,
                                                int64_t now_ms, bool *begun,
                                                struct idem_error *error);

/* The socket could not be connected: whether there is another address to try, at the next tick. */
bool idem_approach_again(struct idem_approach *approach);

/* Whether the resolver has not answered yet. */
bool idem_approach_looking(const struct idem_approach *approach);

int64_t idem_approach_due_ms(const struct idem_approach *approach);

/* Over, one way or the other. A lookup goes on, for the next approach to the same host. */
void idem_approach_end(struct idem_approach *approach);

/* The lookup, too. */
void idem_approach_fini(struct idem_approach *approach);

#endif
