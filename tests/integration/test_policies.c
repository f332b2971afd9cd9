/* SPDX-License-Identifier: MIT
 * What a rule may do with a copy that is not simply new: each policy, as publishers and subscribers see it. */
#include "scene.h"

#include <string.h>

/* The second level of the topic is the key, so that one key can come with several payloads. */
#define PLACES(policy)                                                                   \
    SCENE_TOP "  - name: places\n"                                                       \
              "    match: {topic: place/+}\n"                                            \
              "    key: topic:2\n"                                                       \
              "    scope: rule\n"                                                        \
              "    " policy "\n"
#define NUMBERED(policy)                                                                 \
    SCENE_TOP                                                                            \
    "  - {name: ids, match: {topic: ids}, key: 'json:/id', scope: rule, " policy "}\n"

/* Whether a refusal can be told to the publisher. */
static bool can_say_no(const struct scene *scene) {
    return scene->variant.version == MQTT_5 && scene->variant.qos > 0;
}

static uint8_t publish(const struct scene *scene, struct mqtt *publisher,
                       const char *topic, const char *payload) {
    return mqtt_publish(publisher, &(struct mqtt_message){.topic = topic,
                                                          .payload = payload,
                                                          .qos = scene->variant.qos});
}

/* Publishes a under the key, then b, then a again; b is the conflict. */
static struct mqtt *provoke_conflict(struct scene *scene, const char *idem,
                                     void **state) {
    scene_open(scene, idem, state);
    struct mqtt *publisher = scene_client(scene, "publisher");
    scene_publish(scene, publisher, "place/1", "a");
    scene_publish(scene, publisher, "place/1", "b");
    scene_publish(scene, publisher, "place/1", "a");
    return publisher;
}

static void test_a_conflict_is_quarantined_by_default(void **state) {
    struct scene scene;
    (void)provoke_conflict(&scene, PLACES(""), state);
    const struct mqtt_message *messages =
        EXPECT(scene.watcher, "place/1 a", "$idem/quarantine/place/1 b",
               "$idem/duplicate/place/1 a");
    const char *reason = mqtt_user_property(watch_at(messages, 1), "idem-reason");
    assert_non_null(reason);
    assert_string_equal(reason, "conflict");
    reason = mqtt_user_property(watch_at(messages, 2), "idem-reason");
    assert_non_null(reason);
    assert_string_equal(reason, "duplicate");
    assert_null(mqtt_user_property(messages, "idem-reason"));
}

static void test_a_conflict_is_dropped(void **state) {
    struct scene scene;
    (void)provoke_conflict(&scene, PLACES("on_conflict: drop"), state);
    EXPECT(scene.watcher, "place/1 a", "$idem/duplicate/place/1 b",
           "$idem/duplicate/place/1 a");
}

static void test_a_conflict_is_delivered(void **state) {
    struct scene scene;
    (void)provoke_conflict(&scene, PLACES("on_conflict: deliver"), state);
    EXPECT(scene.watcher, "place/1 a", "place/1 b", "$idem/duplicate/place/1 a");
}

static void test_a_conflict_is_rejected(void **state) {
    struct scene scene;
    scene_open(&scene, PLACES("on_conflict: reject"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "place/1", "a");
    uint8_t reason = publish(&scene, publisher, "place/1", "b");
    if (can_say_no(&scene)) {
        assert_int_equal(reason, 0x87);
        EXPECT(scene.watcher, "place/1 a");
    } else {
        assert_in_range(reason, 0, 0x7f);
        EXPECT(scene.watcher, "place/1 a", "$idem/rejected/place/1 b");
    }
    scene_publish(&scene, publisher, "place/1", "a");
    EXPECT(scene.watcher, "$idem/duplicate/place/1 a");
}

static void test_without_a_fingerprint_there_is_no_conflict(void **state) {
    struct scene scene;
    (void)provoke_conflict(&scene, PLACES("fingerprint: none"), state);
    EXPECT(scene.watcher, "place/1 a", "$idem/duplicate/place/1 b",
           "$idem/duplicate/place/1 a");
}

static void test_a_conflict_is_judged_by_what_the_fingerprint_names(void **state) {
    struct scene scene;
    scene_open(&scene, PLACES("fingerprint: ['json:/sum']"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "place/1", "{\"sum\": 1, \"try\": 1}");
    scene_publish(&scene, publisher, "place/1", "{\"sum\": 1, \"try\": 2}");
    scene_publish(&scene, publisher, "place/1", "{\"sum\": 2, \"try\": 3}");
    EXPECT(scene.watcher, "place/1 {\"sum\": 1, \"try\": 1}",
           "$idem/duplicate/place/1 {\"sum\": 1, \"try\": 2}",
           "$idem/quarantine/place/1 {\"sum\": 2, \"try\": 3}");
}

static void test_duplicates_are_quarantined(void **state) {
    struct scene scene;
    scene_open(&scene, PLACES("on_duplicate: quarantine"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "place/1", "a");
    scene_publish(&scene, publisher, "place/1", "a");
    const struct mqtt_message *messages =
        EXPECT(scene.watcher, "place/1 a", "$idem/quarantine/place/1 a");
    const char *reason = mqtt_user_property(messages->next, "idem-reason");
    assert_non_null(reason);
    assert_string_equal(reason, "duplicate");
}

static void test_a_message_without_a_key_is_delivered_by_default(void **state) {
    struct scene scene;
    scene_open(&scene, NUMBERED("ttl: 2h"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "ids", "{}");
    scene_publish(&scene, publisher, "ids", "{}");
    EXPECT(scene.watcher, "ids {}", "ids {}");
}

static void test_a_message_without_a_key_is_quarantined(void **state) {
    struct scene scene;
    scene_open(&scene, NUMBERED("on_missing_key: quarantine"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "ids", "{}");
    scene_publish(&scene, publisher, "ids", "{\"id\":1}");
    const struct mqtt_message *messages =
        EXPECT(scene.watcher, "$idem/quarantine/ids {}", "ids {\"id\":1}");
    const char *reason = mqtt_user_property(messages, "idem-reason");
    assert_non_null(reason);
    assert_string_equal(reason, "missing_key");
}

static void test_a_message_without_a_key_is_rejected(void **state) {
    struct scene scene;
    scene_open(&scene, NUMBERED("on_missing_key: reject"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    uint8_t reason = publish(&scene, publisher, "ids", "{}");
    if (can_say_no(&scene)) {
        assert_int_equal(reason, 0x87);
        EXPECT_NOTHING(scene.watcher);
    } else {
        assert_in_range(reason, 0, 0x7f);
        EXPECT(scene.watcher, "$idem/rejected/ids {}");
    }
    scene_publish(&scene, publisher, "ids", "{\"id\":1}");
    EXPECT(scene.watcher, "ids {\"id\":1}");
}

static void
test_what_is_set_aside_is_not_retained_and_keeps_its_properties(void **state) {
    struct scene scene;
    scene_open(&scene, PLACES(""), state);
    struct mqtt *publisher = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_5, .client_id = "p"});
    struct mqtt_message message = {
        .topic = "place/1",
        .payload = "a",
        .qos = scene.variant.qos,
        .properties = {.user = {{"a", "1"}, {"idem-reason", "forged"}},
                       .response_topic = "answers",
                       .correlation = "c"}};
    mqtt_publish_ok(publisher, &message);
    message.payload = "b";
    message.retain = true;
    mqtt_publish_ok(publisher, &message);
    const struct mqtt_message *messages =
        EXPECT(scene.watcher, "place/1 a", "$idem/quarantine/place/1 b");
    const struct mqtt_properties *properties = &messages->next->properties;
    assert_string_equal(properties->response_topic, "answers");
    assert_memory_equal(properties->correlation, "c", 1);
    assert_string_equal(mqtt_user_property(messages->next, "a"), "1");
    assert_string_equal(mqtt_user_property(messages->next, "idem-reason"), "conflict");
    EXPECT_NOTHING(scene_watcher(&scene, "late", MQTT_5));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_a_conflict_is_quarantined_by_default),
        EACH(test_a_conflict_is_dropped),
        EACH(test_a_conflict_is_delivered),
        EACH(test_a_conflict_is_rejected),
        ACKNOWLEDGED(test_without_a_fingerprint_there_is_no_conflict),
        ONCE(test_a_conflict_is_judged_by_what_the_fingerprint_names),
        EACH(test_duplicates_are_quarantined),
        EACH(test_a_message_without_a_key_is_delivered_by_default),
        EACH(test_a_message_without_a_key_is_quarantined),
        EACH(test_a_message_without_a_key_is_rejected),
        EACH(test_what_is_set_aside_is_not_retained_and_keeps_its_properties),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
