/* SPDX-License-Identifier: MIT
 * Messages to bytes and back, for the handover file. Pure: no files, no broker.
 *
 * All integers little endian. A text is a u32 length, its bytes, and a NUL that the length does not
 * count, so that what is read needs no copy to be a C string.
 *   8 bytes   "IDEMHND1"
 *   u8 'm'    a message: u8 qos, u8 retain, text topic, text payload
 *   u8 'p'    a property of the message before it: u8 MQTT identifier, u8 byte, text name, text value
 *   ...
 *   u8 'e'    the end
 *   16 bytes  digest of everything before
 * A change of the format takes another magic. */
#ifndef IDEM_MOSQUITTO_HANDOVER_CODEC_H
#define IDEM_MOSQUITTO_HANDOVER_CODEC_H

#include "properties.h"

#include <idem/error.h>
#include <idem/span.h>

struct idem_handover_message {
    const char *topic; /* borrowed, terminated */
    struct idem_span payload;
    int qos;
    bool retain;
};

/* A growing buffer. After the first failure it stays failed, so that only the end need be checked.
 * Start with all zero; bytes is the caller's to free(). */
struct idem_handover_writer {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    bool failed;
};

void idem_handover_begin(struct idem_handover_writer *writer);
void idem_handover_write(struct idem_handover_writer *writer,
                         const struct idem_handover_message *message);
void idem_handover_write_property(struct idem_handover_writer *writer,
                                  const struct idem_property *property);

/* Whether everything could be written. */
IDEM_MUST_USE bool idem_handover_end(struct idem_handover_writer *writer);

struct idem_handover_reader {
    const uint8_t *at;
    size_t left;
};

/* Checks the digest and each record, so that what follows cannot fail halfway. The bytes stay borrowed,
 * also by all that is read from them. */
IDEM_MUST_USE bool idem_handover_open(struct idem_handover_reader *reader,
                                      struct idem_span file);

/* The next message, then each of its properties (not to be freed); false: no more. */
bool idem_handover_read(struct idem_handover_reader *reader,
                        struct idem_handover_message *message);
bool idem_handover_read_property(struct idem_handover_reader *reader,
                                 struct idem_property *property);

#endif
