/* SPDX-License-Identifier: MIT
 * What the plugin makes of an arriving message: a copy to publish, and the sink that takes its place.
 * Broker's thread only. */
#ifndef IDEM_MOSQUITTO_COPY_H
#define IDEM_MOSQUITTO_COPY_H

#include "plan.h"
#include "properties.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>

#define IDEM_REASON_PROPERTY "idem-reason" /* of quarantined and rejected copies */

/* The event takes the new one over; see compat.h for the old one. */
void idem_replace_topic(struct mosquitto_evt_message *event, char *topic);
void idem_replace_properties(struct mosquitto_evt_message *event,
                             mosquitto_property *list);

/* "<channel>/<topic>", or the channel alone where that would be longer than a topic may be. To be freed
 * with mosquitto_free(). NULL: no memory. */
char *idem_topic_below(enum idem_channel channel, const char *topic);

/* A copy of the list with the stamp. Where the broker does not accept the value, the copy goes without it:
 * better than no copy at all. MOSQ_ERR_SUCCESS or _NOMEM. */
int idem_copy_properties(mosquitto_property **copy, const mosquitto_property *list,
                         const struct idem_stamp *stamp);

/* A copy of the message for the broker to publish: what mosquitto_broker_publish() takes over. */
struct idem_copy {
    void *payload;
    mosquitto_property *properties;
};

/* With the stamp. MOSQ_ERR_SUCCESS or _NOMEM. */
int idem_copy_prepare(struct idem_copy *copy, const struct mosquitto_evt_message *event,
                      const struct idem_stamp *stamp);
void idem_copy_discard(struct idem_copy *copy);

/* Turns the arriving copy into the sink message. Prepared in full before anything is handed on, since
 * from there on it must not fail. */
struct idem_sink {
    char *topic;
    uint8_t *payload;
};

IDEM_MUST_USE bool idem_sink_prepare(struct idem_sink *sink,
                                     const struct mosquitto_evt_message *event);
void idem_sink_discard(struct idem_sink *sink);
void idem_sink_apply(struct idem_sink *sink, struct mosquitto_evt_message *event);

#endif
