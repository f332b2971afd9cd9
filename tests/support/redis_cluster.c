/* SPDX-License-Identifier: MIT
 * A small Redis Cluster for tests. */
#include "redis_cluster.h"

#include <stdio.h>
#include <string.h>

#define SLOTS 16384

static void start_node(struct redis_cluster *cluster, size_t i) {
    (void)snprintf(cluster->bus[i], sizeof cluster->bus[i], "%u", redis_free_port());
    const char *const options[] = {"--cluster-enabled",
                                   "yes",
                                   "--cluster-port",
                                   cluster->bus[i],
                                   "--cluster-node-timeout",
                                   "500",
                                   "--cluster-require-full-coverage",
                                   "no",
                                   "--repl-diskless-sync-delay",
                                   "0",
                                   "--appendonly",
                                   "yes",
                                   NULL};
    memcpy(cluster->options[i], options, sizeof options);
    redis_start(&cluster->nodes[i], cluster->options[i]);
    redisReply *reply = redis_ask(&cluster->nodes[i], "CLUSTER MYID");
    (void)snprintf(cluster->id[i], sizeof cluster->id[i], "%s", reply->str);
    freeReplyObject(reply);
}

static bool says(const struct redis_server *node, const char *command, const char *text) {
    redisReply *reply = redis_ask(node, command);
    bool found = reply->str != NULL && strstr(reply->str, text) != NULL;
    freeReplyObject(reply);
    return found;
}

static void await(const struct redis_server *node, const char *command,
                  const char *text) {
    int64_t deadline = testing_deadline();
    while (!says(node, command, text)) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("cluster: %s never says %s", command, text);
        }
        testing_pause();
    }
}

static unsigned first_slot(size_t master) {
    return (unsigned)(master * SLOTS / REDIS_CLUSTER_MASTERS);
}

size_t redis_cluster_owner(unsigned slot) {
    size_t owner = REDIS_CLUSTER_MASTERS - 1;
    while (slot < first_slot(owner)) {
        owner--;
    }
    return owner;
}

void redis_cluster_start(struct redis_cluster *cluster) {
    memset(cluster, 0, sizeof *cluster);
    for (size_t i = 0; i < REDIS_CLUSTER_NODES; i++) {
        struct redis_server *node = &cluster->nodes[i];
        start_node(cluster, i);
        (void)redis_tell(node, "CLUSTER SET-CONFIG-EPOCH %d", (int)i + 1);
        if (i < REDIS_CLUSTER_MASTERS) {
            (void)redis_tell(node, "CLUSTER ADDSLOTSRANGE %d %d", (int)first_slot(i),
                             (int)first_slot(i + 1) - 1);
        }
        if (i > 0) {
            (void)redis_tell(&cluster->nodes[0], "CLUSTER MEET 127.0.0.1 %u %s",
                             node->port, cluster->bus[i]);
        }
    }
    struct redis_server *replica = &cluster->nodes[REDIS_CLUSTER_NODES - 1];
    await(replica, "CLUSTER NODES", cluster->id[0]);
    await(replica, "CLUSTER INFO", "cluster_slots_ok:16384");
    (void)redis_tell(replica, "CLUSTER REPLICATE %s", cluster->id[0]);
    await(replica, "INFO replication", "master_link_status:up");
    for (size_t i = 0; i < REDIS_CLUSTER_NODES; i++) {
        await(&cluster->nodes[i], "CLUSTER INFO", "cluster_known_nodes:4");
        await(&cluster->nodes[i], "CLUSTER INFO", "cluster_slots_ok:16384");
        await(&cluster->nodes[i], "CLUSTER INFO", "cluster_state:ok");
        await(&cluster->nodes[i], "CLUSTER NODES", "slave ");
    }
}

void redis_cluster_remove(struct redis_cluster *cluster) {
    for (size_t i = 0; i < REDIS_CLUSTER_NODES; i++) {
        redis_remove(&cluster->nodes[i]);
    }
}

void redis_cluster_move_begin(struct redis_cluster *cluster, unsigned slot, size_t from,
                              size_t to) {
    (void)redis_tell(&cluster->nodes[to], "CLUSTER SETSLOT %u IMPORTING %s", slot,
                     cluster->id[from]);
    (void)redis_tell(&cluster->nodes[from], "CLUSTER SETSLOT %u MIGRATING %s", slot,
                     cluster->id[to]);
}

size_t redis_cluster_move_keys(struct redis_cluster *cluster, unsigned slot, size_t from,
                               size_t to, size_t count) {
    redisReply *keys = redis_ask(&cluster->nodes[from], "CLUSTER GETKEYSINSLOT %u %u",
                                 slot, (unsigned)count);
    size_t moved = keys->elements;
    for (size_t i = 0; i < moved; i++) {
        (void)redis_tell(&cluster->nodes[from], "MIGRATE 127.0.0.1 %u %b 0 5000",
                         cluster->nodes[to].port, keys->element[i]->str,
                         keys->element[i]->len);
    }
    freeReplyObject(keys);
    return moved;
}

void redis_cluster_move_end(struct redis_cluster *cluster, unsigned slot, size_t from,
                            size_t to) {
    (void)redis_tell(&cluster->nodes[to], "CLUSTER SETSLOT %u NODE %s", slot,
                     cluster->id[to]);
    (void)redis_tell(&cluster->nodes[from], "CLUSTER SETSLOT %u NODE %s", slot,
                     cluster->id[to]);
}
