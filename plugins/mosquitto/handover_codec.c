/* SPDX-License-Identifier: MIT
 * Messages to bytes and back, for the handover file. */
#include "handover_codec.h"

#include <idem/digest.h>

#include <mqtt_protocol.h>
#include <stdlib.h>

#define MAGIC       "IDEMHND1"
#define MAGIC_SIZE  8
#define STRING_MAX  65535
#define PAYLOAD_MAX 268435455 /* of an MQTT packet */

enum record { RECORD_MESSAGE = 'm', RECORD_PROPERTY = 'p', RECORD_END = 'e' };

static void checksum(struct idem_digest *digest, const uint8_t *bytes, size_t size) {
    struct idem_secret secret;
    struct idem_span span = idem_span_of(bytes, size);
    idem_secret_default(&secret);
    idem_digest_of(digest, &secret, IDEM_DOMAIN_COPY, &span, 1);
}

static bool make_room(struct idem_handover_writer *writer, size_t size) {
    if (writer->failed || size > SIZE_MAX / 2 - writer->size) {
        writer->failed = true;
    } else if (size > writer->capacity - writer->size) {
        size_t capacity = (writer->size + size) * 2;
        uint8_t *bytes = realloc(writer->bytes, capacity);
        if (bytes == NULL) {
            writer->failed = true;
        } else {
            writer->bytes = bytes;
            writer->capacity = capacity;
        }
    }
    return !writer->failed;
}

static void put(struct idem_handover_writer *writer, const void *bytes, size_t size) {
    if (size > 0 && make_room(writer, size)) {
        memcpy(writer->bytes + writer->size, bytes, size);
        writer->size += size;
    }
}

static void put_byte(struct idem_handover_writer *writer, int value) {
    uint8_t byte = (uint8_t)value;
    put(writer, &byte, 1);
}

static void put_text(struct idem_handover_writer *writer, struct idem_span text) {
    uint8_t size[4] = {(uint8_t)text.len, (uint8_t)(text.len >> 8),
                       (uint8_t)(text.len >> 16), (uint8_t)(text.len >> 24)};
    put(writer, size, sizeof size);
    put(writer, text.data, text.len);
    put_byte(writer, 0);
}

void idem_handover_begin(struct idem_handover_writer *writer) {
    put(writer, MAGIC, MAGIC_SIZE);
}

void idem_handover_write(struct idem_handover_writer *writer,
                         const struct idem_handover_message *message) {
    put_byte(writer, RECORD_MESSAGE);
    put_byte(writer, message->qos);
    put_byte(writer, message->retain);
    put_text(writer, idem_span_text(message->topic));
    put_text(writer, message->payload);
}

void idem_handover_write_property(struct idem_handover_writer *writer,
                                  const struct idem_property *property) {
    put_byte(writer, RECORD_PROPERTY);
    put_byte(writer, property->id);
    put_byte(writer, property->byte);
    put_text(writer, idem_span_text(property->name));
    put_text(writer, idem_span_of(property->value, property->size));
}

bool idem_handover_end(struct idem_handover_writer *writer) {
    struct idem_digest digest;
    put_byte(writer, RECORD_END);
    if (!writer->failed) {
        checksum(&digest, writer->bytes, writer->size);
        put(writer, digest.bytes, sizeof digest.bytes);
    }
    return !writer->failed;
}

/* ---- reading: each take fails where the bytes end too early or are not what they must be ---- */

static bool take(struct idem_handover_reader *reader, const uint8_t **bytes,
                 size_t size) {
    if (size > reader->left) {
        return false;
    }
    *bytes = reader->at;
    reader->at += size;
    reader->left -= size;
    return true;
}

static bool take_byte(struct idem_handover_reader *reader, uint8_t *byte, uint8_t most) {
    const uint8_t *bytes;
    if (!take(reader, &bytes, 1) || *bytes > most) {
        return false;
    }
    *byte = *bytes;
    return true;
}

static bool take_text(struct idem_handover_reader *reader, struct idem_span *text,
                      size_t most) {
    const uint8_t *bytes;
    if (!take(reader, &bytes, 4)) {
        return false;
    }
    size_t size = (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 |
                  (size_t)bytes[3] << 24;
    if (size > most || !take(reader, &bytes, size + 1) || bytes[size] != 0) {
        return false;
    }
    *text = idem_span_of(bytes, size);
    return true;
}

static bool take_string(struct idem_handover_reader *reader, const char **string) {
    struct idem_span text;
    if (!take_text(reader, &text, STRING_MAX) || memchr(text.data, 0, text.len) != NULL) {
        return false;
    }
    *string = (const char *)text.data;
    return true;
}

static bool take_record(struct idem_handover_reader *reader, enum record record) {
    if (reader->left == 0 || *reader->at != (uint8_t)record) {
        return false;
    }
    reader->at++;
    reader->left--;
    return true;
}

static bool take_message(struct idem_handover_reader *reader,
                         struct idem_handover_message *message) {
    uint8_t qos = 0;
    uint8_t retain = 0;
    if (!take_byte(reader, &qos, 2) || !take_byte(reader, &retain, 1) ||
        !take_string(reader, &message->topic) || message->topic[0] == '\0' ||
        !take_text(reader, &message->payload, PAYLOAD_MAX)) {
        return false;
    }
    message->qos = qos;
    message->retain = retain == 1;
    return true;
}

static bool is_string(int id) {
    return id == MQTT_PROP_USER_PROPERTY || id == MQTT_PROP_CONTENT_TYPE ||
           id == MQTT_PROP_RESPONSE_TOPIC;
}

static bool is_known(int id) {
    return is_string(id) || id == MQTT_PROP_CORRELATION_DATA ||
           id == MQTT_PROP_PAYLOAD_FORMAT_INDICATOR;
}

static bool take_property(struct idem_handover_reader *reader,
                          struct idem_property *property) {
    struct idem_span value;
    uint8_t id = 0;
    if (!take_byte(reader, &id, UINT8_MAX) || !is_known(id) ||
        !take_byte(reader, &property->byte, UINT8_MAX) ||
        !take_string(reader, &property->name) || !take_text(reader, &value, STRING_MAX)) {
        return false;
    }
    if (is_string(id) && memchr(value.data, 0, value.len) != NULL) {
        return false;
    }
    property->id = id;
    property->value = value.data;
    property->size = (uint16_t)value.len;
    return true;
}

/* Nothing follows a record that is wrong, not even the end. */
static bool refuse(struct idem_handover_reader *reader) {
    reader->left = 0;
    return false;
}

bool idem_handover_read(struct idem_handover_reader *reader,
                        struct idem_handover_message *message) {
    return take_record(reader, RECORD_MESSAGE) &&
           (take_message(reader, message) || refuse(reader));
}

bool idem_handover_read_property(struct idem_handover_reader *reader,
                                 struct idem_property *property) {
    return take_record(reader, RECORD_PROPERTY) &&
           (take_property(reader, property) || refuse(reader));
}

static bool is_digested(struct idem_span file) {
    struct idem_digest digest;
    size_t size = file.len - IDEM_DIGEST_SIZE;
    checksum(&digest, file.data, size);
    return memcmp(digest.bytes, file.data + size, IDEM_DIGEST_SIZE) == 0;
}

bool idem_handover_open(struct idem_handover_reader *reader, struct idem_span file) {
    if (file.len < MAGIC_SIZE + IDEM_DIGEST_SIZE ||
        memcmp(file.data, MAGIC, MAGIC_SIZE) != 0 || !is_digested(file)) {
        return false;
    }
    reader->at = file.data + MAGIC_SIZE;
    reader->left = file.len - MAGIC_SIZE - IDEM_DIGEST_SIZE;

    struct idem_handover_reader walk = *reader;
    struct idem_handover_message message;
    struct idem_property property;
    while (idem_handover_read(&walk, &message)) {
        while (idem_handover_read_property(&walk, &property)) {
        }
    }
    return take_record(&walk, RECORD_END) && walk.left == 0;
}
