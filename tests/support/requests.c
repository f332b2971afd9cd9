/* SPDX-License-Identifier: MIT
 * Requests and responses over MQTT 5. */
#include "requests.h"

#include <idem/result.h>

#include <string.h>

void requests_send(struct mqtt *client, uint8_t qos, const struct request *request) {
    struct mqtt_message message = {.topic = "requests/1",
                                   .payload = request->payload != NULL ? request->payload
                                                                       : "pay",
                                   .qos = qos};
    if (mqtt_version_of(client) == MQTT_5) {
        message.properties.user[0] =
            (struct mqtt_user_property){"idempotency-key", request->key};
        message.properties.response_topic = request->reply_to;
        message.properties.correlation = request->correlation;
    }
    mqtt_publish_ok(client, &message);
}

void requests_answer(struct mqtt *responder, uint8_t qos, const char *payload,
                     const char *status) {
    const struct mqtt_message *request = mqtt_receive(responder);
    assert_non_null(request->properties.response_topic);
    struct mqtt_message message = {
        .topic = request->properties.response_topic, .payload = payload, .qos = qos};
    message.properties.correlation = request->properties.correlation;
    message.properties.correlation_length = request->properties.correlation_length;
    message.properties.content_type = "text/plain";
    message.properties.user[0] = (struct mqtt_user_property){"a", "1"};
    if (status != NULL) {
        message.properties.user[1] = (struct mqtt_user_property){"status", status};
    }
    mqtt_publish_ok(responder, &message);
}

void requests_expect(struct mqtt *client, const char *topic, const char *payload,
                     const char *correlation, bool replayed) {
    const struct mqtt_message *got = mqtt_receive(client);
    const char *mark = mqtt_user_property(got, IDEM_RESULT_MARK);
    assert_string_equal(got->topic, topic);
    assert_string_equal(got->payload, payload);
    assert_string_equal(got->properties.content_type, "text/plain");
    assert_string_equal(mqtt_user_property(got, "a"), "1");
    assert_false(got->retain);
    if (correlation == NULL) {
        assert_null(got->properties.correlation);
    } else {
        assert_string_equal(got->properties.correlation, correlation);
    }
    assert_int_equal(mark != NULL && strcmp(mark, IDEM_RESULT_MARK_VALUE) == 0, replayed);
}
