/* SPDX-License-Identifier: MIT
 * A bridge that says what its messages wait for: when it is asked, and by itself when nothing moves. */
#include "bridge.h"
#include "proxy.h"
#include "rabbitmq.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct rabbitmq *client;
static struct proxy *proxy; /* in front of the sink */

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    proxy = proxy_start(rabbitmq_port());
    return 0;
}

static int tear_down(void **state) {
    (void)bridge_tidy(state);
    proxy_stop(proxy);
    rabbitmq_disconnect(client);
    return 0;
}

static struct bridge *start(const char *stalled_after) {
    char config[1024];
    (void)snprintf(config, sizeof config,
                   "instance: one\n"
                   "store: {url: 'embedded://@DIR@/store'}\n"
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:%u', queue: in}\n"
                   "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"
                   "  stalled_after: %s\n"
                   "rules: [{name: orders, match: {queue: in}, scope: global,\n"
                   "         key: property:idempotency-key}]\n",
                   rabbitmq_port(), stalled_after);
    struct bridge *bridge = bridge_start(config, proxy_port(proxy));
    bridge_await(bridge, "link.up: source", 1);
    return bridge;
}

/* Asks until the answer has that in it. */
static void await_answer(struct bridge *bridge, const char *text) {
    int64_t deadline = testing_deadline();
    while (bridge_logged(bridge, text) == 0) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("it does not say: %s", text);
        }
        bridge_signal(bridge, SIGUSR1);
        testing_pause();
    }
}

static void asked_it_says_what_its_messages_wait_for(void **state) {
    (void)state;
    struct bridge *bridge = start("60s");
    await_answer(bridge, "bridge.standing: 0 messages under way\n");
    proxy_stall(proxy, true);
    rabbitmq_publish_many(client, "in", "m", 3);
    await_answer(bridge, "bridge.standing: 3 messages under way (3 published); "
                         "sink: confirms are to come\n");
    proxy_stall(proxy, false);
    rabbitmq_wait_depth(client, "out", 3);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(bridge, "bridge.stalled"), 0);
}

static void a_sink_that_is_lost_is_what_the_first_in_line_waits_for(void **state) {
    (void)state;
    struct bridge *bridge = start("60s");
    proxy_refuse(proxy, true);
    proxy_cut(proxy);
    bridge_await(bridge, "link.unreached: sink", 1);
    rabbitmq_publish_many(client, "in", "m", 3);
    await_answer(bridge,
                 "3 messages under way (3 ready); sink: it is not connected; first "
                 "in the sink's line: ready, key ");
    proxy_refuse(proxy, false);
    rabbitmq_wait_depth(client, "out", 3);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void each_time_that_nothing_moves_is_told_of_once(void **state) {
    (void)state;
    struct bridge *bridge = start("200ms");
    for (unsigned i = 1; i <= 2; i++) {
        proxy_stall(proxy, true);
        rabbitmq_publish_many(client, "in", i == 1 ? "a" : "b", 3);
        bridge_await(bridge, "bridge.stalled: nothing has moved for ", i);
        proxy_stall(proxy, false);
        rabbitmq_wait_depth(client, "out", 3 * i);
    }
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(bridge, "bridge.stalled"), 2);
}

/* A broker that was killed has lost a queue: each message comes back, is tried again after a pause that
 * grows to half a minute, and the bridge seems to do nothing. */
static void a_queue_that_is_gone_is_told_of_and_not_each_message(void **state) {
    (void)state;
    struct bridge *bridge = start("60s");
    rabbitmq_delete_queue(client, "out");
    rabbitmq_publish_many(client, "in", "m", 100);
    await_answer(bridge, "100 messages under way (100 waiting)\n");
    assert_in_range(bridge_logged(bridge,
                                  "sink.undelivered: unroutable: no queue takes "
                                  "it: exchange '', routing key out; tried again"),
                    1, 99);
    rabbitmq_queue(client, "out", NULL);
    rabbitmq_wait_depth(client, "out", 100);
    bridge_stop(bridge, EXIT_SUCCESS);
}

/* At 4 ms it looks each millisecond. */
static void a_bridge_that_has_nothing_to_do_is_not_stalled(void **state) {
    (void)state;
    struct bridge *bridge = start("4ms");
    for (unsigned i = 0; i < 20; i++) {
        testing_pause();
    }
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(bridge, "bridge.stalled"), 0);
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(asked_it_says_what_its_messages_wait_for),
        TEST(a_sink_that_is_lost_is_what_the_first_in_line_waits_for),
        TEST(each_time_that_nothing_moves_is_told_of_once),
        TEST(a_queue_that_is_gone_is_told_of_and_not_each_message),
        TEST(a_bridge_that_has_nothing_to_do_is_not_stalled),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
