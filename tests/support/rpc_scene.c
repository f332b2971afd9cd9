/* SPDX-License-Identifier: MIT
 * A bridge in mode rpc between two requesters and a worker. */
#include "rpc_scene.h"

struct rabbitmq *rpc_scene_open(void) {
    struct rabbitmq *client = rabbitmq_open("in work replies mine yours");
    rabbitmq_fanout(client, "aside", "aside");
    return client;
}

struct bridge *rpc_scene_start(const char *config) {
    struct bridge *bridge = bridge_start(config, 0);
    bridge_await(bridge, "link.up: source", 1);
    return bridge;
}

void rpc_scene_ask(struct rabbitmq *client, const char *key, const char *reply_to,
                   const char *correlation_id) {
    const struct rpc_request request = {.queue = "in",
                                        .key = key,
                                        .body = "pay",
                                        .reply_to = reply_to,
                                        .correlation_id = correlation_id};
    rpc_ask(client, &request);
}

void rpc_scene_end(struct rabbitmq *client, struct bridge *bridge) {
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(rabbitmq_depth(client, "work"), 0);
    assert_int_equal(rabbitmq_depth(client, "replies"), 0);
    assert_int_equal(rabbitmq_depth(client, "mine"), 0);
    assert_int_equal(rabbitmq_depth(client, "yours"), 0);
}
