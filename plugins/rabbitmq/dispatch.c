/* SPDX-License-Identifier: MIT
 * Where a parcel goes, and with what properties. */
#include "end.h"
#include "outgoing.h"
#include "rpc.h"

struct idem_span idem_dispatch_exchange(const struct idem_parcel *parcel) {
    const struct idem_config *config = parcel->worker->options->config;
    switch (parcel->transfer.route) {
    case IDEM_ROUTE_QUARANTINE:
        return idem_span_text(config->bridge.quarantine_exchange);
    case IDEM_ROUTE_ANSWER:
        return idem_span_text("");
    case IDEM_ROUTE_SINK:
    case IDEM_ROUTE_COUNT:
        break;
    }
    return idem_span_text(config->bridge.sink.exchange);
}

struct idem_span idem_dispatch_routing_key(const struct idem_parcel *parcel) {
    const char *fixed = parcel->worker->options->config->bridge.sink.routing_key;
    if (parcel->transfer.route == IDEM_ROUTE_ANSWER) {
        return idem_rpc_reply_to(parcel);
    }
    if (parcel->transfer.route == IDEM_ROUTE_SINK && fixed != NULL && fixed[0] != '\0') {
        return idem_span_text(fixed);
    }
    return idem_letter_routing_key(&parcel->letter);
}

struct idem_span idem_dispatch_payload(const struct idem_parcel *parcel) {
    return parcel->transfer.route == IDEM_ROUTE_ANSWER
               ? idem_rpc_answer_payload(parcel)
               : idem_letter_payload(&parcel->letter);
}

bool idem_dispatch_mandatory(const struct idem_parcel *parcel) {
    return parcel->transfer.route != IDEM_ROUTE_ANSWER ||
           idem_rpc_answer_is_routed(parcel);
}

void idem_dispatch_reasons(struct idem_outgoing *outgoing,
                           const struct idem_parcel *parcel) {
    const struct idem_delivery *delivery = &parcel->delivery;
    const char *reason =
        parcel->trouble != NULL ? parcel->trouble : idem_reason_name(delivery->reason);
    idem_outgoing_add(outgoing, "x-idem-reason", idem_span_text(reason));
    idem_outgoing_add(outgoing, "x-idem-rule", idem_span_text(delivery->rule_name));
}

/* Why it is there, for the person who looks at the quarantine. */
static void add_circumstances(struct idem_outgoing *outgoing,
                              const struct idem_parcel *parcel) {
    const struct idem_delivery *delivery = &parcel->delivery;
    idem_dispatch_reasons(outgoing, parcel);
    if (parcel->sqlstate[0] != '\0') {
        idem_outgoing_add(outgoing, "x-idem-sqlstate", idem_span_text(parcel->sqlstate));
    }
    if (delivery->first_seen_ms > 0) {
        idem_outgoing_add_time(outgoing, "x-idem-first-seen",
                               delivery->first_seen_ms / 1000);
    }
    idem_outgoing_add(outgoing, "x-idem-exchange", idem_letter_exchange(&parcel->letter));
    idem_outgoing_add(outgoing, "x-idem-routing-key",
                      idem_letter_routing_key(&parcel->letter));
    idem_outgoing_add(
        outgoing, "x-idem-queue",
        idem_span_text(parcel->worker->options->config->bridge.source.queue));
}

static void add_key(struct idem_outgoing *outgoing, const struct idem_parcel *parcel) {
    struct idem_span name = {NULL, 0};
    while (idem_letter_next_key_name(&parcel->letter, &name)) {
        struct idem_header header = {name, idem_letter_key_text(&parcel->letter), 0};
        outgoing->added[outgoing->added_count++] = header;
    }
}

/* The message as it came, with what is added. */
static enum idem_code letter_properties(const struct idem_parcel *parcel,
                                        const struct idem_end *end,
                                        amqp_basic_properties_t *result) {
    struct idem_worker *worker = parcel->worker;
    struct idem_span raw = idem_letter_properties(&parcel->letter);
    struct idem_outgoing outgoing = {.encoded_len = raw.len};
    void *decoded = NULL;
    bool whole = true;
    if (amqp_decode_properties(AMQP_BASIC_CLASS, &worker->scratch, idem_rabbit_bytes(raw),
                               &decoded) != AMQP_STATUS_OK) {
        return IDEM_ERR_NOMEM; /* malformed ones never came this far */
    }
    if (idem_transfer_asks(&parcel->transfer)) {
        if (idem_rpc_ask(parcel, decoded) != IDEM_OK) {
            return IDEM_ERR_NOMEM;
        }
        outgoing.encoded_len += IDEM_RPC_ROOM;
    }
    outgoing.properties = decoded;
    outgoing.user = idem_span_text(end->address->user);
    outgoing.room = idem_link_properties_max(&end->link);
    if (parcel->transfer.route == IDEM_ROUTE_QUARANTINE) {
        add_circumstances(&outgoing, parcel);
    } else {
        add_key(&outgoing, parcel);
    }
    enum idem_code code =
        idem_outgoing_build(&outgoing, &worker->scratch, result, &whole);
    if (code == IDEM_OK && !whole) {
        idem_log_write(&worker->log, IDEM_LOG_WARNING, "sink.headers",
                       "a message has no room for more headers; it goes as it came");
    }
    return code;
}

enum idem_code idem_dispatch_properties(const struct idem_parcel *parcel,
                                        const struct idem_end *end,
                                        amqp_basic_properties_t *result) {
    return parcel->transfer.route == IDEM_ROUTE_ANSWER
               ? idem_rpc_answer_properties(parcel, idem_link_properties_max(&end->link),
                                            result)
               : letter_properties(parcel, end, result);
}
