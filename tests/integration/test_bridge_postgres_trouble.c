/* SPDX-License-Identifier: MIT
 * The bridge and a PostgreSQL that refuses, collides, restarts or is not there. */
#include "payments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_restarted_postgresql_loses_and_doubles_nothing(void **state) {
    (void)state;
    payments_pay_many(300);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    bridge_await(bridge, "link.up: sink", 1);
    postgres_kill(&payments_server);
    bridge_await(bridge, "link.lost: sink", 1);
    postgres_start(&payments_server);
    payments_pay_many(400); /* three quarters of them copies */
    postgres_await(&payments_server, PAYMENTS_COUNT, 400);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 400 * 401 / 2);
}

static void a_killed_bridge_doubts_nothing(void **state) {
    (void)state;
    payments_pay_many(600);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    for (int i = 0; i < 3; i++) {
        bridge_await(bridge, "link.up: source", (unsigned)i + 1);
        bridge_kill(bridge);
        bridge_restart(bridge);
    }
    postgres_await(&payments_server, PAYMENTS_COUNT, 600);
    bridge_await(bridge, "link.up: source", 4);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 600 * 601 / 2);
    assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 0);
}

/* Another session holds the row that the bridge wants, and wants the one that the bridge has by then. */
static void a_deadlock_is_tried_again(void **state) {
    static const char config[] = PAYMENTS_ENDS
        "  sink:\n"
        "    url: '@URL@'\n"
        "    statement: 'UPDATE account SET cents = cents + $2 WHERE id = $1'\n"
        "    parameters: ['json:/account', 'json:/cents']\n" PAYMENTS_RULE;
    (void)state;
    PGconn *other = postgres_connect(&payments_server);
    PQclear(PQexec(other, "SET deadlock_timeout = '1h'")); /* the bridge is the victim */
    PQclear(PQexec(other, "BEGIN; UPDATE account SET cents = cents + 1000 WHERE id = 2"));
    payments_pay("a", 1, 1);
    payments_pay("b", 2, 2);
    struct bridge *bridge = payments_start(config);
    postgres_await(&payments_server,
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                   1);
    PQclear(PQexec(other, "UPDATE account SET cents = cents + 1000 WHERE id = 1"));
    bridge_await(bridge, "SQLSTATE 40P01", 1);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    postgres_await(&payments_server, "SELECT sum(cents) FROM account", 2003);
    payments_end(bridge);
}

static void a_serialization_failure_is_tried_again(void **state) {
    static const char config[] = PAYMENTS_ENDS
        "  sink:\n"
        "    url: '@URL@?options=-cdefault_transaction_isolation%3Dserializable'\n"
        "    statement: 'UPDATE account SET cents = cents + $2 WHERE id = $1'\n"
        "    parameters: ['json:/account', 'json:/cents']\n" PAYMENTS_RULE;
    (void)state;
    PGconn *other = postgres_connect(&payments_server);
    PQclear(PQexec(other, "BEGIN; UPDATE account SET cents = cents + 1000 WHERE id = 2"));
    payments_pay("a", 1, 1);
    payments_pay("b", 2, 2);
    struct bridge *bridge = payments_start(config);
    postgres_await(&payments_server,
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                   1);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    bridge_await(bridge, "SQLSTATE 40001", 1);
    postgres_await(&payments_server, "SELECT sum(cents) FROM account", 1003);
    payments_end(bridge);
}

static void a_table_that_is_gone_sets_nothing_aside(void **state) {
    (void)state;
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    bridge_await(bridge, "link.up: source", 1);
    postgres_do(&payments_server, "ALTER TABLE ledger RENAME TO elsewhere");
    payments_pay("a", 1, 5);
    bridge_await(bridge, "SQLSTATE 42P01", 2);
    postgres_do(&payments_server, "ALTER TABLE elsewhere RENAME TO ledger");
    postgres_await(&payments_server, PAYMENTS_COUNT, 1);
    payments_end(bridge);
    assert_int_equal(rabbitmq_depth(payments_client, "aside"), 0);
}

static void two_bridges_share_the_table(void **state) {
    (void)state;
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    bridge_await(bridge, "link.up: source", 1);
    struct bridge *other = payments_start(PAYMENTS_PLAIN);
    bridge_await(other, "link.up: source", 1);
    for (int i = 0; i < 3; i++) {
        payments_pay_many(200);
    }
    postgres_await(&payments_server, PAYMENTS_COUNT, 200);
    rabbitmq_wait_depth(payments_client, "in", 0);
    bridge_stop(bridge, EXIT_SUCCESS);
    bridge_stop(other, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(payments_client, "in"), 0);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 200 * 201 / 2);
}

static void what_the_server_refuses_is_an_error_at_start(void **state) {
    (void)state;
    payments_refused(PAYMENTS_ENDS "  sink: {url: '@URL@', statement: 'INSERT INTO "
                                   "nowhere VALUES (1)'}\n" PAYMENTS_RULE,
                     "bridge.sink.statement: SQLSTATE 42P01");
    payments_refused(
        "bridge:\n  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
        "  sink: {url: '@URL@', statement: 'SELECT 1', inbox: nowhere}\n" PAYMENTS_RULE,
        "bridge.sink.inbox: SQLSTATE 42P01");
    payments_refused(PAYMENTS_ENDS
                     "  sink: {url: '@URL@x', statement: 'SELECT 1'}\n" PAYMENTS_RULE,
                     "3D000");
}

static void a_password_comes_from_the_environment(void **state) {
    static const char config[] = PAYMENTS_ENDS
        "  sink: {url: '@URL@', user_env: SINK_USER, password_env: SINK_PASSWORD, "
        "statement: 'SELECT 1'}\n" PAYMENTS_RULE;
    (void)state;
    postgres_do(&payments_server, "GRANT CREATE ON SCHEMA public TO guarded");
    assert_int_equal(setenv("SINK_USER", "guarded", 1), 0);
    assert_int_equal(setenv("SINK_PASSWORD", "wrong", 1), 0);
    payments_refused(config, "28P01");
    assert_int_equal(setenv("SINK_PASSWORD", "let me in", 1), 0);
    struct bridge *bridge = payments_start(config);
    bridge_await(bridge, "link.up: source", 1);
    assert_int_equal(bridge_logged(bridge, "let me in"), 0);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void a_database_that_is_not_there_yet_is_waited_for(void **state) {
    (void)state;
    payments_pay("a", 1, 5);
    postgres_stop(&payments_server);
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    bridge_await(bridge, "link.unreached: sink", 1);
    postgres_start(&payments_server);
    postgres_await(&payments_server, PAYMENTS_COUNT, 1);
    payments_end(bridge);
}

static void a_lost_source_has_no_second_effect(void **state) {
    (void)state;
    struct bridge *bridge = payments_start(PAYMENTS_PLAIN);
    bridge_await(bridge, "link.up: source", 1);
    payments_pay_many(200);
    rabbitmq_disconnect(payments_client);
    rabbitmq_kill();
    rabbitmq_start_again();
    payments_client = rabbitmq_connect();
    payments_pay_many(200);
    postgres_await(&payments_server, PAYMENTS_COUNT, 200);
    bridge_await(bridge, "link.up: source", 2);
    rabbitmq_wait_depth(payments_client, "in", 0);
    payments_end(bridge);
    assert_int_equal(postgres_number(&payments_server, PAYMENTS_SUM), 200 * 201 / 2);
}

#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, payments_set_up, payments_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_restarted_postgresql_loses_and_doubles_nothing),
        TEST(a_killed_bridge_doubts_nothing),
        TEST(a_deadlock_is_tried_again),
        TEST(a_serialization_failure_is_tried_again),
        TEST(a_table_that_is_gone_sets_nothing_aside),
        TEST(two_bridges_share_the_table),
        TEST(what_the_server_refuses_is_an_error_at_start),
        TEST(a_password_comes_from_the_environment),
        TEST(a_database_that_is_not_there_yet_is_waited_for),
        TEST(a_lost_source_has_no_second_effect),
    };
    int status;
    if (payments_cannot_run(&status)) {
        return status;
    }
    status = cmocka_run_group_tests(tests, NULL, NULL);
    return payments_done(status);
}
