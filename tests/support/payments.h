/* SPDX-License-Identifier: MIT
 * Payments: messages that a bridge turns into rows of a ledger, and what every test of that needs. */
#ifndef TESTS_PAYMENTS_H
#define TESTS_PAYMENTS_H

#include "bridge.h"
#include "postgres.h"
#include "rabbitmq.h"

/* Parts of a configuration; @URL@ is the database's. */
#define PAYMENTS_ENDS                                                                    \
    "bridge:\n"                                                                          \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, prefetch: 200}\n"             \
    "  quarantine: {exchange: aside}\n"                                                  \
    "  declare: true\n"
#define PAYMENTS_SINK(more)                                                              \
    "  sink:\n"                                                                          \
    "    url: '@URL@'\n"                                                                 \
    "    statement: 'INSERT INTO ledger (key, account, cents, body) VALUES ($1, $2, "    \
    "$3, "                                                                               \
    "$4)'\n"                                                                             \
    "    parameters: [key, 'json:/account', 'json:/cents', payload]\n" more
#define PAYMENTS_RULE                                                                    \
    "rules:\n"                                                                           \
    "  - name: payments\n"                                                               \
    "    match: {header: idempotency-key}\n"                                             \
    "    key: property:idempotency-key\n"                                                \
    "    scope: global\n"                                                                \
    "    short_ttl: true\n"                                                              \
    "    on_store_failure: refuse\n"

#define PAYMENTS_COUNT "SELECT count(*) FROM ledger"
#define PAYMENTS_SUM   "SELECT coalesce(sum(cents), 0) FROM ledger"
#define PAYMENTS_INBOX "SELECT count(*) FROM idem_inbox"

#define PAYMENTS_PLAIN PAYMENTS_ENDS PAYMENTS_SINK("") PAYMENTS_RULE

/* Of the running test. */
extern struct rabbitmq *payments_client;
extern struct postgres_server payments_server;

/* First and last line of main, as rabbitmq_cannot_run and rabbitmq_done are; starts the database, too. */
bool payments_cannot_run(int *status);
int payments_done(int status);

/* Queues and tables anew; ended bridges. */
int payments_set_up(void **state);
int payments_tear_down(void **state);

struct bridge *payments_start(const char *config);

/* The bridge refuses to start, and says so. */
void payments_refused(const char *config, const char *says);

/* A payment into an account (0 to 9 are there), a body of any kind, and many payments: "p-0" pays 1, ... */
void payments_pay(const char *key, int account, int cents);
void payments_publish(const char *key, const char *body);
void payments_pay_many(unsigned count);

/* Stops the bridge; fails unless everything is through, and nothing was ever in doubt. */
void payments_end(struct bridge *bridge);

#endif
