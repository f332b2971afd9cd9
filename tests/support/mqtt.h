/* SPDX-License-Identifier: MIT
 * A raw MQTT client: blocking, with deadlines, and with the test in control of every packet it sends.
 *
 * Reading is the one thing it does by itself: a PUBLISH that arrives while something else is awaited
 * is acknowledged and kept for mqtt_receive and mqtt_collect. */
#ifndef TESTS_MQTT_H
#define TESTS_MQTT_H

#include "packet.h"

struct mqtt;

/* Fails unless the broker accepts. All clients are freed by testing_tidy. */
struct mqtt *mqtt_connect(const struct mqtt_options *options);
/* The reason in CONNACK; for connections that the broker is to refuse. */
uint8_t mqtt_try_connect(const struct mqtt_options *options);
bool mqtt_session_present(const struct mqtt *client);
enum mqtt_version mqtt_version_of(const struct mqtt *client);

/* Ends the connection without DISCONNECT, as a lost network does / with it. The client is gone. */
void mqtt_drop(struct mqtt *client);
void mqtt_disconnect(struct mqtt *client);

/* Sends one PUBLISH as it stands and returns its packet id; waits for nothing. */
uint16_t mqtt_send(struct mqtt *client, const struct mqtt_message *message);
/* Sends PUBREL (or another acknowledgement). */
void mqtt_send_ack(struct mqtt *client, enum mqtt_type type, uint16_t id);
/* Waits for that packet and returns its reason; any other but a PUBLISH fails the test. */
uint8_t mqtt_await(struct mqtt *client, enum mqtt_type type, uint16_t id);
/* The same for whichever acknowledgement is next; false where the broker closes the connection. */
bool mqtt_await_any(struct mqtt *client, enum mqtt_type *type, uint16_t *id);
/* Waits until the broker closes the connection; an acknowledgement before that fails the test.
 * Returns the reason of its DISCONNECT, 0 where it sent none. */
uint8_t mqtt_await_close(struct mqtt *client);

/* A PUBLISH and its whole handshake. Returns the reason in PUBACK or PUBREC; below 0x80 the QoS 2
 * handshake was finished with success. At QoS 0 waits until the broker has read it, returns 0. */
uint8_t mqtt_publish(struct mqtt *client, const struct mqtt_message *message);
/* The same; fails unless the broker acknowledges with success. */
void mqtt_publish_ok(struct mqtt *client, const struct mqtt_message *message);

/* Returns when the broker has handled all that was sent before. */
void mqtt_sync(struct mqtt *client);

void mqtt_subscribe(struct mqtt *client, const char *filter, uint8_t qos);
void mqtt_subscribe_with(struct mqtt *client, const struct mqtt_filter *filter);

/* The next message, valid until the client ends; fails at the deadline. */
const struct mqtt_message *mqtt_receive(struct mqtt *client);

/* Fence: a topic that this client subscribes to and publishes to itself, at QoS 1. What the broker
 * sent before it has arrived when it arrives. mqtt_collect returns all of that (a list, valid until
 * the client ends); nothing is ever waited for in vain, so that "nothing came" costs no time. */
const struct mqtt_message *mqtt_collect(struct mqtt *client);

/* What arrives until the broker closes the connection. */
const struct mqtt_message *mqtt_collect_rest(struct mqtt *client);

void mqtt_tidy(void);

#endif
