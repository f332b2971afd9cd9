/* SPDX-License-Identifier: MIT
 * With a store on the network one copy of each message reaches subscribers, in the order of its publisher,
 * whether messages are parked or wait. */
#include "parking.h"

#include <stdio.h>
#include <string.h>

static const char *const waits[] = {"wait: park", "wait: block"};

static void send_number(struct mqtt *client, uint8_t qos, const char *topic,
                        unsigned number) {
    char payload[16];
    (void)snprintf(payload, sizeof payload, "%u", number);
    (void)mqtt_send(
        client, &(struct mqtt_message){.topic = topic, .payload = payload, .qos = qos});
}

static void publish_number(const struct scene *scene, struct mqtt *client,
                           const char *topic, unsigned number) {
    char payload[16];
    (void)snprintf(payload, sizeof payload, "%u", number);
    scene_publish(scene, client, topic, payload);
}

static void test_later_copies_are_acknowledged_and_shown(void **state) {
    for (size_t i = 0; i < 2; i++) {
        struct scene *scene =
            &parking_open(&(struct parking_options){.store = waits[i]}, state)->scene;
        struct mqtt *publisher = scene_client(scene, "publisher");
        scene_publish(scene, publisher, "orders/1", "a");
        scene_publish(scene, publisher, "orders/1", "a");
        scene_publish(scene, publisher, "orders/1", "b");
        scene_publish(scene, publisher, "orders/1", "a");
        EXPECT_NEXT(scene->watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
                    "orders/1 b", "$idem/duplicate/orders/1 a");
        EXPECT_NOTHING(scene->watcher);
        (void)parking_tidy(NULL);
    }
}

static void test_what_is_delivered_is_what_was_sent(void **state) {
    struct scene *scene = &parking_open(&(struct parking_options){0}, state)->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    struct mqtt_message message = {
        .topic = "place/7", .payload = "a", .qos = scene->variant.qos, .retain = true};
    if (scene->variant.version == MQTT_5) {
        message.properties.user[0] = (struct mqtt_user_property){"a", "1"};
        message.properties.user[1] = (struct mqtt_user_property){"idempotency-key", "x"};
        message.properties.content_type = "text/plain";
        message.properties.response_topic = "answers";
        message.properties.correlation = "c";
    }
    mqtt_publish_ok(publisher, &message);
    const struct mqtt_message *got = mqtt_receive(scene->watcher);
    assert_string_equal(got->topic, "place/7");
    assert_string_equal(got->payload, "a");
    assert_int_equal(got->qos, scene->variant.qos);
    assert_string_equal(mqtt_user_property(got, "idempotency-key"), "7");
    if (scene->variant.version == MQTT_5) {
        assert_string_equal(mqtt_user_property(got, "a"), "1");
        assert_string_equal(got->properties.content_type, "text/plain");
        assert_string_equal(got->properties.response_topic, "answers");
        assert_string_equal(got->properties.correlation, "c");
    }
    struct mqtt *late = scene_watcher(scene, "late", MQTT_5);
    got = mqtt_receive(late);
    assert_true(got->retain);
    assert_string_equal(got->topic, "place/7");
    message.payload = "b"; /* the same key with another fingerprint */
    mqtt_publish_ok(publisher, &message);
    got = mqtt_receive(scene->watcher);
    assert_string_equal(got->topic, "$idem/quarantine/place/7");
    assert_string_equal(mqtt_user_property(got, "idem-reason"), "conflict");
}

/* Copies of the same message while its claim, its delivery or its completion is on its way. */
static void test_copies_in_one_breath_are_one(void **state) {
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    enum { MESSAGES = 40, COPIES = 5 };
    char line[64];
    proxy_delay(parking->proxy, 1);
    for (unsigned i = 0; i < MESSAGES * COPIES; i++) {
        send_number(publisher, scene->variant.qos, "orders/1", i / COPIES);
    }
    for (unsigned i = 0; i < MESSAGES * COPIES; i++) {
        (void)snprintf(line, sizeof line, "%sorders/1 %u",
                       i % COPIES == 0 ? "" : "$idem/duplicate/", i / COPIES);
        EXPECT_NEXT(scene->watcher, line);
    }
    EXPECT_NOTHING(scene->watcher);
}

/* Claims that need another round, and retained messages with their deletion, amid plain ones. */
static void test_a_publishers_order_is_kept(void **state) {
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    proxy_delay(parking->proxy, 5);
    uint8_t qos = scene->variant.qos;
    (void)mqtt_send(publisher, &(struct mqtt_message){.topic = "orders/1",
                                                      .payload = "state",
                                                      .qos = qos,
                                                      .retain = true});
    (void)mqtt_send(publisher, &(struct mqtt_message){
                                   .topic = "orders/1", .qos = qos, .retain = true});
    send_number(publisher, qos, "orders/2", 1);
    send_number(publisher, qos, "place/1", 2);
    send_number(publisher, qos, "orders/1", 3);
    EXPECT_NEXT(scene->watcher, "orders/1 state", "orders/1 ", "orders/2 1", "place/1 2",
                "orders/1 3");
    EXPECT_NOTHING(scene_watcher(scene, "late", MQTT_5)); /* nothing is retained */
}

static void test_order_is_kept_over_a_lost_connection(void **state) {
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    proxy_delay(parking->proxy, 2);
    for (unsigned i = 0; i < 60; i++) {
        publish_number(scene, publisher, "orders/1", i);
        if (i % 20 == 10) {
            proxy_cut(parking->proxy);
        }
    }
    for (unsigned i = 0; i < 60; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "orders/1 %u", i);
        EXPECT_NEXT(scene->watcher, line);
    }
    EXPECT_NOTHING(scene->watcher);
}

static void test_two_brokers_deliver_each_key_once_in_all(void **state) {
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct scene *scene = &parking->scene;
    struct scene other = {.broker = parking_second(parking), .variant = scene->variant};
    other.watcher = scene_watcher(&other, "watcher", MQTT_5);
    struct mqtt *here = scene_client(scene, "publisher");
    struct mqtt *there = scene_client(&other, "publisher");
    enum { MESSAGES = 50 };
    for (unsigned i = 0; i < MESSAGES; i++) {
        send_number(here, scene->variant.qos, "orders/1", i);
        send_number(there, scene->variant.qos, "orders/1", i);
    }
    unsigned seen[MESSAGES] = {0};
    for (unsigned i = 0; i < 2 * MESSAGES; i++) {
        const struct mqtt_message *got =
            mqtt_receive(i % 2 == 0 ? scene->watcher : other.watcher);
        unsigned number = 0;
        assert_int_equal(sscanf(got->payload, "%u", &number), 1);
        assert_in_range(number, 0, MESSAGES - 1);
        seen[number] += got->topic[0] == '$' ? 0 : 1;
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void test_keys_outlive_a_restart(void **state) {
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct scene *scene = &parking->scene;
    scene_publish(scene, scene_client(scene, "publisher"), "orders/1", "a");
    EXPECT_NEXT(scene->watcher, "orders/1 a");
    watch_figure(scene->broker, "completed", 1);
    mqtt_tidy();
    broker_stop(scene->broker);
    broker_start(scene->broker);
    scene_watch_again(scene);
    scene_publish(scene, scene_client(scene, "publisher"), "orders/1", "a");
    EXPECT_NEXT(scene->watcher, "$idem/duplicate/orders/1 a");
}

static const char persistent[] = "persistence true\n"
                                 "persistence_location @DIR@/\n";

/* The broker is stopped while the claims are on their way. */
static void test_a_clean_stop_loses_nothing_that_is_parked(void **state) {
    struct parking *parking =
        parking_open(&(struct parking_options){.more = persistent}, state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    enum { MESSAGES = 20 };
    struct mqtt *keeper =
        mqtt_connect(&(struct mqtt_options){.port = broker_port(scene->broker),
                                            .version = MQTT_5,
                                            .client_id = "keeper",
                                            .keep_session = true});
    mqtt_subscribe(keeper, "orders/#", 1);
    proxy_delay(parking->proxy, 300);
    for (uint16_t i = 0; i < MESSAGES; i++) {
        publish_number(scene, publisher, "orders/1", i);
    }
    mqtt_tidy();
    broker_stop(scene->broker);
    broker_expect_log(scene->broker, "handover.saved");
    proxy_delay(parking->proxy, 0);
    broker_start(scene->broker);
    keeper = mqtt_connect(&(struct mqtt_options){.port = broker_port(scene->broker),
                                                 .version = MQTT_5,
                                                 .client_id = "keeper",
                                                 .keep_session = true});
    for (unsigned i = 0; i < MESSAGES && scene->variant.qos > 0; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "orders/1 %u", i);
        EXPECT_NEXT(keeper, line);
    }
    scene_watch_again(scene);
    publisher = scene_client(scene, "publisher");
    for (uint16_t i = 0; i < MESSAGES; i++) {
        publish_number(scene, publisher, "orders/1", i);
    }
    for (unsigned i = 0; i < MESSAGES; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "$idem/duplicate/orders/1 %u", i);
        EXPECT_NEXT(scene->watcher, line);
    }
}

/* The broker frees what it takes from its queue; a stop right afterwards once read it, and published it again
 * at the next start. */
static void test_a_stop_leaves_alone_what_was_delivered_a_moment_ago(void **state) {
    struct parking *parking =
        parking_open(&(struct parking_options){.more = persistent}, state);
    struct scene *scene = &parking->scene;
    struct mqtt_message message = {
        .topic = "orders/1",
        .payload = "a",
        .qos = scene->variant.qos,
        .properties.user = {{"a", "property"}},
    };
    mqtt_publish_ok(scene_client(scene, "publisher"), &message);
    EXPECT_NEXT(scene->watcher, "orders/1 a");
    broker_stop(scene->broker);
    assert_false(broker_logged(scene->broker, "handover.saved"));
    broker_start(scene->broker);
    scene_watch_again(scene);
    mqtt_publish_ok(scene_client(scene, "publisher"), &message);
    EXPECT_NEXT(scene->watcher, "$idem/duplicate/orders/1 a");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        PARKING_EACH(test_later_copies_are_acknowledged_and_shown),
        PARKING_EACH(test_what_is_delivered_is_what_was_sent),
        PARKING_QOS(test_copies_in_one_breath_are_one),
        PARKING_QOS(test_a_publishers_order_is_kept),
        PARKING_QOS(test_order_is_kept_over_a_lost_connection),
        PARKING_QOS(test_two_brokers_deliver_each_key_once_in_all),
        PARKING_QOS(test_keys_outlive_a_restart),
        PARKING_QOS(test_a_clean_stop_loses_nothing_that_is_parked),
        PARKING_QOS(test_a_stop_leaves_alone_what_was_delivered_a_moment_ago),
    };
    int status;
    if (parking_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
