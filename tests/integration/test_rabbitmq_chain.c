/* SPDX-License-Identifier: MIT
 * Three hops, each with a key that the one before has derived for it: a client that repeats everything,
 * Mosquitto with the plugin, a forwarder that repeats, RabbitMQ, the bridge, RabbitMQ, the example consumer,
 * whose work is a line in a file. Whatever is killed in the middle, each order has one line. */
#include "bridge.h"
#include "broker.h"
#include "consumer.h"
#include "mqtt.h"
#include "process.h"
#include "rabbitmq.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS 200 /* in each of the two halves */

static const char plugin_config[] =
    "instance: edge\n"
    "store: {url: 'embedded://@DIR@/store'}\n"
    "rules:\n"
    "  - name: orders\n"
    "    match: {topic: orders}\n"
    "    key: json:/id\n"
    "    scope: global\n"
    "    propagate: {as: idempotency-key, hop: warehouse}\n";

static const char bridge_config[] =
    "instance: warehouse\n"
    "store: {url: 'embedded://@DIR@/store'}\n"
    "bridge:\n"
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: warehouse, prefetch: 50}\n"
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: billing}\n"
    "rules:\n"
    "  - name: orders\n"
    "    match: {queue: warehouse}\n"
    "    key: property:idempotency-key\n"
    "    scope: global\n"
    "    propagate: {as: idempotency-key, hop: billing}\n";

static struct chain {
    struct broker *broker;
    struct mqtt *device;    /* publishes */
    struct mqtt *forwarder; /* subscribes, and repeats on AMQP what it receives */
    struct rabbitmq *client;
    struct bridge *bridge;
    struct consumer consumer;
} chain;

static struct mqtt *connect(const char *id) {
    return mqtt_connect(&(struct mqtt_options){
        .port = broker_port(chain.broker), .version = MQTT_5, .client_id = id});
}

static void connect_mqtt(void) {
    chain.device = connect("device");
    chain.forwarder = connect("forwarder");
    mqtt_subscribe(chain.forwarder, "orders", 1);
}

static int set_up(void **state) {
    (void)state;
    chain.client = rabbitmq_connect();
    rabbitmq_queue(chain.client, "warehouse", NULL);
    rabbitmq_queue(chain.client, "billing", NULL);
    chain.broker = broker_run(&(struct broker_options){.idem = plugin_config});
    connect_mqtt();
    consumer_init(&chain.consumer);
    chain.bridge = NULL;
    return 0;
}

static int tear_down(void **state) {
    consumer_fini(&chain.consumer);
    rabbitmq_disconnect(chain.client);
    int bridges = bridge_tidy(state);
    return testing_tidy(state) | bridges;
}

static const char *order(unsigned number) {
    static char text[64];
    (void)snprintf(text, sizeof text, "{\"id\":\"o-%u\"}", number);
    return text;
}

static void publish(unsigned number) {
    struct mqtt_message message = {.topic = "orders", .payload = order(number), .qos = 1};
    mqtt_publish_ok(chain.device, &message);
}

/* On to AMQP, twice, as a forwarder does that has died before it acknowledged. */
static void forward(unsigned number, char *key_seen) {
    const struct mqtt_message *message = mqtt_receive(chain.forwarder);
    const char *key = mqtt_user_property(message, "idempotency-key");
    struct rabbitmq_message letter = {
        .routing_key = "warehouse", .body = order(number), .key = key};
    assert_non_null(key);
    assert_int_equal(strlen(key), 32);
    if (key_seen != NULL) {
        memcpy(key_seen, key, strlen(key) + 1);
    }
    rabbitmq_publish(chain.client, &letter);
    rabbitmq_publish(chain.client, &letter);
}

static void send(unsigned from, unsigned to) {
    for (unsigned number = from; number < to; number++) {
        publish(number);
        publish(number);
        forward(number, NULL);
    }
}

static void start_consumer(void) {
    consumer_start(&chain.consumer, rabbitmq_port(), "billing", "", "");
}

static void await_effects(unsigned count) {
    int64_t deadline = testing_deadline();
    while (consumer_total(&chain.consumer) < count) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

static void each_order_has_one_effect(unsigned count) {
    for (unsigned number = 0; number < count; number++) {
        if (consumer_effects(&chain.consumer, order(number)) != 1) {
            fail_msg("%s has %u effects", order(number),
                     consumer_effects(&chain.consumer, order(number)));
        }
    }
    assert_int_equal(consumer_total(&chain.consumer), count);
}

static void every_hop_has_a_key_of_its_own_which_copies_share(void **state) {
    char first[64];
    char again[64];
    char billing[2][64];
    (void)state;
    publish(1);
    forward(1, first);
    chain.bridge = bridge_start(bridge_config, 0);
    for (size_t i = 0; i < 2;
         i++) { /* the same key in, into a bridge that knows nothing */
        assert_string_equal(rabbitmq_take(chain.client, "billing"), order(1));
        const char *key = rabbitmq_header(chain.client, "idempotency-key");
        assert_non_null(key);
        (void)snprintf(billing[i], sizeof billing[i], "%s", key);
        bridge_kill(chain.bridge);
        if (i == 0) {
            struct rabbitmq_message letter = {
                .routing_key = "warehouse", .body = order(1), .key = first};
            rabbitmq_publish(chain.client, &letter);
            chain.bridge = bridge_start(bridge_config, 0);
        }
    }
    publish(2);
    forward(2, again);
    assert_string_not_equal(first, again);
    assert_string_equal(billing[0], billing[1]);
    assert_string_not_equal(billing[0], first);
}

/* How far the consumer must have come before something is killed: in the middle of the traffic. */
static void kill_in_the_middle(void) {
    send(0, ORDERS);
    chain.bridge = bridge_start(bridge_config, 0);
    start_consumer();
    for (unsigned kills = 1; kills <= 3; kills++) {
        await_effects(ORDERS / 8 * kills);
        bridge_kill(chain.bridge);
        bridge_restart(chain.bridge);
    }
}

static void killed_bridges_cost_no_effect_and_add_none(void **state) {
    (void)state;
    kill_in_the_middle();
    await_effects(ORDERS);
    rabbitmq_wait_depth(chain.client, "warehouse", 0);
    bridge_stop(chain.bridge, EXIT_SUCCESS);
    rabbitmq_wait_depth(chain.client, "billing", 0);
    each_order_has_one_effect(ORDERS);
}

/* RabbitMQ takes the consumer's connection with it; whoever looks after the consumer starts it again. */
static void killed_brokers_cost_no_effect_and_add_none(void **state) {
    (void)state;
    kill_in_the_middle();
    rabbitmq_disconnect(chain.client);
    rabbitmq_kill();
    assert_int_equal(consumer_wait(&chain.consumer), EXIT_FAILURE);
    rabbitmq_start_again();
    chain.client = rabbitmq_connect();
    start_consumer();
    broker_kill(
        chain.broker); /* everything so far is forwarded, and older than commit= */
    await_effects(ORDERS);
    broker_start(chain.broker);
    connect_mqtt();
    for (unsigned number = 0; number < ORDERS; number++) {
        publish(number); /* the device does not know what has arrived */
    }
    send(ORDERS, 2 * ORDERS); /* the forwarder gets these only, or it would fail */
    await_effects(2 * ORDERS);
    rabbitmq_wait_depth(chain.client, "warehouse", 0);
    bridge_stop(chain.bridge, EXIT_SUCCESS);
    rabbitmq_wait_depth(chain.client, "billing", 0);
    each_order_has_one_effect(2 * ORDERS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(every_hop_has_a_key_of_its_own_which_copies_share),
        TEST(killed_bridges_cost_no_effect_and_add_none),
        TEST(killed_brokers_cost_no_effect_and_add_none),
    };
    int status;
    if (testing_cannot_run(&status) || rabbitmq_cannot_run(&status)) {
        return status;
    }
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, testing_tidy_group));
}
