/* SPDX-License-Identifier: MIT
 * Responses: read from an event, and made into properties again; with any allocation refused. */
#include "response.h"

#include "compat.h"
#include "fake_broker.h"

#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

static int set_up(void **state) {
    fake_broker_start(*(enum fake_version *)*state);
    idem_compat_learn();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fake_broker_stop();
    return 0;
}

static void add_text(mosquitto_property **list, int id, const char *text) {
    fake_property_add(list, id, NULL, text, strlen(text));
}

static void assert_reply_to(const char *topic, const char *expected) {
    mosquitto_property *list = NULL;
    struct idem_exchange exchange;
    add_text(&list, MQTT_PROP_RESPONSE_TOPIC, topic);
    fake_property_add(&list, MQTT_PROP_CORRELATION_DATA, NULL, "c", 1);
    idem_exchange_read(&exchange, list);
    if (expected == NULL) {
        assert_null(exchange.reply_to.topic);
    } else {
        assert_string_equal(exchange.reply_to.topic, expected);
        assert_int_equal(exchange.reply_to.correlation.len, 1);
    }
    idem_exchange_fini(&exchange);
    mosquitto_property_free_all(&list);
}

static void only_a_plain_topic_is_answered_to(void **state) {
    struct idem_exchange exchange;
    (void)state;
    assert_reply_to("a/b", "a/b");
    assert_reply_to("$SYS/a", NULL);
    assert_reply_to("$idem/sink", NULL);
    assert_reply_to("a/#", NULL);
    assert_reply_to("+/a", NULL);
    assert_reply_to("", NULL);
    idem_exchange_read(&exchange, NULL);
    assert_null(exchange.reply_to.topic);
    idem_exchange_fini(&exchange);
}

/* Reads the response and makes its replay; the text of the properties, or NULL: no memory. */
static char *replay(bool *read) {
    char topic[] = "answers";
    char payload[] = "done";
    struct mosquitto_evt_message event = {
        .topic = topic, .payload = payload, .payloadlen = 4};
    struct idem_response response;
    char *text = NULL;
    add_text(&event.properties, MQTT_PROP_CONTENT_TYPE, "text/plain");
    fake_user_property_add(&event.properties, "a", "1");
    fake_user_property_add(&event.properties, IDEM_RESULT_MARK, "forged");
    fake_property_add(&event.properties, MQTT_PROP_CORRELATION_DATA, NULL, "c", 1);
    *read = idem_response_read(&response, &event);
    if (*read) {
        mosquitto_property *list =
            idem_replay_properties(&response.result, idem_span_text("d"));
        text = list != NULL ? fake_properties_text(list) : NULL;
        mosquitto_property_free_all(&list);
    }
    idem_response_fini(&response);
    mosquitto_property_free_all(&event.properties);
    return text;
}

static void a_replay_has_the_properties_of_the_response_and_is_marked(void **state) {
    bool read = false;
    (void)state;
    char *text = replay(&read);
    assert_non_null(text);
    assert_non_null(strstr(text, "text/plain"));
    assert_non_null(strstr(text, "user:a=1"));
    assert_non_null(strstr(text, "user:" IDEM_RESULT_MARK "=true"));
    assert_null(strstr(text, "forged"));
    free(text);
}

static mosquitto_property *many_user_properties(size_t count) {
    mosquitto_property *list = NULL;
    for (size_t i = 0; i < count; i++) {
        fake_user_property_add(&list, "n", "v");
    }
    return list;
}

static void more_properties_than_can_be_stored_are_refused(void **state) {
    char topic[] = "answers";
    struct idem_response response;
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct mosquitto_evt_message event = {
            .topic = topic,
            .properties = many_user_properties(IDEM_RESULT_HEADERS_MAX + more)};
        assert_int_equal(idem_response_read(&response, &event), more == 0);
        idem_response_fini(&response);
        mosquitto_property_free_all(&event.properties);
    }
}

/* What came over AMQP may hold what MQTT has no text for. */
static void what_is_no_text_in_mqtt_is_left_out(void **state) {
    struct idem_result result = {
        .fields = {[IDEM_RESULT_CONTENT_TYPE] = idem_span_of("a\0b", 3)},
        .header_count = 3,
        .headers = {{IDEM_RESULT_TEXT, idem_span_text("x"), idem_span_of("\0", 1)},
                    {IDEM_RESULT_AMQP, idem_span_text("y"), idem_span_of("t\1", 2)},
                    {IDEM_RESULT_INTEGER, idem_span_text("z"), idem_span_text("42")}}};
    (void)state;
    mosquitto_property *list = idem_replay_properties(&result, idem_span_of(NULL, 0));
    char *text = fake_properties_text(list);
    assert_string_equal(text, "user:z=42 user:" IDEM_RESULT_MARK "=true");
    free(text);
    mosquitto_property_free_all(&list);
}

#define VERSIONS(test)                                                                   \
    {#test " (2.0.11)", test, set_up, tear_down, &versions[FAKE_2_0_11]}, {              \
#test " (2.0.21)", test, set_up, tear_down, &versions[FAKE_2_0_21]               \
    }

static enum fake_version versions[FAKE_VERSION_COUNT] = {FAKE_2_0_11, FAKE_2_0_15,
                                                         FAKE_2_0_21, FAKE_2_1_0};

int main(void) {
    const struct CMUnitTest tests[] = {
        VERSIONS(only_a_plain_topic_is_answered_to),
        VERSIONS(a_replay_has_the_properties_of_the_response_and_is_marked),
        VERSIONS(more_properties_than_can_be_stored_are_refused),
        VERSIONS(what_is_no_text_in_mqtt_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
