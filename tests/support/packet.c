/* SPDX-License-Identifier: MIT
 * MQTT 3.1.1 and 5 packets, encoded. Numbers are those of OASIS MQTT 5.0, sections 2.2.2 and 3. */
#include "packet.h"

#include <stdlib.h>
#include <string.h>

enum property {
    PROPERTY_EXPIRY = 0x02,
    PROPERTY_CONTENT_TYPE = 0x03,
    PROPERTY_RESPONSE_TOPIC = 0x08,
    PROPERTY_CORRELATION = 0x09,
    PROPERTY_SUBSCRIPTION_ID = 0x0b,
    PROPERTY_SESSION_EXPIRY = 0x11,
    PROPERTY_RECEIVE_MAXIMUM = 0x21,
    PROPERTY_USER = 0x26,
};

#define SESSION_KEPT_S 3600

const char *mqtt_type_name(enum mqtt_type type) {
    static const char *const names[] = {
        "reserved",    "CONNECT",  "CONNACK", "PUBLISH",   "PUBACK",
        "PUBREC",      "PUBREL",   "PUBCOMP", "SUBSCRIBE", "SUBACK",
        "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",  "DISCONNECT"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "reserved";
}

const char *mqtt_user_property(const struct mqtt_message *message, const char *name) {
    const struct mqtt_user_property *at = message->properties.user;
    for (; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            return at->value;
        }
    }
    return NULL;
}

/* Puts the fixed header before the body, which it frees. */
static void finish(struct wire_writer *writer, enum mqtt_type type, uint8_t flags,
                   struct wire_writer *body) {
    wire_u8(writer, (uint8_t)((unsigned)type << 4 | flags));
    wire_varint(writer, body->length);
    wire_raw(writer, body->data, body->length);
    free(body->data);
}

/* Puts the length before the properties, which it frees. */
static void put_properties(struct wire_writer *writer, struct wire_writer *properties) {
    wire_varint(writer, properties->length);
    wire_raw(writer, properties->data, properties->length);
    free(properties->data);
}

static void put_text_property(struct wire_writer *writer, enum property id,
                              const char *text) {
    if (text != NULL) {
        wire_u8(writer, (uint8_t)id);
        wire_text(writer, text);
    }
}

static void put_message_properties(struct wire_writer *writer,
                                   const struct mqtt_properties *properties) {
    struct wire_writer inner = {0};
    if (properties->expiry_s != 0) {
        wire_u8(&inner, PROPERTY_EXPIRY);
        wire_u32(&inner, properties->expiry_s);
    }
    put_text_property(&inner, PROPERTY_CONTENT_TYPE, properties->content_type);
    put_text_property(&inner, PROPERTY_RESPONSE_TOPIC, properties->response_topic);
    if (properties->correlation != NULL) {
        size_t length = properties->correlation_length;
        wire_u8(&inner, PROPERTY_CORRELATION);
        wire_binary(&inner, properties->correlation,
                    length != 0 ? length : strlen(properties->correlation));
    }
    for (const struct mqtt_user_property *at = properties->user; at->name != NULL; at++) {
        wire_u8(&inner, PROPERTY_USER);
        wire_text(&inner, at->name);
        wire_text(&inner, at->value);
    }
    put_properties(writer, &inner);
}

static size_t payload_length(const struct mqtt_message *message) {
    if (message->length != 0 || message->payload == NULL) {
        return message->length;
    }
    return strlen(message->payload);
}

static void put_connect_properties(struct wire_writer *writer,
                                   const struct mqtt_options *options) {
    struct wire_writer inner = {0};
    if (options->keep_session) {
        wire_u8(&inner, PROPERTY_SESSION_EXPIRY);
        wire_u32(&inner, SESSION_KEPT_S);
    }
    if (options->receive_maximum != 0) {
        wire_u8(&inner, PROPERTY_RECEIVE_MAXIMUM);
        wire_u16(&inner, options->receive_maximum);
    }
    put_properties(writer, &inner);
}

static uint8_t connect_flags(const struct mqtt_options *options) {
    const struct mqtt_message *will = options->will;
    unsigned flags = options->keep_session ? 0u : 0x02u;
    if (will != NULL) {
        flags |= 0x04u | (unsigned)will->qos << 3 | (will->retain ? 0x20u : 0);
    }
    flags |= options->password != NULL ? 0x40u : 0;
    flags |= options->username != NULL ? 0x80u : 0;
    return (uint8_t)flags;
}

void packet_connect(struct wire_writer *writer, const struct mqtt_options *options) {
    struct wire_writer body = {0};
    wire_text(&body, "MQTT");
    wire_u8(&body, (uint8_t)options->version);
    wire_u8(&body, connect_flags(options));
    wire_u16(&body, 0);
    if (options->version == MQTT_5) {
        put_connect_properties(&body, options);
    }
    wire_text(&body, options->client_id);
    if (options->will != NULL) {
        if (options->version == MQTT_5) {
            put_message_properties(&body, &options->will->properties);
        }
        wire_text(&body, options->will->topic);
        wire_binary(&body, options->will->payload, payload_length(options->will));
    }
    if (options->username != NULL) {
        wire_text(&body, options->username);
    }
    if (options->password != NULL) {
        wire_text(&body, options->password);
    }
    finish(writer, MQTT_CONNECT, 0, &body);
}

void packet_publish(struct wire_writer *writer, enum mqtt_version version,
                    const struct mqtt_message *message) {
    struct wire_writer body = {0};
    wire_text(&body, message->topic);
    if (message->qos > 0) {
        wire_u16(&body, message->id);
    }
    if (version == MQTT_5) {
        put_message_properties(&body, &message->properties);
    }
    wire_raw(&body, message->payload, payload_length(message));
    unsigned flags = (message->dup ? 0x08u : 0) | (unsigned)message->qos << 1 |
                     (message->retain ? 0x01u : 0);
    finish(writer, MQTT_PUBLISH, (uint8_t)flags, &body);
}

void packet_ack(struct wire_writer *writer, enum mqtt_type type, uint16_t id) {
    struct wire_writer body = {0};
    wire_u16(&body, id);
    finish(writer, type, type == MQTT_PUBREL ? 0x02 : 0, &body);
}

void packet_subscribe(struct wire_writer *writer, enum mqtt_version version, uint16_t id,
                      const struct mqtt_filter *filter) {
    struct wire_writer body = {0};
    wire_u16(&body, id);
    if (version == MQTT_5) {
        struct wire_writer properties = {0};
        if (filter->subscription_id != 0) {
            wire_u8(&properties, PROPERTY_SUBSCRIPTION_ID);
            wire_varint(&properties, filter->subscription_id);
        }
        put_properties(&body, &properties);
    }
    wire_text(&body, filter->filter);
    wire_u8(&body, (uint8_t)(filter->qos | (filter->no_local ? 0x04u : 0)));
    finish(writer, MQTT_SUBSCRIBE, 0x02, &body);
}

void packet_empty(struct wire_writer *writer, enum mqtt_type type) {
    struct wire_writer body = {0};
    finish(writer, type, 0, &body);
}

static void get_user_property(struct wire_reader *reader,
                              struct mqtt_properties *properties, size_t *count) {
    struct mqtt_user_property pair;
    size_t length;
    pair.name = wire_get_binary(reader, &length);
    pair.value = wire_get_binary(reader, &length);
    if (*count < MQTT_USER_PROPERTIES_MAX) {
        properties->user[(*count)++] = pair;
    }
}

static void get_properties(struct wire_reader *reader,
                           struct mqtt_properties *properties) {
    size_t users = 0;
    size_t ids = 0;
    size_t ignored;
    size_t length = wire_get_varint(reader);
    struct wire_reader inner = {reader->at, reader->at + length};
    assert_in_range(length, 0, reader->end - reader->at);
    reader->at = inner.end;
    while (inner.at < inner.end) {
        uint8_t id = wire_get_u8(&inner);
        switch (id) {
        case PROPERTY_EXPIRY:
            properties->expiry_s = wire_get_u32(&inner);
            break;
        case PROPERTY_CONTENT_TYPE:
            properties->content_type = wire_get_binary(&inner, &ignored);
            break;
        case PROPERTY_RESPONSE_TOPIC:
            properties->response_topic = wire_get_binary(&inner, &ignored);
            break;
        case PROPERTY_CORRELATION:
            properties->correlation =
                wire_get_binary(&inner, &properties->correlation_length);
            break;
        case PROPERTY_SUBSCRIPTION_ID:
            assert_in_range(ids, 0, MQTT_SUBSCRIPTION_IDS_MAX - 1);
            properties->subscription_ids[ids++] = (uint32_t)wire_get_varint(&inner);
            break;
        case PROPERTY_USER:
            get_user_property(&inner, properties, &users);
            break;
        default:
            fail_msg("property 0x%02x in a PUBLISH is not expected here", id);
        }
    }
}

struct mqtt_message *packet_decode_publish(struct mqtt_packet *packet,
                                           enum mqtt_version version) {
    struct mqtt_message *message = calloc(1, sizeof *message);
    struct wire_reader reader = {packet->body, packet->body + packet->length};
    size_t ignored;
    assert_non_null(message);
    message->memory = packet->body;
    message->qos = (packet->flags >> 1) & 3;
    message->retain = (packet->flags & 0x01) != 0;
    message->dup = (packet->flags & 0x08) != 0;
    message->topic = wire_get_binary(&reader, &ignored);
    if (message->qos > 0) {
        message->id = wire_get_u16(&reader);
    }
    if (version == MQTT_5) {
        get_properties(&reader, &message->properties);
    }
    message->payload = (const char *)reader.at;
    message->length = (size_t)(reader.end - reader.at);
    *reader.end = '\0';
    return message;
}

void mqtt_message_free(struct mqtt_message *message) {
    if (message != NULL) {
        free(message->memory);
        free(message);
    }
}

void packet_decode(struct mqtt_packet *packet, enum mqtt_version version) {
    struct wire_reader reader = {packet->body, packet->body + packet->length};
    switch (packet->type) {
    case MQTT_CONNACK:
        packet->session_present = (wire_get_u8(&reader) & 1) != 0;
        packet->reason = wire_get_u8(&reader);
        break;
    case MQTT_DISCONNECT:
        packet->reason = reader.at < reader.end ? wire_get_u8(&reader) : 0;
        break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        packet->id = wire_get_u16(&reader);
        if (version == MQTT_5) {
            reader.at += wire_get_varint(&reader);
        }
        packet->reason = reader.at < reader.end ? wire_get_u8(&reader) : 0;
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        packet->id = wire_get_u16(&reader);
        packet->reason = reader.at < reader.end ? wire_get_u8(&reader) : 0;
        break;
    case MQTT_PINGRESP:
        break;
    case MQTT_CONNECT:
    case MQTT_PUBLISH:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
    case MQTT_PINGREQ:
        fail_msg("the broker sent a %s", mqtt_type_name(packet->type));
    }
}
