/* SPDX-License-Identifier: MIT
 * The Redis store's own state, and what its files share. */
#ifndef IDEM_REDIS_REDIS_H
#define IDEM_REDIS_REDIS_H

#include "store/redis/batch.h"
#include "store/redis/nodes.h"
#include "store/redis/operation.h"
#include "store/redis/producers.h"

struct idem_redis {
    struct idem_store base;
    struct idem_redis_location location;
    struct idem_log log;
    struct idem_session_options session_options;
    struct idem_nodes nodes;
    struct idem_producers producers;
    struct idem_pool operations;
    int epoll_fd; /* watches the socket and the timer */
    int timer_fd;
    int64_t timer_ms; /* when the timer goes off, at the latest; INT64_MAX: never */
    bool dispatching;
    struct idem_batch *batch; /* of completions, until the next dispatch; NULL: none */
};

struct idem_redis *idem_redis_of(struct idem_store *store);

/* Of the monotonic clock. */
int64_t idem_redis_clock_ms(void);

/* Takes the request over. May fail it before it returns. */
void idem_redis_submit(struct idem_redis *redis, struct idem_request *request);

/* The same, for a request that need not be kept in order with others, or is. */
void idem_redis_send(struct idem_redis *redis, struct idem_request *request);

/* Does what is due, without waiting. */
void idem_redis_dispatch(struct idem_redis *redis);

/* Waits until there is something to do, or until that time of the monotonic clock; does it. */
void idem_redis_wait(struct idem_redis *redis, int64_t until_ms);

enum idem_code idem_redis_iterate(struct idem_store *store, int64_t now_ms,
                                  idem_store_visit *visit, void *arg,
                                  struct idem_error *error);

#endif
