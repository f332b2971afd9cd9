/* SPDX-License-Identifier: MIT
 * The slots of a Redis Cluster, and what its nodes say about them. Pure. */
#ifndef IDEM_REDIS_SLOT_H
#define IDEM_REDIS_SLOT_H

#include "store/redis/location.h"
#include "store/redis/reader.h"

#define IDEM_SLOTS 16384

/* Where a key belongs: CRC16 of it, or of what is between its first { and the first } behind that,
 * unless that is nothing. */
unsigned idem_slot_of(struct idem_span key);

/* "MOVED 3999 127.0.0.1:6381" and "ASK 3999 127.0.0.1:6381". */
struct idem_redirect {
    struct idem_endpoint to;
    unsigned slot;
    bool ask; /* this once, behind ASKING: the slot is on its way */
};

/* False: it is neither. from: who says so; it may leave the host out where it is its own. */
IDEM_MUST_USE bool idem_redirect_read(struct idem_redirect *redirect,
                                      struct idem_span text,
                                      const struct idem_endpoint *from);

/* A range of slots in the answer to CLUSTER SLOTS. */
struct idem_slot_range {
    unsigned first;
    unsigned last;
    struct idem_endpoint master;
};

/* False: the element is none, or its master has no address yet. */
IDEM_MUST_USE bool idem_slot_range_read(struct idem_slot_range *range,
                                        const redisReply *element,
                                        const struct idem_endpoint *from);

#endif
