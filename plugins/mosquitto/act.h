/* SPDX-License-Identifier: MIT
 * Carrying out a plan on the broker's message event.
 *
 * QoS 2. After the event the broker looks for a message in flight with the same packet id and compares
 * topic and payload; where they differ it DISCARDS the first copy. A client that reconnects between
 * PUBLISH and PUBREL sends the PUBLISH again: were that copy's topic rewritten, the first one would be
 * lost, and the event shows neither packet id nor DUP flag to tell such a resend from a fresh repeat.
 * So the plugin uses the standard's other method for QoS 2 receivers, onward delivery at PUBLISH (OASIS
 * MQTT 5.0, section 4.3.3, method B): it publishes the first copy itself, and turns the arriving one
 * into a "sink" message: topic $idem/sink, payload a hash of the original. Every later copy becomes the
 * same sink message, so that the broker's comparison finds resends equal and reused packet ids of other
 * messages different, as it would without the plugin. Whatever happens to sink messages, nothing of
 * value is in them.
 *
 * Who frees what is replaced depends on the broker's version: see compat.h. */
#ifndef IDEM_MOSQUITTO_ACT_H
#define IDEM_MOSQUITTO_ACT_H

#include "copy.h"
#include "handover.h"
#include "plan.h"

#include <mosquitto_broker.h>

struct idem_act_request {
    struct idem_plan plan;
    struct idem_stamp key; /* to propagate, on what is delivered */
    const char *reason;    /* shown on quarantined and rejected copies */
};

/* Returns what the callback returns to the broker; on MOSQ_ERR_NOMEM nothing was delivered. *handover
 * describes what was published in its place (the caller frees it); topic NULL: nothing was. */
int idem_act_on(struct mosquitto_evt_message *event,
                const struct idem_act_request *request, struct idem_handover *handover);

/* A message of which only a copy is left. */
struct idem_act_message {
    const char *topic;
    uint32_t size; /* of the copy's payload */
    int qos;
    bool retain;
};

/* Publishes it as the plan says, HAND_ON or DIVERT. The copy is the broker's with MOSQ_ERR_SUCCESS, and
 * *handover describes what was published (the caller frees it); else nothing has changed. */
int idem_act_publish(const struct idem_act_message *message, struct idem_copy *copy,
                     const struct idem_act_request *request,
                     struct idem_handover *handover);

#endif
