/* SPDX-License-Identifier: MIT
 * The source: consumes a queue, puts deliveries together, acknowledges them in batches. */
#include "fault.h"
#include "worker_state.h"

#define FRAMES_A_TURN 512 /* then the others have their turn */

static enum idem_code declare_queue(struct idem_worker *worker,
                                    struct idem_error *error) {
    const struct idem_config *config = worker->options->config;
    bool make = config->bridge.declare;
    (void)amqp_queue_declare(worker->source.link.connection, IDEM_LINK_CHANNEL,
                             idem_rabbit_text(config->bridge.source.queue), !make, 1, 0,
                             0, amqp_empty_table);
    return idem_link_reply(&worker->source.link,
                           make ? "declaring the queue" : "looking for the queue", error);
}

static enum idem_code consume(struct idem_worker *worker, struct idem_error *error) {
    const struct idem_endpoint_config *end = &worker->options->config->bridge.source;
    amqp_connection_state_t connection = worker->source.link.connection;
    (void)amqp_basic_qos(connection, IDEM_LINK_CHANNEL, 0, (uint16_t)end->prefetch, 0);
    enum idem_code code =
        idem_link_reply(&worker->source.link, "setting the prefetch", error);
    if (code == IDEM_OK) {
        (void)amqp_basic_consume(connection, IDEM_LINK_CHANNEL,
                                 idem_rabbit_text(end->queue), idem_rabbit_text("idem"),
                                 0, 0, 0, amqp_empty_table);
        code = idem_link_reply(&worker->source.link, "consuming", error);
    }
    return code;
}

enum idem_code idem_source_connect(struct idem_end *end, struct idem_error *error) {
    struct idem_worker *worker = end->worker;
    enum idem_code code = idem_link_open(&end->link, end->address, error);
    if (code == IDEM_OK) {
        code = declare_queue(worker, error);
    }
    if (code == IDEM_OK) {
        code = consume(worker, error);
    }
    if (code != IDEM_OK) {
        idem_link_close(&end->link, false);
    }
    return code;
}

static void fail(struct idem_worker *worker, const char *why) {
    idem_log_write(&worker->log, IDEM_LOG_WARNING, "source.failed", "source: %s", why);
    worker->source.failed = true;
}

static void drop_incoming(struct idem_worker *worker) {
    if (worker->incoming != NULL) {
        idem_parcel_rest(worker, worker->incoming);
        worker->incoming = NULL;
    }
}

static void arrived(struct idem_worker *worker) {
    struct idem_parcel *parcel = worker->incoming;
    IDEM_FAULT_POINT("arrived");
    idem_acks_open(&worker->acks, &parcel->ack, worker->incoming_tag);
    idem_parcel_join_line(parcel, false);
    idem_parcel_step(parcel, IDEM_ON_ARRIVED);
    worker->incoming = NULL;
    worker->incoming_properties = NULL;
}

static void begin(struct idem_worker *worker, const amqp_basic_deliver_t *deliver) {
    struct idem_parcel *parcel = idem_parcel_take(worker);
    if (parcel == NULL ||
        idem_letter_address(&parcel->letter, idem_rabbit_span(deliver->exchange),
                            idem_rabbit_span(deliver->routing_key)) != IDEM_OK) {
        if (parcel != NULL) {
            idem_parcel_rest(worker, parcel);
        }
        fail(worker, "no memory for a message");
        return;
    }
    worker->incoming = parcel;
    worker->incoming_tag = deliver->delivery_tag;
}

static void on_method(struct idem_worker *worker, const amqp_method_t *method) {
    if (worker->incoming != NULL) {
        fail(worker, "a message broke off");
    } else if (method->id == AMQP_BASIC_DELIVER_METHOD) {
        begin(worker, method->decoded);
    } else if (method->id == AMQP_QUEUE_DECLARE_OK_METHOD) {
        const amqp_queue_declare_ok_t *queue = method->decoded;
        idem_glancing_queue(worker, queue->message_count, queue->consumer_count);
    } else if (method->id == AMQP_BASIC_CANCEL_METHOD) {
        fail(worker,
             "the broker cancelled the consumer: the queue is gone, or has moved");
    }
}

static void on_content(struct idem_worker *worker, const amqp_frame_t *frame) {
    struct idem_letter *letter = &worker->incoming->letter;
    enum idem_code code;
    if (frame->frame_type == AMQP_FRAME_HEADER && worker->incoming_properties == NULL) {
        worker->incoming_properties = frame->payload.properties.decoded;
        code = idem_letter_header(letter, idem_rabbit_span(frame->payload.properties.raw),
                                  frame->payload.properties.body_size);
    } else if (frame->frame_type == AMQP_FRAME_BODY &&
               worker->incoming_properties != NULL) {
        code = idem_letter_body(letter, idem_rabbit_span(frame->payload.body_fragment));
    } else {
        code = IDEM_ERR_INVALID;
    }
    if (code != IDEM_OK) {
        fail(worker, code == IDEM_ERR_NOMEM ? "no memory for a message"
                                            : "a message is malformed");
    } else if (idem_letter_complete(letter)) {
        arrived(worker);
    }
}

static void on_frame(struct idem_worker *worker, const amqp_frame_t *frame) {
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        on_method(worker, &frame->payload.method);
    } else if (worker->incoming != NULL) {
        on_content(worker, frame);
    }
    if (worker->incoming == NULL) {
        idem_link_release(&worker->source.link);
    }
}

bool idem_source_read(struct idem_worker *worker) {
    struct idem_end *source = &worker->source;
    amqp_frame_t frame;
    for (int i = 0; i < FRAMES_A_TURN && source->up && !source->failed; i++) {
        enum idem_link_result result = idem_link_read(&source->link, &frame);
        if (result == IDEM_LINK_NOTHING) {
            return false;
        }
        if (result == IDEM_LINK_LOST) {
            source->failed = true;
            return false;
        }
        on_frame(worker, &frame);
    }
    return source->up && !source->failed;
}

void idem_source_lost(struct idem_worker *worker) {
    drop_incoming(worker);
    worker->incoming_properties = NULL;
    idem_acks_init(&worker->acks);
    struct idem_parcel *parcel = TAILQ_FIRST(&worker->live);
    while (parcel != NULL) {
        struct idem_parcel *next = TAILQ_NEXT(parcel, live);
        if (!parcel->transfer.orphan) {
            idem_parcel_step(parcel, IDEM_ON_SOURCE_LOST);
        }
        parcel = next;
    }
}

static bool send_ack(void *arg, uint64_t tag, bool multiple) {
    struct idem_worker *worker = arg;
    IDEM_FAULT_POINT("completed");
    int status =
        amqp_basic_ack(worker->source.link.connection, IDEM_LINK_CHANNEL, tag, multiple);
    if (!idem_link_ok(&worker->source.link, "acknowledging", status)) {
        worker->source.failed = true;
        return false;
    }
    IDEM_FAULT_POINT("acknowledged");
    return true;
}

static void told(void *arg, struct idem_ack_node *node) {
    (void)arg;
    idem_parcel_step(idem_parcel_of_ack(node), IDEM_ON_TOLD);
}

void idem_source_flush(struct idem_worker *worker) {
    const struct idem_acks_sink sink = {send_ack, told, worker};
    if (worker->source.up && !worker->source.failed) {
        (void)idem_acks_flush(&worker->acks, &sink);
    }
}

void idem_source_reject(struct idem_worker *worker, struct idem_parcel *parcel) {
    int status = amqp_basic_reject(worker->source.link.connection, IDEM_LINK_CHANNEL,
                                   parcel->ack.tag, 0);
    if (!idem_link_ok(&worker->source.link, "rejecting", status)) {
        worker->source.failed = true; /* which ends the parcel, too */
        return;
    }
    idem_acks_withdraw(&worker->acks, &parcel->ack);
    idem_parcel_step(parcel, IDEM_ON_TOLD);
}

/* Deliveries that were on their way come before the answer and are carried out like all others. */
void idem_source_cancel(struct idem_worker *worker) {
    amqp_basic_cancel_t cancel = {.consumer_tag = idem_rabbit_text("idem"), .nowait = 1};
    if (worker->source.up && !worker->source.failed &&
        !idem_link_ok(&worker->source.link, "cancelling the consumer",
                      amqp_send_method(worker->source.link.connection, IDEM_LINK_CHANNEL,
                                       AMQP_BASIC_CANCEL_METHOD, &cancel))) {
        worker->source.failed = true;
    }
}

/* Nobody waits for the answer: it comes between two deliveries. */
void idem_source_ask(struct idem_worker *worker) {
    const char *name = worker->options->config->bridge.source.queue;
    amqp_queue_declare_t declare = {.queue = idem_rabbit_text(name), .passive = 1};
    struct idem_end *source = &worker->source;
    if (source->up && !source->failed && !worker->draining &&
        idem_link_writable(&source->link) &&
        !idem_link_ok(&source->link, "asking for the queue's length",
                      amqp_send_method(source->link.connection, IDEM_LINK_CHANNEL,
                                       AMQP_QUEUE_DECLARE_METHOD, &declare))) {
        source->failed = true;
    }
}
