/* SPDX-License-Identifier: MIT
 * MQTT 3.1.1 and 5 packets, in both directions, for a client that decides every byte itself. */
#ifndef TESTS_PACKET_H
#define TESTS_PACKET_H

#include "wire.h"

enum mqtt_version {
    MQTT_311 = 4, /* the protocol level in CONNECT */
    MQTT_5 = 5,
};

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
};

const char *mqtt_type_name(enum mqtt_type type);

#define MQTT_USER_PROPERTIES_MAX  16
#define MQTT_SUBSCRIPTION_IDS_MAX 8

struct mqtt_user_property {
    const char *name; /* NULL: the list ends before this one */
    const char *value;
};

/* Zero and NULL mean absent. */
struct mqtt_properties {
    struct mqtt_user_property user[MQTT_USER_PROPERTIES_MAX + 1];
    const char *response_topic;
    const char *content_type;
    const char *correlation;
    size_t correlation_length; /* sending: 0 stands for strlen(correlation) */
    uint32_t expiry_s;
    uint32_t subscription_ids[MQTT_SUBSCRIPTION_IDS_MAX + 1];
};

/* A PUBLISH, to be sent or as received. A received one owns memory, the texts point into it. */
struct mqtt_message {
    const char *topic;
    const char *payload; /* received: terminated beyond its length */
    size_t length;       /* sending: 0 stands for strlen(payload) */
    uint8_t qos;
    bool retain;
    bool dup;
    uint16_t id; /* sending at QoS 1, 2: 0 takes the client's next one */
    struct mqtt_properties properties;
    void *memory;
    struct mqtt_message *next;
};

/* The value of the first user property of that name, or NULL. */
const char *mqtt_user_property(const struct mqtt_message *message, const char *name);

struct mqtt_options {
    unsigned port;
    enum mqtt_version version;
    const char *client_id;
    bool keep_session; /* the broker keeps the session over a reconnect */
    const char *username;
    const char *password;
    const struct mqtt_message *will;
    uint16_t receive_maximum; /* MQTT 5; 0: the protocol's 65535 */
};

struct mqtt_filter {
    const char *filter;
    uint8_t qos;
    uint32_t subscription_id; /* MQTT 5; 0: none */
    bool no_local;            /* MQTT 5 */
};

/* Whole packets, fixed header included; free writer->data. */
void packet_connect(struct wire_writer *writer, const struct mqtt_options *options);
void packet_publish(struct wire_writer *writer, enum mqtt_version version,
                    const struct mqtt_message *message);
/* PUBACK, PUBREC, PUBREL, PUBCOMP with success. */
void packet_ack(struct wire_writer *writer, enum mqtt_type type, uint16_t id);
void packet_subscribe(struct wire_writer *writer, enum mqtt_version version, uint16_t id,
                      const struct mqtt_filter *filter);
/* PINGREQ, DISCONNECT. */
void packet_empty(struct wire_writer *writer, enum mqtt_type type);

/* One received packet; body holds length bytes and room for one more, and is the receiver's to free. */
struct mqtt_packet {
    enum mqtt_type type;
    uint8_t flags;
    uint8_t *body;
    size_t length;
    uint16_t id;
    uint8_t reason; /* 0 where the version has none */
    bool session_present;
};

/* Fills id, reason and session_present of anything but PUBLISH. */
void packet_decode(struct mqtt_packet *packet, enum mqtt_version version);
/* Takes the body over. Free with mqtt_message_free. */
struct mqtt_message *packet_decode_publish(struct mqtt_packet *packet,
                                           enum mqtt_version version);
void mqtt_message_free(struct mqtt_message *message);

#endif
