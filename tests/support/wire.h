/* SPDX-License-Identifier: MIT
 * Bytes of MQTT packets: a writer that grows, a reader that never passes the end. */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include "testing.h"

struct wire_writer {
    uint8_t *data; /* free() it */
    size_t length;
    size_t room;
};

void wire_u8(struct wire_writer *writer, uint8_t value);
void wire_u16(struct wire_writer *writer, uint16_t value);
void wire_u32(struct wire_writer *writer, uint32_t value);
void wire_varint(struct wire_writer *writer, size_t value);
void wire_raw(struct wire_writer *writer, const void *data, size_t length);
/* With its length in two bytes before it. */
void wire_binary(struct wire_writer *writer, const void *data, size_t length);
void wire_text(struct wire_writer *writer, const char *text);

struct wire_reader {
    uint8_t *at;
    uint8_t *end;
};

/* Each fails the test where the packet ends too early: a broker does not send such. */
uint8_t wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
size_t wire_get_varint(struct wire_reader *reader);
/* Terminates the bytes in place, one byte to the left of where they came: on their length. */
const char *wire_get_binary(struct wire_reader *reader, size_t *length);

#endif
