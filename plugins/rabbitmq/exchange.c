/* SPDX-License-Identifier: MIT
 * The sink that is an exchange: publishes in order, and learns what became of it. */
#include "confirms.h"
#include "end.h"
#include "fault.h"
#include "worker_state.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>

#define FRAMES_A_TURN 512
/* A socket counts as writable when a third of its buffer is free, which starts with 16 KiB at least. */
#define ROOM_WHEN_WRITABLE (4 * 1024)
#define FRAMES_OVERHEAD    64 /* of the three frames that a small message is */
/* One confirm that does not come must not make the ring of the others grow for ever. */
#define SPAN_MAX (UINT64_C(1) << 20)

struct exchange {
    struct idem_sink sink;
    struct idem_worker *worker;
    struct idem_end end;
    struct idem_confirms confirms;
    struct event *writable;      /* while the socket is full */
    struct idem_letter returned; /* coming back */
    bool returning;
    bool suspect_out; /* nothing else may be published */
    bool bare;        /* nothing is declared or looked for */
};

static struct exchange *exchange_of(struct idem_sink *sink) {
    return (struct exchange *)(void *)sink;
}

static enum idem_code look_for_exchange(struct exchange *exchange, const char *name,
                                        const char *type, struct idem_error *error) {
    bool make = exchange->worker->options->config->bridge.declare;
    char what[320];
    if (name == NULL || name[0] == '\0') {
        return IDEM_OK; /* the default exchange is always there */
    }
    (void)amqp_exchange_declare(exchange->end.link.connection, IDEM_LINK_CHANNEL,
                                idem_rabbit_text(name), idem_rabbit_text(type), !make, 1,
                                0, 0, amqp_empty_table);
    (void)snprintf(what, sizeof what, "%s the exchange %s",
                   make ? "declaring" : "looking for", name);
    return idem_link_reply(&exchange->end.link, what, error);
}

/* A quarantine that loses what it is given would be none: a queue of the same name is bound to it. */
static enum idem_code make_quarantine(struct exchange *exchange,
                                      struct idem_error *error) {
    const struct idem_config *config = exchange->worker->options->config;
    const amqp_bytes_t name = idem_rabbit_text(config->bridge.quarantine_exchange);
    amqp_connection_state_t connection = exchange->end.link.connection;
    (void)amqp_queue_declare(connection, IDEM_LINK_CHANNEL, name, 0, 1, 0, 0,
                             amqp_empty_table);
    enum idem_code code =
        idem_link_reply(&exchange->end.link, "declaring the quarantine's queue", error);
    if (code == IDEM_OK) {
        (void)amqp_queue_bind(connection, IDEM_LINK_CHANNEL, name, name, amqp_empty_bytes,
                              amqp_empty_table);
        code =
            idem_link_reply(&exchange->end.link, "binding the quarantine's queue", error);
    }
    return code;
}

static enum idem_code prepare_exchanges(struct exchange *exchange,
                                        struct idem_error *error) {
    const struct idem_config *config = exchange->worker->options->config;
    enum idem_code code =
        look_for_exchange(exchange, config->bridge.sink.exchange, "topic", error);
    if (code == IDEM_OK) {
        code = look_for_exchange(exchange, config->bridge.quarantine_exchange, "fanout",
                                 error);
    }
    if (code == IDEM_OK && config->bridge.declare &&
        config->bridge.quarantine_exchange != NULL) {
        code = make_quarantine(exchange, error);
    }
    return code;
}

static enum idem_code prepare(struct exchange *exchange, struct idem_error *error) {
    enum idem_code code = exchange->bare ? IDEM_OK : prepare_exchanges(exchange, error);
    if (code == IDEM_OK) {
        (void)amqp_confirm_select(exchange->end.link.connection, IDEM_LINK_CHANNEL);
        code = idem_link_reply(&exchange->end.link, "asking for confirms", error);
    }
    return code;
}

static enum idem_code connect_exchange(struct idem_end *end, struct idem_error *error) {
    struct exchange *exchange = end->arg;
    enum idem_code code = idem_link_open(&end->link, end->address, error);
    if (code == IDEM_OK) {
        code = prepare(exchange, error);
    }
    if (code != IDEM_OK) {
        idem_link_close(&end->link, false);
        return code;
    }
    idem_confirms_reset(&exchange->confirms);
    exchange->writable = event_new(exchange->worker->base, idem_link_fd(&end->link),
                                   EV_WRITE, idem_end_woken, NULL);
    end->failed = exchange->writable == NULL;
    return IDEM_OK;
}

static void out_no_more(struct exchange *exchange, const struct idem_parcel *parcel) {
    if (parcel->suspect) {
        exchange->suspect_out = false;
    }
}

/* The routing key is the message's own where none is given, and is not told of. */
static void complain(struct exchange *exchange, struct idem_parcel *parcel,
                     const char *trouble, const char *meaning) {
    const struct idem_span name = idem_dispatch_exchange(parcel);
    const char *key = exchange->worker->options->config->bridge.sink.routing_key;
    if (parcel->transfer.route == IDEM_ROUTE_SINK) {
        parcel->trouble = trouble; /* elsewhere it has a reason already */
    }
    idem_log_write(&exchange->worker->log, IDEM_LOG_WARNING, "sink.undelivered",
                   "%s%s: exchange '%.*s', routing key %s; tried again after a pause",
                   trouble, meaning, (int)name.len, (const char *)name.data,
                   key != NULL && key[0] != '\0' ? key : "as it came");
}

static void answered(struct exchange *exchange, uint64_t number, bool multiple,
                     enum idem_transfer_event event) {
    struct idem_parcel *parcel =
        idem_confirms_take(&exchange->confirms, number, multiple);
    while (parcel != NULL) {
        out_no_more(exchange, parcel);
        parcel->suspect = parcel->suspect && event != IDEM_ON_CONFIRMED;
        if (event == IDEM_ON_NACKED) {
            complain(exchange, parcel, "nacked", "");
        }
        if (parcel->transfer.route == IDEM_ROUTE_ANSWER) {
            IDEM_FAULT_POINT("requester_told");
        }
        idem_parcel_step(parcel, event);
        parcel = multiple ? idem_confirms_take(&exchange->confirms, number, true) : NULL;
    }
}

/* Two that are out can be equal but for their properties, and only one of them unroutable. */
static bool same_properties(const struct exchange *exchange,
                            const struct idem_parcel *parcel) {
    const struct idem_letter *returned = &exchange->returned;
    amqp_basic_properties_t properties;
    struct idem_span raw = idem_letter_properties(returned);
    bool same = false;
    uint8_t *encoded = malloc(IDEM_LINK_FRAME_MAX);
    if (encoded != NULL &&
        idem_dispatch_properties(parcel, &exchange->end, &properties) == IDEM_OK) {
        amqp_bytes_t room = {IDEM_LINK_FRAME_MAX, encoded};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, room);
        same = length >= 0 && idem_span_equal(idem_span_of(encoded, (size_t)length), raw);
    }
    free(encoded);
    recycle_amqp_pool(&exchange->worker->scratch);
    return same;
}

static bool same_message(const struct idem_parcel *parcel,
                         const struct idem_letter *returned) {
    return parcel->transfer.state == IDEM_TRANSFER_PUBLISHED &&
           idem_span_equal(idem_dispatch_exchange(parcel),
                           idem_letter_exchange(returned)) &&
           idem_span_equal(idem_dispatch_routing_key(parcel),
                           idem_letter_routing_key(returned)) &&
           idem_span_equal(idem_dispatch_payload(parcel), idem_letter_payload(returned));
}

/* A return names no number. The broker returns in the order of publishing and before the confirm, so the
 * message is among those that are out: it is the only one that equals it, or the first whose properties
 * are equal too. NULL: it cannot be told which. */
static struct idem_parcel *find_returned(struct exchange *exchange) {
    const struct idem_letter *returned = &exchange->returned;
    struct idem_parcel *found = NULL;
    size_t alike = 0;
    uint64_t at = 0;
    for (struct idem_parcel *parcel = idem_confirms_each(&exchange->confirms, &at);
         parcel != NULL; parcel = idem_confirms_each(&exchange->confirms, &at)) {
        if (same_message(parcel, returned)) {
            found = parcel;
            alike++;
        }
    }
    if (alike <= 1) {
        return found;
    }
    at = 0;
    for (struct idem_parcel *parcel = idem_confirms_each(&exchange->confirms, &at);
         parcel != NULL; parcel = idem_confirms_each(&exchange->confirms, &at)) {
        if (same_message(parcel, returned) && same_properties(exchange, parcel)) {
            return parcel;
        }
    }
    return NULL;
}

static void fail(struct exchange *exchange, const char *why) {
    idem_log_write(&exchange->worker->log, IDEM_LOG_WARNING, "sink.failed", "sink: %s",
                   why);
    exchange->end.failed = true;
}

static void came_back(struct exchange *exchange) {
    struct idem_parcel *parcel = find_returned(exchange);
    exchange->returning = false;
    if (parcel == NULL) {
        fail(exchange, "a message came back that cannot be told from others");
        return;
    }
    complain(exchange, parcel, "unroutable", ": no queue takes it");
    idem_parcel_step(parcel, IDEM_ON_RETURNED);
    idem_letter_rest(&exchange->returned);
}

static void on_return(struct exchange *exchange, const amqp_basic_return_t *method) {
    if (idem_letter_address(&exchange->returned, idem_rabbit_span(method->exchange),
                            idem_rabbit_span(method->routing_key)) != IDEM_OK) {
        fail(exchange, "no memory for a message that came back");
        return;
    }
    idem_log_write(&exchange->worker->log, IDEM_LOG_DEBUG, "sink.returned", "%u %.*s",
                   (unsigned)method->reply_code, (int)method->reply_text.len,
                   (const char *)method->reply_text.bytes);
    exchange->returning = true;
}

static void on_method(struct exchange *exchange, const amqp_method_t *method) {
    if (method->id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = method->decoded;
        answered(exchange, ack->delivery_tag, ack->multiple != 0, IDEM_ON_CONFIRMED);
    } else if (method->id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = method->decoded;
        answered(exchange, nack->delivery_tag, nack->multiple != 0, IDEM_ON_NACKED);
    } else if (method->id == AMQP_BASIC_RETURN_METHOD) {
        on_return(exchange, method->decoded);
    }
}

static void on_content(struct exchange *exchange, const amqp_frame_t *frame) {
    enum idem_code code =
        frame->frame_type == AMQP_FRAME_HEADER
            ? idem_letter_header(&exchange->returned,
                                 idem_rabbit_span(frame->payload.properties.raw),
                                 frame->payload.properties.body_size)
            : idem_letter_body(&exchange->returned,
                               idem_rabbit_span(frame->payload.body_fragment));
    if (code != IDEM_OK) {
        fail(exchange, "a message that came back could not be read");
    } else if (idem_letter_complete(&exchange->returned)) {
        came_back(exchange);
    }
}

static bool read_frames(struct idem_sink *sink) {
    struct exchange *exchange = exchange_of(sink);
    struct idem_end *end = &exchange->end;
    amqp_frame_t frame;
    for (int i = 0; i < FRAMES_A_TURN && end->up && !end->failed; i++) {
        enum idem_link_result result = idem_link_read(&end->link, &frame);
        if (result == IDEM_LINK_NOTHING) {
            return false;
        }
        if (result == IDEM_LINK_LOST) {
            end->failed = true;
            return false;
        }
        if (frame.frame_type == AMQP_FRAME_METHOD) {
            on_method(exchange, &frame.payload.method);
        } else if (exchange->returning) {
            on_content(exchange, &frame);
        }
        idem_link_release(&end->link);
    }
    return end->up && !end->failed;
}

static bool is_pending(const struct idem_sink *sink) {
    return idem_link_buffered(&((const struct exchange *)(const void *)sink)->end.link);
}

/* The broker closed the channel: one of those that are out is to blame. Each is published alone until
 * that one is found; then it has failed, as one that was nacked. */
static void lost(struct exchange *exchange) {
    bool blame = exchange->end.link.channel_closed;
    bool found = blame && exchange->confirms.open == 1;
    struct idem_parcel *parcel;
    exchange->returning = false;
    exchange->suspect_out = false;
    while ((parcel = idem_confirms_take_last(&exchange->confirms)) != NULL) {
        bool out = parcel->transfer.state == IDEM_TRANSFER_PUBLISHED;
        parcel->suspect = parcel->suspect || blame;
        if (out && found) {
            complain(exchange, parcel, "refused", "");
        } else if (out && idem_transfer_doubts(&parcel->transfer)) {
            idem_parcel_log_doubt(parcel, "the sink was lost before it confirmed");
            IDEM_FAULT_POINT("doubted");
        }
        idem_parcel_step(parcel, out && found ? IDEM_ON_BARRED : IDEM_ON_SINK_LOST);
    }
}

static bool may_publish(const struct exchange *exchange,
                        const struct idem_parcel *parcel) {
    const struct idem_confirms *confirms = &exchange->confirms;
    return parcel->transfer.state == IDEM_TRANSFER_READY && !exchange->suspect_out &&
           (!parcel->suspect || confirms->open == 0) &&
           confirms->open < exchange->worker->options->window &&
           confirms->next - confirms->first < SPAN_MAX;
}

static bool lease_is_over(const struct idem_parcel *parcel) {
    return parcel->lease_until_ms != 0 && parcel->transfer.claimed &&
           !parcel->transfer.doubtful && idem_clock_wall_ms() >= parcel->lease_until_ms;
}

static void publish(struct exchange *exchange, struct idem_parcel *parcel) {
    amqp_basic_properties_t properties;
    if (idem_dispatch_properties(parcel, &exchange->end, &properties) != IDEM_OK ||
        idem_confirms_add(&exchange->confirms, parcel) != IDEM_OK) {
        recycle_amqp_pool(&exchange->worker->scratch);
        fail(exchange,
             "no memory to publish"); /* it comes back, and is tried again then */
        return;
    }
    idem_parcel_leave_line(parcel);
    exchange->suspect_out = parcel->suspect;
    idem_parcel_step(parcel, IDEM_ON_SENT);
    IDEM_FAULT_POINT("ready");
    int status = amqp_basic_publish(exchange->end.link.connection, IDEM_LINK_CHANNEL,
                                    idem_rabbit_bytes(idem_dispatch_exchange(parcel)),
                                    idem_rabbit_bytes(idem_dispatch_routing_key(parcel)),
                                    idem_dispatch_mandatory(parcel), 0, &properties,
                                    idem_rabbit_bytes(idem_dispatch_payload(parcel)));
    IDEM_FAULT_POINT("published");
    recycle_amqp_pool(&exchange->worker->scratch);
    if (!idem_link_ok(&exchange->end.link, "publishing", status)) {
        exchange->end.failed = true;
    }
}

static size_t size_of(const struct idem_parcel *parcel) {
    return parcel->letter.used + parcel->answer_len + FRAMES_OVERHEAD;
}

/* Returns when nothing more may be published now. To ask the system before each message would cost as
 * much as the message. */
static void publish_line(struct exchange *exchange) {
    struct idem_end *end = &exchange->end;
    struct idem_parcel *parcel = TAILQ_FIRST(&exchange->sink.line);
    size_t room = 0; /* known to be free */
    while (parcel != NULL && !end->failed && may_publish(exchange, parcel)) {
        if (lease_is_over(parcel)) {
            idem_parcel_step(parcel, IDEM_ON_LEASE_OVER);
        } else if (room < size_of(parcel) && !idem_link_writable(&end->link)) {
            (void)event_add(exchange->writable, NULL);
            return;
        } else {
            room = room < size_of(parcel) ? ROOM_WHEN_WRITABLE : room;
            room -= size_of(parcel) < room ? size_of(parcel) : room;
            publish(exchange, parcel);
        }
        parcel = TAILQ_FIRST(&exchange->sink.line);
    }
}

static void publish_gathered(struct idem_sink *sink) {
    struct exchange *exchange = exchange_of(sink);
    const struct idem_end *end = &exchange->end;
    const struct idem_parcel *first = TAILQ_FIRST(&sink->line);
    if (first == NULL || !end->up || end->failed || end->link.blocked ||
        !may_publish(exchange, first)) {
        return;
    }
    idem_link_gather(&end->link, true);
    publish_line(exchange);
    idem_link_gather(&end->link, false);
}

static const char *waits_for(const struct idem_sink *sink) {
    const struct exchange *exchange = (const struct exchange *)(const void *)sink;
    const struct idem_confirms *confirms = &exchange->confirms;
    const struct idem_parcel *first = TAILQ_FIRST(&sink->line);
    if (!exchange->end.up) {
        return "it is not connected";
    }
    if (exchange->end.link.blocked) {
        return "the broker takes no messages now";
    }
    if (confirms->open > 0) {
        return exchange->suspect_out || (first != NULL && first->suspect)
                   ? "one message is published alone"
                   : "confirms are to come";
    }
    bool full = exchange->writable != NULL &&
                event_pending(exchange->writable, EV_WRITE, NULL) != 0;
    return full ? "the socket is full" : NULL;
}

static void mend(struct idem_sink *sink) {
    struct exchange *exchange = exchange_of(sink);
    if (exchange->end.failed) {
        if (exchange->writable != NULL) {
            event_free(exchange->writable);
            exchange->writable = NULL;
        }
        lost(exchange);
        idem_end_down(&exchange->end);
    }
}

static enum idem_code start(struct idem_sink *sink, struct idem_error *error) {
    return idem_end_start(&exchange_of(sink)->end, error);
}

static void observe(const struct idem_sink *sink, struct idem_observed_end *end) {
    *end = idem_end_observed(&((const struct exchange *)(const void *)sink)->end);
}

static void leave(struct idem_sink *sink) {
    struct idem_end *end = &exchange_of(sink)->end;
    idem_link_close(&end->link, end->up);
}

static void free_exchange(struct idem_sink *sink) {
    struct exchange *exchange = exchange_of(sink);
    if (exchange->writable != NULL) {
        event_free(exchange->writable);
    }
    idem_end_fini(&exchange->end);
    idem_confirms_fini(&exchange->confirms);
    idem_letter_fini(&exchange->returned);
    free(exchange);
}

static const struct idem_sink_ops operations = {
    .start = start,
    .read = read_frames,
    .deliver = publish_gathered,
    .mend = mend,
    .pending = is_pending,
    .waits_for = waits_for,
    .observe = observe,
    .leave = leave,
    .free = free_exchange,
};

enum idem_code idem_exchange_open(struct idem_sink **sink, struct idem_worker *worker,
                                  const char *name,
                                  const struct idem_addresses *addresses, bool bare) {
    struct exchange *exchange = calloc(1, sizeof *exchange);
    *sink = NULL;
    if (exchange == NULL) {
        return IDEM_ERR_NOMEM;
    }
    exchange->sink.ops = &operations;
    TAILQ_INIT(&exchange->sink.line);
    exchange->worker = worker;
    exchange->bare = bare;
    *sink = &exchange->sink;
    enum idem_code code = idem_confirms_init(&exchange->confirms);
    if (code == IDEM_OK) {
        code = idem_end_init(&exchange->end, worker, name, addresses);
    }
    exchange->end.connect = connect_exchange;
    exchange->end.arg = exchange;
    return code;
}
