/* SPDX-License-Identifier: MIT
 * The broker's message event as an idem_message. */
#include "view.h"

#include "compat.h"

#include <mqtt_protocol.h>

static void read_user_properties(struct idem_view *view) {
    const mosquitto_property *at = view->properties;
    bool skip_first = false;
    while (view->count < IDEM_MESSAGE_PROPERTIES_MAX) {
        struct idem_view_property *item = &view->items[view->count];
        at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &item->name,
                                                 &item->value, skip_first);
        if (at == NULL) {
            break;
        }
        view->count++;
        skip_first = true;
    }
    view->read = true;
}

static bool find_property(void *source, struct idem_span name, struct idem_span *value) {
    struct idem_view *view = source;
    if (!view->read) {
        read_user_properties(view);
    }
    for (size_t i = 0; i < view->count; i++) {
        if (idem_span_equal(idem_span_text(view->items[i].name), name)) {
            *value = idem_span_text(view->items[i].value);
            return true;
        }
    }
    return false;
}

static void read_correlation_data(struct idem_view *view) {
    uint16_t length = 0;
    if (mosquitto_property_read_binary(view->properties, MQTT_PROP_CORRELATION_DATA,
                                       &view->correlation_data, &length, false) != NULL) {
        view->message.correlation_id = idem_span_of(view->correlation_data, length);
    }
}

void idem_view_init(struct idem_view *view, const struct mosquitto_evt_message *event) {
    view->properties = event->properties;
    view->correlation_data = NULL;
    view->read = false;
    view->count = 0;

    struct idem_message *message = &view->message;
    memset(message, 0, sizeof *message);
    message->protocol = IDEM_PROTOCOL_MQTT;
    message->topic = idem_span_text(event->topic);
    message->payload = idem_span_of(event->payload, event->payloadlen);
    message->client = idem_span_text(mosquitto_client_id(event->client));
    message->user = idem_span_text(mosquitto_client_username(event->client));
    message->deletion = event->retain && event->payloadlen == 0;
    if (event->properties != NULL) {
        message->property = find_property;
        message->property_source = view;
        read_correlation_data(view);
    }
}

void idem_view_fini(struct idem_view *view) {
    for (size_t i = 0; i < view->count; i++) {
        idem_compat_free_read(view->items[i].name);
        idem_compat_free_read(view->items[i].value);
    }
    idem_compat_free_read(view->correlation_data);
}
