/* SPDX-License-Identifier: MIT
 * A bridge in mode rpc between two requesters and a worker: queues, configurations, how it ends. */
#ifndef TESTS_RPC_SCENE_H
#define TESTS_RPC_SCENE_H

#include "bridge.h"
#include "rpc.h"

/* A configuration, up to its rules; RPC_SCENE_TOP_BARE has no quarantine. */
#define RPC_SCENE_TOP_BARE                                                               \
    "instance: one\nstore: {url: 'embedded://@DIR@/store'}\n"                            \
    "bridge:\n"                                                                          \
    "  mode: rpc\n"                                                                      \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, prefetch: 100}\n"             \
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: work}\n"                      \
    "  replies: replies\n"                                                               \
    "  attempts: 2\n"
#define RPC_SCENE_TOP RPC_SCENE_TOP_BARE "  quarantine: {exchange: aside}\n"

/* One rule for all requests; more: ", on_conflict: drop". */
#define RPC_SCENE_RULE(more)                                                             \
    "rules:\n"                                                                           \
    "  - {name: payments, match: {queue: in}, key: property:idempotency-key, scope: "    \
    "global, on_duplicate: replay" more "}\n"

/* A client, and its queues, empty: in, work, replies; mine and yours for answers; aside, the quarantine's. */
struct rabbitmq *rpc_scene_open(void);

/* Until it consumes. */
struct bridge *rpc_scene_start(const char *config);

/* A request to pay. */
void rpc_scene_ask(struct rabbitmq *client, const char *key, const char *reply_to,
                   const char *correlation_id);

/* The worker has nothing more to do, nobody is owed an answer, and the bridge ends well. */
void rpc_scene_end(struct rabbitmq *client, struct bridge *bridge);

#endif
