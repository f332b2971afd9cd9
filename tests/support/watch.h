/* SPDX-License-Identifier: MIT
 * What subscribers saw, compared with what they should have seen; and the broker's own figures. */
#ifndef TESTS_WATCH_H
#define TESTS_WATCH_H

#include "broker.h"
#include "mqtt.h"

/* Collects, and compares with lines "TOPIC PAYLOAD" in that order; returns the messages. */
#define EXPECT(client, ...)                                                              \
    watch_expect((client), (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_NOTHING(client) watch_expect((client), (const char *const[]){NULL})
const struct mqtt_message *watch_expect(struct mqtt *client, const char *const *lines);

size_t watch_count(const struct mqtt_message *messages);

/* The message after that many others. */
const struct mqtt_message *watch_at(const struct mqtt_message *messages, size_t index);

/* The same line by line, waiting for each; what comes after the last one is not looked at. */
#define EXPECT_NEXT(client, ...)                                                         \
    watch_expect_next((client), (const char *const[]){__VA_ARGS__, NULL})
void watch_expect_next(struct mqtt *client, const char *const *lines);

/* The value of a figure now, or when it is first published. */
unsigned long watch_read_figure(struct broker *broker, const char *name);

/* Waits until a figure is that high. */
void watch_figure_reaches(struct broker *broker, const char *name, unsigned long value);
/* Waits until a figure is no higher than that. */
void watch_figure_sinks(struct broker *broker, const char *name, unsigned long value);

/* Waits until the broker publishes that value (a whole number) on a topic below $SYS/broker/idem/. */
void watch_figure(struct broker *broker, const char *name, unsigned long value);

#endif
