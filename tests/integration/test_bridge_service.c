/* SPDX-License-Identifier: MIT
 * The bridge under a service manager: ready, reloading, stopping, alive; and what its log never holds. */
#include "bridge.h"
#include "manager.h"
#include "proxy.h"
#include "rabbitmq.h"
#include "redis.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE                                                                             \
    "rules:\n"                                                                           \
    "  - name: orders\n"                                                                 \
    "    match: {queue: in}\n"                                                           \
    "    key: [json:/id, property:idempotency-key]\n"                                    \
    "    scope: global\n"
#define CONFIG "store: {url: 'memory:'}\n" ENDS RULE
#define ENDS                                                                             \
    "bridge:\n"                                                                          \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"                            \
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"                       \
    "  quarantine: {exchange: aside}\n"

static struct rabbitmq *client;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    rabbitmq_fanout(client, "aside", "set-aside");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    manager_close();
    return bridge_tidy(state);
}

static void it_says_when_it_is_ready_when_it_reloads_and_when_it_stops(void **state) {
    (void)state;
    manager_open(0);
    struct bridge *bridge = bridge_start(CONFIG, 0);
    manager_expect("READY=1");
    assert_true(bridge_logged(bridge, "link.up") > 0);
    bridge_signal(bridge, SIGHUP);
    manager_expect("RELOADING=1\nMONOTONIC_USEC=");
    manager_expect("READY=1");
    bridge_signal(bridge, SIGTERM);
    manager_expect("STOPPING=1");
    assert_int_equal(bridge_wait(bridge), EXIT_SUCCESS);
}

static void it_is_ready_while_a_broker_is_still_waited_for(void **state) {
    (void)state;
    struct proxy *proxy = proxy_start(rabbitmq_port());
    proxy_refuse(proxy, true);
    manager_open(0);
    struct bridge *bridge = bridge_start(CONFIG, proxy_port(proxy));
    manager_expect("READY=1");
    assert_int_equal(bridge_logged(bridge, "link.up"), 0);
    bridge_stop(bridge, EXIT_SUCCESS);
    proxy_stop(proxy);
}

static void a_start_that_fails_is_never_ready(void **state) {
    struct bridge *bridge = NULL;
    (void)state;
    manager_open(0);
    rabbitmq_delete_queue(client, "in");
    assert_int_equal(bridge_run(&bridge, CONFIG, NULL), EXIT_FAILURE);
    assert_int_equal(manager_count("READY=1"), 0);
}

/* A broker that takes connections and says nothing holds up one worker, for as long as it takes to give it
 * up; a timer of its own would tell the manager a dozen times in that time that all is well. */
static void the_watchdog_is_fed_only_while_every_worker_turns(void **state) {
    (void)state;
    struct proxy *proxy = proxy_start(rabbitmq_port());
    manager_open(900);
    struct bridge *bridge = bridge_start(CONFIG, proxy_port(proxy));
    for (unsigned i = 0; i < 3; i++) {
        manager_expect("WATCHDOG=1"); /* idle, and well */
    }
    proxy_stall(proxy, true);
    proxy_cut(proxy);
    bridge_await(bridge, "link.lost", 1);
    unsigned before = bridge_logged(bridge, "link.unreached");
    (void)manager_count("WATCHDOG=1");
    bridge_await(bridge, "link.unreached", before + 1);
    assert_true(manager_count("WATCHDOG=1") < 6);
    proxy_stall(proxy, false);
    manager_expect("WATCHDOG=1");
    manager_expect("WATCHDOG=1");
    bridge_stop(bridge, EXIT_SUCCESS);
    proxy_stop(proxy);
}

static void publish(const char *body, const char *key) {
    const struct rabbitmq_message message = {
        .routing_key = "in", .body = body, .key = key};
    rabbitmq_publish(client, &message);
}

static void no_line_holds_a_payload_or_a_password(void **state) {
    static const char *const options[] = {"--requirepass", "MARKED-secret", NULL};
    struct redis_server redis = {.dir = ""};
    char text[2048];
    (void)state;
    redis_start(&redis, options);
    (void)snprintf(
        text, sizeof text,
        "store: {url: 'redis://:MARKED-secret@127.0.0.1:%u', deadline: 100ms}\n"
        "log: {level: debug}\n" ENDS RULE,
        redis.port);
    struct bridge *bridge = bridge_start(text, 0);
    publish("{\"id\":1,\"name\":\"MARKED-payload\"}", NULL);
    publish("{\"id\":1,\"name\":\"MARKED-payload\"}", NULL);        /* a duplicate */
    publish("{\"id\":1,\"name\":\"MARKED-payload, other\"}", NULL); /* a conflict */
    publish("{\"id\":\"MARKED-payload", "MARKED-payload");          /* not JSON */
    rabbitmq_wait_depth(client, "out", 2);
    rabbitmq_wait_depth(client, "set-aside", 1);
    redis_freeze(&redis);
    publish("{\"id\":2,\"name\":\"MARKED-payload\"}", NULL); /* nobody knows it */
    bridge_await(bridge, "store.", 1);
    rabbitmq_wait_depth(client, "out", 3);
    redis_thaw(&redis);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(bridge, "MARKED"), 0);
    redis_remove(&redis);
}

#define BRIDGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        BRIDGE(it_says_when_it_is_ready_when_it_reloads_and_when_it_stops),
        BRIDGE(it_is_ready_while_a_broker_is_still_waited_for),
        BRIDGE(a_start_that_fails_is_never_ready),
        BRIDGE(the_watchdog_is_fed_only_while_every_worker_turns),
        BRIDGE(no_line_holds_a_payload_or_a_password),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
