/* SPDX-License-Identifier: MIT
 * bench_postgres RABBITMQ_PORT MESSAGES ROUNDS: the bridge into PostgreSQL, many messages in one transaction
 * beside one transaction for each message. The server waits for its disk, as one that matters does. */
#include "amqp_load.h"
#include "bridge.h"
#include "postgres.h"
#include "sample.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MAX 50
#define SINGLES                                                                          \
    10 /* so many times fewer messages where each has a transaction of its own */
#define LIMIT_NS    INT64_C(300000000000)
#define BATCH       1000
#define QUEUE       "bench.postgres"
#define CONFIG_SIZE 1024

static struct postgres_server server;

static int64_t count(PGconn *connection) {
    PGresult *result = PQexec(connection, "SELECT count(*) FROM payment");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        amqp_load_give_up("counting payments failed");
    }
    int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

/* Nanoseconds since the start of the clock when the table has that many rows. */
static int64_t await(PGconn *connection, int64_t rows) {
    int64_t limit_ns = idem_clock_monotonic_ns() + LIMIT_NS;
    while (count(connection) < rows) {
        if (idem_clock_monotonic_ns() > limit_ns) {
            amqp_load_give_up("the bridge makes no headway");
        }
        testing_pause();
    }
    return idem_clock_monotonic_ns();
}

static void configure(char *text, unsigned batch) {
    char url[POSTGRES_URL_MAX];
    postgres_url(&server, url);
    (void)snprintf(text, CONFIG_SIZE,
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: " QUEUE "}\n"
                   "  sink:\n"
                   "    url: '%s'\n"
                   "    statement: 'INSERT INTO payment VALUES ($1, $2)'\n"
                   "    parameters: [key, payload]\n"
                   "    batch: %u\n"
                   "  declare: true\n"
                   "rules:\n"
                   "  - name: bench\n"
                   "    match: {queue: " QUEUE "}\n"
                   "    key: property:idempotency-key\n"
                   "    scope: global\n",
                   url, batch);
}

/* Messages a second, from the first row to the last. */
static double measure(unsigned port, unsigned batch, unsigned messages) {
    char config[CONFIG_SIZE];
    PGconn *connection = postgres_connect(&server);
    postgres_do(&server, "DROP TABLE IF EXISTS payment, idem_inbox;"
                         "CREATE TABLE payment (key text, body text); CHECKPOINT");
    amqp_load_renew(QUEUE, "classic");
    amqp_load_fill(QUEUE, messages);
    configure(config, batch);
    struct bridge *bridge = bridge_start(config, port);
    int64_t start_ns = await(connection, 1);
    int64_t before = count(connection);
    double seconds = (double)(await(connection, messages) - start_ns) / 1e9;
    bridge_stop(bridge, EXIT_SUCCESS);
    (void)bridge_tidy(NULL);
    PQfinish(connection);
    return (double)(messages - before) / seconds;
}

static void report(double *together, double *alone, double *ratios, size_t rounds) {
    (void)printf("| | messages/s | spread |\n|---|---|---|\n");
    (void)printf("| up to %d messages in a transaction | %.0f | %.0f - %.0f |\n", BATCH,
                 sample_at(together, rounds, 0.5), sample_at(together, rounds, 0),
                 sample_at(together, rounds, 1));
    (void)printf("| a transaction for each message | %.0f | %.0f - %.0f |\n",
                 sample_at(alone, rounds, 0.5), sample_at(alone, rounds, 0),
                 sample_at(alone, rounds, 1));
    (void)printf("| ratio, round by round | %.1f | %.1f - %.1f |\n",
                 sample_at(ratios, rounds, 0.5), sample_at(ratios, rounds, 0),
                 sample_at(ratios, rounds, 1));
}

int main(int argc, char **argv) {
    double together[ROUNDS_MAX];
    double alone[ROUNDS_MAX];
    double ratios[ROUNDS_MAX];
    unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    unsigned messages = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (port == 0 || messages < SINGLES || rounds == 0 || rounds > ROUNDS_MAX) {
        (void)fputs("usage: bench_postgres RABBITMQ_PORT MESSAGES ROUNDS\n", stderr);
        return 2;
    }
    server.durable = true;
    amqp_load_open(port);
    postgres_start(&server);
    for (size_t i = 0; i < rounds; i++) {
        together[i] = measure(port, BATCH, messages);
        alone[i] = measure(port, 1, messages / SINGLES);
        ratios[i] = together[i] / alone[i];
        (void)fprintf(stderr, "round %zu: %.0f / %.0f\n", i + 1, together[i], alone[i]);
    }
    report(together, alone, ratios, rounds);
    postgres_remove(&server);
    amqp_load_close();
    return EXIT_SUCCESS;
}
