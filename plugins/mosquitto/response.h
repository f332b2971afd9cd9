/* SPDX-License-Identifier: MIT
 * Requests and responses as MQTT 5 has them: where a response goes, what is stored of it, and what is made of
 * that again. Broker's thread only. */
#ifndef IDEM_MOSQUITTO_RESPONSE_H
#define IDEM_MOSQUITTO_RESPONSE_H

#include "pairs.h"
#include "properties.h"

#include <idem/result.h>

#include <mosquitto_broker.h>

/* The response topic and correlation data of a message. */
struct idem_exchange {
    struct idem_reply_to reply_to; /* topic NULL: none, or none that may be answered to */
    struct idem_property topic;
    struct idem_property correlation;
};

/* Fini it in any case. A $-topic belongs to the broker or to a plugin, and one with wildcards is no topic:
 * they count as absent, as does what there is no memory for. */
void idem_exchange_read(struct idem_exchange *exchange, const mosquitto_property *list);
void idem_exchange_fini(struct idem_exchange *exchange);

/* A response on its way: result borrows from the event and from the properties kept here. */
struct idem_response {
    struct idem_result result;
    size_t count;
    struct idem_property kept[IDEM_RESULT_HEADERS_MAX + 4];
};

/* Fini it in any case. False: no memory, or more properties than can be stored. */
IDEM_MUST_USE bool idem_response_read(struct idem_response *response,
                                      const struct mosquitto_evt_message *event);
void idem_response_fini(struct idem_response *response);

/* The properties of a replay, marked as one. What MQTT has no place or no text for is left out. NULL: no
 * memory. */
mosquitto_property *idem_replay_properties(const struct idem_result *result,
                                           struct idem_span correlation);

#endif
