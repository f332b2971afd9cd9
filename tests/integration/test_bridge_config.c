/* SPDX-License-Identifier: MIT
 * What the bridge refuses to start with, and what it says then. */
#include "bridge.h"
#include "rabbitmq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE  "instance: one\nstore: {url: 'memory:'}\n"
#define SOURCE "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
#define SINK   "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"
#define RULE   "rules:\n  - name: r\n    match: {queue: in}\n    key: message-id\n"

static struct rabbitmq *client;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

static void expect(const char *config, const char *argument, int status,
                   const char *text) {
    (void)bridge_run_expecting(config, argument, status, text);
}

static void a_good_configuration_passes_the_check(void **state) {
    (void)state;
    expect(STORE "bridge:\n" SOURCE SINK RULE, "--check", 0, "idem.yaml: ok");
}

static void what_is_missing_is_named(void **state) {
    (void)state;
    expect(STORE RULE, "--check", 2, "bridge: is missing");
    expect(STORE "bridge:\n" SOURCE RULE, "--check", 2, "sink");
}

static void unknown_keys_are_refused(void **state) {
    (void)state;
    expect(STORE "bridge:\n" SOURCE SINK "  colour: blue\n" RULE, NULL, 2, "colour");
}

static void several_workers_need_a_shared_store(void **state) {
    (void)state;
    expect(STORE "bridge:\n" SOURCE SINK "  workers: 2\n" RULE, "--check", 2,
           "use workers: 1");
}

static void results_are_replayed_in_mode_rpc_only(void **state) {
    (void)state;
    expect(STORE "bridge:\n" SOURCE SINK RULE "    on_duplicate: replay\n", "--check", 2,
           "in bridge.mode: rpc only");
    expect(STORE "bridge:\n" SOURCE SINK "  mode: rpc\n  replies: r\n" RULE
                 "    on_duplicate: replay\n",
           "--check", 0, ": ok");
}

static void check_database(const char *more, int status, const char *says) {
    char config[1024];
    (void)snprintf(config, sizeof config,
                   "bridge:\n" SOURCE "  workers: 3\n  sink:\n%s" RULE, more);
    expect(config, "--check", status, says);
}

static void a_database_is_checked_without_connecting(void **state) {
    static const char good[] = "    url: 'postgresql://u:pass@h/d'\n"
                               "    statement: 'SELECT $1, ''$9'', \"$8\" -- $7'\n"
                               "    parameters: [key]\n";
    (void)state;
    check_database(good, 0, ": ok");
    check_database("    url: 'postgresql://u:pass@h/d'\n    statement: 'SELECT $1, $2'\n"
                   "    parameters: [key]\n",
                   2, "it has 2 parameters ($1 to $2), but parameters lists 1");
    check_database(
        "    url: 'postgresql://u:pass@h/d?sslmod=x'\n    statement: SELECT 1\n", 2,
        "sslmode=verify-full");
    check_database("    url: 'postgresql://h/d'\n    statement: SELECT 1\n"
                   "    inbox: 'a b'\n",
                   2, "write NAME or SCHEMA.NAME");
    check_database("    url: 'postgresql://h/d'\n    statement: SELECT 1\n"
                   "    ca_file: /etc/ca.pem\n",
                   2, "sslrootcert=");
    check_database("    url: 'postgresql://h/d'\n    statement: SELECT 1\n"
                   "    password_env: IDEM_TEST_NOT_SET\n",
                   2, "IDEM_TEST_NOT_SET");
}

static void a_malformed_url_is_refused(void **state) {
    (void)state;
    expect(STORE "bridge:\n  source: {url: 'amqp://u:pass@h:x/', queue: in}\n" SINK RULE,
           "--check", 2, "bridge.source: the URL is malformed");
}

static void a_queue_that_is_not_there_is_an_error_at_start(void **state) {
    (void)state;
    rabbitmq_delete_queue(client, "in");
    expect(STORE "bridge:\n" SOURCE SINK RULE, NULL, 1, "no queue 'in'");
}

static void an_exchange_that_is_not_there_is_an_error_at_start(void **state) {
    (void)state;
    expect(STORE "bridge:\n" SOURCE
                 "  sink: {url: 'amqp://127.0.0.1:@PORT@', exchange: nowhere}\n" RULE,
           NULL, 1, "no exchange 'nowhere'");
    expect(STORE "bridge:\n" SOURCE SINK "  quarantine: {exchange: nowhere}\n" RULE, NULL,
           1, "looking for the exchange nowhere");
}

static void a_wrong_password_is_an_error_at_start(void **state) {
    (void)state;
    expect(
        STORE
        "bridge:\n"
        "  source: {url: 'amqp://guest:wrong@127.0.0.1:@PORT@', queue: in}\n" SINK RULE,
        NULL, 1, "ACCESS_REFUSED");
}

static void a_store_that_is_in_use_is_an_error_at_start(void **state) {
    static const char config[] =
        "instance: one\nstore: {url: 'embedded://@DIR@/store'}\nbridge:\n" SOURCE SINK;
    (void)state;
    struct bridge *bridge = bridge_start(config, 0);
    bridge_await(bridge, "bridge.started", 1);
    assert_int_equal(bridge_run_again(bridge), 1);
    bridge_await(bridge, "in use", 1);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void declare_makes_what_is_not_there(void **state) {
    struct rabbitmq_message message = {.routing_key = "in", .body = "nameless"};
    (void)state;
    rabbitmq_delete_queue(client, "in");
    rabbitmq_delete_queue(client, "aside");
    rabbitmq_delete_exchange(client, "aside");
    rabbitmq_delete_exchange(client, "events");
    struct bridge *bridge =
        bridge_start(STORE "bridge:\n" SOURCE
                           "  sink: {url: 'amqp://127.0.0.1:@PORT@', exchange: events}\n"
                           "  quarantine: {exchange: aside}\n  declare: true\n" RULE
                           "    on_missing_key: quarantine\n",
                     0);
    bridge_await(bridge, "bridge.started", 1);
    rabbitmq_publish(client, &message);
    assert_string_equal(rabbitmq_take(client, "aside"), "nameless");
    bridge_stop(bridge, EXIT_SUCCESS);
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_good_configuration_passes_the_check),
        TEST(what_is_missing_is_named),
        TEST(unknown_keys_are_refused),
        TEST(several_workers_need_a_shared_store),
        TEST(results_are_replayed_in_mode_rpc_only),
        TEST(a_database_is_checked_without_connecting),
        TEST(a_malformed_url_is_refused),
        TEST(a_queue_that_is_not_there_is_an_error_at_start),
        TEST(an_exchange_that_is_not_there_is_an_error_at_start),
        TEST(a_wrong_password_is_an_error_at_start),
        TEST(a_store_that_is_in_use_is_an_error_at_start),
        TEST(declare_makes_what_is_not_there),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
