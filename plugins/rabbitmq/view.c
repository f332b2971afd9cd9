/* SPDX-License-Identifier: MIT
 * An AMQP message as an idem_message. */
#include "view.h"

static bool find_header(void *source, struct idem_span name, struct idem_span *value) {
    struct idem_view *view = source;
    int count = view->headers->num_entries;
    for (int i = 0; i < count && i < IDEM_MESSAGE_PROPERTIES_MAX; i++) {
        const amqp_table_entry_t *entry = &view->headers->entries[i];
        if (idem_span_equal(idem_rabbit_span(entry->key), name)) {
            return idem_field_text(&entry->value, view->numbers[i], value);
        }
    }
    return false;
}

static struct idem_span given(const amqp_basic_properties_t *properties,
                              amqp_flags_t flag, amqp_bytes_t value) {
    return (properties->_flags & flag) != 0 ? idem_rabbit_span(value)
                                            : idem_span_of(NULL, 0);
}

void idem_view_init(struct idem_view *view, const struct idem_letter *letter,
                    const amqp_basic_properties_t *properties, struct idem_span queue) {
    struct idem_message *message = &view->message;
    view->headers = &properties->headers;
    memset(message, 0, sizeof *message);
    message->protocol = IDEM_PROTOCOL_AMQP;
    message->topic = idem_letter_routing_key(letter);
    message->queue = queue;
    message->payload = idem_letter_payload(letter);
    message->user = given(properties, AMQP_BASIC_USER_ID_FLAG, properties->user_id);
    message->message_id =
        given(properties, AMQP_BASIC_MESSAGE_ID_FLAG, properties->message_id);
    message->correlation_id =
        given(properties, AMQP_BASIC_CORRELATION_ID_FLAG, properties->correlation_id);
    if ((properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0) {
        message->property = find_header;
        message->property_source = view;
    }
}
