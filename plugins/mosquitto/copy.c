/* SPDX-License-Identifier: MIT
 * An arriving message's copy and its sink. */
#include "copy.h"

#include "compat.h"
#include <idem/digest.h>

#include <stdio.h>

#define MQTT_TOPIC_MAX 65535

void idem_replace_topic(struct mosquitto_evt_message *event, char *topic) {
    if (!idem_compat_frees_replaced()) {
        mosquitto_free(event->topic);
    }
    event->topic = topic;
}

void idem_replace_properties(struct mosquitto_evt_message *event,
                             mosquitto_property *list) {
    if (!idem_compat_frees_replaced()) {
        mosquitto_property_free_all(&event->properties);
    }
    event->properties = list;
}

char *idem_topic_below(enum idem_channel channel, const char *topic) {
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

int idem_copy_properties(mosquitto_property **copy, const mosquitto_property *list,
                         const struct idem_stamp *stamp) {
    const char *const *name = stamp->names;
    int rc = idem_properties_copy(copy, list, stamp->names);
    for (; rc == MOSQ_ERR_SUCCESS && name != NULL && *name != NULL; name++) {
        if (idem_property_add_user(copy, *name, stamp->value) == MOSQ_ERR_NOMEM) {
            mosquitto_property_free_all(copy);
            rc = MOSQ_ERR_NOMEM;
        }
    }
    return rc;
}

void idem_copy_discard(struct idem_copy *copy) {
    mosquitto_free(copy->payload);
    mosquitto_property_free_all(&copy->properties);
}

int idem_copy_prepare(struct idem_copy *copy, const struct mosquitto_evt_message *event,
                      const struct idem_stamp *stamp) {
    copy->payload = NULL;
    int rc = idem_copy_properties(&copy->properties, event->properties, stamp);
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

/* Only a QoS 2 message is ever compared with another one: see act.h. */
static void sink_digest(struct idem_digest *digest,
                        const struct mosquitto_evt_message *event) {
    struct idem_secret secret;
    struct idem_span spans[] = {idem_span_text(event->topic),
                                idem_span_of(event->payload, event->payloadlen)};
    memset(digest, 0, sizeof *digest);
    if (event->qos == 2) {
        idem_secret_default(&secret);
        idem_digest_of(digest, &secret, IDEM_DOMAIN_COPY, spans, 2);
    }
}

bool idem_sink_prepare(struct idem_sink *sink,
                       const struct mosquitto_evt_message *event) {
    struct idem_digest digest;
    sink->topic = mosquitto_strdup(IDEM_TOPIC_SINK);
    sink->payload =
        mosquitto_malloc(IDEM_DIGEST_SIZE + 1); /* the broker terminates payloads */
    if (sink->topic == NULL || sink->payload == NULL) {
        mosquitto_free(sink->topic);
        mosquitto_free(sink->payload);
        return false;
    }
    sink_digest(&digest, event);
    memcpy(sink->payload, digest.bytes, IDEM_DIGEST_SIZE);
    sink->payload[IDEM_DIGEST_SIZE] = 0;
    return true;
}

void idem_sink_discard(struct idem_sink *sink) {
    mosquitto_free(sink->topic);
    mosquitto_free(sink->payload);
}

void idem_sink_apply(struct idem_sink *sink, struct mosquitto_evt_message *event) {
    idem_replace_topic(event, sink->topic);
    event->payload = sink->payload;
    event->payloadlen = IDEM_DIGEST_SIZE;
    event->retain = false;
}
