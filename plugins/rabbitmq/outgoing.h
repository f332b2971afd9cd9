/* SPDX-License-Identifier: MIT
 * The properties of a message that is handed on: all that it came with, and what the bridge adds. */
#ifndef IDEM_RABBITMQ_OUTGOING_H
#define IDEM_RABBITMQ_OUTGOING_H

#include "rabbit.h"

#include <idem/error.h>

/* A header to add; one of the same name that the message has is left out. */
struct idem_header {
    struct idem_span name;
    struct idem_span text;
    int64_t time_s; /* > 0: a timestamp instead of a text */
};

#define IDEM_HEADERS_ADDED_MAX 8

struct idem_outgoing {
    const amqp_basic_properties_t *properties; /* as it came */
    size_t encoded_len;                        /* of them */
    struct idem_header added[IDEM_HEADERS_ADDED_MAX];
    size_t added_count;
    struct idem_span user; /* of the sink's connection */
    size_t room;           /* bytes that a content header of the connection can hold */
};

void idem_outgoing_add(struct idem_outgoing *outgoing, const char *name,
                       struct idem_span text);
void idem_outgoing_add_time(struct idem_outgoing *outgoing, const char *name,
                            int64_t time_s);

/* Writes what to publish to *result; its memory is the pool's, or the message's own. A user_id that is
 * not the connection's user would make the broker close the channel: it travels as the header
 * x-idem-user-id. Where the additions would not fit into the frame, the message goes as it came, and
 * *whole is false. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_outgoing_build(struct idem_outgoing *outgoing,
                                                 amqp_pool_t *pool,
                                                 amqp_basic_properties_t *result,
                                                 bool *whole);

#endif
