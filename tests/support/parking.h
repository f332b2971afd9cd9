/* SPDX-License-Identifier: MIT
 * The stage of tests with a remote store: a Redis server, a proxy before it, a broker with the plugin. */
#ifndef TESTS_PARKING_H
#define TESTS_PARKING_H

#include "proxy.h"
#include "redis.h"
#include "scene.h"

struct parking {
    struct scene scene;
    struct redis_server redis;
    struct proxy *proxy; /* between the first broker and the server */
};

/* What a test says below "store:", "mqtt:" and "rules:"; NULL: nothing. Rules "orders" (topics orders/#,
 * key payload), "closed" (the same, on_store_failure: refuse) and others are there anyway. */
struct parking_options {
    const char *store; /* "wait: block, deadline: 1s" */
    const char *conf;  /* as in broker_options */
    const char *more;
};

/* There is one at a time; parking_tidy ends it. The deadline is 10 s where the test says nothing. */
struct parking *parking_open(const struct parking_options *options, void **state);
/* A second broker on the same server, without a proxy; the caller watches it. */
struct broker *parking_second(struct parking *parking);

/* Counts records in the server. */
long long parking_keys(const struct parking *parking);
/* Waits until the store answers operations again, as the broker's log says it. */
void parking_await_recovery(struct parking *parking);

int parking_tidy(void **state);

/* True where there is nothing to test with. */
bool parking_cannot_run(int *status);

/* Rows of a table of tests, as in scene.h. */
#define PARKING_ROW(test, label, variant)                                                \
    { #test " (" label ")", test, NULL, parking_tidy, &scene_variants[variant] }
#define PARKING_EACH(test)                                                               \
    PARKING_ROW(test, "MQTT 3.1.1, QoS 0", 0),                                           \
        PARKING_ROW(test, "MQTT 3.1.1, QoS 1", 1),                                       \
        PARKING_ROW(test, "MQTT 3.1.1, QoS 2", 2),                                       \
        PARKING_ROW(test, "MQTT 5, QoS 0", 3), PARKING_ROW(test, "MQTT 5, QoS 1", 4),    \
        PARKING_ROW(test, "MQTT 5, QoS 2", 5)
#define PARKING_QOS(test)                                                                \
    PARKING_ROW(test, "QoS 0", 3), PARKING_ROW(test, "QoS 1", 4),                        \
        PARKING_ROW(test, "QoS 2", 5)
#define PARKING_ONCE(test)                                                               \
    { #test, test, NULL, parking_tidy, &scene_variants[4] }

#endif
