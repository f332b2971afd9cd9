/* SPDX-License-Identifier: MIT
 * Redis fails over to its replica under the plugin's traffic: nothing is lost, nobody else notices, and what
 * may come twice is what the replica had not been told. */
#include "redis_sentinel.h"
#include "scene.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 20000
#define BEFORE   300 /* keys that the replica has for certain */
#define AT_RISK  30  /* keys right before the master dies */
#define AFTER    100 /* keys that the new master is asked for */
#define BEHIND   5   /* a copy follows its key by as many */

static struct redis_sentinel set;

struct traffic {
    struct scene scene;
    struct mqtt *publisher;
    struct mqtt *other; /* on no topic of the rules */
    unsigned keys;      /* published so far; each is a number */
    unsigned copies;
    unsigned slow; /* round trips of the other client that took long */
    unsigned seen[KEYS_MAX];
};

static struct traffic traffic;

static const char *configure(const char *instance) {
    static char config[1024];
    (void)snprintf(config, sizeof config,
                   "instance: %s\n"
                   "store: {url: 'redis+sentinel://127.0.0.1:%u/" REDIS_SENTINEL_MASTER
                   "', deadline: 150ms}\n"
                   "mqtt: {sys_interval: 20ms}\n"
                   "rules:\n"
                   "  - {name: orders, match: {topic: orders/#}, key: payload, scope: "
                   "global}\n",
                   instance, set.sentinel.port);
    return config;
}

static void open_scene(struct scene *scene, const char *instance, void **state) {
    scene_open_with(scene,
                    &(struct broker_options){.idem = configure(instance),
                                             .more = "max_queued_messages 100000\n"},
                    state);
}

static int set_up(void **state) {
    redis_sentinel_start(&set);
    memset(&traffic, 0, sizeof traffic);
    open_scene(&traffic.scene, "first", state);
    traffic.publisher = scene_client(&traffic.scene, "publisher");
    traffic.other = scene_client(&traffic.scene, "other");
    return 0;
}

static int tear_down(void **state) {
    int status = testing_tidy(state);
    redis_sentinel_remove(&set);
    return status;
}

static void publish(const struct scene *scene, struct mqtt *client, unsigned number) {
    char payload[16];
    (void)snprintf(payload, sizeof payload, "%u", number);
    scene_publish(scene, client, "orders/1", payload);
}

/* One new key, a copy of an earlier one, and a round trip of the client that has nothing to do with it. */
static void one_step(void) {
    assert_in_range(traffic.keys, 0, KEYS_MAX - 1);
    publish(&traffic.scene, traffic.publisher, traffic.keys++);
    if (traffic.keys > BEHIND) {
        publish(&traffic.scene, traffic.publisher, traffic.keys - 1 - BEHIND);
        traffic.copies++;
    }
    int64_t start_ns = idem_clock_monotonic_ns();
    mqtt_sync(traffic.other);
    traffic.slow += idem_clock_monotonic_ns() - start_ns > INT64_C(100000000) ? 1 : 0;
}

static void steps(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        one_step();
    }
}

/* Every copy is shown, delivered or dropped. */
static unsigned count_deliveries(struct mqtt *watcher, unsigned copies, unsigned *seen) {
    unsigned delivered = 0;
    for (unsigned i = 0; i < copies; i++) {
        const struct mqtt_message *message = mqtt_receive(watcher);
        unsigned long number = strtoul(message->payload, NULL, 10);
        assert_in_range(number, 0, KEYS_MAX - 1);
        if (message->topic[0] != '$') {
            seen[number]++;
            delivered++;
        }
    }
    EXPECT_NOTHING(watcher);
    return delivered;
}

/* Publishes to a broker that remembers nothing itself: what it delivers, Redis has lost. */
static void assert_redis_has_the_rest(void **state, unsigned first_lost,
                                      unsigned most_lost) {
    static unsigned seen[KEYS_MAX];
    struct scene second;
    memset(seen, 0, sizeof seen);
    open_scene(&second, "second", state);
    struct mqtt *publisher = scene_client(&second, "publisher");
    for (unsigned i = 0; i < traffic.keys; i++) {
        publish(&second, publisher, i);
    }
    (void)count_deliveries(second.watcher, traffic.keys, seen);
    for (unsigned i = 0; i < traffic.keys; i++) {
        if (seen[i] > 0 && (i < first_lost || i >= first_lost + most_lost)) {
            fail_msg("Redis has lost %u, which it had, or was owed", i);
        }
    }
}

static void test_a_fail_over_loses_nothing_and_nobody_waits(void **state) {
    struct broker *broker = traffic.scene.broker;
    steps(BEFORE);
    watch_figure(broker, "completed", BEFORE);
    redis_sentinel_sync(&set);
    steps(AT_RISK);
    redis_kill(&set.master);
    int64_t deadline = testing_deadline() + 2 * testing_deadline_ms() * 1000000;
    while (!broker_logged(broker, "store.available")) {
        one_step();
        testing_pause();
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
    }
    steps(AFTER);
    broker_expect_log(broker, "store.caught_up");
    unsigned delivered = count_deliveries(traffic.scene.watcher,
                                          traffic.keys + traffic.copies, traffic.seen);
    assert_int_equal(delivered, traffic.keys);
    for (unsigned i = 0; i < traffic.keys; i++) {
        assert_int_equal(traffic.seen[i], 1);
    }
    assert_in_range(traffic.slow, 0, testing_instrumented() ? traffic.keys : 2);
    watch_figure(broker, "messages/in_doubt", 0);
    watch_figure(broker, "messages/duplicate", traffic.copies);
    watch_figure(broker, "completed", traffic.keys);
    assert_redis_has_the_rest(state, BEFORE, AT_RISK);
}

int main(void) {
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    if (!redis_installed()) {
        return TESTING_SKIPPED;
    }
#define TEST(name, label, variant)                                                       \
    { #name " (" label ")", name, set_up, tear_down, &scene_variants[variant] }
    static const struct CMUnitTest tests[] = {
        TEST(test_a_fail_over_loses_nothing_and_nobody_waits, "QoS 1", 4),
        TEST(test_a_fail_over_loses_nothing_and_nobody_waits, "QoS 2", 2),
    };
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
