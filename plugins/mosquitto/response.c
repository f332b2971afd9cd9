/* SPDX-License-Identifier: MIT
 * Requests and responses as MQTT 5 has them. */
#include "response.h"

#include <mqtt_protocol.h>
#include <stdlib.h>

static bool may_be_answered_to(const char *topic) {
    return topic != NULL && topic[0] != '\0' && topic[0] != '$' &&
           strpbrk(topic, "+#") == NULL;
}

/* The property in *into, where it is the one that is looked for. */
static void take(struct idem_property *into, struct idem_property *property) {
    idem_property_fini(into);
    *into = *property;
    memset(property, 0, sizeof *property);
}

void idem_exchange_read(struct idem_exchange *exchange, const mosquitto_property *list) {
    memset(exchange, 0, sizeof *exchange);
    for (; list != NULL; list = mosquitto_property_next(list)) {
        int id = mosquitto_property_identifier(list);
        struct idem_property property;
        if (id != MQTT_PROP_RESPONSE_TOPIC && id != MQTT_PROP_CORRELATION_DATA) {
            continue;
        }
        if (idem_property_read(&property, list) != MOSQ_ERR_SUCCESS) {
            idem_property_fini(&property);
            idem_exchange_fini(exchange); /* half of an address is none */
            return;
        }
        take(id == MQTT_PROP_RESPONSE_TOPIC ? &exchange->topic : &exchange->correlation,
             &property);
    }
    if (may_be_answered_to(exchange->topic.value)) {
        exchange->reply_to.topic = exchange->topic.value;
    }
    exchange->reply_to.correlation =
        idem_span_of(exchange->correlation.value, exchange->correlation.size);
}

void idem_exchange_fini(struct idem_exchange *exchange) {
    idem_property_fini(&exchange->topic);
    idem_property_fini(&exchange->correlation);
    memset(exchange, 0, sizeof *exchange);
}

static bool add_header(struct idem_result *result, const struct idem_property *property) {
    if (strcmp(property->name, IDEM_RESULT_MARK) == 0) {
        return true; /* whether it is a replay, we say */
    }
    if (result->header_count == IDEM_RESULT_HEADERS_MAX) {
        return false;
    }
    struct idem_result_header *header = &result->headers[result->header_count++];
    header->kind = IDEM_RESULT_TEXT;
    header->name = idem_span_text(property->name);
    header->value = idem_span_of(property->value, property->size);
    return true;
}

static bool add_property(struct idem_result *result,
                         const struct idem_property *property) {
    switch (property->id) {
    case MQTT_PROP_USER_PROPERTY:
        return property->name == NULL || add_header(result, property);
    case MQTT_PROP_CONTENT_TYPE:
        result->fields[IDEM_RESULT_CONTENT_TYPE] =
            idem_span_of(property->value, property->size);
        return true;
    case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
        result->utf8 = property->byte == 1;
        return true;
    default: /* a response to the response is none of ours, and its correlation data is the request's */
        return true;
    }
}

bool idem_response_read(struct idem_response *response,
                        const struct mosquitto_evt_message *event) {
    struct idem_result *result = &response->result;
    response->count = 0;
    memset(result->fields, 0, sizeof result->fields);
    result->utf8 = false;
    result->header_count = 0;
    result->payload = idem_span_of(event->payload, event->payloadlen);
    result->fields[IDEM_RESULT_ADDRESS] = idem_span_text(event->topic);
    const mosquitto_property *list = event->properties;
    for (; list != NULL; list = mosquitto_property_next(list)) {
        if (response->count == sizeof response->kept / sizeof response->kept[0]) {
            return false;
        }
        struct idem_property *property = &response->kept[response->count++];
        if (idem_property_read(property, list) != MOSQ_ERR_SUCCESS ||
            !add_property(result, property)) {
            return false;
        }
    }
    return true;
}

void idem_response_fini(struct idem_response *response) {
    while (response->count > 0) {
        idem_property_fini(&response->kept[--response->count]);
    }
}

/* A terminated copy for the broker; NULL: no memory, or not a text that MQTT can carry. */
static char *text_of(struct idem_span span) {
    if (span.len > UINT16_MAX ||
        (span.len > 0 && memchr(span.data, 0, span.len) != NULL)) {
        return NULL;
    }
    char *text = malloc(span.len + 1);
    if (text != NULL) {
        if (span.len > 0) {
            memcpy(text, span.data, span.len);
        }
        text[span.len] = '\0';
    }
    return text;
}

static void put_header(mosquitto_property **list,
                       const struct idem_result_header *header) {
    if (header->kind == IDEM_RESULT_AMQP ||
        idem_span_equal(header->name, idem_span_text(IDEM_RESULT_MARK))) {
        return;
    }
    char *name = text_of(header->name);
    char *value = text_of(header->value);
    if (name != NULL && value != NULL) {
        (void)idem_property_add_user(list, name, value);
    }
    free(name);
    free(value);
}

static void put_content_type(mosquitto_property **list, struct idem_span span) {
    char *text = span.len > 0 ? text_of(span) : NULL;
    if (text != NULL) {
        (void)mosquitto_property_add_string(list, MQTT_PROP_CONTENT_TYPE, text);
        free(text);
    }
}

mosquitto_property *idem_replay_properties(const struct idem_result *result,
                                           struct idem_span correlation) {
    mosquitto_property *list = NULL;
    if (result->utf8) {
        (void)mosquitto_property_add_byte(&list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1);
    }
    put_content_type(&list, result->fields[IDEM_RESULT_CONTENT_TYPE]);
    for (size_t i = 0; i < result->header_count; i++) {
        put_header(&list, &result->headers[i]);
    }
    /* Without these two it would be another message. */
    int rc = idem_property_add_user(&list, IDEM_RESULT_MARK, IDEM_RESULT_MARK_VALUE);
    if (rc == MOSQ_ERR_SUCCESS && correlation.len > 0) {
        rc = mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA,
                                           correlation.data, (uint16_t)correlation.len);
    }
    if (rc != MOSQ_ERR_SUCCESS) {
        mosquitto_property_free_all(&list);
        return NULL;
    }
    return list;
}
