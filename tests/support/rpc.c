/* SPDX-License-Identifier: MIT
 * The two who talk through a bridge in mode rpc. */
#include "rpc.h"

#include "rabbitmq_library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define DIRECT "amq.rabbitmq.reply-to"

static amqp_basic_properties_t properties_of(const struct rpc_request *request,
                                             amqp_table_entry_t *key) {
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2, .headers = {1, key}};
    if (request->key != NULL) {
        key->key = amqp_cstring_bytes("idempotency-key");
        key->value.kind = AMQP_FIELD_KIND_UTF8;
        key->value.value.bytes = amqp_cstring_bytes(request->key);
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    }
    if (request->reply_to != NULL) {
        properties.reply_to = amqp_cstring_bytes(request->reply_to);
        properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
    }
    if (request->correlation_id != NULL) {
        properties.correlation_id = amqp_cstring_bytes(request->correlation_id);
        properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
    }
    if (request->user_id != NULL) {
        properties.user_id = amqp_cstring_bytes(request->user_id);
        properties._flags |= AMQP_BASIC_USER_ID_FLAG;
    }
    return properties;
}

void rpc_ask(struct rabbitmq *client, const struct rpc_request *request) {
    amqp_table_entry_t key;
    const amqp_basic_properties_t properties = properties_of(request, &key);
    const struct rabbitmq_message message = {
        .routing_key = request->queue, .body = request->body, .properties = &properties};
    rabbitmq_publish(client, &message);
}

static void copy(char *text, bool present, amqp_bytes_t bytes) {
    assert_in_range(bytes.len, 0, RPC_TEXT_MAX - 1);
    (void)snprintf(text, RPC_TEXT_MAX, "%.*s", present ? (int)bytes.len : 0,
                   present ? (const char *)bytes.bytes : "");
}

void rpc_take(struct rabbitmq *client, const char *queue, struct rpc_work *work) {
    (void)snprintf(work->body, sizeof work->body, "%s", rabbitmq_take(client, queue));
    const amqp_basic_properties_t *properties = rabbitmq_properties(client);
    copy(work->reply_to, (properties->_flags & AMQP_BASIC_REPLY_TO_FLAG) != 0,
         properties->reply_to);
    copy(work->correlation_id, (properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) != 0,
         properties->correlation_id);
}

void rpc_reply_long(struct rabbitmq *client, const struct rpc_work *work,
                    const char *body, size_t length, const char *status) {
    amqp_table_entry_t header = {.key = amqp_cstring_bytes("status"),
                                 .value.kind = AMQP_FIELD_KIND_UTF8};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
                  AMQP_BASIC_CONTENT_TYPE_FLAG,
        .delivery_mode = 2,
        .content_type = amqp_cstring_bytes("text/plain"),
        .correlation_id = amqp_cstring_bytes(work->correlation_id)};
    const struct rabbitmq_message message = {.routing_key = work->reply_to,
                                             .body = body,
                                             .length = length,
                                             .properties = &properties};
    if (status != NULL) {
        header.value.value.bytes = amqp_cstring_bytes(status);
        properties.headers.num_entries = 1;
        properties.headers.entries = &header;
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    }
    rabbitmq_publish(client, &message);
}

void rpc_reply(struct rabbitmq *client, const struct rpc_work *work, const char *body,
               const char *status) {
    rpc_reply_long(client, work, body, 0, status);
}

void rpc_expect(struct rabbitmq *client, const struct rpc_answer *answer) {
    char correlation_id[RPC_TEXT_MAX];
    assert_string_equal(rabbitmq_take(client, answer->queue), answer->body);
    const amqp_basic_properties_t *properties = rabbitmq_properties(client);
    copy(correlation_id, (properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) != 0,
         properties->correlation_id);
    assert_string_equal(correlation_id, answer->correlation_id);
    const char *mark = rabbitmq_header(client, "idempotent-replayed");
    if (answer->replayed) {
        assert_non_null(mark);
        assert_string_equal(mark, "true");
    } else {
        assert_null(mark);
    }
}

struct rpc_direct {
    amqp_connection_state_t connection;
};

static void expect_normal(struct rpc_direct *direct, const char *what) {
    if (amqp_get_rpc_reply(direct->connection).reply_type != AMQP_RESPONSE_NORMAL) {
        fail_msg("%s failed", what);
    }
}

struct rpc_direct *rpc_direct_open(void) {
    struct rpc_direct *direct = calloc(1, sizeof *direct);
    assert_non_null(direct);
    direct->connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(direct->connection);
    assert_int_equal(amqp_socket_open(socket, "127.0.0.1", (int)rabbitmq_port()),
                     AMQP_STATUS_OK);
    amqp_rpc_reply_t login =
        amqp_login(direct->connection, "/", 1, AMQP_DEFAULT_FRAME_SIZE, 0,
                   AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    assert_int_equal(login.reply_type, AMQP_RESPONSE_NORMAL);
    (void)amqp_channel_open(direct->connection, 1);
    expect_normal(direct, "channel.open");
    (void)amqp_basic_consume(direct->connection, 1, amqp_cstring_bytes(DIRECT),
                             amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    expect_normal(direct, "basic.consume");
    return direct;
}

void rpc_direct_ask(struct rpc_direct *direct, const struct rpc_request *request) {
    struct rpc_request directed = *request;
    amqp_table_entry_t key;
    directed.reply_to = DIRECT;
    const amqp_basic_properties_t properties = properties_of(&directed, &key);
    assert_int_equal(amqp_basic_publish(direct->connection, 1, amqp_empty_bytes,
                                        amqp_cstring_bytes(request->queue), 0, 0,
                                        &properties, amqp_cstring_bytes(request->body)),
                     AMQP_STATUS_OK);
}

void rpc_direct_expect(struct rpc_direct *direct, const char *body,
                       const char *correlation_id) {
    const struct timeval most = {(time_t)(testing_deadline_ms() / 1000), 0};
    amqp_envelope_t envelope;
    amqp_rpc_reply_t reply =
        amqp_consume_message(direct->connection, &envelope, &most, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail_msg("no answer comes: %s", amqp_error_string2(reply.library_error));
    }
    assert_int_equal(envelope.message.body.len, strlen(body));
    assert_memory_equal(envelope.message.body.bytes, body, strlen(body));
    amqp_bytes_t seen = envelope.message.properties.correlation_id;
    assert_int_equal(seen.len, strlen(correlation_id));
    assert_memory_equal(seen.bytes, correlation_id, seen.len);
    amqp_destroy_envelope(&envelope);
}

void rpc_direct_close(struct rpc_direct *direct) {
    (void)amqp_connection_close(direct->connection, AMQP_REPLY_SUCCESS);
    (void)amqp_destroy_connection(direct->connection);
    free(direct);
}
