/* SPDX-License-Identifier: MIT
 * The stage of tests with a remote store. */
#include "parking.h"

#include <stdio.h>
#include <string.h>

#define CONFIG_SIZE 2048

static struct parking stage;

static const char rules[] =
    "mqtt: {sys_interval: 20ms, control: full}\n"
    "rules:\n"
    "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n"
    "  - {name: closed, match: {topic: closed/#}, key: payload, scope: rule,\n"
    "     on_store_failure: refuse}\n"
    "  - {name: places, match: {topic: place/+}, key: 'topic:2', scope: rule,\n"
    "     fingerprint: payload, propagate: {as: idempotency-key}}\n"
    "  - {name: requests, match: {topic: requests/#}, key: property:idempotency-key,\n"
    "     scope: rule, on_duplicate: replay, result: {failed: {header: status, values: "
    "['5*']}}}\n"
    "  - {name: states, match: {topic: states/#}, strategy: natural}\n"
    "  - {name: counters, match: {topic: counters/#}, scope: global, strategy: "
    "sequence,\n"
    "     sequence: {epoch: 'topic:2', number: 'topic:3', window: 8}}\n";

static void write_config(char config[CONFIG_SIZE], const char *instance, unsigned port,
                         const char *store) {
    int length =
        snprintf(config, CONFIG_SIZE,
                 "instance: %s\n"
                 "store: {url: \"redis://127.0.0.1:%u\", %s%s}\n"
                 "%s",
                 instance, port,
                 store != NULL && strstr(store, "deadline") ? "" : "deadline: 10s, ",
                 store != NULL ? store : "wait: park", rules);
    assert_in_range(length, 1, CONFIG_SIZE - 1);
}

struct parking *parking_open(const struct parking_options *options, void **state) {
    char config[CONFIG_SIZE];
    redis_start(&stage.redis, NULL);
    stage.proxy = proxy_start(stage.redis.port);
    write_config(config, "first", proxy_port(stage.proxy), options->store);
    scene_open_with(&stage.scene,
                    &(struct broker_options){
                        .idem = config, .conf = options->conf, .more = options->more},
                    state);
    return &stage;
}

struct broker *parking_second(struct parking *parking) {
    char config[CONFIG_SIZE];
    write_config(config, "second", parking->redis.port, NULL);
    return broker_run(&(struct broker_options){.idem = config});
}

long long parking_keys(const struct parking *parking) {
    redisReply *reply = redis_ask(&parking->redis, "KEYS idem:*");
    long long count = 0;
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < reply->elements; i++) {
        count += reply->element[i]->len > 20 ? 1 : 0; /* not the secret's check */
    }
    freeReplyObject(reply);
    return count;
}

void parking_await_recovery(struct parking *parking) {
    broker_expect_log(parking->scene.broker, "store.available");
    broker_mark(parking->scene.broker);
}

int parking_tidy(void **state) {
    (void)testing_tidy(state);
    proxy_stop(stage.proxy);
    redis_remove(&stage.redis);
    memset(&stage, 0, sizeof stage);
    return 0;
}

bool parking_cannot_run(int *status) {
    if (testing_cannot_run(status)) {
        return true;
    }
    if (!redis_installed()) {
        *status = TESTING_SKIPPED;
        return true;
    }
    return false;
}
