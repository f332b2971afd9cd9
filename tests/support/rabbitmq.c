/* SPDX-License-Identifier: MIT
 * The RabbitMQ of a test run, and a client that says what tests want said. */
#include "rabbitmq.h"
#include "files.h"
#include "rabbitmq_confirms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL  1
#define TEXT_MAX 256
#define BODY_MAX (1 << 20)

struct rabbitmq {
    amqp_connection_state_t connection;
    struct rabbitmq_confirms confirms;
    amqp_message_t message;
    bool has_message;
    char body[BODY_MAX + 1];
    char header[TEXT_MAX];
};

static char own_dir[FILES_PATH_MAX]; /* empty: the test run's */

static bool script(const char *verb, const char *dir) {
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) {
        (void)execl("tests/rabbitmq.sh", "rabbitmq.sh", verb, dir, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int rabbitmq_missing(const char *what) {
    const char *ci = getenv("CI");
    bool needed = ci != NULL && strcmp(ci, "true") == 0;
    (void)fprintf(stderr, "%s: %s is not installed\n", needed ? "failed" : "skipped",
                  what);
    return needed ? EXIT_FAILURE : TESTING_SKIPPED;
}

bool rabbitmq_cannot_run(int *status) {
    if (getenv("IDEM_RABBITMQ") != NULL) {
        return false;
    }
    if (access("/usr/lib/rabbitmq/bin/rabbitmq-server", X_OK) != 0) {
        *status = rabbitmq_missing("rabbitmq-server");
        return true;
    }
    files_make_dir(own_dir);
    if (!script("start", own_dir)) {
        (void)fprintf(stderr, "RabbitMQ does not start\n");
        *status = rabbitmq_done(EXIT_FAILURE);
        return true;
    }
    return setenv("IDEM_RABBITMQ", own_dir, 1) != 0;
}

int rabbitmq_done(int status) {
    if (own_dir[0] != '\0') {
        (void)script("stop", own_dir);
        files_remove_dir(own_dir);
        own_dir[0] = '\0';
    }
    return status;
}

/* The first line that `rabbitmqctl ARGUMENTS` prints; the command has to succeed. */
static void control(const char *arguments, char *line, int size) {
    char command[FILES_PATH_MAX + TEXT_MAX];
    (void)snprintf(command, sizeof command,
                   "exec tests/rabbitmq.sh ctl '%s' -q %s 2>/dev/null",
                   getenv("IDEM_RABBITMQ"), arguments);
    /* A test's own command, its directory a temporary one: nothing of it comes from outside. */
    FILE *output = popen(command, "re"); /* NOLINT(cert-env33-c) */
    assert_non_null(output);
    if (fgets(line, size, output) == NULL) {
        line[0] = '\0';
    }
    while (fgetc(output) != EOF) {
        continue; /* it must not die of a closed pipe */
    }
    assert_int_equal(pclose(output), 0);
}

void rabbitmq_alarm(bool on) {
    char line[TEXT_MAX];
    control(on ? "set_vm_memory_high_watermark 0.0000001"
               : "set_vm_memory_high_watermark 0.4",
            line, sizeof line);
}

void rabbitmq_heartbeat(unsigned seconds) {
    char arguments[TEXT_MAX];
    char line[TEXT_MAX];
    (void)snprintf(arguments, sizeof arguments,
                   "eval 'application:set_env(rabbit, heartbeat, %u).'", seconds);
    control(arguments, line, sizeof line);
}

void rabbitmq_keep_declarations(void) {
    char line[TEXT_MAX];
    control("eval 'mnesia:dump_log().'", line, sizeof line);
    assert_memory_equal(line, "dumped", strlen("dumped"));
}

unsigned rabbitmq_unacknowledged(const char *queue) {
    char arguments[TEXT_MAX];
    char line[TEXT_MAX];
    (void)snprintf(arguments, sizeof arguments,
                   "list_queues --no-table-headers messages_unacknowledged name | "
                   "awk '$2 == \"%s\"'", /* not those whose names end so */
                   queue);
    control(arguments, line, sizeof line);
    return (unsigned)strtoul(line, NULL, 10);
}

void rabbitmq_wait_unheld(const char *queue) {
    int64_t deadline = testing_deadline();
    unsigned held;
    while ((held = rabbitmq_unacknowledged(queue)) > 0) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("%u messages of %s are not acknowledged", held, queue);
        }
    }
}

void rabbitmq_kill(void) {
    assert_true(script("kill", getenv("IDEM_RABBITMQ")));
}

void rabbitmq_start_again(void) {
    assert_true(script("again", getenv("IDEM_RABBITMQ")));
}

unsigned rabbitmq_port(void) {
    char path[FILES_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/port", getenv("IDEM_RABBITMQ"));
    char *text = files_read(path);
    unsigned port = (unsigned)strtoul(text, NULL, 10);
    free(text);
    assert_in_range(port, 1, 65535);
    return port;
}

static void check_reply(struct rabbitmq *client, const char *what) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(client->connection);
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = reply.reply.decoded;
        fail_msg("%s: %.*s", what, (int)close->reply_text.len,
                 (char *)close->reply_text.bytes);
    }
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail_msg("%s: %s", what, amqp_error_string2(reply.library_error));
    }
}

struct rabbitmq *rabbitmq_connect(void) {
    struct rabbitmq *client = calloc(1, sizeof *client);
    assert_non_null(client);
    client->connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(client->connection);
    assert_int_equal(amqp_socket_open(socket, "127.0.0.1", (int)rabbitmq_port()), 0);
    amqp_rpc_reply_t reply = amqp_login(client->connection, "/", 1, 131072, 0,
                                        AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
    (void)amqp_channel_open(client->connection, CHANNEL);
    check_reply(client, "channel");
    (void)amqp_confirm_select(client->connection, CHANNEL);
    check_reply(client, "confirm.select");
    return client;
}

static void forget_message(struct rabbitmq *client) {
    if (client->has_message) {
        amqp_destroy_message(&client->message);
        client->has_message = false;
    }
}

void rabbitmq_disconnect(struct rabbitmq *client) {
    forget_message(client);
    (void)amqp_connection_close(client->connection, AMQP_REPLY_SUCCESS);
    (void)amqp_destroy_connection(client->connection);
    free(client);
}

struct rabbitmq *rabbitmq_crash(struct rabbitmq *client) {
    rabbitmq_disconnect(client);
    rabbitmq_kill();
    rabbitmq_start_again();
    return rabbitmq_connect();
}

/* "NAME=TEXT NAME=NUMBER ..." */
static int parse_arguments(char *text, amqp_table_entry_t *entries, int most) {
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL && count < most;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        char *end;
        entries[count].key = amqp_cstring_bytes(word);
        entries[count].value.value.i64 = strtol(value, &end, 10);
        entries[count].value.kind = AMQP_FIELD_KIND_I64;
        if (*end != '\0') {
            entries[count].value.kind = AMQP_FIELD_KIND_UTF8;
            entries[count].value.value.bytes = amqp_cstring_bytes(value);
        }
        count++;
    }
    return count;
}

void rabbitmq_delete_queue(struct rabbitmq *client, const char *queue) {
    (void)amqp_queue_delete(client->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
    check_reply(client, "queue.delete");
}

void rabbitmq_queue(struct rabbitmq *client, const char *queue, const char *arguments) {
    char text[TEXT_MAX];
    amqp_table_entry_t entries[8];
    (void)snprintf(text, sizeof text, "%s", arguments != NULL ? arguments : "");
    amqp_table_t table = {parse_arguments(text, entries, 8), entries};
    rabbitmq_delete_queue(client, queue);
    (void)amqp_queue_declare(client->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 1,
                             0, 0, table);
    check_reply(client, "queue.declare");
}

struct rabbitmq *rabbitmq_open(const char *queues) {
    char text[TEXT_MAX];
    char *rest = NULL;
    struct rabbitmq *client = rabbitmq_connect();
    (void)snprintf(text, sizeof text, "%s", queues);
    for (char *queue = strtok_r(text, " ", &rest); queue != NULL;
         queue = strtok_r(NULL, " ", &rest)) {
        rabbitmq_queue(client, queue, NULL);
    }
    return client;
}

void rabbitmq_delete_exchange(struct rabbitmq *client, const char *exchange) {
    (void)amqp_exchange_delete(client->connection, CHANNEL, amqp_cstring_bytes(exchange),
                               0);
    check_reply(client, "exchange.delete");
}

static void declare_exchange(struct rabbitmq *client, const char *exchange,
                             const char *type, bool internal) {
    rabbitmq_delete_exchange(client, exchange);
    (void)amqp_exchange_declare(client->connection, CHANNEL, amqp_cstring_bytes(exchange),
                                amqp_cstring_bytes(type), 0, 1, 0, internal,
                                amqp_empty_table);
    check_reply(client, "exchange.declare");
}

void rabbitmq_exchange(struct rabbitmq *client, const char *exchange, const char *type) {
    declare_exchange(client, exchange, type, false);
}

void rabbitmq_internal_exchange(struct rabbitmq *client, const char *exchange) {
    declare_exchange(client, exchange, "topic", true);
}

void rabbitmq_bind(struct rabbitmq *client, const char *queue, const char *exchange,
                   const char *routing_key) {
    (void)amqp_queue_bind(client->connection, CHANNEL, amqp_cstring_bytes(queue),
                          amqp_cstring_bytes(exchange), amqp_cstring_bytes(routing_key),
                          amqp_empty_table);
    check_reply(client, "queue.bind");
}

void rabbitmq_fanout(struct rabbitmq *client, const char *exchange, const char *queue) {
    rabbitmq_queue(client, queue, NULL);
    rabbitmq_exchange(client, exchange, "fanout");
    rabbitmq_bind(client, queue, exchange, "");
}

static void send_message(struct rabbitmq *client,
                         const struct rabbitmq_message *message) {
    char text[TEXT_MAX];
    amqp_table_entry_t headers[8] = {{.key = amqp_cstring_bytes("idempotency-key")}};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = 2};
    amqp_bytes_t body = {message->length, (void *)(uintptr_t)message->body};
    if (body.len == 0) {
        body.len = strlen(message->body);
    }
    if (message->key != NULL) {
        headers[0].value.kind = AMQP_FIELD_KIND_UTF8;
        headers[0].value.value.bytes = amqp_cstring_bytes(message->key);
        properties.headers.num_entries = 1;
    }
    if (message->headers != NULL) {
        (void)snprintf(text, sizeof text, "%s", message->headers);
        properties.headers.num_entries = parse_arguments(text, headers, 8);
    }
    if (properties.headers.num_entries > 0) {
        properties.headers.entries = headers;
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    }
    if (message->message_id != NULL) {
        properties.message_id = amqp_cstring_bytes(message->message_id);
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    }
    if (message->user_id != NULL) {
        properties.user_id = amqp_cstring_bytes(message->user_id);
        properties._flags |= AMQP_BASIC_USER_ID_FLAG;
    }
    const char *exchange = message->exchange != NULL ? message->exchange : "";
    assert_int_equal(amqp_basic_publish(
                         client->connection, CHANNEL, amqp_cstring_bytes(exchange),
                         amqp_cstring_bytes(message->routing_key), 0, 0,
                         message->properties != NULL ? message->properties : &properties,
                         body),
                     AMQP_STATUS_OK);
    client->confirms.published++;
}

void rabbitmq_publish(struct rabbitmq *client, const struct rabbitmq_message *message) {
    send_message(client, message);
    rabbitmq_await_confirms(&client->confirms, client->connection);
}

void rabbitmq_publish_numbers(struct rabbitmq *client, const char *queue,
                              const char *prefix, const unsigned *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char text[TEXT_MAX];
        (void)snprintf(text, sizeof text, "%s %u", prefix, numbers[i]);
        struct rabbitmq_message message = {
            .routing_key = queue, .body = text, .key = text};
        send_message(client, &message);
    }
    rabbitmq_await_confirms(&client->confirms, client->connection);
}

void rabbitmq_publish_many(struct rabbitmq *client, const char *queue, const char *prefix,
                           unsigned count) {
    unsigned *numbers = calloc(count, sizeof *numbers);
    assert_non_null(numbers);
    for (unsigned i = 0; i < count; i++) {
        numbers[i] = i;
    }
    rabbitmq_publish_numbers(client, queue, prefix, numbers, count);
    free(numbers);
}

static amqp_queue_declare_ok_t *look_at(struct rabbitmq *client, const char *queue) {
    amqp_queue_declare_ok_t *answer =
        amqp_queue_declare(client->connection, CHANNEL, amqp_cstring_bytes(queue), 1, 0,
                           0, 0, amqp_empty_table);
    check_reply(client, "queue.declare");
    return answer;
}

unsigned rabbitmq_depth(struct rabbitmq *client, const char *queue) {
    return look_at(client, queue)->message_count;
}

unsigned rabbitmq_consumers(struct rabbitmq *client, const char *queue) {
    return look_at(client, queue)->consumer_count;
}

void rabbitmq_wait_depth(struct rabbitmq *client, const char *queue, unsigned depth) {
    int64_t deadline = testing_deadline();
    unsigned seen;
    while ((seen = rabbitmq_depth(client, queue)) != depth) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("%s has %u messages instead of %u", queue, seen, depth);
        }
        testing_pause();
    }
}

void rabbitmq_wait_more(struct rabbitmq *client, const char *queue, unsigned more) {
    int64_t deadline = testing_deadline();
    unsigned wanted = rabbitmq_depth(client, queue) + more;
    while (rabbitmq_depth(client, queue) < wanted) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("%s does not get %u messages more", queue, more);
        }
        testing_pause();
    }
}

static bool take(struct rabbitmq *client, const char *queue) {
    forget_message(client);
    amqp_maybe_release_buffers(client->connection);
    amqp_rpc_reply_t reply =
        amqp_basic_get(client->connection, CHANNEL, amqp_cstring_bytes(queue), 1);
    check_reply(client, "basic.get");
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) {
        return false;
    }
    reply = amqp_read_message(client->connection, CHANNEL, &client->message, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail_msg("reading from %s: %s", queue, amqp_error_string2(reply.library_error));
    }
    client->has_message = true;
    assert_in_range(client->message.body.len, 0, BODY_MAX);
    memcpy(client->body, client->message.body.bytes, client->message.body.len);
    client->body[client->message.body.len] = '\0';
    return true;
}

const char *rabbitmq_take(struct rabbitmq *client, const char *queue) {
    int64_t deadline = testing_deadline();
    while (!take(client, queue)) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("nothing arrives in %s", queue);
        }
        testing_pause();
    }
    return client->body;
}

const void *rabbitmq_properties(struct rabbitmq *client) {
    assert_true(client->has_message);
    return &client->message.properties;
}

const char *rabbitmq_header(struct rabbitmq *client, const char *name) {
    assert_true(client->has_message);
    const amqp_basic_properties_t *properties = &client->message.properties;
    bool has = (properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    for (int i = 0; has && i < properties->headers.num_entries; i++) {
        const amqp_table_entry_t *entry = &properties->headers.entries[i];
        if (entry->key.len != strlen(name) ||
            memcmp(entry->key.bytes, name, entry->key.len) != 0) {
            continue;
        }
        if (entry->value.kind == AMQP_FIELD_KIND_UTF8) {
            (void)snprintf(client->header, sizeof client->header, "%.*s",
                           (int)entry->value.value.bytes.len,
                           (char *)entry->value.value.bytes.bytes);
        } else {
            (void)snprintf(client->header, sizeof client->header, "%lld",
                           (long long)entry->value.value.i64);
        }
        return client->header;
    }
    return NULL;
}

void rabbitmq_take_all(struct rabbitmq *client, const char *queue,
                       void visit(void *arg, const char *body), void *arg) {
    while (take(client, queue)) {
        visit(arg, client->body);
    }
}
