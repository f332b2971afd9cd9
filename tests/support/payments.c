/* SPDX-License-Identifier: MIT
 * Payments: messages that a bridge turns into rows of a ledger. */
#include "payments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rabbitmq *payments_client;
struct postgres_server payments_server;

bool payments_cannot_run(int *status) {
    if (!postgres_installed()) {
        *status = rabbitmq_missing("PostgreSQL");
        return true;
    }
    if (rabbitmq_cannot_run(status)) {
        return true;
    }
    postgres_start(&payments_server);
    return false;
}

int payments_done(int status) {
    postgres_remove(&payments_server);
    return rabbitmq_done(status);
}

int payments_set_up(void **state) {
    (void)state;
    payments_client = rabbitmq_connect();
    rabbitmq_queue(payments_client, "in", NULL);
    rabbitmq_queue(payments_client, "aside", NULL);
    rabbitmq_exchange(payments_client, "aside", "fanout");
    rabbitmq_bind(payments_client, "aside", "aside", "");
    postgres_do(&payments_server,
                "DROP TABLE IF EXISTS idem_inbox, ledger, account CASCADE;"
                "CREATE TABLE account (id int PRIMARY KEY, cents bigint NOT NULL);"
                "INSERT INTO account SELECT id, 0 FROM generate_series(0, 9) AS id;"
                "CREATE TABLE ledger (number bigserial, key text, account int "
                "REFERENCES account, cents bigint NOT NULL CHECK (cents <> 0), "
                "body text)");
    return 0;
}

int payments_tear_down(void **state) {
    rabbitmq_disconnect(payments_client);
    return bridge_tidy(state);
}

static char *with_url(const char *config) {
    char url[POSTGRES_URL_MAX];
    postgres_url(&payments_server, url);
    return files_replace(config, "@URL@", url);
}

struct bridge *payments_start(const char *config) {
    char *text = with_url(config);
    struct bridge *bridge = bridge_start(text, 0);
    free(text);
    return bridge;
}

void payments_publish(const char *key, const char *body) {
    struct rabbitmq_message message = {.routing_key = "in", .body = body, .key = key};
    rabbitmq_publish(payments_client, &message);
}

void payments_pay(const char *key, int account, int cents) {
    char body[64];
    (void)snprintf(body, sizeof body, "{\"account\":%d,\"cents\":%d}", account, cents);
    payments_publish(key, body);
}

void payments_pay_many(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "p-%u", i);
        payments_pay(key, (int)(i % 10), (int)i + 1);
    }
}

void payments_end(struct bridge *bridge) {
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(payments_client, "in"), 0);
    assert_int_equal(bridge_logged(bridge, "in doubt 0"), 1);
    assert_int_equal(bridge_logged(bridge, "unexpected 0"), 1);
}

void payments_refused(const char *config, const char *says) {
    struct bridge *bridge;
    char *text = with_url(config);
    assert_int_not_equal(bridge_run(&bridge, text, NULL), 0);
    if (bridge_logged(bridge, says) != 1) {
        char *log = bridge_log(bridge);
        fail_msg("not said: %s\n%s", says, log);
    }
    free(text);
}
