/* SPDX-License-Identifier: MIT
 * What subscribers saw, compared with what they should have seen; and the broker's own figures. */
#include "watch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_SHOWN 160

static bool is_line(const struct mqtt_message *message, const char *line) {
    size_t topic = strlen(message->topic);
    return strncmp(line, message->topic, topic) == 0 && line[topic] == ' ' &&
           strlen(line + topic + 1) == message->length &&
           memcmp(line + topic + 1, message->payload, message->length) == 0;
}

static void show(const struct mqtt_message *messages, const char *const *lines) {
    (void)fprintf(stderr, "expected:\n");
    for (; *lines != NULL; lines++) {
        (void)fprintf(stderr, "  %.*s\n", LINE_MAX_SHOWN, *lines);
    }
    (void)fprintf(stderr, "received:\n");
    for (; messages != NULL; messages = messages->next) {
        (void)fprintf(stderr, "  %.*s %.*s\n", LINE_MAX_SHOWN, messages->topic,
                      LINE_MAX_SHOWN, messages->payload);
    }
}

const struct mqtt_message *watch_expect(struct mqtt *client, const char *const *lines) {
    const struct mqtt_message *messages = mqtt_collect(client);
    const struct mqtt_message *at = messages;
    const char *const *line = lines;
    while (at != NULL && *line != NULL && is_line(at, *line)) {
        at = at->next;
        line++;
    }
    if (at != NULL || *line != NULL) {
        show(messages, lines);
        fail_msg("the subscriber did not receive what it should have");
    }
    return messages;
}

size_t watch_count(const struct mqtt_message *messages) {
    size_t count = 0;
    for (; messages != NULL; messages = messages->next) {
        count++;
    }
    return count;
}

const struct mqtt_message *watch_at(const struct mqtt_message *messages, size_t index) {
    while (messages != NULL && index > 0) {
        messages = messages->next;
        index--;
    }
    assert_non_null(messages);
    return messages;
}

void watch_expect_next(struct mqtt *client, const char *const *lines) {
    for (; *lines != NULL; lines++) {
        const struct mqtt_message *message = mqtt_receive(client);
        if (!is_line(message, *lines)) {
            fail_msg("received \"%.80s %.80s\" instead of \"%.160s\"", message->topic,
                     message->payload, *lines);
        }
    }
}

static struct mqtt *subscribe_to_figure(struct broker *broker, const char *name) {
    char topic[256];
    struct mqtt_options options = {
        .port = broker_port(broker), .version = MQTT_311, .client_id = "figures"};
    struct mqtt *client = mqtt_connect(&options);
    (void)snprintf(topic, sizeof topic, "$SYS/broker/idem/%s", name);
    mqtt_subscribe(client, topic, 0);
    return client;
}

unsigned long watch_read_figure(struct broker *broker, const char *name) {
    struct mqtt *client = subscribe_to_figure(broker, name);
    unsigned long value = strtoul(mqtt_receive(client)->payload, NULL, 10);
    mqtt_disconnect(client);
    return value;
}

/* Until it is between the two. */
static void wait_for_figure(struct broker *broker, const char *name, unsigned long least,
                            unsigned long most) {
    struct mqtt *client = subscribe_to_figure(broker, name);
    int64_t deadline = testing_deadline();
    unsigned long seen;
    do {
        seen = strtoul(mqtt_receive(client)->payload, NULL, 10);
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("%s is %lu, not between %lu and %lu", name, seen, least, most);
        }
    } while (seen < least || seen > most);
    mqtt_disconnect(client);
}

void watch_figure_reaches(struct broker *broker, const char *name, unsigned long value) {
    wait_for_figure(broker, name, value, ULONG_MAX);
}

void watch_figure_sinks(struct broker *broker, const char *name, unsigned long value) {
    wait_for_figure(broker, name, 0, value);
}

void watch_figure(struct broker *broker, const char *name, unsigned long value) {
    wait_for_figure(broker, name, value, value);
}
