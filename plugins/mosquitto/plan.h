/* SPDX-License-Identifier: MIT
 * From a verdict to what the broker is made to do. Pure: no broker in here. */
#ifndef IDEM_MOSQUITTO_PLAN_H
#define IDEM_MOSQUITTO_PLAN_H

#include <idem/receiver.h>

/* Everything below $idem/ belongs to the plugin. '#' and '+' do not match $-topics, so nobody
 * receives these without asking for them by name. */
#define IDEM_TOPIC_ROOT "$idem"
#define IDEM_TOPIC_SINK "$idem/sink"

enum idem_act {
    IDEM_ACT_PASS, /* leave the message to the broker */
    IDEM_ACT_HAND_ON, /* publish it ourselves now, and sink the arriving one (QoS 2, see act.h) */
    IDEM_ACT_DIVERT,     /* acknowledge it as a success, show it on a $idem topic only */
    IDEM_ACT_DENY,       /* MQTT 5: acknowledge with an error; 3.1.1 has none: plain */
    IDEM_ACT_DISCONNECT, /* no acknowledgement at all: the client sends it again */
};

enum idem_channel {
    IDEM_CHANNEL_DUPLICATE,
    IDEM_CHANNEL_QUARANTINE,
    IDEM_CHANNEL_REJECTED,
};

struct idem_plan {
    enum idem_act act;
    enum idem_channel channel; /* DIVERT only */
};

struct idem_plan idem_plan_of(const struct idem_delivery *delivery, int qos, bool mqtt5);

/* The same for a message that was parked: its publisher has had its acknowledgement, so that nothing can
 * be denied any more. HAND_ON or DIVERT. */
struct idem_plan idem_plan_of_parked(const struct idem_delivery *delivery);

/* "$idem/duplicate", ...; static. */
const char *idem_channel_topic(enum idem_channel channel);

/* Whether a client may not publish to the topic, because it is the plugin's own. */
bool idem_topic_reserved(const char *topic);

#endif
