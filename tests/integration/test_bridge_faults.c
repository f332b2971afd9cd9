/* SPDX-License-Identifier: MIT
 * The bridge killed, cut off and stopped in the middle of traffic: nothing missing, and nothing twice that
 * was not in doubt. */
#include "bridge.h"
#include "proxy.h"
#include "rabbitmq_tally.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE "instance: one\nstore: {url: 'embedded://@DIR@/store'}\n"
#define RULE                                                                             \
    "rules:\n"                                                                           \
    "  - name: orders\n"                                                                 \
    "    match: {queue: in}\n"                                                           \
    "    key: property:idempotency-key\n"                                                \
    "    scope: global\n"                                                                \
    "    lease: 2s\n"

static struct rabbitmq *client;
static char config[2048]; /* with RabbitMQ's own port where @PORT@ is the proxy's */

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

/* Which ends go through the proxy. */
static const char *configure(bool source, bool sink, const char *more) {
    char direct[16];
    (void)snprintf(direct, sizeof direct, "%u", rabbitmq_port());
    (void)snprintf(config, sizeof config,
                   STORE
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:%s', queue: in, prefetch: 200}\n"
                   "  sink: {url: 'amqp://127.0.0.1:%s', routing_key: out}\n%s" RULE,
                   source ? "@PORT@" : direct, sink ? "@PORT@" : direct, more);
    return config;
}

static void killed_again_and_again_it_loses_nothing(void **state) {
    const unsigned messages = 6000;
    (void)state;
    tally_publish(client, "in", messages);
    struct bridge *bridge = bridge_start(configure(false, false, ""), 0);
    for (unsigned i = 1; i <= 8; i++) {
        rabbitmq_wait_more(client, "out", 100);
        bridge_kill(bridge);
        bridge_restart(bridge);
    }
    bridge_run_until_through(bridge, client, "in");
    tally_check(client, "out", messages, bridge_logged(bridge, "copy.in_doubt"));
}

static void cut_again_and_again(bool source, bool sink) {
    const unsigned messages = 6000;
    struct proxy *proxy = proxy_start(rabbitmq_port());
    tally_publish(client, "in", messages);
    struct bridge *bridge = bridge_start(configure(source, sink, ""), proxy_port(proxy));
    for (unsigned i = 1; i <= 5; i++) {
        bridge_await(bridge, source ? "link.up: source" : "link.up: sink", i);
        rabbitmq_wait_more(client, "out", 100);
        proxy_cut(proxy);
    }
    bridge_run_until_through(bridge, client, "in");
    assert_true(proxy_accepted(proxy) > 5);
    tally_check(client, "out", messages, bridge_logged(bridge, "copy.in_doubt"));
    if (!sink) { /* what was published is carried to its end: nothing is in doubt */
        assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 0);
    }
    proxy_stop(proxy);
}

static void losing_the_source_loses_nothing_and_doubts_nothing(void **state) {
    (void)state;
    cut_again_and_again(true, false);
}

static void losing_the_sink_loses_nothing(void **state) {
    (void)state;
    cut_again_and_again(false, true);
}

static void losing_both_loses_nothing(void **state) {
    (void)state;
    cut_again_and_again(true, true);
}

/* A connection that says nothing for too long is given up, by whoever notices first. */
static void a_stall_that_costs_heartbeats_loses_nothing(void **state) {
    const unsigned messages = 6000;
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    rabbitmq_heartbeat(2);
    struct bridge *bridge = bridge_start(configure(true, true, ""), proxy_port(proxy));
    bridge_await(bridge, "link.up: source", 1);
    rabbitmq_heartbeat(60);
    tally_publish(client, "in", messages); /* the last of them are still under way */
    proxy_stall(proxy, true);
    bridge_await(bridge, "heartbeat", 2); /* both ends */
    proxy_stall(proxy, false);
    bridge_run_until_through(bridge, client, "in");
    tally_check(client, "out", messages, bridge_logged(bridge, "copy.in_doubt"));
    proxy_stop(proxy);
}

static void idle_connections_are_kept_by_heartbeats(void **state) {
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    rabbitmq_heartbeat(1);
    struct bridge *bridge = bridge_start(configure(true, true, ""), proxy_port(proxy));
    bridge_await(bridge, "link.up: source", 1);
    rabbitmq_heartbeat(60); /* takes a while, as two lost heartbeats do */
    rabbitmq_heartbeat(60);
    rabbitmq_heartbeat(60);
    rabbitmq_publish_many(client, "in", "m", 10);
    rabbitmq_wait_depth(client, "out", 10);
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_logged(bridge, "link.up"), 2);
    proxy_stop(proxy);
}

static void a_stop_drains_what_is_under_way(void **state) {
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    rabbitmq_publish_many(client, "in", "m", 300);
    proxy_delay(proxy, 100); /* confirms are slow */
    struct bridge *bridge = bridge_start(configure(false, true, ""), proxy_port(proxy));
    rabbitmq_wait_more(client, "out", 1);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in") + rabbitmq_depth(client, "out"), 300);
    assert_int_equal(bridge_logged(bridge, "bridge.deadline"), 0);
    proxy_stop(proxy);
}

static void a_stop_does_not_wait_longer_than_its_deadline(void **state) {
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *bridge =
        bridge_start(configure(false, true, "  drain: 300ms\n"), proxy_port(proxy));
    bridge_await(bridge, "link.up: source", 1);
    proxy_stall(proxy, true);
    rabbitmq_publish_many(client, "in", "m", 100);
    rabbitmq_wait_depth(client, "in", 0); /* the bridge holds them */
    bridge_stop(bridge, EXIT_SUCCESS);
    rabbitmq_wait_depth(client, "in", 100); /* and has given them back */
    assert_int_equal(bridge_logged(bridge, "bridge.deadline"), 1);
    proxy_stop(proxy);
}

static void a_second_sigterm_ends_it_at_once(void **state) {
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *bridge =
        bridge_start(configure(false, true, "  drain: 1h\n"), proxy_port(proxy));
    bridge_await(bridge, "link.up: source", 1);
    proxy_stall(proxy, true);
    rabbitmq_publish_many(client, "in", "m", 10);
    rabbitmq_wait_depth(client, "in", 0);
    bridge_signal(bridge, SIGTERM);
    bridge_await(bridge, "bridge.draining", 1);
    bridge_stop(bridge, EXIT_FAILURE);
    rabbitmq_wait_depth(client, "in", 10);
    proxy_stop(proxy);
}

static void it_waits_for_a_broker_that_is_not_there_yet(void **state) {
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    proxy_refuse(proxy, true);
    rabbitmq_publish_many(client, "in", "m", 10);
    struct bridge *bridge = bridge_start(configure(true, true, ""), proxy_port(proxy));
    bridge_await(bridge, "trying again", 4);
    proxy_refuse(proxy, false);
    rabbitmq_wait_depth(client, "out", 10);
    bridge_run_until_through(bridge, client, "in");
    proxy_stop(proxy);
}

static void a_deleted_queue_is_waited_for(void **state) {
    (void)state;
    struct bridge *bridge = bridge_start(configure(false, false, ""), 0);
    bridge_await(bridge, "link.up: source", 1);
    rabbitmq_delete_queue(client, "in");
    bridge_await(bridge, "cancelled the consumer", 1);
    bridge_await(bridge, "NOT_FOUND", 2);
    rabbitmq_queue(client, "in", NULL);
    rabbitmq_publish_many(client, "in", "m", 10);
    rabbitmq_wait_depth(client, "out", 10);
    bridge_run_until_through(bridge, client, "in");
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(killed_again_and_again_it_loses_nothing),
        TEST(losing_the_source_loses_nothing_and_doubts_nothing),
        TEST(losing_the_sink_loses_nothing),
        TEST(losing_both_loses_nothing),
        TEST(a_stall_that_costs_heartbeats_loses_nothing),
        TEST(idle_connections_are_kept_by_heartbeats),
        TEST(a_stop_drains_what_is_under_way),
        TEST(a_stop_does_not_wait_longer_than_its_deadline),
        TEST(a_second_sigterm_ends_it_at_once),
        TEST(it_waits_for_a_broker_that_is_not_there_yet),
        TEST(a_deleted_queue_is_waited_for),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
