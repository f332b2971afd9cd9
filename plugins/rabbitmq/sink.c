/* SPDX-License-Identifier: MIT
 * The sink: publishes in order, and learns what became of it. */
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

static enum idem_code look_for_exchange(struct idem_worker *worker, const char *name,
                                        const char *type, struct idem_error *error) {
    bool make = worker->options->config->bridge.declare;
    char what[320];
    if (name == NULL || name[0] == '\0') {
        return IDEM_OK; /* the default exchange is always there */
    }
    (void)amqp_exchange_declare(worker->sink.link.connection, IDEM_LINK_CHANNEL,
                                idem_rabbit_text(name), idem_rabbit_text(type), !make, 1,
                                0, 0, amqp_empty_table);
    (void)snprintf(what, sizeof what, "%s the exchange %s",
                   make ? "declaring" : "looking for", name);
    return idem_link_reply(&worker->sink.link, what, error);
}

/* A quarantine that loses what it is given would be none: a queue of the same name is bound to it. */
static enum idem_code make_quarantine(struct idem_worker *worker,
                                      struct idem_error *error) {
    const struct idem_config *config = worker->options->config;
    const amqp_bytes_t name = idem_rabbit_text(config->bridge.quarantine_exchange);
    amqp_connection_state_t connection = worker->sink.link.connection;
    (void)amqp_queue_declare(connection, IDEM_LINK_CHANNEL, name, 0, 1, 0, 0,
                             amqp_empty_table);
    enum idem_code code =
        idem_link_reply(&worker->sink.link, "declaring the quarantine's queue", error);
    if (code == IDEM_OK) {
        (void)amqp_queue_bind(connection, IDEM_LINK_CHANNEL, name, name, amqp_empty_bytes,
                              amqp_empty_table);
        code =
            idem_link_reply(&worker->sink.link, "binding the quarantine's queue", error);
    }
    return code;
}

static enum idem_code prepare(struct idem_worker *worker, struct idem_error *error) {
    const struct idem_config *config = worker->options->config;
    enum idem_code code =
        look_for_exchange(worker, config->bridge.sink.exchange, "topic", error);
    if (code == IDEM_OK) {
        code = look_for_exchange(worker, config->bridge.quarantine_exchange, "fanout",
                                 error);
    }
    if (code == IDEM_OK && config->bridge.declare &&
        config->bridge.quarantine_exchange != NULL) {
        code = make_quarantine(worker, error);
    }
    if (code == IDEM_OK) {
        (void)amqp_confirm_select(worker->sink.link.connection, IDEM_LINK_CHANNEL);
        code = idem_link_reply(&worker->sink.link, "asking for confirms", error);
    }
    return code;
}

enum idem_code idem_sink_start(struct idem_worker *worker, struct idem_error *error) {
    enum idem_code code = idem_link_open(&worker->sink.link, worker->sink.address, error);
    if (code == IDEM_OK) {
        code = prepare(worker, error);
    }
    if (code != IDEM_OK) {
        idem_link_close(&worker->sink.link, false);
    }
    idem_confirms_reset(&worker->confirms);
    return code;
}

static void out_no_more(struct idem_parcel *parcel) {
    if (parcel->suspect) {
        parcel->worker->suspect_out = false;
    }
}

static void answered(struct idem_worker *worker, uint64_t number, bool multiple,
                     enum idem_transfer_event event) {
    struct idem_parcel *parcel = idem_confirms_take(&worker->confirms, number, multiple);
    while (parcel != NULL) {
        out_no_more(parcel);
        parcel->suspect = parcel->suspect && event != IDEM_ON_CONFIRMED;
        if (event == IDEM_ON_NACKED) {
            parcel->trouble = "nacked";
        }
        idem_parcel_step(parcel, event);
        parcel = multiple ? idem_confirms_take(&worker->confirms, number, true) : NULL;
    }
}

/* Two that are out can be equal but for their properties, and only one of them unroutable. */
static bool same_properties(const struct idem_parcel *parcel,
                            const struct idem_letter *returned) {
    amqp_basic_properties_t properties;
    struct idem_span raw = idem_letter_properties(returned);
    bool same = false;
    uint8_t *encoded = malloc(IDEM_LINK_FRAME_MAX);
    if (encoded != NULL && idem_dispatch_properties(parcel, &properties) == IDEM_OK) {
        amqp_bytes_t room = {IDEM_LINK_FRAME_MAX, encoded};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, room);
        same = length >= 0 && idem_span_equal(idem_span_of(encoded, (size_t)length), raw);
    }
    free(encoded);
    recycle_amqp_pool(&parcel->worker->scratch);
    return same;
}

static bool same_message(const struct idem_parcel *parcel,
                         const struct idem_letter *returned) {
    return parcel->transfer.state == IDEM_TRANSFER_PUBLISHED &&
           idem_span_equal(idem_dispatch_exchange(parcel),
                           idem_letter_exchange(returned)) &&
           idem_span_equal(idem_dispatch_routing_key(parcel),
                           idem_letter_routing_key(returned)) &&
           idem_span_equal(idem_letter_payload(&parcel->letter),
                           idem_letter_payload(returned));
}

/* A return names no number. The broker returns in the order of publishing and before the confirm, so the
 * message is among those that are out: it is the only one that equals it, or the first whose properties
 * are equal too. NULL: it cannot be told which. */
static struct idem_parcel *find_returned(struct idem_worker *worker) {
    const struct idem_letter *returned = &worker->returned;
    struct idem_parcel *found = NULL;
    size_t alike = 0;
    uint64_t at = 0;
    for (struct idem_parcel *parcel = idem_confirms_each(&worker->confirms, &at);
         parcel != NULL; parcel = idem_confirms_each(&worker->confirms, &at)) {
        if (same_message(parcel, returned)) {
            found = parcel;
            alike++;
        }
    }
    if (alike <= 1) {
        return found;
    }
    at = 0;
    for (struct idem_parcel *parcel = idem_confirms_each(&worker->confirms, &at);
         parcel != NULL; parcel = idem_confirms_each(&worker->confirms, &at)) {
        if (same_message(parcel, returned) && same_properties(parcel, returned)) {
            return parcel;
        }
    }
    return NULL;
}

static void fail(struct idem_worker *worker, const char *why) {
    idem_log_write(&worker->log, IDEM_LOG_WARNING, "sink.failed", "sink: %s", why);
    worker->sink.failed = true;
}

static void came_back(struct idem_worker *worker) {
    struct idem_parcel *parcel = find_returned(worker);
    worker->returning = false;
    if (parcel == NULL) {
        fail(worker, "a message came back that cannot be told from others");
        return;
    }
    parcel->trouble = "unroutable";
    idem_parcel_step(parcel, IDEM_ON_RETURNED);
    idem_letter_rest(&worker->returned);
}

static void on_return(struct idem_worker *worker, const amqp_basic_return_t *method) {
    if (idem_letter_address(&worker->returned, idem_rabbit_span(method->exchange),
                            idem_rabbit_span(method->routing_key)) != IDEM_OK) {
        fail(worker, "no memory for a message that came back");
        return;
    }
    idem_log_write(&worker->log, IDEM_LOG_DEBUG, "sink.returned", "%u %.*s",
                   (unsigned)method->reply_code, (int)method->reply_text.len,
                   (const char *)method->reply_text.bytes);
    worker->returning = true;
}

static void on_method(struct idem_worker *worker, const amqp_method_t *method) {
    if (method->id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = method->decoded;
        answered(worker, ack->delivery_tag, ack->multiple != 0, IDEM_ON_CONFIRMED);
    } else if (method->id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = method->decoded;
        answered(worker, nack->delivery_tag, nack->multiple != 0, IDEM_ON_NACKED);
    } else if (method->id == AMQP_BASIC_RETURN_METHOD) {
        on_return(worker, method->decoded);
    }
}

static void on_content(struct idem_worker *worker, const amqp_frame_t *frame) {
    enum idem_code code =
        frame->frame_type == AMQP_FRAME_HEADER
            ? idem_letter_header(&worker->returned,
                                 idem_rabbit_span(frame->payload.properties.raw),
                                 frame->payload.properties.body_size)
            : idem_letter_body(&worker->returned,
                               idem_rabbit_span(frame->payload.body_fragment));
    if (code != IDEM_OK) {
        fail(worker, "a message that came back could not be read");
    } else if (idem_letter_complete(&worker->returned)) {
        came_back(worker);
    }
}

bool idem_sink_read(struct idem_worker *worker) {
    struct idem_end *sink = &worker->sink;
    amqp_frame_t frame;
    for (int i = 0; i < FRAMES_A_TURN && sink->up && !sink->failed; i++) {
        enum idem_link_result result = idem_link_read(&sink->link, &frame);
        if (result == IDEM_LINK_NOTHING) {
            return false;
        }
        if (result == IDEM_LINK_LOST) {
            sink->failed = true;
            return false;
        }
        if (frame.frame_type == AMQP_FRAME_METHOD) {
            on_method(worker, &frame.payload.method);
        } else if (worker->returning) {
            on_content(worker, &frame);
        }
        idem_link_release(&sink->link);
    }
    return sink->up && !sink->failed;
}

/* The broker closed the channel: one of those that are out is to blame. Each is published alone until
 * that one is found; then it has failed, as one that was nacked. */
void idem_sink_lost(struct idem_worker *worker) {
    bool blame = worker->sink.link.channel_closed;
    bool found = blame && worker->confirms.open == 1;
    struct idem_parcel *parcel;
    worker->returning = false;
    worker->suspect_out = false;
    while ((parcel = idem_confirms_take_last(&worker->confirms)) != NULL) {
        bool out = parcel->transfer.state == IDEM_TRANSFER_PUBLISHED;
        parcel->suspect = parcel->suspect || blame;
        if (out && found) {
            parcel->trouble = "refused";
        } else if (out) {
            idem_parcel_log_doubt(parcel, "the sink was lost before it confirmed");
            IDEM_FAULT_POINT("doubted");
        }
        idem_parcel_step(parcel, out && found ? IDEM_ON_BARRED : IDEM_ON_SINK_LOST);
    }
}

static bool may_publish(const struct idem_worker *worker,
                        const struct idem_parcel *parcel) {
    const struct idem_confirms *confirms = &worker->confirms;
    return parcel->transfer.state == IDEM_TRANSFER_READY && !worker->suspect_out &&
           (!parcel->suspect || confirms->open == 0) &&
           confirms->open < worker->options->window &&
           confirms->next - confirms->first < SPAN_MAX;
}

static bool lease_is_over(const struct idem_parcel *parcel) {
    return parcel->lease_until_ms != 0 && parcel->transfer.claimed &&
           !parcel->transfer.doubtful && idem_clock_wall_ms() >= parcel->lease_until_ms;
}

static void publish(struct idem_worker *worker, struct idem_parcel *parcel) {
    amqp_basic_properties_t properties;
    if (idem_dispatch_properties(parcel, &properties) != IDEM_OK ||
        idem_confirms_add(&worker->confirms, parcel) != IDEM_OK) {
        recycle_amqp_pool(&worker->scratch);
        fail(worker, "no memory to publish"); /* it comes back, and is tried again then */
        return;
    }
    TAILQ_REMOVE(&worker->line, parcel, line);
    parcel->in_line = false;
    worker->suspect_out = parcel->suspect;
    idem_parcel_step(parcel, IDEM_ON_SENT);
    IDEM_FAULT_POINT("ready");
    int status = amqp_basic_publish(
        worker->sink.link.connection, IDEM_LINK_CHANNEL,
        idem_rabbit_bytes(idem_dispatch_exchange(parcel)),
        idem_rabbit_bytes(idem_dispatch_routing_key(parcel)), 1, 0, &properties,
        idem_rabbit_bytes(idem_letter_payload(&parcel->letter)));
    IDEM_FAULT_POINT("published");
    recycle_amqp_pool(&worker->scratch);
    if (!idem_link_ok(&worker->sink.link, "publishing", status)) {
        worker->sink.failed = true;
    }
}

static size_t size_of(const struct idem_parcel *parcel) {
    return parcel->letter.used + FRAMES_OVERHEAD;
}

/* Returns when nothing more may be published now. To ask the system before each message would cost as
 * much as the message. */
static void publish_line(struct idem_worker *worker) {
    struct idem_end *sink = &worker->sink;
    struct idem_parcel *parcel = TAILQ_FIRST(&worker->line);
    size_t room = 0; /* known to be free */
    while (parcel != NULL && !sink->failed && may_publish(worker, parcel)) {
        if (lease_is_over(parcel)) {
            idem_parcel_step(parcel, IDEM_ON_LEASE_OVER);
        } else if (room < size_of(parcel) && !idem_link_writable(&sink->link)) {
            (void)event_add(worker->writable, NULL);
            return;
        } else {
            room = room < size_of(parcel) ? ROOM_WHEN_WRITABLE : room;
            room -= size_of(parcel) < room ? size_of(parcel) : room;
            publish(worker, parcel);
        }
        parcel = TAILQ_FIRST(&worker->line);
    }
}

void idem_sink_publish(struct idem_worker *worker) {
    struct idem_end *sink = &worker->sink;
    const struct idem_parcel *first = TAILQ_FIRST(&worker->line);
    if (first == NULL || !sink->up || sink->failed || sink->link.blocked ||
        !may_publish(worker, first)) {
        return;
    }
    idem_link_gather(&sink->link, true);
    publish_line(worker);
    idem_link_gather(&sink->link, false);
}
