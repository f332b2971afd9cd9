/* SPDX-License-Identifier: MIT
 * The broker without the plugin: what the other tests would see if the plugin did nothing. */
#include "testing.h"
#include "watch.h"

#include <stdlib.h>

static struct broker *broker;

static int start(void **state) {
    (void)state;
    broker = broker_run(&(struct broker_options){.shared = true});
    return 0;
}

static struct mqtt *connect_as(const char *id, enum mqtt_version version) {
    return mqtt_connect(&(struct mqtt_options){
        .port = broker_port(broker), .version = version, .client_id = id});
}

static void test_every_copy_is_delivered(void **state) {
    (void)state;
    static const enum mqtt_version versions[] = {MQTT_311, MQTT_5};
    for (size_t i = 0; i < 2; i++) {
        for (uint8_t qos = 0; qos <= 2; qos++) {
            struct mqtt *watcher = connect_as("watcher", versions[1 - i]);
            struct mqtt *publisher = connect_as("publisher", versions[i]);
            mqtt_subscribe(watcher, "bare/#", 2);
            struct mqtt_message copy = {.topic = "bare/x", .payload = "one", .qos = qos};
            mqtt_publish_ok(publisher, &copy);
            mqtt_publish_ok(publisher, &copy);
            EXPECT(watcher, "bare/x one", "bare/x one");
            mqtt_disconnect(watcher);
            mqtt_disconnect(publisher);
        }
    }
}

static void test_properties_arrive_as_they_were_sent(void **state) {
    (void)state;
    struct mqtt *watcher = connect_as("watcher", MQTT_5);
    struct mqtt *publisher = connect_as("publisher", MQTT_5);
    mqtt_subscribe_with(
        watcher,
        &(struct mqtt_filter){.filter = "bare/#", .qos = 1, .subscription_id = 200});
    mqtt_publish_ok(publisher,
                    &(struct mqtt_message){.topic = "bare/p",
                                           .payload = "x",
                                           .qos = 1,
                                           .properties = {.user = {{"a", "1"}, {"b", ""}},
                                                          .response_topic = "answers",
                                                          .content_type = "text/plain",
                                                          .correlation = "c\0d",
                                                          .correlation_length = 3,
                                                          .expiry_s = 100}});
    const struct mqtt_message *message = EXPECT(watcher, "bare/p x");
    const struct mqtt_properties *properties = &message->properties;
    assert_string_equal(mqtt_user_property(message, "a"), "1");
    assert_string_equal(mqtt_user_property(message, "b"), "");
    assert_null(mqtt_user_property(message, "c"));
    assert_string_equal(properties->response_topic, "answers");
    assert_string_equal(properties->content_type, "text/plain");
    assert_int_equal(properties->correlation_length, 3);
    assert_memory_equal(properties->correlation, "c\0d", 3);
    assert_int_equal(properties->expiry_s, 100);
    assert_int_equal(properties->subscription_ids[0], 200);
}

static void test_a_broken_configuration_is_refused(void **state) {
    (void)state;
    struct broker *broken =
        broker_create(&(struct broker_options){.more = "no_such_option true\n"});
    assert_int_not_equal(broker_refuses(broken), 0);
    broker_expect_log(broken, "no_such_option");
}

static void test_a_broker_comes_back_on_its_port(void **state) {
    (void)state;
    struct broker *own = broker_run(&(struct broker_options){
        .more = "persistence true\npersistence_location @DIR@/\n"});
    struct mqtt_options options = {
        .port = broker_port(own), .version = MQTT_311, .client_id = "c"};
    struct mqtt_message kept = {
        .topic = "kept", .payload = "x", .qos = 1, .retain = true};
    mqtt_publish_ok(mqtt_connect(&options), &kept);
    broker_stop(own);
    broker_start(own);
    struct mqtt *client = mqtt_connect(&options);
    mqtt_subscribe(client, "kept", 0);
    assert_true(mqtt_receive(client)->retain);
    broker_kill(own);
    assert_int_equal(mqtt_await_close(client), 0);
    broker_start(own);
    mqtt_sync(mqtt_connect(&options));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_copy_is_delivered, testing_tidy),
        cmocka_unit_test_teardown(test_properties_arrive_as_they_were_sent, testing_tidy),
        cmocka_unit_test_teardown(test_a_broken_configuration_is_refused, testing_tidy),
        cmocka_unit_test_teardown(test_a_broker_comes_back_on_its_port, testing_tidy),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, start, testing_tidy_group);
}
