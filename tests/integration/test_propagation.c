/* SPDX-License-Identifier: MIT
 * A delivered message carries its key downstream, for the next receiver. */
#include "scene.h"

#include <string.h>

#define RULE(propagate)                                                                  \
    SCENE_TOP "  - name: orders\n"                                                       \
              "    match: {topic: orders/+}\n"                                           \
              "    key: topic:2\n"                                                       \
              "    scope: rule\n"                                                        \
              "    " propagate "\n"

/* The property of the message that is delivered for one key. */
static const char *property_of(const struct scene *scene, struct mqtt *publisher,
                               const char *topic, const char *name) {
    scene_publish(scene, publisher, topic, "a");
    const struct mqtt_message *messages = mqtt_collect(scene->watcher);
    assert_int_equal(watch_count(messages), 1);
    return mqtt_user_property(messages, name);
}

static void test_the_key_is_passed_on_as_it_came(void **state) {
    struct scene scene;
    scene_open(&scene, RULE("propagate: {as: idempotency-key}"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    const char *key = property_of(&scene, publisher, "orders/k-1", "idempotency-key");
    assert_non_null(key);
    assert_string_equal(key, "k-1");
}

static void test_the_property_has_the_name_that_the_rule_gives(void **state) {
    struct scene scene;
    scene_open(&scene, RULE("propagate: x-key"), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    const char *key = property_of(&scene, publisher, "orders/k-1", "x-key");
    assert_non_null(key);
    assert_string_equal(key, "k-1");
}

static void test_nothing_is_passed_on_unasked(void **state) {
    struct scene scene;
    scene_open(&scene, RULE(""), state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    assert_null(property_of(&scene, publisher, "orders/k-1", "idempotency-key"));
}

static void test_a_key_derived_for_a_hop_is_the_same_every_time(void **state) {
    struct scene scene;
    char keys[3][64];
    static const char *const hops[] = {RULE("propagate: {hop: billing}"),
                                       RULE("propagate: {hop: billing}"),
                                       RULE("propagate: {hop: shipping}")};
    for (size_t i = 0; i < 3; i++) {
        scene_open(&scene, hops[i], state);
        struct mqtt *publisher = scene_client(&scene, "publisher");
        const char *key = property_of(&scene, publisher, "orders/k-1", "idempotency-key");
        assert_non_null(key);
        assert_int_equal(strlen(key), 32);
        memcpy(keys[i], key, strlen(key) + 1);
        const char *other =
            property_of(&scene, publisher, "orders/k-2", "idempotency-key");
        assert_string_not_equal(other, keys[i]);
        (void)testing_tidy(NULL);
    }
    assert_string_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[0], keys[2]);
}

static void test_a_property_of_that_name_is_replaced_and_others_are_kept(void **state) {
    struct scene scene;
    scene_open(&scene, RULE("propagate: {hop: billing}"), state);
    struct mqtt *publisher = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_5, .client_id = "p"});
    struct mqtt_message message = {.topic = "orders/k-1",
                                   .payload = "a",
                                   .qos = scene.variant.qos,
                                   .properties = {.user = {{"a", "1"},
                                                           {"idempotency-key", "forged"},
                                                           {"b", "2"},
                                                           {"idempotency-key", "forged"}},
                                                  .content_type = "text/plain"}};
    mqtt_publish_ok(publisher, &message);
    const struct mqtt_message *delivered = EXPECT(scene.watcher, "orders/k-1 a");
    size_t keys = 0;
    for (const struct mqtt_user_property *at = delivered->properties.user;
         at->name != NULL; at++) {
        assert_string_not_equal(at->value, "forged");
        keys += strcmp(at->name, "idempotency-key") == 0 ? 1 : 0;
    }
    assert_int_equal(keys, 1);
    assert_string_equal(mqtt_user_property(delivered, "a"), "1");
    assert_string_equal(mqtt_user_property(delivered, "b"), "2");
    assert_string_equal(delivered->properties.content_type, "text/plain");
}

/* The next receiver: the key that the first one passed on is found there as a property. */
static void test_the_passed_on_key_serves_the_next_receiver(void **state) {
    struct scene scene;
    scene_open(&scene,
               RULE("propagate: {}") "  - name: next\n"
                                     "    match: {topic: next}\n"
                                     "    key: property:idempotency-key\n"
                                     "    scope: rule\n",
               state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    const char *key = property_of(&scene, publisher, "orders/k-1", "idempotency-key");
    struct mqtt *next = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene.broker), .version = MQTT_5, .client_id = "next"});
    struct mqtt_message message = {.topic = "next",
                                   .payload = "n",
                                   .qos = scene.variant.qos,
                                   .properties = {.user = {{"idempotency-key", key}}}};
    mqtt_publish_ok(next, &message);
    mqtt_publish_ok(next, &message);
    EXPECT(scene.watcher, "next n", "$idem/duplicate/next n");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_the_key_is_passed_on_as_it_came),
        ACKNOWLEDGED(test_the_property_has_the_name_that_the_rule_gives),
        ACKNOWLEDGED(test_nothing_is_passed_on_unasked),
        ACKNOWLEDGED(test_a_key_derived_for_a_hop_is_the_same_every_time),
        ACKNOWLEDGED(test_a_property_of_that_name_is_replaced_and_others_are_kept),
        ONCE(test_the_passed_on_key_serves_the_next_receiver),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
