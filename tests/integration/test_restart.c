/* SPDX-License-Identifier: MIT
 * The embedded store remembers keys over a clean stop and, once they are committed, over kill -9. */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

static const char idem[] = SCENE_TOP
    "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n"
    "  - {name: filler, match: {topic: filler}, key: payload, scope: rule}\n"
    "  - {name: places, match: {topic: place/+}, key: 'topic:2', scope: rule}\n";

/* Returns when everything that was completed before is on disk: groups are committed one after the
 * other, so that of two commits the second began after the call. */
static void wait_for_commits(struct scene *scene) {
    struct mqtt *filler = scene_client(scene, "filler");
    int64_t deadline = testing_deadline();
    unsigned long before = watch_read_figure(scene->broker, "store/commits");
    for (unsigned i = 0; watch_read_figure(scene->broker, "store/commits") < before + 2;
         i++) {
        char payload[16];
        (void)snprintf(payload, sizeof payload, "%u", i);
        scene_publish(scene, filler, "filler", payload);
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
    }
}

static struct mqtt *publish_first(struct scene *scene, void **state) {
    scene_open(scene, idem, state);
    struct mqtt *publisher = scene_client(scene, "publisher");
    scene_publish(scene, publisher, "orders/1", "a");
    scene_publish(scene, publisher, "place/1", "b");
    EXPECT(scene->watcher, "orders/1 a", "place/1 b");
    return publisher;
}

static void check_memory(struct scene *scene) {
    scene_watch_again(scene);
    struct mqtt *publisher = scene_client(scene, "publisher");
    scene_publish(scene, publisher, "orders/1", "a");
    scene_publish(scene, publisher, "place/1", "other");
    scene_publish(scene, publisher, "orders/1", "c");
    EXPECT(scene->watcher, "$idem/duplicate/orders/1 a", "$idem/quarantine/place/1 other",
           "orders/1 c");
}

static void test_keys_outlive_a_clean_restart(void **state) {
    struct scene scene;
    (void)publish_first(&scene, state);
    mqtt_tidy();
    broker_stop(scene.broker);
    broker_start(scene.broker);
    check_memory(&scene);
}

static void test_committed_keys_outlive_a_kill(void **state) {
    struct scene scene;
    (void)publish_first(&scene, state);
    watch_figure(scene.broker, "completed", 2);
    wait_for_commits(&scene);
    mqtt_tidy();
    broker_kill(scene.broker);
    broker_start(scene.broker);
    check_memory(&scene);
}

static void test_a_kill_at_any_time_loses_no_message(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    for (unsigned i = 0; i < 5; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "orders/1 %u", i);
        struct mqtt *publisher = scene_client(&scene, "publisher");
        struct mqtt_message message = {
            .topic = "orders/1", .payload = line + 9, .qos = scene.variant.qos};
        (void)mqtt_send(publisher, &message);
        if (i % 2 == 0) { /* killed with the message sent / with the message delivered */
            EXPECT_NEXT(scene.watcher, line);
        }
        mqtt_tidy();
        broker_kill(scene.broker);
        broker_start(scene.broker);
        scene_watch_again(&scene);
        publisher = scene_client(&scene, "publisher");
        mqtt_publish_ok(publisher, &message);
        const struct mqtt_message *delivered = mqtt_collect(scene.watcher);
        assert_int_equal(watch_count(delivered),
                         1); /* as new, as a duplicate, or in doubt */
        mqtt_publish_ok(publisher, &message);
        (void)snprintf(line, sizeof line, "$idem/duplicate/orders/1 %u", i);
        EXPECT(scene.watcher, line);
    }
}

/* PUBLISH with each packet id up to count that is not in except; the payload is the id. */
static void send_unreleased(struct mqtt *publisher, uint16_t count, const bool *except) {
    for (uint16_t id = 1; id <= count; id++) {
        char payload[8];
        (void)snprintf(payload, sizeof payload, "%u", id);
        if (except == NULL || !except[id]) {
            (void)mqtt_send(publisher, &(struct mqtt_message){.topic = "orders/1",
                                                              .payload = payload,
                                                              .qos = 2,
                                                              .id = id,
                                                              .dup = except != NULL});
        }
    }
}

static void note_received(struct mqtt *publisher, bool *received) {
    enum mqtt_type type;
    uint16_t id;
    while (mqtt_await_any(publisher, &type, &id)) {
        assert_int_equal(type, MQTT_PUBREC);
        received[id] = true;
    }
}

static void count_deliveries(struct mqtt *subscriber, uint16_t count, size_t *delivered) {
    const struct mqtt_message *message = mqtt_collect(subscriber);
    for (; message != NULL; message = message->next) {
        unsigned long id = strtoul(message->payload, NULL, 10);
        assert_in_range(id, 1, count);
        delivered[id]++;
    }
}

/* The broker throws away what waits in its queue of plugins' messages when it stops, and the publishers of
 * QoS 2 messages may have been told that it has them: PUBREC. They will not send them again. */
static void test_a_clean_stop_keeps_what_was_acknowledged(void **state) {
    static const uint16_t count = 100;
    bool received[101] = {false};
    size_t delivered[101] = {0};
    struct scene scene;
    scene_open_with(&scene,
                    &(struct broker_options){.idem = idem,
                                             .more = "persistence true\n"
                                                     "persistence_location @DIR@/\n"
                                                     "max_inflight_messages 0\n"},
                    state);
    struct mqtt *subscriber = scene_session(&scene, "subscriber");
    mqtt_subscribe(subscriber, "orders/#", 2);
    mqtt_disconnect(subscriber);
    struct mqtt *publisher = scene_session(&scene, "publisher");
    send_unreleased(publisher, count, NULL);
    (void)mqtt_await(publisher, MQTT_PUBREC, 1);
    received[1] = true;
    broker_stop(scene.broker); /* in the middle of the others */
    note_received(publisher, received);
    mqtt_tidy();
    broker_start(scene.broker);
    publisher = scene_session(&scene, "publisher");
    send_unreleased(publisher, count, received);
    for (uint16_t id = 1; id <= count; id++) {
        if (!received[id]) {
            (void)mqtt_await(publisher, MQTT_PUBREC, id);
        }
    }
    for (uint16_t id = 1; id <= count; id++) {
        mqtt_send_ack(publisher, MQTT_PUBREL, id);
        (void)mqtt_await(publisher, MQTT_PUBCOMP, id);
    }
    count_deliveries(scene_session(&scene, "subscriber"), count, delivered);
    for (uint16_t id = 1; id <= count; id++) {
        assert_int_equal(delivered[id], 1);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_keys_outlive_a_clean_restart),
        EACH(test_committed_keys_outlive_a_kill),
        ACKNOWLEDGED(test_a_kill_at_any_time_loses_no_message),
        VERSIONS(test_a_clean_stop_keeps_what_was_acknowledged),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
