/* SPDX-License-Identifier: MIT
 * One command on the control topic of a broker. */
#include "control.h"

#include "live.h"

#include <idem/clock.h>

#include <stdio.h>
#include <string.h>

#define REQUEST_TOPIC  "$CONTROL/idem/v1"
#define RESPONSE_TOPIC REQUEST_TOPIC "/response"
#define PATIENCE_MS    5000
#define TURN_MS        100
#define REFUSED        0x80 /* reason codes from here on */

struct question {
    struct broker broker;
    int reason;                   /* of the broker's acknowledgement */
    struct json_object *response; /* owned */
};

static void take_response(void *arg, const struct mosquitto_message *message,
                          const mosquitto_property *properties) {
    struct question *question = arg;
    (void)properties;
    if (strcmp(message->topic, RESPONSE_TOPIC) == 0 && message->payloadlen > 0 &&
        question->response == NULL) {
        question->response = live_parse(message->payload, (size_t)message->payloadlen);
    }
}

static void on_published(struct mosquitto *client, void *arg, int id, int reason,
                         const mosquitto_property *properties) {
    struct broker *broker = arg;
    struct question *question = broker->arg;
    (void)client;
    (void)id;
    (void)properties;
    question->reason = reason;
}

static int send_command(struct question *question, const char *command,
                        const char *digest) {
    char text[256];
    int length =
        snprintf(text, sizeof text, "{\"commands\":[{\"command\":\"%s\"%s%s%s}]}",
                 command, digest != NULL ? ",\"digest\":\"" : "",
                 digest != NULL ? digest : "", digest != NULL ? "\"" : "");
    return mosquitto_publish(question->broker.client, NULL, REQUEST_TOPIC, length, text,
                             1, false);
}

/* Until there is a response, or none will come. */
static const char *converse(struct question *question, const char *command,
                            const char *digest) {
    int64_t until_ns = idem_clock_monotonic_ns() + PATIENCE_MS * INT64_C(1000000);
    bool sent = false;
    while (question->response == NULL && idem_clock_monotonic_ns() < until_ns) {
        broker_turn(&question->broker, TURN_MS);
        if (question->broker.trouble[0] != '\0') {
            return question->broker.trouble;
        }
        if (question->reason >= REFUSED) {
            return "it refuses: this user may not publish to " REQUEST_TOPIC;
        }
        if (question->broker.connected && !sent) {
            int rc = send_command(question, command, digest);
            if (rc != MOSQ_ERR_SUCCESS) {
                return mosquitto_strerror(rc);
            }
            sent = true;
        }
    }
    return question->response != NULL
               ? NULL
               : "no answer: is the plugin loaded, and may this user publish "
                 "to " REQUEST_TOPIC "?";
}

static struct json_object *member(struct json_object *object, const char *name,
                                  enum json_type type) {
    struct json_object *value = NULL;
    return json_object_is_type(object, json_type_object) &&
                   json_object_object_get_ex(object, name, &value) &&
                   json_object_is_type(value, type)
               ? value
               : NULL;
}

/* {"responses": [{"data": {}}]}, or an error in its place. */
static struct json_object *data_of(struct json_object *response, char *trouble,
                                   size_t size) {
    struct json_object *list = member(response, "responses", json_type_array);
    struct json_object *first = list != NULL && json_object_array_length(list) > 0
                                    ? json_object_array_get_idx(list, 0)
                                    : NULL;
    struct json_object *data = member(first, "data", json_type_object);
    struct json_object *error = member(first, "error", json_type_string);
    if (data == NULL) {
        (void)snprintf(trouble, size, "%.128s",
                       error != NULL ? json_object_get_string(error)
                                     : "its answer is not understood");
    }
    return json_object_get(data);
}

struct json_object *control_ask(const struct broker_options *options, const char *command,
                                const char *digest, char *trouble, size_t size) {
    static const char *const none[] = {NULL};
    struct question question = {.response = NULL};
    struct json_object *data = NULL;
    trouble[0] = '\0';
    if (broker_open(&question.broker, options, none, take_response, &question)) {
        mosquitto_publish_v5_callback_set(question.broker.client, on_published);
        const char *why = converse(&question, command, digest);
        if (why != NULL) {
            (void)snprintf(trouble, size, "%s", why);
        } else {
            data = data_of(question.response, trouble, size);
        }
    } else {
        (void)snprintf(trouble, size, "it cannot be asked");
    }
    broker_close(&question.broker);
    (void)json_object_put(question.response);
    return data;
}
