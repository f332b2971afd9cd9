/* SPDX-License-Identifier: MIT
 * The consumer of one queue: from frames to messages. */
#include "consumer.h"

#include "worker_state.h"

#include <stdio.h>

#define FRAMES_A_TURN 512 /* then the others have their turn */

static enum idem_code declare_queue(struct idem_consumer *consumer,
                                    struct idem_error *error) {
    bool make = consumer->end.worker->options->config->bridge.declare;
    char what[320];
    (void)amqp_queue_declare(consumer->end.link.connection, IDEM_LINK_CHANNEL,
                             idem_rabbit_text(consumer->terms.queue), !make, 1, 0, 0,
                             amqp_empty_table);
    (void)snprintf(what, sizeof what, "%s the queue %s",
                   make ? "declaring" : "looking for", consumer->terms.queue);
    return idem_link_reply(&consumer->end.link, what, error);
}

static enum idem_code consume(struct idem_consumer *consumer, struct idem_error *error) {
    const struct idem_consumer_terms *terms = &consumer->terms;
    amqp_connection_state_t connection = consumer->end.link.connection;
    (void)amqp_basic_qos(connection, IDEM_LINK_CHANNEL, 0, (uint16_t)terms->prefetch, 0);
    enum idem_code code =
        idem_link_reply(&consumer->end.link, "setting the prefetch", error);
    if (code == IDEM_OK) {
        (void)amqp_basic_consume(
            connection, IDEM_LINK_CHANNEL, idem_rabbit_text(terms->queue),
            idem_rabbit_text(terms->label), 0, 0, 0, amqp_empty_table);
        code = idem_link_reply(&consumer->end.link, "consuming", error);
    }
    return code;
}

static enum idem_code connect_consumer(struct idem_end *end, struct idem_error *error) {
    struct idem_consumer *consumer = end->arg;
    enum idem_code code = idem_link_open(&end->link, end->address, error);
    if (code == IDEM_OK) {
        code = declare_queue(consumer, error);
    }
    if (code == IDEM_OK) {
        code = consume(consumer, error);
    }
    if (code != IDEM_OK) {
        idem_link_close(&end->link, false);
    }
    return code;
}

enum idem_code idem_consumer_init(struct idem_consumer *consumer,
                                  struct idem_worker *worker,
                                  const struct idem_addresses *addresses,
                                  const struct idem_consumer_terms *terms) {
    consumer->terms = *terms;
    consumer->end.connect = connect_consumer;
    consumer->end.arg = consumer;
    idem_acks_init(&consumer->acks);
    return idem_end_init(&consumer->end, worker, terms->name, addresses);
}

void idem_consumer_fini(struct idem_consumer *consumer) {
    idem_end_fini(&consumer->end);
}

void idem_consumer_fail(struct idem_consumer *consumer, const char *why) {
    idem_log_write(&consumer->end.worker->log, IDEM_LOG_WARNING,
                   consumer->terms.of_replies ? "replies.failed" : "source.failed",
                   "%s: %s", consumer->terms.name, why);
    consumer->end.failed = true;
}

static void begin(struct idem_consumer *consumer, const amqp_basic_deliver_t *deliver) {
    struct idem_letter *letter = consumer->terms.ops->begin(consumer->terms.arg);
    if (letter == NULL ||
        idem_letter_address(letter, idem_rabbit_span(deliver->exchange),
                            idem_rabbit_span(deliver->routing_key)) != IDEM_OK) {
        if (letter != NULL) {
            consumer->terms.ops->broken(consumer->terms.arg);
        }
        idem_consumer_fail(consumer, "no memory for a message");
        return;
    }
    consumer->letter = letter;
    consumer->coming = (struct idem_consumed){.tag = deliver->delivery_tag,
                                              .redelivered = deliver->redelivered != 0};
}

static void on_method(struct idem_consumer *consumer, const amqp_method_t *method) {
    if (consumer->letter != NULL) {
        idem_consumer_fail(consumer, "a message broke off");
    } else if (method->id == AMQP_BASIC_DELIVER_METHOD) {
        begin(consumer, method->decoded);
    } else if (method->id == AMQP_QUEUE_DECLARE_OK_METHOD) {
        const amqp_queue_declare_ok_t *queue = method->decoded;
        if (consumer->terms.ops->measured != NULL) {
            consumer->terms.ops->measured(consumer->terms.arg, queue->message_count,
                                          queue->consumer_count);
        }
    } else if (method->id == AMQP_BASIC_CANCEL_METHOD) {
        idem_consumer_fail(
            consumer,
            "the broker cancelled the consumer: the queue is gone, or has moved");
    }
}

static void arrived(struct idem_consumer *consumer) {
    const struct idem_consumed consumed = consumer->coming;
    consumer->terms.ops->arrived(consumer->terms.arg, &consumed);
    consumer->letter = NULL;
    consumer->coming.properties = NULL;
}

static void on_content(struct idem_consumer *consumer, const amqp_frame_t *frame) {
    struct idem_consumed *coming = &consumer->coming;
    enum idem_code code;
    if (frame->frame_type == AMQP_FRAME_HEADER && coming->properties == NULL) {
        coming->properties = frame->payload.properties.decoded;
        code = idem_letter_header(consumer->letter,
                                  idem_rabbit_span(frame->payload.properties.raw),
                                  frame->payload.properties.body_size);
    } else if (frame->frame_type == AMQP_FRAME_BODY && coming->properties != NULL) {
        code = idem_letter_body(consumer->letter,
                                idem_rabbit_span(frame->payload.body_fragment));
    } else {
        code = IDEM_ERR_INVALID;
    }
    if (code != IDEM_OK) {
        idem_consumer_fail(consumer, code == IDEM_ERR_NOMEM ? "no memory for a message"
                                                            : "a message is malformed");
    } else if (idem_letter_complete(consumer->letter)) {
        arrived(consumer);
    }
}

static void on_frame(struct idem_consumer *consumer, const amqp_frame_t *frame) {
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        on_method(consumer, &frame->payload.method);
    } else if (consumer->letter != NULL) {
        on_content(consumer, frame);
    }
    if (consumer->letter == NULL) {
        idem_link_release(&consumer->end.link);
    }
}

bool idem_consumer_usable(const struct idem_consumer *consumer) {
    return consumer->end.up && !consumer->end.failed;
}

bool idem_consumer_read(struct idem_consumer *consumer) {
    amqp_frame_t frame;
    for (int i = 0; i < FRAMES_A_TURN && idem_consumer_usable(consumer); i++) {
        enum idem_link_result result = idem_link_read(&consumer->end.link, &frame);
        if (result == IDEM_LINK_NOTHING) {
            return false;
        }
        if (result == IDEM_LINK_LOST) {
            consumer->end.failed = true;
            return false;
        }
        on_frame(consumer, &frame);
    }
    return idem_consumer_usable(consumer);
}

void idem_consumer_reset(struct idem_consumer *consumer) {
    if (consumer->letter != NULL) {
        consumer->terms.ops->broken(consumer->terms.arg);
        consumer->letter = NULL;
    }
    consumer->coming.properties = NULL;
    idem_acks_init(&consumer->acks);
}

bool idem_consumer_ack(struct idem_consumer *consumer, uint64_t tag, bool multiple) {
    int status =
        amqp_basic_ack(consumer->end.link.connection, IDEM_LINK_CHANNEL, tag, multiple);
    if (!idem_link_ok(&consumer->end.link, "acknowledging", status)) {
        consumer->end.failed = true;
        return false;
    }
    return true;
}

bool idem_consumer_reject(struct idem_consumer *consumer, struct idem_ack_node *node,
                          bool requeue) {
    int status = amqp_basic_reject(consumer->end.link.connection, IDEM_LINK_CHANNEL,
                                   node->tag, requeue);
    if (!idem_link_ok(&consumer->end.link, "rejecting", status)) {
        consumer->end.failed = true;
        return false;
    }
    idem_acks_withdraw(&consumer->acks, node);
    return true;
}

void idem_consumer_cancel(struct idem_consumer *consumer) {
    amqp_basic_cancel_t cancel = {.consumer_tag = idem_rabbit_text(consumer->terms.label),
                                  .nowait = 1};
    if (idem_consumer_usable(consumer) &&
        !idem_link_ok(&consumer->end.link, "cancelling the consumer",
                      amqp_send_method(consumer->end.link.connection, IDEM_LINK_CHANNEL,
                                       AMQP_BASIC_CANCEL_METHOD, &cancel))) {
        consumer->end.failed = true;
    }
}

void idem_consumer_ask(struct idem_consumer *consumer) {
    amqp_queue_declare_t declare = {.queue = idem_rabbit_text(consumer->terms.queue),
                                    .passive = 1};
    if (idem_consumer_usable(consumer) && idem_link_writable(&consumer->end.link) &&
        !idem_link_ok(&consumer->end.link, "asking for the queue's length",
                      amqp_send_method(consumer->end.link.connection, IDEM_LINK_CHANNEL,
                                       AMQP_QUEUE_DECLARE_METHOD, &declare))) {
        consumer->end.failed = true;
    }
}
