/* SPDX-License-Identifier: MIT
 * Carrying out a plan on the broker's message event. */
#include "act.h"

#include "compat.h"
#include "properties.h"

#include <idem/digest.h>

#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>

#define MQTT_TOPIC_MAX  65535
#define REASON_PROPERTY "idem-reason"

static void replace_topic(struct mosquitto_evt_message *event, char *topic) {
    if (!idem_compat_frees_replaced()) {
        mosquitto_free(event->topic);
    }
    event->topic = topic;
}

static void replace_properties(struct mosquitto_evt_message *event,
                               mosquitto_property *list) {
    if (!idem_compat_frees_replaced()) {
        mosquitto_property_free_all(&event->properties);
    }
    event->properties = list;
}

/* "<channel>/<topic>", or the channel alone where that would be longer than a topic may be. */
static char *channel_topic(enum idem_channel channel, const char *topic) {
    const char *prefix = idem_channel_topic(channel);
    size_t size = strlen(prefix) + 1 + strlen(topic) + 1;
    if (size - 1 > MQTT_TOPIC_MAX) {
        return mosquitto_strdup(prefix);
    }
    char *result = mosquitto_malloc(size);
    if (result != NULL) {
        (void)snprintf(result, size, "%s/%s", prefix, topic);
    }
    return result;
}

/* A copy of the list in which the only user property called name (NULL: none) has the value. Where the
 * broker does not accept the value, the copy goes without it: better than no copy at all. */
static int copy_properties(mosquitto_property **copy, const mosquitto_property *list,
                           const char *name, const char *value) {
    int rc = idem_properties_copy(copy, list, name);
    if (rc == MOSQ_ERR_SUCCESS && name != NULL &&
        idem_property_add_user(copy, name, value) == MOSQ_ERR_NOMEM) {
        mosquitto_property_free_all(copy);
        rc = MOSQ_ERR_NOMEM;
    }
    return rc;
}

/* A copy of the message for the broker to publish: what mosquitto_broker_publish() takes over. */
struct copy {
    void *payload;
    mosquitto_property *properties;
};

static void copy_discard(struct copy *copy) {
    mosquitto_free(copy->payload);
    mosquitto_property_free_all(&copy->properties);
}

/* With the property set where one is named. */
static int copy_prepare(struct copy *copy, const struct mosquitto_evt_message *event,
                        const char *name, const char *value) {
    copy->payload = NULL;
    int rc = copy_properties(&copy->properties, event->properties, name, value);
    if (rc != MOSQ_ERR_SUCCESS || event->payloadlen == 0) {
        return rc;
    }
    copy->payload = mosquitto_malloc(event->payloadlen);
    if (copy->payload == NULL) {
        mosquitto_property_free_all(&copy->properties);
        return MOSQ_ERR_NOMEM;
    }
    memcpy(copy->payload, event->payload, event->payloadlen);
    return MOSQ_ERR_SUCCESS;
}

/* Turns the arriving copy into the sink message. Prepared in full before anything is handed on, since
 * from there on it must not fail. */
struct sink {
    char *topic;
    uint8_t *payload;
};

static bool sink_prepare(struct sink *sink, const struct mosquitto_evt_message *event) {
    struct idem_secret secret;
    struct idem_digest digest;
    struct idem_span spans[] = {idem_span_text(event->topic),
                                idem_span_of(event->payload, event->payloadlen)};
    sink->topic = mosquitto_strdup(IDEM_TOPIC_SINK);
    sink->payload =
        mosquitto_malloc(IDEM_DIGEST_SIZE + 1); /* the broker terminates payloads */
    if (sink->topic == NULL || sink->payload == NULL) {
        mosquitto_free(sink->topic);
        mosquitto_free(sink->payload);
        return false;
    }
    idem_secret_default(&secret);
    idem_digest_of(&digest, &secret, IDEM_DOMAIN_COPY, spans, 2);
    memcpy(sink->payload, digest.bytes, IDEM_DIGEST_SIZE);
    sink->payload[IDEM_DIGEST_SIZE] = 0;
    return true;
}

static void sink_discard(struct sink *sink) {
    mosquitto_free(sink->topic);
    mosquitto_free(sink->payload);
}

static void sink_apply(struct sink *sink, struct mosquitto_evt_message *event) {
    replace_topic(event, sink->topic);
    event->payload = sink->payload;
    event->payloadlen = IDEM_DIGEST_SIZE;
    event->retain = false;
}

static int publish_and_sink(struct mosquitto_evt_message *event, const char *topic,
                            bool retain, struct copy *copy) {
    struct sink sink;
    if (!sink_prepare(&sink, event)) {
        copy_discard(copy);
        return MOSQ_ERR_NOMEM;
    }
    int rc = mosquitto_broker_publish(NULL, topic, (int)event->payloadlen, copy->payload,
                                      event->qos, retain, copy->properties);
    if (rc != MOSQ_ERR_SUCCESS) {
        copy_discard(copy);
        sink_discard(&sink);
        return rc;
    }
    sink_apply(&sink, event);
    return MOSQ_ERR_SUCCESS;
}

/* Publishes the message under topic, with the property set where one is named, and sinks the arriving
 * copy. The broker owns what is published, but it stays where handover says as long as it is queued. */
static int hand_on(struct mosquitto_evt_message *event, const char *topic, bool retain,
                   const char *name, const char *value, struct idem_handover *handover) {
    struct copy copy;
    handover->topic = strdup(topic);
    handover->payload_size = event->payloadlen;
    handover->qos = event->qos;
    handover->retain = retain;
    if (handover->topic == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    int rc = copy_prepare(&copy, event, name, value);
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

/* Makes value the only user property called name. Where memory is short the message goes on without
 * it: a copy that lacks a property is better than none. */
static void set_property(struct mosquitto_evt_message *event, const char *name,
                         const char *value) {
    mosquitto_property *copy = NULL;
    if (!idem_properties_have(event->properties, name)) {
        (void)idem_property_add_user(&event->properties, name, value);
    } else if (copy_properties(&copy, event->properties, name, value) ==
               MOSQ_ERR_SUCCESS) {
        replace_properties(event, copy);
    }
}

static int pass(struct mosquitto_evt_message *event,
                const struct idem_act_request *request) {
    if (request->property != NULL) {
        set_property(event, request->property, request->key);
    }
    return MOSQ_ERR_SUCCESS;
}

static int divert(struct mosquitto_evt_message *event,
                  const struct idem_act_request *request,
                  struct idem_handover *handover) {
    char *topic = channel_topic(request->plan.channel, event->topic);
    if (topic == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    if (event->qos == 2) {
        int rc = hand_on(event, topic, false, REASON_PROPERTY, request->reason, handover);
        mosquitto_free(topic);
        return rc;
    }
    set_property(event, REASON_PROPERTY, request->reason);
    replace_topic(event, topic);
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
        return hand_on(event, event->topic, event->retain, request->property,
                       request->key, handover);
    case IDEM_ACT_DIVERT:
        return divert(event, request, handover);
    case IDEM_ACT_DENY:
        return MOSQ_ERR_ACL_DENIED;
    case IDEM_ACT_DISCONNECT:
        return MOSQ_ERR_ADMINISTRATIVE_ACTION;
    }
    return MOSQ_ERR_SUCCESS;
}
