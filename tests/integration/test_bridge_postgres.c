/* SPDX-License-Identifier: MIT
 * The bridge between a queue of a real RabbitMQ and a real PostgreSQL: record and effect in one transaction. */
#include "payments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void duplicates_have_one_effect_and_are_acknowledged(void **state) {
    (void)state;
    payments_pay("a", 1, 100);
    payments_pay("a", 1, 100);
    payments_pay("b", 2, 5);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    postgres_await(&payments_server, PAYMENTS_COUNT, 2);
    payments_pay("a", 1, 100);
    payments_pay("c", 3, 7);
    postgres_await(&payments_server, PAYMENTS_COUNT, 3);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 112);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_INBOX), 3);
    assert_int_equal(bridge_logged(bridge, "duplicates 2"), 1);
    payments_pay("b", 2, 5);
    payments_pay("d", 4, 1);
    bridge_restart(bridge);
    postgres_await(&payments_server, PAYMENTS_COUNT, 4);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 113);
    assert_int_equal(rabbitmq_depth(payments_client, "aside"), 0);
}

static void a_conflict_goes_to_the_quarantine(void **state) {
    (void)state;
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    payments_pay("a", 1, 100);
    postgres_await(&payments_server, PAYMENTS_COUNT, 1);
    payments_pay("a", 1, 999);
    assert_string_equal(rabbitmq_take(payments_client, "aside"),
                        "{\"account\":1,\"cents\":999}");
    assert_string_equal(rabbitmq_header(payments_client, "x-idem-reason"), "conflict");
    assert_null(rabbitmq_header(payments_client, "x-idem-sqlstate"));
    assert_true(strtoll(rabbitmq_header(payments_client, "x-idem-first-seen"), NULL, 10) >
                1500000000);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 100);
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
        payments_pay(key, 1, 10);
        payments_publish(bad[i][0], bad[i][1]);
    }
    payments_pay("g-last", 1, 10);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(rabbitmq_take(payments_client, "aside"), bad[i][1]);
        assert_string_equal(rabbitmq_header(payments_client, "x-idem-sqlstate"),
                            bad[i][2]);
        assert_string_equal(rabbitmq_header(payments_client, "x-idem-reason"), "refused");
    }
    postgres_await(&payments_server, PAYMENTS_COUNT, (long long)count + 1);
    payments_end(bridge);
    assert_true(bridge_logged(bridge, "sink.refused") >= count);
    assert_int_equal(bridge_logged(bridge, "many"), 0); /* the server's text quotes it */
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM),
                     10 * ((int)count + 1));
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_INBOX), (int)count + 1);
}

static void what_was_refused_is_new_when_it_can_be_done(void **state) {
    (void)state;
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    payments_pay("a", 77, 3);
    assert_string_equal(rabbitmq_take(payments_client, "aside"),
                        "{\"account\":77,\"cents\":3}");
    postgres_do(&payments_server, "INSERT INTO account VALUES (77, 0)");
    payments_pay("a", 77, 3);
    postgres_await(&payments_server, PAYMENTS_SUM, 3);
    payments_end(bridge);
}

/* A constraint that waits for the commit names no statement by itself. */
static void a_deferred_constraint_finds_its_message(void **state) {
    (void)state;
    postgres_do(&payments_server,
                "ALTER TABLE ledger ADD UNIQUE (body) DEFERRABLE INITIALLY DEFERRED");
    payments_pay("a", 1, 1);
    payments_pay("b", 1, 2);
    payments_pay("c", 1, 1); /* another key, the same body */
    payments_pay("d", 1, 3);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    postgres_await(&payments_server, PAYMENTS_COUNT, 3);
    assert_string_equal(rabbitmq_take(payments_client, "aside"),
                        "{\"account\":1,\"cents\":1}");
    assert_string_equal(rabbitmq_header(payments_client, "x-idem-sqlstate"), "23505");
    assert_string_equal(rabbitmq_header(payments_client, "idempotency-key"), "c");
    payments_end(bridge);
}

static void order_is_kept(void **state) {
    (void)state;
    payments_pay_many(700);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    postgres_await(&payments_server, PAYMENTS_COUNT, 700);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server,
                                     "SELECT count(*) FROM (SELECT cents, "
                                     "row_number() OVER (ORDER BY number) AS at "
                                     "FROM ledger) AS l WHERE cents <> at"),
                     0);
}

static void messages_without_a_key_are_executed_each_time(void **state) {
    (void)state;
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    payments_pay(NULL, 1, 5);
    payments_pay("a", 1, 5);
    payments_pay(NULL, 1, 5);
    postgres_await(&payments_server, PAYMENTS_COUNT, 3);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server,
                                     "SELECT count(*) FROM ledger WHERE key IS NULL"),
                     2);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_INBOX), 1);
}

static void expired_keys_are_new_again_and_are_purged(void **state) {
    static const char config[] = PAYMENTS_ENDS PAYMENTS_SINK("") PAYMENTS_RULE
        "    ttl: 400ms\n    lease: 100ms\n";
    (void)state;
    struct bridge *bridge = payments_start(config);
    payments_pay("a", 1, 5);
    postgres_await(&payments_server, PAYMENTS_COUNT, 1);
    postgres_await(&payments_server,
                   "SELECT count(*) FROM idem_inbox WHERE expires <= now()", 1);
    payments_pay("a", 1, 5);
    postgres_await(&payments_server, PAYMENTS_COUNT, 2);
    postgres_do(&payments_server,
                "INSERT INTO idem_inbox SELECT decode(md5(i::text), 'hex'), NULL, "
                "now(), now() FROM generate_series(1, 5000) AS i");
    bridge_stop(bridge, EXIT_SUCCESS);
    bridge_restart(bridge);
    postgres_await(&payments_server, PAYMENTS_INBOX " WHERE fingerprint IS NULL", 0);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void the_inbox_may_be_partitioned_and_anywhere(void **state) {
    static const char config[] =
        PAYMENTS_ENDS PAYMENTS_SINK("    inbox: ledgers.order\n    batch: 7\n")
            PAYMENTS_RULE;
    (void)state;
    postgres_do(
        &payments_server,
        "DROP SCHEMA IF EXISTS ledgers CASCADE; CREATE SCHEMA ledgers;"
        "CREATE TABLE ledgers.order (digest bytea PRIMARY KEY, fingerprint bytea, "
        "first_seen timestamptz NOT NULL, expires timestamptz NOT NULL) "
        "PARTITION BY HASH (digest);"
        "CREATE TABLE ledgers.o0 PARTITION OF ledgers.order FOR VALUES WITH "
        "(MODULUS 2, REMAINDER 0);"
        "CREATE TABLE ledgers.o1 PARTITION OF ledgers.order FOR VALUES WITH "
        "(MODULUS 2, REMAINDER 1)");
    payments_pay_many(50);
    payments_pay_many(50);
    struct bridge *bridge = payments_start(config);
    postgres_await(&payments_server, PAYMENTS_COUNT, 50);
    payments_end(bridge);
    assert_true(postgres_number(&payments_server, "SELECT count(*) FROM ledgers.o0") > 5);
    assert_true(postgres_number(&payments_server, "SELECT count(*) FROM ledgers.o1") > 5);
}

static void every_kind_of_parameter_arrives(void **state) {
    static const char config[] =
        PAYMENTS_ENDS "  sink:\n"
                      "    url: '@URL@'\n"
                      "    statement: 'INSERT INTO everything VALUES "
                      "($1, $2, $3, $4, $5, $6, $7, $8, $9)'\n"
                      "    parameters: [key, digest, digest, payload, "
                      "payload, message-id, routing-key, "
                      "'json:/quoted', 'text:fixed']\n" PAYMENTS_RULE;
    (void)state;
    postgres_do(&payments_server,
                "DROP TABLE IF EXISTS everything;"
                "CREATE TABLE everything (key text, digest bytea, hex text, raw bytea, "
                "body jsonb, id uuid, routing varchar(20), quoted text, fixed text)");
    struct rabbitmq_message message = {.routing_key = "in",
                                       .body = "{\"quoted\": \"a\\n\\u00e4\"}",
                                       .key = "k",
                                       .message_id =
                                           "123e4567-e89b-12d3-a456-426614174000"};
    rabbitmq_publish(payments_client, &message);
    struct bridge *bridge = payments_start(config);
    postgres_await(&payments_server, "SELECT count(*) FROM everything", 1);
    assert_int_equal(
        postgres_number(
            &payments_server,
            "SELECT count(*) FROM everything WHERE key = 'k' AND length(digest) = 16 AND "
            "hex = encode(digest, 'hex') AND convert_from(raw, 'UTF8')::jsonb = body AND "
            "body->>'quoted' = quoted AND id = '123e4567-e89b-12d3-a456-426614174000' "
            "AND "
            "routing = 'in' AND quoted = E'a\\n\\u00e4' AND fixed = 'fixed'"),
        1);
    payments_end(bridge);
}

#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, payments_set_up, payments_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(duplicates_have_one_effect_and_are_acknowledged),
        TEST(a_conflict_goes_to_the_quarantine),
        TEST(bad_messages_are_set_aside_and_harm_nobody),
        TEST(what_was_refused_is_new_when_it_can_be_done),
        TEST(a_deferred_constraint_finds_its_message),
        TEST(order_is_kept),
        TEST(messages_without_a_key_are_executed_each_time),
        TEST(expired_keys_are_new_again_and_are_purged),
        TEST(the_inbox_may_be_partitioned_and_anywhere),
        TEST(every_kind_of_parameter_arrives),
    };
    int status;
    if (payments_cannot_run(&status)) {
        return status;
    }
    status = cmocka_run_group_tests(tests, NULL, NULL);
    return payments_done(status);
}
