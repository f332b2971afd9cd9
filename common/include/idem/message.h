/* SPDX-License-Identifier: MIT
 * A protocol-neutral, non-owning view of one arriving copy. Adapters build it; the core only reads. */
#ifndef IDEM_MESSAGE_H
#define IDEM_MESSAGE_H

#include <idem/span.h>

#ifdef __cplusplus
extern "C" {
#endif

enum idem_protocol {
    IDEM_PROTOCOL_MQTT,
    IDEM_PROTOCOL_AMQP,
};

/* Looks up the first property (MQTT user property, AMQP header) called name. Returns false where
 * there is none. The value stays valid for as long as the message. May allocate, must not block.
 * Bounded: an adapter looks at the first IDEM_MESSAGE_PROPERTIES_MAX properties only. */
typedef bool idem_property_lookup(void *source, struct idem_span name,
                                  struct idem_span *value);

#define IDEM_MESSAGE_PROPERTIES_MAX 64

/* All spans are borrowed until the call that takes the message has returned (where it is
 * asynchronous: until its callback has run is NOT needed; the core copies what it keeps). */
struct idem_message {
    enum idem_protocol protocol;
    struct idem_span topic;          /* MQTT topic, or AMQP routing key */
    struct idem_span queue;          /* AMQP queue consumed from; empty for MQTT */
    struct idem_span payload;        /* may be empty */
    struct idem_span client;         /* MQTT client id; empty where unknown */
    struct idem_span user;           /* authenticated user; empty where anonymous */
    struct idem_span message_id;     /* AMQP message_id; empty for MQTT */
    struct idem_span correlation_id; /* MQTT 5 correlation data, AMQP correlation_id */
    /* NULL where the protocol version has no properties. */
    idem_property_lookup *property;
    void *property_source; /* handed to property */
    bool deletion;         /* a retained delete: idempotent by nature, always passes */
};

#ifdef __cplusplus
}
#endif

#endif
