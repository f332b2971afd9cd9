/* SPDX-License-Identifier: MIT
 * The value of a header as a text. */
#include "field.h"

#include <inttypes.h>
#include <stdio.h>

struct idem_span idem_field_signed(char *room, int64_t value) {
    int length = snprintf(room, IDEM_FIELD_NUMBER_SIZE, "%" PRId64, value);
    return idem_span_of(room, (size_t)length);
}

struct idem_span idem_field_unsigned(char *room, uint64_t value) {
    int length = snprintf(room, IDEM_FIELD_NUMBER_SIZE, "%" PRIu64, value);
    return idem_span_of(room, (size_t)length);
}

bool idem_field_text(const amqp_field_value_t *field, char *room,
                     struct idem_span *text) {
    switch (field->kind) {
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        *text = idem_rabbit_span(field->value.bytes);
        return true;
    case AMQP_FIELD_KIND_BOOLEAN:
        *text = idem_span_text(field->value.boolean ? "true" : "false");
        return true;
    case AMQP_FIELD_KIND_I8:
        *text = idem_field_signed(room, field->value.i8);
        return true;
    case AMQP_FIELD_KIND_U8:
        *text = idem_field_unsigned(room, field->value.u8);
        return true;
    case AMQP_FIELD_KIND_I16:
        *text = idem_field_signed(room, field->value.i16);
        return true;
    case AMQP_FIELD_KIND_U16:
        *text = idem_field_unsigned(room, field->value.u16);
        return true;
    case AMQP_FIELD_KIND_I32:
        *text = idem_field_signed(room, field->value.i32);
        return true;
    case AMQP_FIELD_KIND_U32:
        *text = idem_field_unsigned(room, field->value.u32);
        return true;
    case AMQP_FIELD_KIND_I64:
        *text = idem_field_signed(room, field->value.i64);
        return true;
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        *text = idem_field_unsigned(room, field->value.u64);
        return true;
    default:
        return false;
    }
}
