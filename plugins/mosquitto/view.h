/* SPDX-License-Identifier: MIT
 * The broker's message event as an idem_message. Copies nothing that the event owns; what libmosquitto
 * copies (properties) is freed with the view. */
#ifndef IDEM_MOSQUITTO_VIEW_H
#define IDEM_MOSQUITTO_VIEW_H

#include <idem/message.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>

struct idem_view_property {
    char *name;
    char *value;
};

struct idem_view {
    struct idem_message message;
    const mosquitto_property *properties;
    void *correlation_data;
    bool read; /* user properties are read on first use: most rules never ask */
    size_t count;
    struct idem_view_property items[IDEM_MESSAGE_PROPERTIES_MAX];
};

/* Valid for as long as the event, and until anything in the event is replaced. */
void idem_view_init(struct idem_view *view, const struct mosquitto_evt_message *event);
void idem_view_fini(struct idem_view *view);

#endif
