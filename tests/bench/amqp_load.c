/* SPDX-License-Identifier: MIT
 * What a bench of queues needs of RabbitMQ. */
#define _GNU_SOURCE /* ppoll */

#include "amqp_load.h"

#include "rabbitmq_library.h"

#include <idem/clock.h>

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH      1000
#define PATIENCE_S 30
#define SECOND_NS  INT64_C(1000000000)
#define CHANNEL    1

static const struct timeval patience = {PATIENCE_S, 0};

static unsigned broker_port;
static amqp_connection_state_t connection; /* its channel confirms */
static uint64_t run_of_ms;                 /* keys are never used twice: stores may be */
static uint64_t published; /* from another run. Messages of this one are numbered */

void amqp_load_give_up(const char *what) {
    (void)fprintf(stderr, "bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static void check(amqp_connection_state_t of, const char *what) {
    if (amqp_get_rpc_reply(of).reply_type != AMQP_RESPONSE_NORMAL) {
        amqp_load_give_up(what);
    }
}

static amqp_connection_state_t connect_to_broker(void) {
    amqp_connection_state_t made = amqp_new_connection();
    amqp_socket_t *socket = made != NULL ? amqp_tcp_socket_new(made) : NULL;
    if (socket == NULL || amqp_set_rpc_timeout(made, &patience) != AMQP_STATUS_OK ||
        amqp_socket_open(socket, "127.0.0.1", (int)broker_port) != AMQP_STATUS_OK ||
        amqp_login(made, "/", CHANNEL, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest",
                   "guest")
                .reply_type != AMQP_RESPONSE_NORMAL) {
        amqp_load_give_up("RabbitMQ does not let us in");
    }
    (void)amqp_channel_open(made, CHANNEL);
    check(made, "channel.open");
    return made;
}

void amqp_load_open(unsigned port) {
    broker_port = port;
    run_of_ms = (uint64_t)idem_clock_wall_ms();
    connection = connect_to_broker();
    (void)amqp_confirm_select(connection, CHANNEL);
    check(connection, "confirm.select");
}

void amqp_load_close(void) {
    (void)amqp_destroy_connection(connection);
}

unsigned amqp_load_depth(const char *queue) {
    amqp_maybe_release_buffers(connection);
    amqp_queue_declare_ok_t *answer = amqp_queue_declare(
        connection, CHANNEL, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    check(connection, "queue.declare");
    return answer->message_count;
}

void amqp_load_renew(const char *queue, const char *type) {
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type")};
    amqp_table_t arguments = {1, &entry};
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(type);
    (void)amqp_queue_delete(connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
    check(connection, "queue.delete");
    (void)amqp_queue_declare(connection, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0,
                             arguments);
    check(connection, "queue.declare");
}

/* Waits until every number above *confirmed and up to last, BATCH at most, is confirmed: in any order, and
 * some of them together. */
static void await_confirms(uint64_t last, uint64_t *confirmed) {
    bool seen[BATCH] = {false};
    uint64_t left = last - *confirmed;
    while (left > 0) {
        amqp_frame_t frame;
        if (amqp_simple_wait_frame_noblock(connection, &frame, &patience) !=
                AMQP_STATUS_OK ||
            frame.frame_type != AMQP_FRAME_METHOD ||
            frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
            amqp_load_give_up("a message was not confirmed");
        }
        const amqp_basic_ack_t *ack = frame.payload.method.decoded;
        uint64_t tag = ack->delivery_tag;
        for (uint64_t n = ack->multiple ? *confirmed + 1 : tag; n <= tag; n++) {
            left -= !seen[n - *confirmed - 1];
            seen[n - *confirmed - 1] = true;
        }
        amqp_maybe_release_buffers(connection);
    }
    *confirmed = last;
}

/* The key is at the beginning of the body, too: its last part is the message's number. */
static void publish(amqp_connection_state_t over, const char *queue) {
    char key[40];
    char body[AMQP_LOAD_BODY];
    int length = snprintf(key, sizeof key, "%llx-%llu", (unsigned long long)run_of_ms,
                          (unsigned long long)published++);
    memset(body, ' ', sizeof body);
    memcpy(body, key, (size_t)length);
    amqp_table_entry_t header = {.key = amqp_cstring_bytes("idempotency-key")};
    header.value.kind = AMQP_FIELD_KIND_UTF8;
    header.value.value.bytes = amqp_cstring_bytes(key);
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG |
                                                    AMQP_BASIC_HEADERS_FLAG,
                                          .delivery_mode = 2,
                                          .headers = {1, &header}};
    amqp_bytes_t bytes = {sizeof body, body};
    if (amqp_basic_publish(over, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(queue), 0,
                           0, &properties, bytes) != AMQP_STATUS_OK) {
        amqp_load_give_up("publishing failed");
    }
}

void amqp_load_fill(const char *queue, unsigned messages) {
    static uint64_t sent; /* on this channel */
    static uint64_t confirmed;
    for (unsigned i = 0; i < messages; i++) {
        publish(connection, queue);
        if (++sent - confirmed == BATCH) {
            await_confirms(sent, &confirmed);
        }
    }
    await_confirms(sent, &confirmed);
}

/* One run of latencies. */
struct pace {
    amqp_connection_state_t out;
    amqp_connection_state_t in;
    const char *to;
    uint64_t first; /* number */
    unsigned sent;
    unsigned arrived;
    unsigned messages;
    int64_t *sent_ns;
    double *us;
};

static void send_one(struct pace *pace) {
    pace->sent_ns[pace->sent++] = idem_clock_monotonic_ns();
    publish(pace->out, pace->to);
}

static void note(struct pace *pace, amqp_bytes_t body) {
    char text[64];
    int64_t now_ns = idem_clock_monotonic_ns();
    (void)snprintf(text, sizeof text, "%.*s", body.len < 63 ? (int)body.len : 63,
                   (const char *)body.bytes);
    const char *number = strchr(text, '-');
    uint64_t index =
        number != NULL ? strtoull(number + 1, NULL, 10) - pace->first : pace->sent;
    if (index >= pace->sent) {
        amqp_load_give_up("a message that was not sent");
    }
    pace->us[index] = (double)(now_ns - pace->sent_ns[index]) / 1e3;
    pace->arrived++;
}

/* Takes what is there, or comes until then. */
static void take_until(struct pace *pace, int64_t until_ns) {
    int64_t left_ns = until_ns - idem_clock_monotonic_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    if (!amqp_frames_enqueued(pace->in) && !amqp_data_in_buffer(pace->in)) {
        struct pollfd readable = {.fd = amqp_get_sockfd(pace->in), .events = POLLIN};
        struct timespec time = {left_ns / SECOND_NS, (long)(left_ns % SECOND_NS)};
        if (ppoll(&readable, 1, &time, NULL) != 1) {
            return;
        }
    }
    amqp_envelope_t envelope;
    amqp_rpc_reply_t reply = amqp_consume_message(pace->in, &envelope, &patience, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        amqp_load_give_up("a message broke off");
    }
    note(pace, envelope.message.body);
    amqp_destroy_envelope(&envelope);
    amqp_maybe_release_buffers(pace->in);
}

static void take_all(struct pace *pace) {
    int64_t limit_ns = idem_clock_monotonic_ns() + PATIENCE_S * SECOND_NS;
    while (pace->arrived < pace->sent) {
        take_until(pace, limit_ns);
        if (idem_clock_monotonic_ns() >= limit_ns) {
            amqp_load_give_up("not all messages arrive that were sent one by one");
        }
    }
}

static void keep_pace(struct pace *pace, unsigned per_second) {
    int64_t start_ns = idem_clock_monotonic_ns();
    for (unsigned i = 0; i < pace->messages; i++) {
        int64_t due_ns = start_ns + (int64_t)i * SECOND_NS / per_second;
        while (idem_clock_monotonic_ns() < due_ns) {
            take_until(pace, due_ns);
        }
        send_one(pace);
    }
    take_all(pace);
}

void amqp_load_latencies(const char *to, const char *from, unsigned per_second,
                         unsigned messages, double *us) {
    struct pace pace = {.to = to, .first = published, .messages = messages};
    pace.sent_ns = calloc(messages + 1, sizeof *pace.sent_ns);
    pace.us = calloc(messages + 1, sizeof *pace.us);
    if (pace.sent_ns == NULL || pace.us == NULL) {
        amqp_load_give_up("out of memory");
    }
    pace.out = connect_to_broker();
    pace.in = connect_to_broker();
    (void)amqp_basic_consume(pace.in, CHANNEL, amqp_cstring_bytes(from), amqp_empty_bytes,
                             0, 1, 0, amqp_empty_table);
    check(pace.in, "basic.consume");
    send_one(&pace);
    take_all(&pace);
    keep_pace(&pace, per_second);
    memcpy(us, pace.us + 1, messages * sizeof *us);
    (void)amqp_destroy_connection(pace.in);
    (void)amqp_destroy_connection(pace.out);
    free(pace.sent_ns);
    free(pace.us);
}
