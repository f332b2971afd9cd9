/* SPDX-License-Identifier: MIT
 * The bridge between a queue of a real RabbitMQ and a real PostgreSQL: record and effect in one transaction. */
#include "bridge.h"
#include "postgres.h"
#include "rabbitmq.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDS                                                                             \
    "bridge:\n"                                                                          \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, prefetch: 200}\n"             \
    "  quarantine: {exchange: aside}\n"                                                  \
    "  declare: true\n"
#define SINK(more)                                                                       \
    "  sink:\n"                                                                          \
    "    url: '@URL@'\n"                                                                 \
    "    statement: 'INSERT INTO ledger (key, account, cents, body) VALUES ($1, $2, "    \
    "$3, "                                                                               \
    "$4)'\n"                                                                             \
    "    parameters: [key, 'json:/account', 'json:/cents', payload]\n" more
#define RULE                                                                             \
    "rules:\n"                                                                           \
    "  - name: payments\n"                                                               \
    "    match: {header: idempotency-key}\n"                                             \
    "    key: property:idempotency-key\n"                                                \
    "    scope: global\n"                                                                \
    "    short_ttl: true\n"                                                              \
    "    on_store_failure: refuse\n"

#define COUNT "SELECT count(*) FROM ledger"
#define SUM   "SELECT coalesce(sum(cents), 0) FROM ledger"
#define INBOX "SELECT count(*) FROM idem_inbox"

static const char plain[] = ENDS SINK("") RULE;
static struct rabbitmq *client;
static struct postgres_server server;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_connect();
    rabbitmq_queue(client, "in", NULL);
    rabbitmq_queue(client, "aside", NULL);
    rabbitmq_exchange(client, "aside", "fanout");
    rabbitmq_bind(client, "aside", "aside", "");
    postgres_do(&server,
                "DROP TABLE IF EXISTS idem_inbox, ledger, account CASCADE;"
                "CREATE TABLE account (id int PRIMARY KEY, cents bigint NOT NULL);"
                "INSERT INTO account SELECT id, 0 FROM generate_series(0, 9) AS id;"
                "CREATE TABLE ledger (number bigserial, key text, account int "
                "REFERENCES account, cents bigint NOT NULL CHECK (cents <> 0), "
                "body text)");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

static char *with_url(const char *config) {
    char url[POSTGRES_URL_MAX];
    postgres_url(&server, url);
    return files_replace(config, "@URL@", url);
}

static struct bridge *start(const char *config) {
    char *text = with_url(config);
    struct bridge *bridge = bridge_start(text, 0);
    free(text);
    return bridge;
}

static void publish(const char *key, const char *body) {
    struct rabbitmq_message message = {.routing_key = "in", .body = body, .key = key};
    rabbitmq_publish(client, &message);
}

static void pay(const char *key, int account, int cents) {
    char body[64];
    (void)snprintf(body, sizeof body, "{\"account\":%d,\"cents\":%d}", account, cents);
    publish(key, body);
}

static void pay_many(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "p-%u", i);
        pay(key, (int)(i % 10), (int)i + 1);
    }
}

static void end_well(struct bridge *bridge) {
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
    assert_int_equal(bridge_logged(bridge, "in doubt 0"), 1);
    assert_int_equal(bridge_logged(bridge, "unexpected 0"), 1);
}

static void duplicates_have_one_effect_and_are_acknowledged(void **state) {
    (void)state;
    pay("a", 1, 100);
    pay("a", 1, 100);
    pay("b", 2, 5);
    struct bridge *bridge = start(plain);
    postgres_await(&server, COUNT, 2);
    pay("a", 1, 100);
    pay("c", 3, 7);
    postgres_await(&server, COUNT, 3);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, SUM), 112);
    assert_int_equal(postgres_number(&server, INBOX), 3);
    assert_int_equal(bridge_logged(bridge, "duplicates 2"), 1);
    pay("b", 2, 5);
    pay("d", 4, 1);
    bridge_restart(bridge);
    postgres_await(&server, COUNT, 4);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(postgres_number(&server, SUM), 113);
    assert_int_equal(rabbitmq_depth(client, "aside"), 0);
}

static void a_conflict_goes_to_the_quarantine(void **state) {
    (void)state;
    struct bridge *bridge = start(plain);
    pay("a", 1, 100);
    postgres_await(&server, COUNT, 1);
    pay("a", 1, 999);
    assert_string_equal(rabbitmq_take(client, "aside"), "{\"account\":1,\"cents\":999}");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "conflict");
    assert_null(rabbitmq_header(client, "x-idem-sqlstate"));
    assert_true(strtoll(rabbitmq_header(client, "x-idem-first-seen"), NULL, 10) >
                1500000000);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, SUM), 100);
}

/* Of every kind: a foreign key, a check, a type, a null, a NUL byte; and those around them are executed. */
static void bad_messages_are_set_aside_and_harm_nobody(void **state) {
    static const char *const bad[][3] = {
        {"x-1", "{\"account\":77,\"cents\":1}", "23503"},
        {"x-2", "{\"account\":1,\"cents\":0}", "23514"},
        {"x-3", "{\"account\":1,\"cents\":\"many\"}", "22P02"},
        {"x-4", "{\"account\":1}", "23502"},
        {"x-5", "{\"account\":1,\"cents\":\"1\\u00002\"}", "22021"},
    };
    const size_t count = sizeof bad / sizeof bad[0];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "g-%zu", i);
        pay(key, 1, 10);
        publish(bad[i][0], bad[i][1]);
    }
    pay("g-last", 1, 10);
    struct bridge *bridge = start(plain);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(rabbitmq_take(client, "aside"), bad[i][1]);
        assert_string_equal(rabbitmq_header(client, "x-idem-sqlstate"), bad[i][2]);
        assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "refused");
    }
    postgres_await(&server, COUNT, (long long)count + 1);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, SUM), 10 * ((int)count + 1));
    assert_int_equal(postgres_number(&server, INBOX), (int)count + 1);
}

static void what_was_refused_is_new_when_it_can_be_done(void **state) {
    (void)state;
    struct bridge *bridge = start(plain);
    pay("a", 77, 3);
    assert_string_equal(rabbitmq_take(client, "aside"), "{\"account\":77,\"cents\":3}");
    postgres_do(&server, "INSERT INTO account VALUES (77, 0)");
    pay("a", 77, 3);
    postgres_await(&server, SUM, 3);
    end_well(bridge);
}

/* A constraint that waits for the commit names no statement by itself. */
static void a_deferred_constraint_finds_its_message(void **state) {
    (void)state;
    postgres_do(&server,
                "ALTER TABLE ledger ADD UNIQUE (body) DEFERRABLE INITIALLY DEFERRED");
    pay("a", 1, 1);
    pay("b", 1, 2);
    pay("c", 1, 1); /* another key, the same body */
    pay("d", 1, 3);
    struct bridge *bridge = start(plain);
    postgres_await(&server, COUNT, 3);
    assert_string_equal(rabbitmq_take(client, "aside"), "{\"account\":1,\"cents\":1}");
    assert_string_equal(rabbitmq_header(client, "x-idem-sqlstate"), "23505");
    assert_string_equal(rabbitmq_header(client, "idempotency-key"), "c");
    end_well(bridge);
}

static void order_is_kept(void **state) {
    (void)state;
    pay_many(700);
    struct bridge *bridge = start(plain);
    postgres_await(&server, COUNT, 700);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, "SELECT count(*) FROM (SELECT cents, "
                                              "row_number() OVER (ORDER BY number) AS at "
                                              "FROM ledger) AS l WHERE cents <> at"),
                     0);
}

static void messages_without_a_key_are_executed_each_time(void **state) {
    (void)state;
    struct bridge *bridge = start(plain);
    pay(NULL, 1, 5);
    pay("a", 1, 5);
    pay(NULL, 1, 5);
    postgres_await(&server, COUNT, 3);
    end_well(bridge);
    assert_int_equal(
        postgres_number(&server, "SELECT count(*) FROM ledger WHERE key IS NULL"), 2);
    assert_int_equal(postgres_number(&server, INBOX), 1);
}

static void a_restarted_postgresql_loses_and_doubles_nothing(void **state) {
    (void)state;
    pay_many(300);
    struct bridge *bridge = start(plain);
    bridge_await(bridge, "link.up: sink", 1);
    postgres_kill(&server);
    bridge_await(bridge, "link.lost: sink", 1);
    postgres_start(&server);
    pay_many(400); /* three quarters of them copies */
    postgres_await(&server, COUNT, 400);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, SUM), 400 * 401 / 2);
}

static void a_killed_bridge_doubts_nothing(void **state) {
    (void)state;
    pay_many(600);
    struct bridge *bridge = start(plain);
    for (int i = 0; i < 3; i++) {
        bridge_await(bridge, "link.up: source", (unsigned)i + 1);
        bridge_kill(bridge);
        bridge_restart(bridge);
    }
    postgres_await(&server, COUNT, 600);
    bridge_await(bridge, "link.up: source", 4);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, SUM), 600 * 601 / 2);
    assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 0);
}

/* Another session holds the row that the bridge wants, and wants the one that the bridge has by then. */
static void a_deadlock_is_tried_again(void **state) {
    static const char config[] =
        ENDS "  sink:\n"
             "    url: '@URL@'\n"
             "    statement: 'UPDATE account SET cents = cents + $2 WHERE id = $1'\n"
             "    parameters: ['json:/account', 'json:/cents']\n" RULE;
    (void)state;
    PGconn *other = postgres_connect(&server);
    PQclear(PQexec(other, "SET deadlock_timeout = '1h'")); /* the bridge is the victim */
    PQclear(PQexec(other, "BEGIN; UPDATE account SET cents = cents + 1000 WHERE id = 2"));
    pay("a", 1, 1);
    pay("b", 2, 2);
    struct bridge *bridge = start(config);
    postgres_await(&server,
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                   1);
    PQclear(PQexec(other, "UPDATE account SET cents = cents + 1000 WHERE id = 1"));
    bridge_await(bridge, "SQLSTATE 40P01", 1);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    postgres_await(&server, "SELECT sum(cents) FROM account", 2003);
    end_well(bridge);
}

static void a_serialization_failure_is_tried_again(void **state) {
    static const char config[] =
        ENDS "  sink:\n"
             "    url: '@URL@?options=-cdefault_transaction_isolation%3Dserializable'\n"
             "    statement: 'UPDATE account SET cents = cents + $2 WHERE id = $1'\n"
             "    parameters: ['json:/account', 'json:/cents']\n" RULE;
    (void)state;
    PGconn *other = postgres_connect(&server);
    PQclear(PQexec(other, "BEGIN; UPDATE account SET cents = cents + 1000 WHERE id = 2"));
    pay("a", 1, 1);
    pay("b", 2, 2);
    struct bridge *bridge = start(config);
    postgres_await(&server,
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                   1);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    bridge_await(bridge, "SQLSTATE 40001", 1);
    postgres_await(&server, "SELECT sum(cents) FROM account", 1003);
    end_well(bridge);
}

static void a_table_that_is_gone_sets_nothing_aside(void **state) {
    (void)state;
    struct bridge *bridge = start(plain);
    bridge_await(bridge, "link.up: source", 1);
    postgres_do(&server, "ALTER TABLE ledger RENAME TO elsewhere");
    pay("a", 1, 5);
    bridge_await(bridge, "SQLSTATE 42P01", 2);
    postgres_do(&server, "ALTER TABLE elsewhere RENAME TO ledger");
    postgres_await(&server, COUNT, 1);
    end_well(bridge);
    assert_int_equal(rabbitmq_depth(client, "aside"), 0);
}

static void expired_keys_are_new_again_and_are_purged(void **state) {
    static const char config[] = ENDS SINK("") RULE "    ttl: 400ms\n    lease: 100ms\n";
    (void)state;
    struct bridge *bridge = start(config);
    pay("a", 1, 5);
    postgres_await(&server, COUNT, 1);
    postgres_await(&server, "SELECT count(*) FROM idem_inbox WHERE expires <= now()", 1);
    pay("a", 1, 5);
    postgres_await(&server, COUNT, 2);
    postgres_do(&server,
                "INSERT INTO idem_inbox SELECT decode(md5(i::text), 'hex'), NULL, "
                "now(), now() FROM generate_series(1, 5000) AS i");
    bridge_stop(bridge, EXIT_SUCCESS);
    bridge_restart(bridge);
    postgres_await(&server, INBOX " WHERE fingerprint IS NULL", 0);
    end_well(bridge);
}

static void the_inbox_may_be_partitioned_and_anywhere(void **state) {
    static const char config[] =
        ENDS SINK("    inbox: ledgers.order\n    batch: 7\n") RULE;
    (void)state;
    postgres_do(
        &server,
        "DROP SCHEMA IF EXISTS ledgers CASCADE; CREATE SCHEMA ledgers;"
        "CREATE TABLE ledgers.order (digest bytea PRIMARY KEY, fingerprint bytea, "
        "first_seen timestamptz NOT NULL, expires timestamptz NOT NULL) "
        "PARTITION BY HASH (digest);"
        "CREATE TABLE ledgers.o0 PARTITION OF ledgers.order FOR VALUES WITH "
        "(MODULUS 2, REMAINDER 0);"
        "CREATE TABLE ledgers.o1 PARTITION OF ledgers.order FOR VALUES WITH "
        "(MODULUS 2, REMAINDER 1)");
    pay_many(50);
    pay_many(50);
    struct bridge *bridge = start(config);
    postgres_await(&server, COUNT, 50);
    end_well(bridge);
    assert_true(postgres_number(&server, "SELECT count(*) FROM ledgers.o0") > 5);
    assert_true(postgres_number(&server, "SELECT count(*) FROM ledgers.o1") > 5);
}

static void two_bridges_share_the_table(void **state) {
    (void)state;
    struct bridge *bridge = start(plain);
    bridge_await(bridge, "link.up: source", 1);
    struct bridge *other = start(plain);
    bridge_await(other, "link.up: source", 1);
    for (int i = 0; i < 3; i++) {
        pay_many(200);
    }
    postgres_await(&server, COUNT, 200);
    rabbitmq_wait_depth(client, "in", 0);
    bridge_stop(bridge, EXIT_SUCCESS);
    bridge_stop(other, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
    assert_int_equal(postgres_number(&server, SUM), 200 * 201 / 2);
}

static void every_kind_of_parameter_arrives(void **state) {
    static const char config[] = ENDS "  sink:\n"
                                      "    url: '@URL@'\n"
                                      "    statement: 'INSERT INTO everything VALUES "
                                      "($1, $2, $3, $4, $5, $6, $7, $8, $9)'\n"
                                      "    parameters: [key, digest, digest, payload, "
                                      "payload, message-id, routing-key, "
                                      "'json:/quoted', 'text:fixed']\n" RULE;
    (void)state;
    postgres_do(&server,
                "DROP TABLE IF EXISTS everything;"
                "CREATE TABLE everything (key text, digest bytea, hex text, raw bytea, "
                "body jsonb, id uuid, routing varchar(20), quoted text, fixed text)");
    struct rabbitmq_message message = {.routing_key = "in",
                                       .body = "{\"quoted\": \"a\\n\\u00e4\"}",
                                       .key = "k",
                                       .message_id =
                                           "123e4567-e89b-12d3-a456-426614174000"};
    rabbitmq_publish(client, &message);
    struct bridge *bridge = start(config);
    postgres_await(&server, "SELECT count(*) FROM everything", 1);
    assert_int_equal(
        postgres_number(
            &server,
            "SELECT count(*) FROM everything WHERE key = 'k' AND length(digest) = 16 AND "
            "hex = encode(digest, 'hex') AND convert_from(raw, 'UTF8')::jsonb = body AND "
            "body->>'quoted' = quoted AND id = '123e4567-e89b-12d3-a456-426614174000' "
            "AND "
            "routing = 'in' AND quoted = E'a\\n\\u00e4' AND fixed = 'fixed'"),
        1);
    end_well(bridge);
}

static void refused_at_start(const char *config, const char *says) {
    struct bridge *bridge;
    char *text = with_url(config);
    assert_int_not_equal(bridge_run(&bridge, text, NULL), 0);
    if (bridge_logged(bridge, says) != 1) {
        char *log = bridge_log(bridge);
        fail_msg("not said: %s\n%s", says, log);
    }
    free(text);
}

static void what_the_server_refuses_is_an_error_at_start(void **state) {
    (void)state;
    refused_at_start(
        ENDS "  sink: {url: '@URL@', statement: 'INSERT INTO nowhere VALUES (1)'}\n" RULE,
        "bridge.sink.statement: SQLSTATE 42P01");
    refused_at_start(
        "bridge:\n  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
        "  sink: {url: '@URL@', statement: 'SELECT 1', inbox: nowhere}\n" RULE,
        "bridge.sink.inbox: SQLSTATE 42P01");
    refused_at_start(ENDS "  sink: {url: '@URL@x', statement: 'SELECT 1'}\n" RULE,
                     "3D000");
}

static void a_password_comes_from_the_environment(void **state) {
    static const char config[] =
        ENDS "  sink: {url: '@URL@', user_env: SINK_USER, password_env: SINK_PASSWORD, "
             "statement: 'SELECT 1'}\n" RULE;
    (void)state;
    postgres_do(&server, "GRANT CREATE ON SCHEMA public TO guarded");
    assert_int_equal(setenv("SINK_USER", "guarded", 1), 0);
    assert_int_equal(setenv("SINK_PASSWORD", "wrong", 1), 0);
    refused_at_start(config, "28P01");
    assert_int_equal(setenv("SINK_PASSWORD", "let me in", 1), 0);
    struct bridge *bridge = start(config);
    bridge_await(bridge, "link.up: source", 1);
    assert_int_equal(bridge_logged(bridge, "let me in"), 0);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void a_database_that_is_not_there_yet_is_waited_for(void **state) {
    (void)state;
    pay("a", 1, 5);
    postgres_stop(&server);
    struct bridge *bridge = start(plain);
    bridge_await(bridge, "link.unreached: sink", 1);
    postgres_start(&server);
    postgres_await(&server, COUNT, 1);
    end_well(bridge);
}

static void a_lost_source_has_no_second_effect(void **state) {
    (void)state;
    struct bridge *bridge = start(plain);
    bridge_await(bridge, "link.up: source", 1);
    pay_many(200);
    rabbitmq_disconnect(client);
    rabbitmq_kill();
    rabbitmq_start_again();
    client = rabbitmq_connect();
    pay_many(200);
    postgres_await(&server, COUNT, 200);
    bridge_await(bridge, "link.up: source", 2);
    rabbitmq_wait_depth(client, "in", 0);
    end_well(bridge);
    assert_int_equal(postgres_number(&server, SUM), 200 * 201 / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(duplicates_have_one_effect_and_are_acknowledged),
        TEST(a_conflict_goes_to_the_quarantine),
        TEST(bad_messages_are_set_aside_and_harm_nobody),
        TEST(what_was_refused_is_new_when_it_can_be_done),
        TEST(a_deferred_constraint_finds_its_message),
        TEST(order_is_kept),
        TEST(messages_without_a_key_are_executed_each_time),
        TEST(a_restarted_postgresql_loses_and_doubles_nothing),
        TEST(a_killed_bridge_doubts_nothing),
        TEST(a_deadlock_is_tried_again),
        TEST(a_serialization_failure_is_tried_again),
        TEST(a_table_that_is_gone_sets_nothing_aside),
        TEST(expired_keys_are_new_again_and_are_purged),
        TEST(the_inbox_may_be_partitioned_and_anywhere),
        TEST(two_bridges_share_the_table),
        TEST(every_kind_of_parameter_arrives),
        TEST(what_the_server_refuses_is_an_error_at_start),
        TEST(a_password_comes_from_the_environment),
        TEST(a_database_that_is_not_there_yet_is_waited_for),
        TEST(a_lost_source_has_no_second_effect),
    };
    int status;
    if (!postgres_installed()) {
        return rabbitmq_missing("PostgreSQL");
    }
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    postgres_start(&server);
    status = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_remove(&server);
    return rabbitmq_done(status);
}
