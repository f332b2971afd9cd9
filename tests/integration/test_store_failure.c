/* SPDX-License-Identifier: MIT
 * A disk that takes nothing more: what is known is still recognised, and what is new follows the policy. */
#include "scene.h"

#include <stdio.h>

/* The smallest front that there is, so that it is soon full of what cannot be written. */
static const char idem[] =
    "instance: test\n"
    "store: {url: \"embedded://@DIR@/store?front=64&commit=1ms\"}\n"
    "mqtt: {sys_interval: 50ms}\n"
    "rules:\n"
    "  - {name: open, match: {topic: open}, key: payload, scope: rule}\n"
    "  - name: closed\n"
    "    match: {topic: closed}\n"
    "    key: payload\n"
    "    scope: rule\n"
    "    on_store_failure: refuse\n";

enum { FRONT = 64, ENOUGH = 200 };

/* Every message is new, and is delivered, whether the store can claim it or not. */
static void fill_store(struct scene *scene) {
    struct mqtt *filler = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene->broker), .version = MQTT_5, .client_id = "filler"});
    broker_fill_disk(scene->broker, true);
    for (unsigned i = 0; i < ENOUGH; i++) {
        char payload[16];
        (void)snprintf(payload, sizeof payload, "%u", i);
        mqtt_publish_ok(filler, &(struct mqtt_message){
                                    .topic = "open", .payload = payload, .qos = 1});
    }
    assert_int_equal(watch_count(mqtt_collect(scene->watcher)), ENOUGH);
    watch_figure_reaches(scene->broker, "messages/store_failure", 1);
    watch_figure(scene->broker, "store/failing", 1);
}

static void recover(struct scene *scene) {
    broker_fill_disk(scene->broker, false);
    broker_expect_log(scene->broker, "store.recovered");
    watch_figure_sinks(scene->broker, "store/memory_entries", FRONT / 4); /* merged */
}

static void test_what_cannot_be_claimed_is_delivered_unprotected(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    fill_store(&scene);
    scene_publish(&scene, publisher, "open", "0"); /* known */
    scene_publish(&scene, publisher, "open", "new");
    scene_publish(&scene, publisher, "open", "new");
    EXPECT(scene.watcher, "$idem/duplicate/open 0", "open new", "open new");
    recover(&scene);
    scene_publish(&scene, publisher, "open", "new");
    scene_publish(&scene, publisher, "open", "new");
    EXPECT(scene.watcher, "open new", "$idem/duplicate/open new");
}

static void test_what_cannot_be_claimed_is_refused_where_the_rule_says_so(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "closed", "known");
    EXPECT(scene.watcher, "closed known");
    fill_store(&scene);
    scene_publish(&scene, publisher, "closed", "known");
    EXPECT(scene.watcher, "$idem/duplicate/closed known");
    struct mqtt_message message = {
        .topic = "closed", .payload = "new", .qos = scene.variant.qos};
    if (scene.variant.qos == 0) {
        mqtt_publish_ok(publisher, &message);
    } else if (scene.variant.version == MQTT_5) {
        assert_int_equal(mqtt_publish(publisher, &message), 0x87);
    } else {
        (void)mqtt_send(publisher, &message);
        assert_int_equal(mqtt_await_close(publisher), 0);
        publisher = scene_client(&scene, "publisher");
    }
    EXPECT_NOTHING(scene.watcher);
    watch_figure(scene.broker, "verdicts/refuse", 1);
    recover(&scene);
    mqtt_publish_ok(publisher, &message);
    mqtt_publish_ok(publisher, &message);
    EXPECT(scene.watcher, "closed new", "$idem/duplicate/closed new");
}

static void test_no_line_holds_a_payload(void **state) {
    static const char debug[] =
        "instance: test\n"
        "store: {url: \"embedded://@DIR@/store?front=64&commit=1ms\"}\n"
        "log: {level: debug}\n"
        "rules:\n"
        "  - {name: open, match: {topic: open}, key: json:/id, scope: rule}\n";
    struct scene scene;
    scene_open(&scene, debug, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    broker_fill_disk(scene.broker, true);
    for (unsigned i = 0; i < ENOUGH; i++) {
        char payload[64];
        (void)snprintf(payload, sizeof payload, "{\"id\":%u,\"is\":\"MARKED\"}", i);
        scene_publish(&scene, publisher, "open", payload);
    }
    assert_int_equal(watch_count(mqtt_collect(scene.watcher)), ENOUGH);
    scene_publish(&scene, publisher, "open", "{\"id\":0,\"is\":\"MARKED too\"}");
    scene_publish(&scene, publisher, "open", "MARKED");
    broker_fill_disk(scene.broker, false);
    broker_expect_log(scene.broker, "store.recovered");
    broker_stop(scene.broker);
    broker_expect_log(scene.broker,
                      "more in "); /* store.claim's first lines had no disk */
    assert_false(broker_logged(scene.broker, "MARKED"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_what_cannot_be_claimed_is_delivered_unprotected),
        EACH(test_what_cannot_be_claimed_is_refused_where_the_rule_says_so),
        ONCE(test_no_line_holds_a_payload),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
