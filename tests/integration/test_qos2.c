/* SPDX-License-Identifier: MIT
 * The QoS 2 hazard: whatever a client does between PUBLISH and PUBCOMP, its message is delivered once.
 *
 * A client that reconnects in the middle sends PUBLISH again with the same packet id. To the plugin that
 * copy looks like any repeat; to the broker it has to look like the first one. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

static const char idem[] = SCENE_TOP
    "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n"
    "  - {name: places, match: {topic: place/+}, key: 'topic:2', scope: rule}\n";

/* Between the connections the broker keeps the session; the client does too. */
static struct mqtt *reconnect(const struct scene *scene, struct mqtt *client) {
    mqtt_drop(client);
    client = scene_session(scene, "publisher");
    assert_true(mqtt_session_present(client));
    return client;
}

static void test_a_resend_after_a_reconnect(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_a_resend_twice_in_a_row(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "orders/1", "a");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a");
}

static void test_a_resend_without_having_seen_pubrec(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    (void)mqtt_send(
        publisher,
        &(struct mqtt_message){.topic = "orders/1", .payload = "a", .qos = 2, .id = 7});
    assert_string_equal(mqtt_receive(scene.watcher)->topic, "orders/1");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a");
}

static void test_pubrel_only_after_a_reconnect(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    publisher = reconnect(&scene, publisher);
    scene_release(publisher, 7);
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_pubrel_twice(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    mqtt_send_ack(publisher, MQTT_PUBREL, 7);
    (void)mqtt_await(publisher, MQTT_PUBCOMP, 7);
    publisher = reconnect(&scene, publisher);
    mqtt_send_ack(publisher, MQTT_PUBREL, 7);
    (void)mqtt_await(publisher, MQTT_PUBCOMP, 7);
    EXPECT(scene.watcher, "orders/1 a");
}

static void test_a_fresh_repeat_on_the_same_connection(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    scene_publish_received(publisher, 8, false, "orders/1", "a"); /* 7 is not released */
    scene_release(publisher, 8);
    scene_release(publisher, 7);
    scene_publish_received(publisher, 9, false, "orders/1", "a");
    scene_release(publisher, 9);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a");
}

static void test_a_fresh_repeat_on_a_new_connection(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    scene_release(publisher, 7);
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_a_repeat_by_another_client_in_the_middle(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    struct mqtt *other = scene_session(&scene, "other");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    scene_publish_received(other, 7, false, "orders/1", "a");
    scene_release(other, 7);
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a");
}

static void test_a_client_that_never_comes_back_blocks_nobody(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    mqtt_drop(publisher); /* without a session: the broker forgets what it received */
    EXPECT(scene.watcher, "orders/1 a");
    struct mqtt *other = scene_client(&scene, "other");
    scene_publish_received(other, 1, false, "orders/1", "a");
    scene_release(other, 1);
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a");
}

static void test_a_packet_id_reused_for_another_message(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, false, "orders/1", "b");
    scene_publish_received(publisher, 7, true, "orders/1", "b");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "orders/1 b", "$idem/duplicate/orders/1 b");
}

static void test_a_packet_id_reused_beside_the_rules(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    scene_publish_received(publisher, 7, false, "elsewhere", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "orders/1 a", "elsewhere a");
}

static void test_a_resend_of_what_no_rule_matches(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "elsewhere", "a");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "elsewhere", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "elsewhere a");
}

static void test_a_resend_of_what_has_no_key(void **state) {
    struct scene scene;
    scene_open(&scene,
               SCENE_TOP
               "  - {name: j, match: {topic: j}, key: 'json:/id', scope: rule}\n",
               state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "j", "not JSON");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "j", "not JSON");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "j not JSON");
}

static void test_messages_of_one_client_keep_their_order(void **state) {
    static const uint16_t count = 12;
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    char lines[12][16];
    const char *expected[12 + 1] = {NULL};
    for (uint16_t id = 1; id <= count; id++) {
        (void)snprintf(lines[id - 1], sizeof lines[0], "orders/1 %u", id);
        expected[id - 1] = lines[id - 1];
        (void)mqtt_send(publisher, &(struct mqtt_message){.topic = "orders/1",
                                                          .payload = lines[id - 1] + 9,
                                                          .qos = 2,
                                                          .id = id});
    }
    for (uint16_t id = 1; id <= count; id++) {
        assert_in_range(mqtt_await(publisher, MQTT_PUBREC, id), 0, 0x7f);
    }
    for (uint16_t id = count; id >= 1; id--) {
        scene_release(publisher, id);
    }
    (void)watch_expect(scene.watcher, expected);
}

static void test_everything_that_belongs_to_the_message_is_kept(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *subscriber = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_5, .client_id = "s"});
    mqtt_subscribe_with(
        subscriber,
        &(struct mqtt_filter){.filter = "orders/+", .qos = 2, .subscription_id = 77});
    struct mqtt *publisher = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_5, .client_id = "p"});
    mqtt_publish_ok(
        publisher, &(struct mqtt_message){.topic = "orders/1",
                                          .payload = "a",
                                          .qos = 2,
                                          .retain = true,
                                          .properties = {.user = {{"a", "1"}, {"a", "2"}},
                                                         .response_topic = "answers",
                                                         .content_type = "text/plain",
                                                         .correlation = "c\0d",
                                                         .correlation_length = 3}});
    const struct mqtt_message *message = EXPECT(subscriber, "orders/1 a");
    const struct mqtt_properties *properties = &message->properties;
    assert_int_equal(message->qos, 2);
    assert_string_equal(properties->user[0].value, "1");
    assert_string_equal(properties->user[1].value, "2");
    assert_null(properties->user[2].name);
    assert_string_equal(properties->response_topic, "answers");
    assert_string_equal(properties->content_type, "text/plain");
    assert_int_equal(properties->correlation_length, 3);
    assert_memory_equal(properties->correlation, "c\0d", 3);
    assert_int_equal(properties->subscription_ids[0], 77);
    struct mqtt *late = scene_watcher(&scene, "late", MQTT_5);
    message = EXPECT(late, "orders/1 a");
    assert_true(message->retain);
    assert_string_equal(mqtt_user_property(message, "a"), "1");
}

/* Beyond max_inflight_messages the broker may refuse or queue a PUBLISH after the plugin has seen it: the
 * client sends again what was refused. */
static void test_more_in_flight_than_the_broker_takes(void **state) {
    static const uint16_t count = 12;
    static const uint16_t limit = 4;
    struct scene scene;
    scene_open_with(&scene,
                    &(struct broker_options){.idem = idem,
                                             .more = "max_inflight_messages 4\n"
                                                     "max_queued_messages 4\n"},
                    state);
    struct mqtt *subscriber = scene_client(&scene, "subscriber");
    mqtt_subscribe(subscriber, "orders/#", 0);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    for (uint16_t id = 1; id <= count; id++) {
        char payload[8];
        (void)snprintf(payload, sizeof payload, "%u", id);
        if (id > limit && scene.variant.version == MQTT_5) {
            scene_release(publisher, (uint16_t)(id - limit)); /* as MQTT 5 demands */
        }
        scene_publish_received(publisher, id, false, "orders/1", payload);
    }
    publisher = reconnect(&scene, publisher);
    uint16_t oldest = scene.variant.version == MQTT_5 ? (uint16_t)(count - limit + 1) : 1;
    for (uint16_t id = oldest; id <= count; id++) {
        char payload[8];
        (void)snprintf(payload, sizeof payload, "%u", id);
        scene_publish_received(publisher, id, true, "orders/1", payload);
        mqtt_send_ack(publisher, MQTT_PUBREL, id);
        (void)mqtt_await(publisher, MQTT_PUBCOMP, id);
    }
    EXPECT(subscriber, "orders/1 1", "orders/1 2", "orders/1 3", "orders/1 4",
           "orders/1 5", "orders/1 6", "orders/1 7", "orders/1 8", "orders/1 9",
           "orders/1 10", "orders/1 11", "orders/1 12");
}

static void test_a_conflict_in_the_middle_of_a_handshake(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "place/1", "a");
    scene_publish_received(publisher, 8, false, "place/1", "b");
    publisher = reconnect(&scene, publisher);
    scene_publish_received(publisher, 7, true, "place/1", "a");
    scene_publish_received(publisher, 8, true, "place/1", "b");
    scene_release(publisher, 7);
    scene_release(publisher, 8);
    EXPECT(scene.watcher, "place/1 a", "$idem/quarantine/place/1 b",
           "$idem/duplicate/place/1 a", "$idem/quarantine/place/1 b");
}

/* The broker keeps QoS 2 handshakes over a restart, the plugin keeps keys: neither loses the message. */
static void test_a_handshake_that_spans_a_restart_of_the_broker(void **state) {
    struct scene scene;
    scene_open_with(
        &scene,
        &(struct broker_options){
            .idem = idem, .more = "persistence true\npersistence_location @DIR@/\n"},
        state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, false, "orders/1", "a");
    EXPECT(scene.watcher, "orders/1 a");
    mqtt_drop(publisher);
    broker_stop(scene.broker);
    broker_start(scene.broker);
    scene_watch_again(&scene);
    publisher = scene_session(&scene, "publisher");
    scene_publish_received(publisher, 7, true, "orders/1", "a");
    scene_release(publisher, 7);
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        VERSIONS(test_a_resend_after_a_reconnect),
        VERSIONS(test_a_resend_twice_in_a_row),
        VERSIONS(test_a_resend_without_having_seen_pubrec),
        VERSIONS(test_pubrel_only_after_a_reconnect),
        VERSIONS(test_pubrel_twice),
        VERSIONS(test_a_fresh_repeat_on_the_same_connection),
        VERSIONS(test_a_fresh_repeat_on_a_new_connection),
        VERSIONS(test_a_repeat_by_another_client_in_the_middle),
        VERSIONS(test_a_client_that_never_comes_back_blocks_nobody),
        VERSIONS(test_a_packet_id_reused_for_another_message),
        VERSIONS(test_a_packet_id_reused_beside_the_rules),
        VERSIONS(test_a_resend_of_what_no_rule_matches),
        VERSIONS(test_a_resend_of_what_has_no_key),
        VERSIONS(test_messages_of_one_client_keep_their_order),
        ONCE(test_everything_that_belongs_to_the_message_is_kept),
        VERSIONS(test_more_in_flight_than_the_broker_takes),
        VERSIONS(test_a_conflict_in_the_middle_of_a_handshake),
        VERSIONS(test_a_handshake_that_spans_a_restart_of_the_broker),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
