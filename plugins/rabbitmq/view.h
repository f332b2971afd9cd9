/* SPDX-License-Identifier: MIT
 * An AMQP message as an idem_message. Copies nothing; numbers in headers are written out as text. */
#ifndef IDEM_RABBITMQ_VIEW_H
#define IDEM_RABBITMQ_VIEW_H

#include "field.h"
#include "letter.h"

#include <idem/message.h>

struct idem_view {
    struct idem_message message;
    const amqp_table_t *headers;
    char numbers[IDEM_MESSAGE_PROPERTIES_MAX][IDEM_FIELD_NUMBER_SIZE];
};

/* properties are the letter's own, decoded. Both, and queue, are borrowed for as long as the view. */
void idem_view_init(struct idem_view *view, const struct idem_letter *letter,
                    const amqp_basic_properties_t *properties, struct idem_span queue);

#endif
