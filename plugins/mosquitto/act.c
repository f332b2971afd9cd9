/* SPDX-License-Identifier: MIT
 * Carrying out a plan on the broker's message event. */
#include "act.h"

#include "copy.h"
#include "properties.h"

#include <mosquitto.h>
#include <stdlib.h>

static int publish_and_sink(struct mosquitto_evt_message *event, const char *topic,
                            bool retain, struct idem_copy *copy) {
    struct idem_sink sink;
    if (!idem_sink_prepare(&sink, event)) {
        idem_copy_discard(copy);
        return MOSQ_ERR_NOMEM;
    }
    int rc = mosquitto_broker_publish(NULL, topic, (int)event->payloadlen, copy->payload,
                                      event->qos, retain, copy->properties);
    if (rc != MOSQ_ERR_SUCCESS) {
        idem_copy_discard(copy);
        idem_sink_discard(&sink);
        return rc;
    }
    idem_sink_apply(&sink, event);
    return MOSQ_ERR_SUCCESS;
}

/* Publishes the message under topic, with the stamp, and sinks the arriving
 * copy. The broker owns what is published, but it stays where handover says as long as it is queued. */
static int hand_on(struct mosquitto_evt_message *event, const char *topic, bool retain,
                   const struct idem_stamp *stamp, struct idem_handover *handover) {
    struct idem_copy copy;
    handover->topic = strdup(topic);
    handover->payload_size = event->payloadlen;
    handover->qos = event->qos;
    handover->retain = retain;
    if (handover->topic == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    int rc = idem_copy_prepare(&copy, event, stamp);
    if (rc == MOSQ_ERR_SUCCESS) {
        rc = publish_and_sink(event, handover->topic, retain, &copy);
    }
    if (rc != MOSQ_ERR_SUCCESS) {
        idem_handover_fini(handover);
        return rc;
    }
    handover->payload = copy.payload;
    handover->properties = copy.properties;
    return MOSQ_ERR_SUCCESS;
}

static const char *const reason_names[] = {IDEM_REASON_PROPERTY, NULL};

static struct idem_stamp reason_of(const struct idem_act_request *request) {
    struct idem_stamp stamp = {reason_names, request->reason};
    return stamp;
}

/* Where memory is short the message goes on without: a copy that lacks a property is better than none. */
static void set_properties(struct mosquitto_evt_message *event,
                           const struct idem_stamp *stamp) {
    mosquitto_property *copy = NULL;
    if (idem_properties_have(event->properties, stamp->names)) {
        if (idem_copy_properties(&copy, event->properties, stamp) == MOSQ_ERR_SUCCESS) {
            idem_replace_properties(event, copy);
        }
        return;
    }
    const char *const *name = stamp->names;
    for (; name != NULL && *name != NULL; name++) {
        (void)idem_property_add_user(&event->properties, *name, stamp->value);
    }
}

static int pass(struct mosquitto_evt_message *event,
                const struct idem_act_request *request) {
    set_properties(event, &request->key);
    return MOSQ_ERR_SUCCESS;
}

static int divert(struct mosquitto_evt_message *event,
                  const struct idem_act_request *request,
                  struct idem_handover *handover) {
    const struct idem_stamp reason = reason_of(request);
    char *topic = idem_topic_below(request->plan.channel, event->topic);
    if (topic == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    if (event->qos == 2) {
        int rc = hand_on(event, topic, false, &reason, handover);
        mosquitto_free(topic);
        return rc;
    }
    set_properties(event, &reason);
    idem_replace_topic(event, topic);
    event->retain = false;
    return MOSQ_ERR_SUCCESS;
}

int idem_act_on(struct mosquitto_evt_message *event,
                const struct idem_act_request *request, struct idem_handover *handover) {
    memset(handover, 0, sizeof *handover);
    switch (request->plan.act) {
    case IDEM_ACT_PASS:
        return pass(event, request);
    case IDEM_ACT_HAND_ON:
        return hand_on(event, event->topic, event->retain, &request->key, handover);
    case IDEM_ACT_DIVERT:
        return divert(event, request, handover);
    case IDEM_ACT_DENY:
        return MOSQ_ERR_ACL_DENIED;
    case IDEM_ACT_DISCONNECT:
        return MOSQ_ERR_ADMINISTRATIVE_ACTION;
    }
    return MOSQ_ERR_SUCCESS;
}

/* Gives the copy a list with the stamp instead of its own. */
static int stamp_copy(struct idem_copy *copy, const struct idem_stamp *stamp) {
    mosquitto_property *list = NULL;
    if (stamp->names == NULL) {
        return MOSQ_ERR_SUCCESS;
    }
    int rc = idem_copy_properties(&list, copy->properties, stamp);
    if (rc == MOSQ_ERR_SUCCESS) {
        mosquitto_property_free_all(&copy->properties);
        copy->properties = list;
    }
    return rc;
}

/* Takes topic over, which is to be freed with free(), in any case. */
static int publish_copy(const struct idem_act_message *message, char *topic, bool retain,
                        struct idem_copy *copy, struct idem_handover *handover) {
    int rc = topic == NULL ? MOSQ_ERR_NOMEM
                           : mosquitto_broker_publish(NULL, topic, (int)message->size,
                                                      copy->payload, message->qos, retain,
                                                      copy->properties);
    if (rc != MOSQ_ERR_SUCCESS) {
        free(topic);
        return rc;
    }
    *handover = (struct idem_handover){
        .topic = topic,
        .payload = copy->payload,
        .payload_size = message->size,
        .qos = message->qos,
        .retain = retain,
        .properties = copy->properties,
    };
    memset(copy, 0, sizeof *copy);
    return rc;
}

int idem_act_publish(const struct idem_act_message *message, struct idem_copy *copy,
                     const struct idem_act_request *request,
                     struct idem_handover *handover) {
    bool divert = request->plan.act == IDEM_ACT_DIVERT;
    const struct idem_stamp stamp = divert ? reason_of(request) : request->key;
    char *below = divert ? idem_topic_below(request->plan.channel, message->topic) : NULL;
    memset(handover, 0, sizeof *handover);
    if (divert && below == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    int rc = stamp_copy(copy, &stamp);
    if (rc == MOSQ_ERR_SUCCESS) {
        rc = publish_copy(message, strdup(divert ? below : message->topic),
                          !divert && message->retain, copy, handover);
    }
    mosquitto_free(below);
    return rc;
}
