/* SPDX-License-Identifier: MIT
 * From a verdict to what the broker is made to do. */
#include "plan.h"

static struct idem_plan plan(enum idem_act act) {
    struct idem_plan result = {act, IDEM_CHANNEL_DUPLICATE};
    return result;
}

static struct idem_plan divert(enum idem_channel channel) {
    struct idem_plan result = {IDEM_ACT_DIVERT, channel};
    return result;
}

struct idem_plan idem_plan_of(const struct idem_delivery *delivery, int qos, bool mqtt5) {
    switch (delivery->verdict) {
    case IDEM_VERDICT_DELIVER:
        /* Without a claim there is no later copy to tell apart: the broker's own QoS 2 is right. */
        return plan(qos == 2 && delivery->claimed ? IDEM_ACT_HAND_ON : IDEM_ACT_PASS);
    case IDEM_VERDICT_DROP:
    case IDEM_VERDICT_REPLAY: /* what is published besides, see replay.h */
        return divert(IDEM_CHANNEL_DUPLICATE);
    case IDEM_VERDICT_QUARANTINE:
        return divert(IDEM_CHANNEL_QUARANTINE);
    case IDEM_VERDICT_REJECT:
        /* MQTT 3.1.1 cannot say no, and a disconnect would make the client repeat it for ever:
         * acknowledge, but let the operator see what was refused. */
        return mqtt5 && qos > 0 ? plan(IDEM_ACT_DENY) : divert(IDEM_CHANNEL_REJECTED);
    case IDEM_VERDICT_REFUSE:
        /* QoS 0 has nothing to refuse with; the sender expects no answer and gets none. */
        return plan(mqtt5 || qos == 0 ? IDEM_ACT_DENY : IDEM_ACT_DISCONNECT);
    case IDEM_VERDICT_HOLD: /* the broker cannot hold; the receiver is told so and never asks it */
    case IDEM_VERDICT_COUNT:
        break;
    }
    return plan(IDEM_ACT_PASS); /* a second delivery is better than a loss */
}

struct idem_plan idem_plan_of_parked(const struct idem_delivery *delivery) {
    switch (delivery->verdict) {
    case IDEM_VERDICT_DROP:
    case IDEM_VERDICT_REPLAY:
        return divert(IDEM_CHANNEL_DUPLICATE);
    case IDEM_VERDICT_QUARANTINE:
        return divert(IDEM_CHANNEL_QUARANTINE);
    case IDEM_VERDICT_REJECT:
        return divert(IDEM_CHANNEL_REJECTED);
    case IDEM_VERDICT_DELIVER:
    case IDEM_VERDICT_REFUSE: /* never parked: see intake.h */
    case IDEM_VERDICT_HOLD:
    case IDEM_VERDICT_COUNT:
        break;
    }
    return plan(IDEM_ACT_HAND_ON);
}

const char *idem_channel_topic(enum idem_channel channel) {
    switch (channel) {
    case IDEM_CHANNEL_QUARANTINE:
        return IDEM_TOPIC_ROOT "/quarantine";
    case IDEM_CHANNEL_REJECTED:
        return IDEM_TOPIC_ROOT "/rejected";
    case IDEM_CHANNEL_DUPLICATE:
        break;
    }
    return IDEM_TOPIC_ROOT "/duplicate";
}

bool idem_topic_reserved(const char *topic) {
    static const char root[] = IDEM_TOPIC_ROOT;
    const size_t length = sizeof root - 1;
    return strncmp(topic, root, length) == 0 &&
           (topic[length] == '/' || topic[length] == '\0');
}
