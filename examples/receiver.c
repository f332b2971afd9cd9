/* SPDX-License-Identifier: MIT
 * A RabbitMQ consumer that is an idempotent receiver: the body of each message goes to the standard input
 * of COMMAND once, however often the message comes. Its key is the header idempotency-key.
 *
 *   cc receiver.c -o receiver $(pkg-config --cflags --libs idem librabbitmq)
 *   ./receiver 127.0.0.1 5672 orders embedded:///var/lib/idem/receiver 'cat >>orders.txt'
 *
 * It ends when it loses RabbitMQ; whoever started it starts it again, and nothing is lost or done twice but
 * what it says to be in doubt: killed between the work and its completion. */
#define _POSIX_C_SOURCE 200809L

#include <idem/inbox.h>

#if __has_include(<rabbitmq-c/amqp.h>) /* since rabbitmq-c 0.12 */
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER "idempotency-key"

enum outcome { ACKNOWLEDGE, TRY_AGAIN, SET_ASIDE };

static amqp_bytes_t key_of(const amqp_message_t *message) {
    const amqp_table_t *headers = &message->properties.headers;
    bool given = (message->properties._flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    for (int i = 0; given && i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];
        if (entry->key.len == strlen(HEADER) &&
            entry->value.kind == AMQP_FIELD_KIND_UTF8 &&
            memcmp(entry->key.bytes, HEADER, strlen(HEADER)) == 0) {
            return entry->value.value.bytes;
        }
    }
    return amqp_empty_bytes; /* the inbox refuses it */
}

static bool work(const char *command, amqp_bytes_t body) {
    FILE *input = popen(command, "w");
    bool taken = input != NULL && fwrite(body.bytes, 1, body.len, input) == body.len;
    return input != NULL && pclose(input) == 0 && taken;
}

static enum outcome receive(struct idem_inbox *inbox, const amqp_message_t *message,
                            const char *command) {
    static const char *const words[] = {"new", "in doubt", "duplicate", "conflict",
                                        "in flight"};
    amqp_bytes_t key = key_of(message), body = message->body;
    enum idem_inbox_answer answer = IDEM_INBOX_NEW;
    enum idem_code code =
        idem_inbox_claim(inbox, key.bytes, key.len, body.bytes, body.len, &answer, NULL);
    (void)fprintf(stderr, "%s: %.*s\n",
                  code != IDEM_OK ? idem_code_text(code) : words[answer], (int)key.len,
                  (char *)key.bytes);
    if (code == IDEM_ERR_INVALID || answer == IDEM_INBOX_CONFLICT) {
        return SET_ASIDE; /* RabbitMQ: to the dead-letter exchange of the queue */
    } else if (code != IDEM_OK || answer == IDEM_INBOX_IN_FLIGHT) {
        return TRY_AGAIN;
    } else if (answer == IDEM_INBOX_DUPLICATE) {
        return ACKNOWLEDGE;
    }
    if (work(command, body)) { /* in doubt, too: better done twice than never */
        code = idem_inbox_complete(inbox, key.bytes, key.len, NULL);
        return code == IDEM_OK ? ACKNOWLEDGE : TRY_AGAIN;
    }
    code = idem_inbox_abandon(inbox, key.bytes, key.len, NULL); /* or the lease does it */
    return TRY_AGAIN;
}

static amqp_connection_state_t consume(const char *host, int port, const char *queue) {
    amqp_connection_state_t rabbit = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(rabbit);
    if (socket == NULL || amqp_socket_open(socket, host, port) != AMQP_STATUS_OK) {
        return NULL;
    }
    (void)amqp_login(rabbit, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    (void)amqp_channel_open(rabbit, 1);
    (void)amqp_basic_qos(rabbit, 1, 0, 1, false);
    (void)amqp_basic_consume(rabbit, 1, amqp_cstring_bytes(queue), amqp_empty_bytes,
                             false, false, false, amqp_empty_table);
    return amqp_get_rpc_reply(rabbit).reply_type == AMQP_RESPONSE_NORMAL ? rabbit : NULL;
}

static void settle(amqp_connection_state_t rabbit, uint64_t tag, enum outcome outcome) {
    if (outcome == ACKNOWLEDGE) {
        (void)amqp_basic_ack(rabbit, 1, tag, false);
    } else {
        (void)sleep(outcome == TRY_AGAIN ? 1 : 0);
        (void)amqp_basic_reject(rabbit, 1, tag, outcome == TRY_AGAIN);
    }
}

int main(int argc, char **argv) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_inbox *inbox = NULL;
    amqp_connection_state_t rabbit = NULL;
    amqp_envelope_t envelope;
    if (argc != 6) {
        (void)fprintf(stderr, "usage: receiver HOST PORT QUEUE STORE COMMAND\n");
        return EXIT_FAILURE;
    }
    if (idem_inbox_open(&inbox, argv[4], "orders", "receiver-1", &error) == IDEM_OK) {
        rabbit = consume(argv[1], atoi(argv[2]), argv[3]);
    }
    while (rabbit != NULL &&
           amqp_consume_message(rabbit, &envelope, NULL, 0).reply_type ==
               AMQP_RESPONSE_NORMAL) {
        settle(rabbit, envelope.delivery_tag, receive(inbox, &envelope.message, argv[5]));
        amqp_destroy_envelope(&envelope);
        amqp_maybe_release_buffers(rabbit);
    }
    (void)fprintf(stderr, "%s\n", inbox != NULL ? "RabbitMQ is gone" : error.text);
    idem_inbox_close(inbox);
    return EXIT_FAILURE;
}
