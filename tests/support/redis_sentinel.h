/* SPDX-License-Identifier: MIT
 * A Redis server, its replica, and a sentinel that replaces the one by the other. */
#ifndef TESTS_REDIS_SENTINEL_H
#define TESTS_REDIS_SENTINEL_H

#include "redis.h"

/* The name that the sentinel knows the server by. */
#define REDIS_SENTINEL_MASTER "orders"

struct redis_sentinel {
    struct redis_server master;
    struct redis_server replica;
    struct redis_server sentinel;
};

/* Returns when the replica follows and the sentinel has seen it. */
void redis_sentinel_start(struct redis_sentinel *set);
void redis_sentinel_remove(struct redis_sentinel *set);

/* Waits until the replica has all that the master has at this moment. */
void redis_sentinel_sync(const struct redis_sentinel *set);

/* Waits until the replica is a master, after the other one has been killed. */
void redis_sentinel_await_promotion(const struct redis_sentinel *set);

#endif
