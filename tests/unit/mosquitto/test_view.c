/* SPDX-License-Identifier: MIT
 * What the core sees of an event: everything once, copied only where it asks, and never too much. */
#include "view.h"

#include "compat.h"
#include "fake_broker.h"

#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>

static struct mosquitto named = {"sensor-7", "alice", 5};

static enum fake_version versions[] = {FAKE_2_0_11, FAKE_2_0_15, FAKE_2_0_21};

static int start(void **state) {
    fake_broker_start(*(enum fake_version *)*state);
    idem_compat_learn();
    return 0;
}

static int stop(void **state) {
    (void)state;
    fake_broker_stop();
    return 0;
}

static void assert_span(struct idem_span span, const void *expected, size_t size) {
    assert_int_equal(span.len, size);
    assert_memory_equal(span.data, expected, size);
}

static bool lookup(const struct idem_view *view, const char *name,
                   struct idem_span *value) {
    return view->message.property(view->message.property_source, idem_span_text(name),
                                  value);
}

static void a_message_is_seen_whole(void **state) {
    (void)state;
    char topic[] = "a/b";
    char payload[] = "x\0y";
    struct idem_view view;
    struct mosquitto_evt_message event = {
        .client = &named, .topic = topic, .payload = payload, .payloadlen = 3, .qos = 1};
    idem_view_init(&view, &event);
    assert_int_equal(view.message.protocol, IDEM_PROTOCOL_MQTT);
    assert_span(view.message.topic, "a/b", 3);
    assert_ptr_equal(view.message.topic.data, topic);
    assert_span(view.message.payload, "x\0y", 3);
    assert_ptr_equal(view.message.payload.data, payload);
    assert_span(view.message.client, "sensor-7", 8);
    assert_span(view.message.user, "alice", 5);
    assert_int_equal(view.message.queue.len, 0);
    assert_int_equal(view.message.message_id.len, 0);
    assert_int_equal(view.message.correlation_id.len, 0);
    assert_null(view.message.property);
    assert_false(view.message.deletion);
    idem_view_fini(&view);
}

static void an_anonymous_client_has_no_user_and_none_has_no_name(void **state) {
    (void)state;
    char topic[] = "a";
    struct mosquitto anonymous = {NULL, NULL, 4};
    struct idem_view view;
    struct mosquitto_evt_message event = {.client = &anonymous, .topic = topic};
    idem_view_init(&view, &event);
    assert_int_equal(view.message.client.len, 0);
    assert_int_equal(view.message.user.len, 0);
    idem_view_fini(&view);

    event.client = NULL;
    idem_view_init(&view, &event);
    assert_int_equal(view.message.client.len, 0);
    assert_int_equal(view.message.user.len, 0);
    idem_view_fini(&view);
}

static bool is_deletion(bool retain, uint32_t size) {
    char topic[] = "a";
    char payload[] = "x";
    struct idem_view view;
    struct mosquitto_evt_message event = {.client = &named,
                                          .topic = topic,
                                          .payload = size > 0 ? payload : NULL,
                                          .payloadlen = size,
                                          .retain = retain};
    idem_view_init(&view, &event);
    bool deletion = view.message.deletion;
    idem_view_fini(&view);
    return deletion;
}

static void only_a_retained_message_without_payload_is_a_deletion(void **state) {
    (void)state;
    assert_true(is_deletion(true, 0));
    assert_false(is_deletion(true, 1));
    assert_false(is_deletion(false, 0));
    assert_false(is_deletion(false, 1));
}

/* An event with properties, and its view. */
struct sight {
    struct mosquitto_evt_message event;
    mosquitto_property *list;
    struct idem_view view;
};

static void look(struct sight *sight) {
    static char topic[] = "a";
    memset(&sight->event, 0, sizeof sight->event);
    sight->event.client = &named;
    sight->event.topic = topic;
    sight->event.properties = sight->list;
    idem_view_init(&sight->view, &sight->event);
}

static void look_away(struct sight *sight) {
    idem_view_fini(&sight->view);
    mosquitto_property_free_all(&sight->list);
}

static void the_first_property_of_a_name_counts(void **state) {
    (void)state;
    struct idem_span value;
    struct sight sight = {.list = NULL};
    fake_property_add(&sight.list, MQTT_PROP_CONTENT_TYPE, NULL, "text", 4);
    fake_user_property_add(&sight.list, "other", "0");
    fake_user_property_add(&sight.list, "key", "1");
    fake_user_property_add(&sight.list, "key", "2");
    fake_user_property_add(&sight.list, "empty", "");
    look(&sight);
    assert_true(lookup(&sight.view, "key", &value));
    assert_span(value, "1", 1);
    assert_true(lookup(&sight.view, "other", &value));
    assert_span(value, "0", 1);
    assert_true(lookup(&sight.view, "empty", &value));
    assert_int_equal(value.len, 0);
    assert_false(lookup(&sight.view, "Key", &value));
    assert_false(lookup(&sight.view, "ke", &value));
    assert_false(lookup(&sight.view, "", &value));
    look_away(&sight);
}

static void properties_are_read_when_asked_for_and_once(void **state) {
    (void)state;
    struct idem_span first;
    struct idem_span second;
    struct sight sight = {.list = NULL};
    fake_user_property_add(&sight.list, "key", "1");
    look(&sight);
    assert_false(sight.view.read);
    assert_int_equal(sight.view.count, 0);
    assert_true(lookup(&sight.view, "key", &first));
    assert_true(lookup(&sight.view, "key", &second));
    assert_ptr_equal(first.data, second.data);
    assert_int_equal(sight.view.count, 1);
    look_away(&sight);
}

static void no_more_than_the_bound_are_looked_at(void **state) {
    (void)state;
    struct idem_span value;
    char name[16];
    struct sight sight = {.list = NULL};
    for (int i = 0; i <= IDEM_MESSAGE_PROPERTIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        fake_user_property_add(&sight.list, name, "v");
    }
    look(&sight);
    assert_true(lookup(&sight.view, "p63", &value));
    assert_false(lookup(&sight.view, "p64", &value));
    assert_int_equal(sight.view.count, IDEM_MESSAGE_PROPERTIES_MAX);
    look_away(&sight);
}

static void correlation_data_is_bytes(void **state) {
    (void)state;
    struct sight sight = {.list = NULL};
    fake_property_add(&sight.list, MQTT_PROP_CORRELATION_DATA, NULL, "\0\1\0", 3);
    look(&sight);
    assert_span(sight.view.message.correlation_id, "\0\1\0", 3);
    look_away(&sight);

    fake_property_add(&sight.list, MQTT_PROP_CORRELATION_DATA, NULL, "", 0);
    look(&sight);
    assert_int_equal(sight.view.message.correlation_id.len, 0);
    look_away(&sight);
}

static void without_memory_less_is_seen_and_nothing_leaks(void **state) {
    (void)state;
    size_t nth = 1;
    for (bool refused = true; refused; nth++) {
        struct idem_span value;
        struct sight sight = {.list = NULL};
        fake_property_add(&sight.list, MQTT_PROP_CORRELATION_DATA, NULL, "c", 1);
        fake_user_property_add(&sight.list, "a", "1");
        fake_user_property_add(&sight.list, "b", "2");
        fake_broker_refuse(nth, 1);
        look(&sight);
        bool found = lookup(&sight.view, "b", &value);
        refused = fake_broker_refused();
        assert_true(found || refused);
        look_away(&sight);
    }
    assert_true(nth > 5);
}

#define TEST(name, version)                                                              \
    { #name, name, start, stop, &versions[version] }
#define TESTS(version)                                                                   \
    TEST(a_message_is_seen_whole, version),                                              \
        TEST(an_anonymous_client_has_no_user_and_none_has_no_name, version),             \
        TEST(only_a_retained_message_without_payload_is_a_deletion, version),            \
        TEST(the_first_property_of_a_name_counts, version),                              \
        TEST(properties_are_read_when_asked_for_and_once, version),                      \
        TEST(no_more_than_the_bound_are_looked_at, version),                             \
        TEST(correlation_data_is_bytes, version),                                        \
        TEST(without_memory_less_is_seen_and_nothing_leaks, version)

int main(void) {
    const struct CMUnitTest tests[] = {TESTS(0), TESTS(1), TESTS(2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
