/* SPDX-License-Identifier: MIT
 * What the plugin must leave alone, although its rules match: retained messages and their deletion, wills,
 * empty payloads, the broker's own topics; and what it keeps for itself. */
#include "scene.h"

#include <string.h>

static const char idem[] =
    SCENE_TOP "  - {name: places, match: {topic: place/+}, key: 'topic:2', scope: rule}\n"
              "  - {name: rest, match: {topic: '#'}, key: payload, scope: rule}\n";

static void retain(const struct scene *scene, struct mqtt *publisher, const char *topic,
                   const char *payload) {
    struct mqtt_message message = {
        .topic = topic, .payload = payload, .qos = scene->variant.qos, .retain = true};
    mqtt_publish_ok(publisher, &message);
}

static void test_a_retained_delete_always_passes(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    retain(&scene, publisher, "place/1", "a");
    retain(&scene, publisher, "place/1", "");
    retain(&scene, publisher, "place/1", "");
    EXPECT(scene.watcher, "place/1 a", "place/1 ", "place/1 ");
    EXPECT_NOTHING(scene_watcher(&scene, "late", MQTT_311));
    retain(&scene, publisher, "place/2", "b");
    retain(&scene, publisher, "place/2", "");
    EXPECT_NOTHING(scene_watcher(&scene, "later", MQTT_5));
}

static void test_a_retained_message_is_retained(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    retain(&scene, publisher, "place/1", "a");
    retain(&scene, publisher, "door", "open");
    assert_false(EXPECT(scene.watcher, "place/1 a", "door open")->retain);
    struct mqtt *late = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_311, .client_id = "late"});
    mqtt_subscribe(late, "place/#", 2);
    assert_true(EXPECT(late, "place/1 a")->retain);
    mqtt_subscribe(late, "door", 2);
    assert_true(EXPECT(late, "door open")->retain);
}

static void test_an_empty_payload_is_a_message_as_any_other(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "place/1", "");
    scene_publish(&scene, publisher, "place/1", "");
    scene_publish(&scene, publisher, "place/2", "");
    EXPECT(scene.watcher, "place/1 ", "$idem/duplicate/place/1 ", "place/2 ");
}

static void test_a_will_is_delivered(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt_message will = {
        .topic = "place/1", .payload = "gone", .qos = scene.variant.qos, .retain = true};
    struct mqtt_options options = {.port = broker_port(scene.broker),
                                   .version = scene.variant.version,
                                   .client_id = "mortal",
                                   .will = &will};
    for (int i = 0; i < 2; i++) { /* each death is news */
        struct mqtt *mortal = mqtt_connect(&options);
        mqtt_sync(mortal);
        mqtt_drop(mortal);
        const struct mqtt_message *message = mqtt_receive(scene.watcher);
        assert_string_equal(message->topic, "place/1");
        assert_string_equal(message->payload, "gone");
    }
    assert_true(EXPECT(scene_watcher(&scene, "late", MQTT_311), "place/1 gone")->retain);
}

static void test_clients_cannot_publish_below_idem(void **state) {
    static const char *const topics[] = {"$idem", "$idem/duplicate/x", "$idem/sink",
                                         "$idem/quarantine", "$idem/other"};
    struct scene scene;
    scene_open(&scene, idem, state);
    mqtt_subscribe(scene.watcher, "$idem/#", 2);
    struct mqtt *forger = scene_client(&scene, "forger");
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        struct mqtt_message message = {
            .topic = topics[i], .payload = "x", .qos = scene.variant.qos};
        uint8_t reason = mqtt_publish(forger, &message);
        bool told = scene.variant.version == MQTT_5 && scene.variant.qos > 0;
        assert_int_equal(reason, told ? 0x87 : 0);
    }
    EXPECT_NOTHING(scene.watcher);
    scene_publish(&scene, forger, "$idemx", "x"); /* not below it */
    mqtt_subscribe(scene.watcher, "$idemy", 2);
    scene_publish(&scene, forger, "$idemy", "y");
    scene_publish(&scene, forger, "$idemy", "y"); /* '#' is not about topics with a $ */
    EXPECT(scene.watcher, "$idemy y", "$idemy y");
}

/* What the broker delivers by itself keeps what is lost where the plugin hands messages on. */
static void test_no_local_and_expiry_are_kept_outside_of_qos_2_under_a_key(void **state) {
    static const struct {
        const char *topic;
        uint8_t most; /* QoS */
    } cases[] = {{"orders", 1}, {"states", 2}, {"elsewhere", 2}};
    struct scene scene;
    scene_open(&scene,
               SCENE_TOP
               "  - {name: orders, match: {topic: orders}, key: payload}\n"
               "  - {name: states, match: {topic: states}, strategy: natural}\n",
               state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mqtt_subscribe_with(
            publisher,
            &(struct mqtt_filter){.filter = cases[i].topic, .qos = 2, .no_local = true});
        for (uint8_t qos = 0; qos <= cases[i].most; qos++) {
            char payload[] = {(char)('0' + qos), '\0'};
            mqtt_publish_ok(publisher,
                            &(struct mqtt_message){.topic = cases[i].topic,
                                                   .payload = payload,
                                                   .qos = qos,
                                                   .properties = {.expiry_s = 1000}});
            const struct mqtt_message *message = mqtt_collect(scene.watcher);
            assert_int_equal(watch_count(message), 1);
            assert_string_equal(message->topic, cases[i].topic);
            assert_in_range(message->properties.expiry_s, 900, 1000);
        }
        EXPECT_NOTHING(publisher);
    }
}

static void test_the_broker_s_own_figures_are_published(void **state) {
    struct scene scene;
    scene_open_with(&scene,
                    &(struct broker_options){.idem = idem, .more = "sys_interval 1\n"},
                    state);
    struct mqtt *client = scene_client(&scene, "client");
    mqtt_subscribe(client, "$SYS/broker/version", 0);
    assert_non_null(strstr(mqtt_receive(client)->payload, "mosquitto version"));
}

static void test_figures_count_what_happened(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "place/1", "a");
    scene_publish(&scene, publisher, "place/1", "a");
    scene_publish(&scene, publisher, "place/1", "a");
    scene_publish(&scene, publisher, "place/1", "b");
    scene_publish(&scene, publisher, "place/2", "b");
    watch_figure(scene.broker, "messages/new", 2);
    watch_figure(scene.broker, "messages/duplicate", 2);
    watch_figure(scene.broker, "messages/conflict", 1);
    watch_figure(scene.broker, "verdicts/deliver", 2);
    watch_figure(scene.broker, "verdicts/drop", 2);
    watch_figure(scene.broker, "verdicts/quarantine", 1);
    watch_figure(scene.broker, "rules/places/messages/duplicate", 2);
    watch_figure(scene.broker, "completed", 2);
    watch_figure(scene.broker, "store/keys", 2);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_a_retained_delete_always_passes),
        EACH(test_a_retained_message_is_retained),
        EACH(test_an_empty_payload_is_a_message_as_any_other),
        EACH(test_a_will_is_delivered),
        EACH(test_clients_cannot_publish_below_idem),
        ONCE(test_no_local_and_expiry_are_kept_outside_of_qos_2_under_a_key),
        ONCE(test_the_broker_s_own_figures_are_published),
        ACKNOWLEDGED(test_figures_count_what_happened),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
