/* SPDX-License-Identifier: MIT
 * The value of a header as a text. */
#ifndef IDEM_RABBITMQ_FIELD_H
#define IDEM_RABBITMQ_FIELD_H

#include "rabbit.h"

#define IDEM_FIELD_NUMBER_SIZE 24 /* 64 bits in decimal, with sign and terminator */

/* room has IDEM_FIELD_NUMBER_SIZE bytes, and the text is in it. */
struct idem_span idem_field_unsigned(char *room, uint64_t value);
struct idem_span idem_field_signed(char *room, int64_t value);

/* Text, bytes, whole numbers, times and truth values have one; what has no one way to be written (floating
 * point, decimals, tables, arrays) has none: false. *text is in the field, or in room. */
bool idem_field_text(const amqp_field_value_t *field, char *room, struct idem_span *text);

#endif
