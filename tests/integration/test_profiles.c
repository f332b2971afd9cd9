/* SPDX-License-Identifier: MIT
 * The profiles under examples/ as they ship, on a real Mosquitto: each does what the system does that it is
 * named after. */
#include "profile.h"
#include "scene.h"

#include <stdlib.h>
#include <string.h>

/* SHA-256 of "hello", as sha256sum prints it. */
#define SHA256_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct scene scene;
static struct mqtt *publisher;

/* Takes the text over. */
static void open_text(char *text, void **state) {
    scene_open(&scene, text, state);
    publisher = scene_client(&scene, "publisher");
    free(text);
}

static void open_profile(const char *name, void **state) {
    open_text(profile_read(name), state);
}

/* With up to two user properties; returns the reason of the acknowledgement. */
static uint8_t publish(const char *topic, const char *payload, const char *name,
                       const char *value, const char *name2, const char *value2) {
    struct mqtt_message message = {.topic = topic,
                                   .payload = payload,
                                   .qos = scene.variant.qos,
                                   .properties = {.user = {{name, value}}}};
    if (name != NULL) {
        message.properties.user[1] = (struct mqtt_user_property){name2, value2};
    }
    return mqtt_publish(publisher, &message);
}

static void accept(const char *topic, const char *payload, const char *name,
                   const char *value) {
    assert_in_range(publish(topic, payload, name, value, NULL, NULL), 0, 0x7f);
}

/* ---- sqs-fifo.yaml ---- */

#define ID    "message-deduplication-id"
#define GROUP "message-group-id"

static void test_sqs_the_id_decides_and_not_the_body(void **state) {
    open_profile("sqs-fifo.yaml", state);
    accept("queues/a/messages", "hello", ID, "1");
    accept("queues/a/messages", "hello", ID, "2");
    accept("queues/a/messages", "other", ID, "1");
    EXPECT(scene.watcher, "queues/a/messages hello", "queues/a/messages hello",
           "$idem/duplicate/queues/a/messages other");
}

static void test_sqs_without_an_id_the_body_is_the_id(void **state) {
    open_profile("sqs-fifo.yaml", state);
    accept("queues/a/messages", "hello", "attribute", "1");
    accept("queues/a/messages", "hello", "attribute", "2");
    accept("queues/a/messages", "hello!", NULL, NULL);
    EXPECT(scene.watcher, "queues/a/messages hello",
           "$idem/duplicate/queues/a/messages hello", "queues/a/messages hello!");
}

static void test_sqs_the_hash_of_the_body_is_the_same_id(void **state) {
    open_profile("sqs-fifo.yaml", state);
    accept("queues/a/messages", "hello", NULL, NULL);
    accept("queues/a/messages", "other", ID, SHA256_OF_HELLO);
    EXPECT(scene.watcher, "queues/a/messages hello",
           "$idem/duplicate/queues/a/messages other");
}

static void test_sqs_an_id_is_unique_within_its_queue(void **state) {
    open_profile("sqs-fifo.yaml", state);
    (void)publish("queues/a/messages", "m", ID, "1", GROUP, "g");
    (void)publish("queues/a/messages", "m", ID, "1", GROUP, "h");
    (void)publish("queues/b/messages", "m", ID, "1", GROUP, "g");
    EXPECT(scene.watcher, "queues/a/messages m", "$idem/duplicate/queues/a/messages m",
           "queues/b/messages m");
}

static void test_sqs_an_id_is_unique_within_its_group(void **state) {
    open_profile("sqs-fifo.yaml", state);
    (void)publish("grouped/a/messages", "m", ID, "1", GROUP, "g");
    (void)publish("grouped/a/messages", "m", ID, "1", GROUP, "h");
    (void)publish("grouped/b/messages", "m", ID, "1", GROUP, "g");
    (void)publish("grouped/a/messages", "m", ID, "1", GROUP, "g");
    EXPECT(scene.watcher, "grouped/a/messages m", "grouped/a/messages m",
           "grouped/b/messages m", "$idem/duplicate/grouped/a/messages m");
}

static void test_sqs_a_message_without_a_group_is_refused(void **state) {
    open_profile("sqs-fifo.yaml", state);
    assert_int_equal(publish("grouped/a/messages", "m", ID, "1", NULL, NULL), 0x87);
    EXPECT_NOTHING(scene.watcher);
}

/* ---- windows ---- */

#define WINDOW_MS 1500

static void publish_first(void *arg) {
    accept("queues/a/messages", "first", ID, arg);
    EXPECT(scene.watcher, "queues/a/messages first");
}

static bool copy_is_delivered(void *arg) {
    accept("queues/a/messages", "copy", ID, arg);
    const struct mqtt_message *messages = mqtt_collect(scene.watcher);
    assert_int_equal(watch_count(messages), 1);
    return strcmp(messages->topic, "queues/a/messages") == 0;
}

static char *with_short_window(const char *ttl_from) {
    char *text = profile_read("sqs-fifo.yaml");
    text = profile_change(text, "ttl: 5m\n", "ttl: 1500ms\n    lease: 1s\n");
    return profile_change(text, "ttl_from: first", ttl_from);
}

/* A window that they extended would never end. */
static void test_sqs_repeats_do_not_extend_the_window(void **state) {
    open_text(with_short_window("ttl_from: first"), state);
    publish_first((void *)(uintptr_t) "1");
    int64_t after_ms =
        profile_repeat_until_delivered(copy_is_delivered, (void *)(uintptr_t) "1");
    assert_true(after_ms >= WINDOW_MS - 200);
}

static void test_a_sliding_window_lasts_as_long_as_the_copies_come(void **state) {
    open_text(with_short_window("ttl_from: last"), state);
    publish_first((void *)(uintptr_t) "1");
    assert_true(profile_none_is_delivered(copy_is_delivered, publish_first,
                                          (void *)(uintptr_t) "1", 2 * WINDOW_MS,
                                          WINDOW_MS / 2));
}

/* ---- stripe.yaml ---- */

#define KEY "idempotency-key"

static void test_stripe_a_repeat_succeeds_and_a_conflict_is_refused(void **state) {
    open_profile("stripe.yaml", state);
    accept("payments/requests", "10 EUR", KEY, "k");
    accept("payments/requests", "10 EUR", KEY, "k");
    assert_int_equal(publish("payments/requests", "99 EUR", KEY, "k", NULL, NULL), 0x87);
    accept("payments/requests", "10 EUR", NULL, NULL);
    accept("payments/requests", "10 EUR", NULL, NULL);
    EXPECT(scene.watcher, "payments/requests 10 EUR",
           "$idem/duplicate/payments/requests 10 EUR", "payments/requests 10 EUR",
           "payments/requests 10 EUR");
}

static void send_paid(const char *topic, const char *payload, const char *correlation,
                      struct mqtt_user_property property, const char *reply_to) {
    mqtt_publish_ok(publisher,
                    &(struct mqtt_message){.topic = topic,
                                           .payload = payload,
                                           .qos = scene.variant.qos,
                                           .properties = {.user = {property},
                                                          .response_topic = reply_to,
                                                          .correlation = correlation}});
}

/* A failure too, once the request has begun. */
static void test_stripe_a_repeat_gets_the_first_response(void **state) {
    open_profile("stripe.yaml", state);
    const struct mqtt_user_property key = {KEY, "k"};
    send_paid("payments/requests", "10 EUR", "1", key, "answers");
    send_paid("answers", "declined", "1", (struct mqtt_user_property){"status", "500"},
              NULL);
    send_paid("payments/requests", "10 EUR", "2", key, "answers");
    EXPECT_NEXT(scene.watcher, "payments/requests 10 EUR", "answers declined");
    const struct mqtt_message *got = mqtt_collect(scene.watcher);
    assert_int_equal(watch_count(got), 2);
    for (; got != NULL; got = got->next) {
        bool replay = strcmp(got->topic, "answers") == 0;
        assert_string_equal(got->topic,
                            replay ? "answers" : "$idem/duplicate/payments/requests");
        if (replay) {
            assert_string_equal(got->properties.correlation, "2");
            assert_string_equal(mqtt_user_property(got, "status"), "500");
            assert_string_equal(mqtt_user_property(got, "idempotent-replayed"), "true");
        }
    }
}

static void test_stripe_keys_belong_to_who_made_them_up(void **state) {
    open_profile("stripe.yaml", state);
    accept("payments/requests", "10 EUR", KEY, "k");
    publisher = scene_client(&scene, "another");
    accept("payments/requests", "10 EUR", KEY, "k");
    EXPECT(scene.watcher, "payments/requests 10 EUR", "payments/requests 10 EUR");
}

/* ---- kafka-producer.yaml ---- */

/* The payload is the number; returns the reason of the acknowledgement. */
static uint8_t produce(const char *topic, const char *producer, const char *epoch,
                       const char *number) {
    struct mqtt_message message = {.topic = topic,
                                   .payload = number,
                                   .qos = scene.variant.qos,
                                   .properties = {.user = {{"producer-id", producer},
                                                           {"producer-epoch", epoch},
                                                           {"sequence", number}}}};
    return mqtt_publish(publisher, &message);
}

static void test_kafka_a_repeat_succeeds_and_a_gap_is_refused(void **state) {
    open_profile("kafka-producer.yaml", state);
    assert_in_range(produce("events/0", "p", "1", "0"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "1", "1"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "1", "1"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "1", "0"), 0, 0x7f);
    assert_int_equal(produce("events/0", "p", "1", "3"), 0x87);
    assert_in_range(produce("events/0", "p", "1", "2"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "1", "3"), 0, 0x7f);
    EXPECT(scene.watcher, "events/0 0", "events/0 1", "$idem/duplicate/events/0 1",
           "$idem/duplicate/events/0 0", "events/0 2", "events/0 3");
}

static void test_kafka_an_older_epoch_is_fenced_off(void **state) {
    open_profile("kafka-producer.yaml", state);
    assert_in_range(produce("events/0", "p", "1", "0"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "2", "0"), 0, 0x7f);
    assert_int_equal(produce("events/0", "p", "1", "1"), 0x87);
    assert_in_range(produce("events/0", "p", "2", "1"), 0, 0x7f);
    EXPECT(scene.watcher, "events/0 0", "events/0 0", "events/0 1");
}

static void test_kafka_each_producer_counts_for_each_topic(void **state) {
    open_profile("kafka-producer.yaml", state);
    assert_in_range(produce("events/0", "p", "1", "0"), 0, 0x7f);
    assert_in_range(produce("events/1", "p", "1", "0"), 0, 0x7f);
    assert_in_range(produce("events/0", "q", "1", "0"), 0, 0x7f);
    assert_int_equal(produce("events/0", "q", "1", "zero"), 0x87);
    EXPECT(scene.watcher, "events/0 0", "events/1 0", "events/0 0");
}

static void test_kafka_after_the_last_number_comes_zero(void **state) {
    open_profile("kafka-producer.yaml", state);
    assert_in_range(produce("events/0", "p", "1", "2147483647"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "1", "0"), 0, 0x7f);
    assert_in_range(produce("events/0", "p", "1", "2147483647"), 0, 0x7f);
    EXPECT(scene.watcher, "events/0 2147483647", "events/0 0",
           "$idem/duplicate/events/0 2147483647");
}

/* ---- broker-headers.yaml ---- */

static void test_headers_of_other_brokers_are_keys(void **state) {
    static const char *const names[] = {"Nats-Msg-Id", "_AMQ_DUPL_ID",
                                        "x-deduplication-header", "idempotency-key"};
    open_profile("broker-headers.yaml", state);
    for (size_t i = 0; i < 4; i++) {
        char topic[16] = "relay/0";
        topic[6] = (char)('0' + i);
        accept(topic, "m", names[i], topic);
        accept(topic, "m", names[i], topic);
        const struct mqtt_message *messages = mqtt_collect(scene.watcher);
        assert_int_equal(watch_count(messages), 2);
        assert_string_equal(messages->topic, topic);
        for (size_t j = 0; j < 4; j++) { /* each name carries the key on */
            assert_string_equal(mqtt_user_property(messages, names[j]), topic);
        }
        assert_string_equal(mqtt_user_property(watch_at(messages, 1), "idem-reason"),
                            "duplicate");
    }
}

static bool brief_copy_is_delivered(void *arg) {
    (void)arg;
    (void)publish("relay/brief", "m", "x-deduplication-header", "brief", "x-cache-ttl",
                  "1200");
    const struct mqtt_message *messages = mqtt_collect(scene.watcher);
    assert_int_equal(watch_count(messages), 1);
    return strcmp(messages->topic, "relay/brief") == 0;
}

static void test_a_message_brings_its_own_ttl(void **state) {
    char *text = profile_read("broker-headers.yaml");
    open_text(profile_change(text, "lease: 5s", "lease: 1s"), state);
    accept("relay/long", "m", "x-deduplication-header", "long");
    EXPECT(scene.watcher, "relay/long m");
    assert_true(brief_copy_is_delivered(NULL));
    int64_t after_ms = profile_repeat_until_delivered(brief_copy_is_delivered, NULL);
    assert_true(after_ms >= 1000);
    accept("relay/long", "m", "x-deduplication-header", "long");
    EXPECT(scene.watcher, "$idem/duplicate/relay/long m");
}

/* ---- iot-telemetry.yaml, orders.yaml ---- */

static void test_telemetry_needs_neither_keys_nor_properties(void **state) {
    open_profile("iot-telemetry.yaml", state);
    accept("devices/1/telemetry", "21.5", NULL, NULL);
    accept("devices/1/telemetry", "21.5", NULL, NULL);
    accept("devices/2/telemetry", "21.5", NULL, NULL);
    accept("devices/1/state", "on", NULL, NULL);
    accept("devices/1/state", "off", NULL, NULL);
    accept("devices/1/state", "on", NULL, NULL);
    EXPECT(scene.watcher, "devices/1/telemetry 21.5",
           "$idem/duplicate/devices/1/telemetry 21.5", "devices/2/telemetry 21.5",
           "devices/1/state on", "devices/1/state off", "devices/1/state on");
}

static void test_an_order_is_one_order_whoever_sends_it(void **state) {
    open_profile("orders.yaml", state);
    accept("orders/de/created", "{\"order\":{\"id\":7,\"total\":30},\"at\":1}", NULL,
           NULL);
    publisher = scene_client(&scene, "another");
    accept("orders/de/created", "{\"order\":{\"id\":7,\"total\":30},\"at\":2}", NULL,
           NULL);
    accept("orders/de/created", "{\"order\":{\"id\":7,\"total\":99},\"at\":3}", NULL,
           NULL);
    EXPECT(
        scene.watcher, "orders/de/created {\"order\":{\"id\":7,\"total\":30},\"at\":1}",
        "$idem/duplicate/orders/de/created {\"order\":{\"id\":7,\"total\":30},\"at\":2}",
        "$idem/quarantine/orders/de/created "
        "{\"order\":{\"id\":7,\"total\":99},\"at\":3}");
}

/* Profiles with user properties: MQTT 5, each QoS. */
#define MQTT5(test)                                                                      \
    SCENE_ROW(test, "QoS 0", 3), SCENE_ROW(test, "QoS 1", 4), SCENE_ROW(test, "QoS 2", 5)
#define MQTT5_ACKNOWLEDGED(test) SCENE_ROW(test, "QoS 1", 4), SCENE_ROW(test, "QoS 2", 5)

int main(void) {
    static const struct CMUnitTest tests[] = {
        MQTT5(test_sqs_the_id_decides_and_not_the_body),
        MQTT5(test_sqs_without_an_id_the_body_is_the_id),
        ONCE(test_sqs_the_hash_of_the_body_is_the_same_id),
        ONCE(test_sqs_an_id_is_unique_within_its_queue),
        ONCE(test_sqs_an_id_is_unique_within_its_group),
        MQTT5_ACKNOWLEDGED(test_sqs_a_message_without_a_group_is_refused),
        ONCE(test_sqs_repeats_do_not_extend_the_window),
        ONCE(test_a_sliding_window_lasts_as_long_as_the_copies_come),
        MQTT5_ACKNOWLEDGED(test_stripe_a_repeat_succeeds_and_a_conflict_is_refused),
        ONCE(test_stripe_a_repeat_gets_the_first_response),
        ONCE(test_stripe_keys_belong_to_who_made_them_up),
        MQTT5_ACKNOWLEDGED(test_kafka_a_repeat_succeeds_and_a_gap_is_refused),
        MQTT5_ACKNOWLEDGED(test_kafka_an_older_epoch_is_fenced_off),
        ONCE(test_kafka_each_producer_counts_for_each_topic),
        ONCE(test_kafka_after_the_last_number_comes_zero),
        MQTT5(test_headers_of_other_brokers_are_keys),
        ONCE(test_a_message_brings_its_own_ttl),
        EACH(test_telemetry_needs_neither_keys_nor_properties),
        EACH(test_an_order_is_one_order_whoever_sends_it),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
