/* SPDX-License-Identifier: MIT
 * Looking up a host's addresses without waiting for the resolver. */
#ifndef IDEM_REDIS_LOOKUP_H
#define IDEM_REDIS_LOOKUP_H

#include "store/redis/location.h"

#include <netdb.h>

struct idem_lookup; /* one, under way or over */

/* The addresses of a host that is given as an address itself; asks nobody. NULL: it is a name, or there is
 * no memory. freeaddrinfo() frees them. */
struct addrinfo *idem_lookup_literal(const struct idem_endpoint *endpoint);

/* Begins to look a name up. IDEM_ERR_NOMEM, IDEM_ERR_UNAVAILABLE. */
IDEM_MUST_USE enum idem_code idem_lookup_begin(struct idem_lookup **lookup,
                                               const struct idem_endpoint *endpoint,
                                               struct idem_error *error);

bool idem_lookup_is_for(const struct idem_lookup *lookup,
                        const struct idem_endpoint *endpoint);

/* Whether it is over; never waits. */
bool idem_lookup_over(const struct idem_lookup *lookup);

/* After that: *addresses, which the caller frees. IDEM_ERR_UNAVAILABLE: the host has none, or could not be
 * looked up. Closes the lookup. */
IDEM_MUST_USE enum idem_code idem_lookup_take(struct idem_lookup *lookup,
                                              struct addrinfo **addresses,
                                              struct idem_error *error);

/* At any time, without waiting. What the resolver still works at is freed when it has done. Accepts NULL. */
void idem_lookup_close(struct idem_lookup *lookup);

#endif
