/* SPDX-License-Identifier: MIT
 * One copy of each message reaches subscribers, whatever is repeated, by whom and how. */
#include "scene.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char idem[] =
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n"
              "  - {name: own, match: {topic: own/#}, key: payload}\n"
              "  - name: keyed\n"
              "    match: {topic: keyed}\n"
              "    key: [property:id, correlation-id, json:/id]\n"
              "    scope: rule\n"
              "    fingerprint: none\n"
              "  - {name: other, match: {topic: other}, key: 'json:/id', scope: rule}\n"
              "  - {name: states, match: {topic: states/#}, strategy: natural}\n";

static void test_later_copies_are_acknowledged_and_shown(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "orders/1", "a");
    scene_publish(&scene, publisher, "orders/1", "a");
    scene_publish(&scene, publisher, "orders/1", "a");
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a");
}

static void test_copies_sent_in_one_breath_are_one(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt_message copy = {
        .topic = "orders/1", .payload = "a", .qos = scene.variant.qos};
    for (int i = 0; i < 3; i++) {
        (void)mqtt_send(publisher, &copy);
    }
    for (uint16_t id = 1; id <= 3 && copy.qos > 0; id++) {
        enum mqtt_type type = copy.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
        assert_in_range(mqtt_await(publisher, type, id), 0, 0x7f);
    }
    for (uint16_t id = 1; id <= 3 && copy.qos == 2; id++) {
        scene_release(publisher, id);
    }
    mqtt_sync(publisher);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a");
}

static void test_subscribers_of_both_versions_see_one_copy(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    static const enum mqtt_version versions[] = {MQTT_311, MQTT_5};
    struct mqtt *subscribers[6];
    for (uint8_t i = 0; i < 6; i++) {
        char id[] = {'s', (char)('0' + i), '\0'};
        subscribers[i] =
            mqtt_connect(&(struct mqtt_options){.port = broker_port(scene.broker),
                                                .version = versions[i / 3],
                                                .client_id = id});
        mqtt_subscribe(subscribers[i], i < 3 ? "#" : "+/+", i % 3);
    }
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "orders/1", "a");
    scene_publish(&scene, publisher, "orders/1", "a");
    for (size_t i = 0; i < 6; i++) {
        const struct mqtt_message *message = EXPECT(subscribers[i], "orders/1 a");
        assert_int_equal(message->qos,
                         i % 3 < scene.variant.qos ? i % 3 : scene.variant.qos);
    }
}

static void test_the_dup_flag_decides_nothing(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt_message copy = {
        .topic = "orders/1", .payload = "a", .qos = scene.variant.qos, .dup = true};
    mqtt_publish_ok(publisher, &copy);
    copy.dup = false;
    mqtt_publish_ok(publisher, &copy);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_a_resend_after_a_lost_acknowledgement_is_dropped(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    struct mqtt_message copy = {.topic = "orders/1", .payload = "a", .qos = 1, .id = 9};
    (void)mqtt_send(publisher, &copy);
    assert_string_equal(mqtt_receive(scene.watcher)->payload, "a");
    mqtt_drop(publisher);
    publisher = scene_session(&scene, "publisher");
    assert_true(mqtt_session_present(publisher));
    copy.dup = true;
    mqtt_publish_ok(publisher, &copy);
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a");
}

static void test_copies_at_other_qos_and_by_other_clients_are_dropped(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    scene_publish(&scene, scene_client(&scene, "first"), "orders/1", "a");
    struct mqtt *other = scene_client(&scene, "other");
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct mqtt_message copy = {.topic = "orders/1", .payload = "a", .qos = qos};
        mqtt_publish_ok(other, &copy);
    }
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_copies_by_two_clients_at_the_same_moment_are_one(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *clients[] = {scene_client(&scene, "one"), scene_client(&scene, "two")};
    struct mqtt_message copy = {
        .topic = "orders/1", .payload = "a", .qos = scene.variant.qos, .id = 7};
    broker_pause(scene.broker);
    (void)mqtt_send(clients[0], &copy);
    (void)mqtt_send(clients[1], &copy);
    broker_resume(scene.broker);
    for (size_t i = 0; i < 2 && copy.qos > 0; i++) {
        enum mqtt_type type = copy.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
        assert_in_range(mqtt_await(clients[i], type, 7), 0, 0x7f);
    }
    for (size_t i = 0; i < 2; i++) {
        mqtt_sync(clients[i]);
    }
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_two_principals_with_one_key_do_not_collide(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *alice = scene_client(&scene, "alice");
    struct mqtt *bob = scene_client(&scene, "bob");
    scene_publish(&scene, alice, "own/x", "a");
    scene_publish(&scene, bob, "own/x", "a");
    scene_publish(&scene, alice, "own/x", "a");
    scene_publish(&scene, bob, "own/x", "a");
    EXPECT(scene.watcher, "own/x a", "own/x a", "$idem/duplicate/own/x a",
           "$idem/duplicate/own/x a");
}

static void test_one_key_under_two_rules_does_not_collide(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "keyed", "{\"id\": 1}");
    scene_publish(&scene, publisher, "other", "{\"id\": 1}");
    scene_publish(&scene, publisher, "keyed", "{\"id\": 1}");
    EXPECT(scene.watcher, "keyed {\"id\": 1}", "other {\"id\": 1}",
           "$idem/duplicate/keyed {\"id\": 1}");
}

static void test_what_no_rule_or_a_natural_one_matches_passes_every_time(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    for (int i = 0; i < 2; i++) {
        scene_publish(&scene, publisher, "states/door", "on");
        scene_publish(&scene, publisher, "elsewhere", "x");
    }
    EXPECT(scene.watcher, "states/door on", "elsewhere x", "states/door on",
           "elsewhere x");
}

static void publish_keyed(const struct scene *scene, struct mqtt *publisher,
                          const char *property, const char *correlation,
                          const char *payload) {
    struct mqtt_message message = {.topic = "keyed",
                                   .payload = payload,
                                   .qos = scene->variant.qos,
                                   .properties = {.correlation = correlation}};
    if (property != NULL) {
        message.properties.user[0] = (struct mqtt_user_property){"id", property};
    }
    mqtt_publish_ok(publisher, &message);
}

static void test_the_key_is_found_where_the_rule_says(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_5, .client_id = "p"});
    publish_keyed(&scene, publisher, "1", NULL, "first");
    publish_keyed(&scene, publisher, "1", "2", "same property");
    publish_keyed(&scene, publisher, NULL, "2", "other extractor");
    publish_keyed(&scene, publisher, NULL, "2", "same correlation data");
    publish_keyed(&scene, publisher, NULL, NULL, "{\"id\": 3}");
    publish_keyed(&scene, publisher, NULL, NULL, "{\"x\": 0, \"id\": 3}");
    publish_keyed(&scene, publisher, NULL, NULL, "no key");
    publish_keyed(&scene, publisher, NULL, NULL, "no key");
    EXPECT(scene.watcher, "keyed first", "$idem/duplicate/keyed same property",
           "keyed other extractor", "$idem/duplicate/keyed same correlation data",
           "keyed {\"id\": 3}", "$idem/duplicate/keyed {\"x\": 0, \"id\": 3}",
           "keyed no key", "keyed no key");
}

static void test_order_is_kept_among_what_is_delivered(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *subscriber = scene_client(&scene, "subscriber");
    mqtt_subscribe(subscriber, "orders/#", 2);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    static const char *const sent[] = {"a", "b", "a", "c", "b", "d", "a", "e"};
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        scene_publish(&scene, publisher, "orders/1", sent[i]);
    }
    EXPECT(subscriber, "orders/1 a", "orders/1 b", "orders/1 c", "orders/1 d",
           "orders/1 e");
}

static void test_duplicates_are_never_retained(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt_message copy = {
        .topic = "orders/1", .payload = "a", .qos = scene.variant.qos, .retain = true};
    mqtt_publish_ok(publisher, &copy);
    mqtt_publish_ok(publisher, &copy);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
    struct mqtt *late = scene_watcher(&scene, "late", MQTT_311);
    mqtt_subscribe(late, "$idem/#", 2);
    assert_true(EXPECT(late, "orders/1 a")->retain);
}

static void test_the_duplicate_of_a_very_long_topic_has_a_short_one(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    static char topic[65535 + 1] = "orders/";
    static char line[sizeof topic + 8];
    memset(topic + strlen("orders/"), 'x', sizeof topic - 1 - strlen("orders/"));
    (void)snprintf(line, sizeof line, "%s a", topic);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, topic, "a");
    scene_publish(&scene, publisher, topic, "a");
    EXPECT(scene.watcher, line, "$idem/duplicate a");
}

static void test_big_payloads_are_compared_whole(void **state) {
    enum { SIZE = 3 * 1024 * 1024 };
    struct scene scene;
    scene_open(&scene, idem, state);
    char *payload = malloc(SIZE + 1);
    assert_non_null(payload);
    memset(payload, 'x', SIZE);
    payload[SIZE] = '\0';
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "orders/1", payload);
    scene_publish(&scene, publisher, "orders/1", payload);
    payload[SIZE - 1] = 'y';
    scene_publish(&scene, publisher, "orders/1", payload);
    free(payload);
    const struct mqtt_message *messages = mqtt_collect(scene.watcher);
    assert_int_equal(watch_count(messages), 3);
    assert_string_equal(messages->topic, "orders/1");
    assert_int_equal(messages->length, SIZE);
    assert_string_equal(watch_at(messages, 1)->topic, "$idem/duplicate/orders/1");
    assert_int_equal(watch_at(messages, 1)->length, SIZE);
    assert_string_equal(watch_at(messages, 2)->topic, "orders/1");
    assert_int_equal(watch_at(messages, 2)->payload[SIZE - 1], 'y');
}

static void test_a_key_is_new_again_after_its_ttl(void **state) {
    static const char brief[] = SCENE_TOP "  - name: brief\n"
                                          "    match: {topic: brief}\n"
                                          "    key: payload\n"
                                          "    ttl: 1s\n"
                                          "    lease: 500ms\n"
                                          "    short_ttl: true\n";
    struct scene scene;
    scene_open(&scene, brief, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt *subscriber = scene_client(&scene, "subscriber");
    mqtt_subscribe(subscriber, "brief", 2);
    int64_t start = idem_clock_monotonic_ns();
    int64_t deadline = testing_deadline();
    scene_publish(&scene, publisher, "brief", "a");
    EXPECT(subscriber, "brief a");
    const struct mqtt_message *again;
    do { /* a duplicate must not prolong the time */
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
        scene_publish(&scene, publisher, "brief", "a");
        again = mqtt_collect(subscriber);
    } while (again == NULL);
    assert_int_equal(watch_count(again), 1);
    /* the wall clock that records are told is up to 10 ms behind */
    assert_in_range((idem_clock_monotonic_ns() - start) / 1000000, 985, 9000);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_later_copies_are_acknowledged_and_shown),
        EACH(test_copies_sent_in_one_breath_are_one),
        EACH(test_subscribers_of_both_versions_see_one_copy),
        ACKNOWLEDGED(test_the_dup_flag_decides_nothing),
        VERSIONS(test_a_resend_after_a_lost_acknowledgement_is_dropped),
        EACH(test_copies_at_other_qos_and_by_other_clients_are_dropped),
        EACH(test_copies_by_two_clients_at_the_same_moment_are_one),
        EACH(test_two_principals_with_one_key_do_not_collide),
        ONCE(test_one_key_under_two_rules_does_not_collide),
        EACH(test_what_no_rule_or_a_natural_one_matches_passes_every_time),
        ACKNOWLEDGED(test_the_key_is_found_where_the_rule_says),
        EACH(test_order_is_kept_among_what_is_delivered),
        EACH(test_duplicates_are_never_retained),
        EACH(test_the_duplicate_of_a_very_long_topic_has_a_short_one),
        EACH(test_big_payloads_are_compared_whole),
        VERSIONS(test_a_key_is_new_again_after_its_ttl),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
