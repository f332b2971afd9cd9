/* SPDX-License-Identifier: MIT
 * Bytes of MQTT packets: a writer that grows, a reader that never passes the end. */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

void wire_raw(struct wire_writer *writer, const void *data, size_t length) {
    if (writer->room - writer->length < length) {
        size_t room = 2 * (writer->length + length);
        uint8_t *bigger = realloc(writer->data, room);
        assert_non_null(bigger);
        writer->data = bigger;
        writer->room = room;
    }
    if (length > 0) {
        memcpy(writer->data + writer->length, data, length);
        writer->length += length;
    }
}

void wire_u8(struct wire_writer *writer, uint8_t value) {
    wire_raw(writer, &value, 1);
}

void wire_u16(struct wire_writer *writer, uint16_t value) {
    wire_u8(writer, (uint8_t)(value >> 8));
    wire_u8(writer, (uint8_t)value);
}

void wire_u32(struct wire_writer *writer, uint32_t value) {
    wire_u16(writer, (uint16_t)(value >> 16));
    wire_u16(writer, (uint16_t)value);
}

void wire_varint(struct wire_writer *writer, size_t value) {
    do {
        uint8_t low = value & 0x7f;
        value >>= 7;
        wire_u8(writer, value > 0 ? (uint8_t)(low | 0x80) : low);
    } while (value > 0);
}

void wire_binary(struct wire_writer *writer, const void *data, size_t length) {
    assert_in_range(length, 0, UINT16_MAX);
    wire_u16(writer, (uint16_t)length);
    wire_raw(writer, data, length);
}

void wire_text(struct wire_writer *writer, const char *text) {
    wire_binary(writer, text, strlen(text));
}

static uint8_t *take(struct wire_reader *reader, size_t length) {
    if ((size_t)(reader->end - reader->at) < length) {
        fail_msg("the broker sent a packet that ends too early");
    }
    uint8_t *taken = reader->at;
    reader->at += length;
    return taken;
}

uint8_t wire_get_u8(struct wire_reader *reader) {
    return *take(reader, 1);
}

uint16_t wire_get_u16(struct wire_reader *reader) {
    const uint8_t *bytes = take(reader, 2);
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

uint32_t wire_get_u32(struct wire_reader *reader) {
    uint32_t high = wire_get_u16(reader);
    return high << 16 | wire_get_u16(reader);
}

size_t wire_get_varint(struct wire_reader *reader) {
    size_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = wire_get_u8(reader);
        value |= (size_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    fail_msg("the broker sent a length of more than four bytes");
    return 0;
}

const char *wire_get_binary(struct wire_reader *reader, size_t *length) {
    *length = wire_get_u16(reader);
    uint8_t *bytes = take(reader, *length);
    memmove(bytes - 1, bytes, *length);
    bytes[*length - 1] = '\0';
    return (const char *)(bytes - 1);
}
