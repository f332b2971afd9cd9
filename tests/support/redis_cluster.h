/* SPDX-License-Identifier: MIT
 * A small Redis Cluster on the loopback interface for tests. */
#ifndef TESTS_REDIS_CLUSTER_H
#define TESTS_REDIS_CLUSTER_H

#include "redis.h"

#define REDIS_CLUSTER_MASTERS 3
#define REDIS_CLUSTER_NODES   4 /* the last one is a replica of the first */

struct redis_cluster {
    struct redis_server nodes[REDIS_CLUSTER_NODES];
    const char *options[REDIS_CLUSTER_NODES][16];
    char bus[REDIS_CLUSTER_NODES][8];
    char id[REDIS_CLUSTER_NODES][41];
};

/* Starts it, and waits until every node says that all is well. The slots are shared out evenly, in order. */
void redis_cluster_start(struct redis_cluster *cluster);
void redis_cluster_remove(struct redis_cluster *cluster);

/* Which master had the slot at the start. */
size_t redis_cluster_owner(unsigned slot);

/* Begins to hand a slot over; hands its keys over; ends it, and tells both. */
void redis_cluster_move_begin(struct redis_cluster *cluster, unsigned slot, size_t from,
                              size_t to);
/* Up to count keys; returns how many there were. */
size_t redis_cluster_move_keys(struct redis_cluster *cluster, unsigned slot, size_t from,
                               size_t to, size_t count);
void redis_cluster_move_end(struct redis_cluster *cluster, unsigned slot, size_t from,
                            size_t to);

#endif
