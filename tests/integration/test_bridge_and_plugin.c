/* SPDX-License-Identifier: MIT
 * Both adapters on one Redis: what one of them has delivered is a duplicate at the other. */
#include "bridge.h"
#include "rabbitmq.h"
#include "redis.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS  600
#define BATCH 20

static struct rabbitmq *client;
static struct redis_server redis;
static struct scene scene;
static struct bridge *bridge;
static struct mqtt *publisher;

/* The rules share a scope and nothing else. The plugin's deadline leaves it patience for the bridge. */
static const char *plugin_config(void) {
    static char config[1024];
    (void)snprintf(config, sizeof config,
                   "instance: edge\n"
                   "store: {url: 'unix://%s', deadline: 10s}\n"
                   "mqtt: {sys_interval: 20ms}\n"
                   "rules:\n"
                   "  - {name: devices, match: {topic: 'orders/+'}, scope: global,\n"
                   "     key: [property:idempotency-key, 'topic:2']}\n",
                   redis.socket);
    return config;
}

static const char *bridge_config(void) {
    static char config[1024];
    (void)snprintf(config, sizeof config,
                   "instance: centre\n"
                   "store: {url: 'unix://%s', deadline: 10s}\n"
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
                   "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"
                   "  quarantine: {exchange: aside}\n"
                   "rules:\n"
                   "  - {name: orders, match: {queue: in}, scope: global,\n"
                   "     key: property:idempotency-key}\n",
                   redis.socket);
    return config;
}

static int set_up(void **state) {
    redis_start(&redis, NULL);
    client = rabbitmq_open("in out");
    rabbitmq_fanout(client, "aside", "set-aside");
    bridge = bridge_start(bridge_config(), 0);
    bridge_await(bridge, "link.up: source", 1);
    scene_open_with(&scene,
                    &(struct broker_options){.idem = plugin_config(),
                                             .more = "max_queued_messages 100000\n"},
                    state);
    publisher = scene_client(&scene, "publisher");
    return 0;
}

static int tear_down(void **state) {
    int status = testing_tidy(state);
    rabbitmq_disconnect(client);
    status |= bridge_tidy(state);
    redis_remove(&redis);
    return status;
}

/* How often each key came out, on either side. */
struct outcome {
    unsigned seen[KEYS];
    unsigned by_mqtt;
    unsigned by_amqp;
};

static void publish_mqtt(unsigned number, const char *payload) {
    char key[32];
    char topic[48];
    (void)snprintf(key, sizeof key, "m %u", number);
    (void)snprintf(topic, sizeof topic, "orders/%s", key);
    struct mqtt_message message = {.topic = topic,
                                   .payload = payload != NULL ? payload : key,
                                   .qos = scene.variant.qos};
    if (scene.variant.version == MQTT_5) {
        message.topic = "orders/any";
        message.properties.user[0] = (struct mqtt_user_property){"idempotency-key", key};
    }
    mqtt_publish_ok(publisher, &message);
}

static void publish_mqtt_range(unsigned first, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        publish_mqtt(first + i, NULL);
    }
}

static void publish_amqp_range(unsigned first, unsigned count) {
    unsigned numbers[KEYS];
    for (unsigned i = 0; i < count; i++) {
        numbers[i] = first + i;
    }
    rabbitmq_publish_numbers(client, "in", "m", numbers, count);
}

static void count_one(struct outcome *outcome, const char *body) {
    unsigned long number = strtoul(body + 2, NULL, 10);
    assert_true(number < KEYS);
    outcome->seen[number]++;
}

static void count_amqp(void *arg, const char *body) {
    struct outcome *outcome = arg;
    count_one(outcome, body);
    outcome->by_amqp++;
}

/* The watcher sees each copy, delivered or dropped. */
static void count_mqtt(struct outcome *outcome, unsigned published) {
    for (unsigned i = 0; i < published; i++) {
        const struct mqtt_message *message = mqtt_receive(scene.watcher);
        if (strncmp(message->topic, "orders/", 7) == 0) {
            count_one(outcome, message->payload);
            outcome->by_mqtt++;
        }
    }
    EXPECT_NOTHING(scene.watcher);
}

/* Every key came out once in all, and the figures of both sides say so. */
static void check(struct outcome *outcome, unsigned mqtt_copies, unsigned amqp_copies) {
    count_mqtt(outcome, mqtt_copies);
    bridge_run_until_through(bridge, client, "in");
    rabbitmq_take_all(client, "out", count_amqp, outcome);
    for (unsigned i = 0; i < KEYS; i++) {
        if (outcome->seen[i] != 1) {
            fail_msg("m %u was delivered %u times", i, outcome->seen[i]);
        }
    }
    watch_figure(scene.broker, "messages/new", outcome->by_mqtt);
    watch_figure(scene.broker, "messages/duplicate", mqtt_copies - outcome->by_mqtt);
    watch_figure(scene.broker, "completed", outcome->by_mqtt);
    assert_int_equal(bridge_figure(bridge, "delivered"), outcome->by_amqp);
    assert_int_equal(bridge_figure(bridge, "duplicates"), amqp_copies - outcome->by_amqp);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
    assert_int_equal(redis_tell(&redis, "DBSIZE"), KEYS + 1); /* the secret's check */
}

static void what_came_by_mqtt_is_a_duplicate_at_the_bridge(void **state) {
    struct outcome outcome = {.by_mqtt = 0};
    (void)state;
    publish_mqtt_range(0, KEYS);
    watch_figure(scene.broker, "completed", KEYS);
    publish_amqp_range(0, KEYS);
    check(&outcome, KEYS, KEYS);
    assert_int_equal(outcome.by_amqp, 0);
}

static void what_came_by_amqp_is_a_duplicate_at_the_plugin(void **state) {
    struct outcome outcome = {.by_mqtt = 0};
    (void)state;
    publish_amqp_range(0, KEYS);
    rabbitmq_wait_depth(client, "out", KEYS);
    publish_mqtt_range(0, KEYS);
    check(&outcome, KEYS, KEYS);
    assert_int_equal(outcome.by_mqtt, 0);
}

/* Each batch reaches the one side while the other is still at work on it. */
static void copies_on_both_sides_at_once_are_delivered_once_in_all(void **state) {
    struct outcome outcome = {.by_mqtt = 0};
    (void)state;
    for (unsigned first = 0; first < KEYS; first += 2 * BATCH) {
        publish_mqtt_range(first, BATCH);
        publish_amqp_range(first, 2 * BATCH);
        publish_mqtt_range(first + BATCH, BATCH);
    }
    check(&outcome, KEYS, KEYS);
    assert_int_not_equal(outcome.by_mqtt, 0);
    assert_int_not_equal(outcome.by_amqp, 0);
}

/* A restart of either side does not make it forget what the other has done. */
static void a_side_that_was_killed_knows_what_the_other_did_meanwhile(void **state) {
    struct outcome outcome = {.by_mqtt = 0};
    (void)state;
    bridge_kill(bridge);
    publish_amqp_range(0, KEYS);
    publish_mqtt_range(0, KEYS / 2);
    watch_figure(scene.broker, "completed", KEYS / 2);
    bridge_restart(bridge);
    check(&outcome, KEYS / 2, KEYS);
    assert_int_equal(outcome.by_mqtt, KEYS / 2);
}

static void another_message_with_the_key_is_a_conflict_on_either_side(void **state) {
    struct rabbitmq_message message = {.routing_key = "in", .body = "m 1", .key = "m 1"};
    (void)state;
    publish_mqtt(1, "one");
    EXPECT_NEXT(scene.watcher, "orders/any one");
    rabbitmq_publish(client, &message);
    assert_string_equal(rabbitmq_take(client, "set-aside"), "m 1");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "conflict");
    message.key = message.body = "m 2";
    rabbitmq_publish(client, &message);
    assert_string_equal(rabbitmq_take(client, "out"), "m 2");
    publish_mqtt(2, "two");
    EXPECT_NEXT(scene.watcher, "$idem/quarantine/orders/any two");
}

int main(void) {
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    if (!redis_installed()) {
        return rabbitmq_missing("redis-server");
    }
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name, label, variant)                                                       \
    { #name " (" label ")", name, set_up, tear_down, &scene_variants[variant] }
    const struct CMUnitTest tests[] = {
        TEST(what_came_by_mqtt_is_a_duplicate_at_the_bridge, "MQTT 3.1.1, QoS 0", 0),
        TEST(what_came_by_mqtt_is_a_duplicate_at_the_bridge, "MQTT 5, QoS 2", 5),
        TEST(what_came_by_amqp_is_a_duplicate_at_the_plugin, "MQTT 3.1.1, QoS 1", 1),
        TEST(what_came_by_amqp_is_a_duplicate_at_the_plugin, "MQTT 5, QoS 2", 5),
        TEST(copies_on_both_sides_at_once_are_delivered_once_in_all, "MQTT 5, QoS 1", 4),
        TEST(copies_on_both_sides_at_once_are_delivered_once_in_all, "MQTT 3.1.1, QoS 2",
             2),
        TEST(a_side_that_was_killed_knows_what_the_other_did_meanwhile, "MQTT 5, QoS 1",
             4),
        TEST(another_message_with_the_key_is_a_conflict_on_either_side, "MQTT 5, QoS 1",
             4),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, testing_tidy_group));
}
