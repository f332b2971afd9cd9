/* SPDX-License-Identifier: MIT
 * The RabbitMQ of a test run, and a client that says what tests want said: queues, messages, what arrived.
 *
 * Helpers fail the running test themselves: they return only when they succeeded. */
#ifndef TESTS_RABBITMQ_H
#define TESTS_RABBITMQ_H

#include "testing.h"

/* First line of a bridge test's main: true where there is no RabbitMQ to test with, and then *status is
 * what main returns: skipped, or failed in CI. Otherwise it runs: the one of the test run
 * (IDEM_RABBITMQ names its directory), or one of our own. */
bool rabbitmq_cannot_run(int *status);

/* Last line of main: stops what rabbitmq_cannot_run started; returns its argument. */
int rabbitmq_done(int status);

/* What main returns where something is not installed: skipped, or failed in CI. */
int rabbitmq_missing(const char *what);

unsigned rabbitmq_port(void);

/* While the alarm is on, the broker takes nothing from publishers (connection.blocked). */
void rabbitmq_alarm(bool on);

/* The heartbeat that the broker asks of clients that connect from now on; it starts with 60. */
void rabbitmq_heartbeat(unsigned seconds);

/* Puts into its tables what was declared so far: until then a kill may lose a durable queue. */
void rabbitmq_keep_declarations(void);

/* Messages of a queue that a consumer holds. Takes a second. */
unsigned rabbitmq_unacknowledged(const char *queue);
/* Waits until there are none. */
void rabbitmq_wait_unheld(const char *queue);

/* kill -9 of the node: every client is cut off. Then the same node again, with what it has on disk. */
void rabbitmq_kill(void);
void rabbitmq_start_again(void);

/* A header in tests is a name and a text. */
struct rabbitmq_message {
    const char *exchange; /* NULL: the default exchange */
    const char *routing_key;
    const char *body;
    size_t length;       /* of the body; 0: strlen */
    const char *key;     /* the header idempotency-key; NULL: none */
    const char *headers; /* instead of key: "x-cache-ttl=60000 x-name=text"; NULL: none */
    const char *message_id;
    const char *user_id;
    const void *properties; /* amqp_basic_properties_t; NULL: from the above */
};

struct rabbitmq;
struct rabbitmq *rabbitmq_connect(void);
/* Both in one go; the client, which does not survive it, is replaced by the one that is returned. */
struct rabbitmq *rabbitmq_crash(struct rabbitmq *client);
/* Connects, with these queues ("in out"), durable and empty. */
struct rabbitmq *rabbitmq_open(const char *queues);
void rabbitmq_disconnect(struct rabbitmq *client);

/* A durable queue; anew where there is one. arguments: "x-max-length=1 x-overflow=reject-publish"; NULL. */
void rabbitmq_queue(struct rabbitmq *client, const char *queue, const char *arguments);
void rabbitmq_delete_queue(struct rabbitmq *client, const char *queue);
void rabbitmq_exchange(struct rabbitmq *client, const char *exchange, const char *type);

/* An exchange that closes the channel of anyone who publishes to it. */
void rabbitmq_internal_exchange(struct rabbitmq *client, const char *exchange);
void rabbitmq_delete_exchange(struct rabbitmq *client, const char *exchange);
void rabbitmq_bind(struct rabbitmq *client, const char *queue, const char *exchange,
                   const char *routing_key);
/* A fanout exchange, and an empty queue that gets all that is published to it. */
void rabbitmq_fanout(struct rabbitmq *client, const char *exchange, const char *queue);

/* Persistent, confirmed before it returns. */
void rabbitmq_publish(struct rabbitmq *client, const struct rabbitmq_message *message);

/* Bodies "PREFIX 0" to "PREFIX N-1" with these as their keys, confirmed all together. */
void rabbitmq_publish_many(struct rabbitmq *client, const char *queue, const char *prefix,
                           unsigned count);

/* The same with these numbers; one may be there several times. */
void rabbitmq_publish_numbers(struct rabbitmq *client, const char *queue,
                              const char *prefix, const unsigned *numbers, size_t count);

/* Messages that are ready in a queue; those that a consumer holds do not count. */
unsigned rabbitmq_depth(struct rabbitmq *client, const char *queue);

/* Consumers of a queue, those included whose connection is gone without the broker knowing it yet. */
unsigned rabbitmq_consumers(struct rabbitmq *client, const char *queue);

/* Waits until the queue has that many messages ready. */
void rabbitmq_wait_depth(struct rabbitmq *client, const char *queue, unsigned depth);

/* Waits until the queue has that many messages more than now. */
void rabbitmq_wait_more(struct rabbitmq *client, const char *queue, unsigned more);

/* Takes the next message off a queue, waiting for it; valid until the next call. The second form says
 * what its properties are (amqp_basic_properties_t). */
const char *rabbitmq_take(struct rabbitmq *client, const char *queue);
const void *rabbitmq_properties(struct rabbitmq *client);

/* The text of a header of the message taken last; NULL: it has none. */
const char *rabbitmq_header(struct rabbitmq *client, const char *name);

/* Takes everything off a queue; each body is handed to visit. */
void rabbitmq_take_all(struct rabbitmq *client, const char *queue,
                       void visit(void *arg, const char *body), void *arg);

#endif
