/* SPDX-License-Identifier: MIT
 * Requests that wait for their response: the response topic and the correlation data of each, and whose key
 * it is. A bounded table; what is oldest goes first. No broker in here.
 *
 * A response is told by nothing but its topic and correlation data. Where two requests with different keys
 * give the same, the next response may be either's: then it is nobody's, and that pair pairs nothing any
 * more until both have ended. */
#ifndef IDEM_MOSQUITTO_PAIRS_H
#define IDEM_MOSQUITTO_PAIRS_H

#include <idem/receiver.h>

#include <sys/queue.h>

#define IDEM_PAIRS_BUCKETS     4096
#define IDEM_PAIRS_WAITERS_MAX 16 /* repeats of one request that wait for its response */

/* Where a response goes, and what it carries; borrowed. */
struct idem_reply_to {
    const char *topic;
    struct idem_span correlation;
};

/* A repeat that is answered when its request is. */
struct idem_pair_waiter {
    STAILQ_ENTRY(idem_pair_waiter) next;
    int qos;
    size_t correlation_size;
    uint8_t correlation[];
};

struct idem_pair {
    TAILQ_ENTRY(idem_pair) by_age;
    LIST_ENTRY(idem_pair) by_address; /* in a bucket of topic and correlation data */
    LIST_ENTRY(idem_pair) by_request; /* in a bucket of the requests' digests */
    struct idem_digest address;
    struct idem_delivery delivery; /* of the request, as if it were completed already */
    int64_t until_ms;              /* its record ends then at the latest */
    bool ambiguous;
    size_t bytes;
    size_t waiter_count;
    STAILQ_HEAD(idem_pair_waiters, idem_pair_waiter) waiters;
    char topic[];
};

struct idem_pairs {
    size_t most_count;
    size_t most_bytes;
    size_t count;
    size_t bytes;
    uint64_t evicted;          /* for want of room, their response not seen */
    struct idem_secret secret; /* nobody outside can aim at a bucket */
    TAILQ_HEAD(idem_pairs_by_age, idem_pair) by_age;
    LIST_HEAD(idem_pairs_by_address, idem_pair) by_address[IDEM_PAIRS_BUCKETS];
    LIST_HEAD(idem_pairs_by_request, idem_pair) by_request[IDEM_PAIRS_BUCKETS];
    uint32_t topics[IDEM_PAIRS_BUCKETS]; /* how many pairs have a topic of that hash */
};

void idem_pairs_init(struct idem_pairs *pairs, size_t most_count, size_t most_bytes);
void idem_pairs_fini(struct idem_pairs *pairs);

/* A request was delivered. NULL: no memory, it does not fit, or the pair is ambiguous now. */
struct idem_pair *idem_pairs_add(struct idem_pairs *pairs,
                                 const struct idem_reply_to *reply_to,
                                 const struct idem_delivery *delivery, int64_t now_ms);

/* False: no pair has the topic, which costs next to nothing to learn. */
bool idem_pairs_may_have(const struct idem_pairs *pairs, const char *topic);

/* The request whose response this is; NULL: none is known, or several. */
struct idem_pair *idem_pairs_find(struct idem_pairs *pairs,
                                  const struct idem_reply_to *reply_to, int64_t now_ms);

/* The request that has the digest; NULL: none waits. */
struct idem_pair *idem_pairs_of(struct idem_pairs *pairs,
                                const struct idem_digest *digest, int64_t now_ms);

/* False: there is no room or no memory for one more. */
IDEM_MUST_USE bool idem_pairs_wait(struct idem_pairs *pairs, struct idem_pair *pair,
                                   struct idem_span correlation, int qos, int64_t now_ms);

void idem_pairs_remove(struct idem_pairs *pairs, struct idem_pair *pair);

#endif
