/* SPDX-License-Identifier: MIT
 * Numbers of producers through the bridge: a real RabbitMQ, both stores, gaps that are waited for, bridges
 * killed and side by side. */
#include "bridge.h"
#include "rabbitmq_tally.h"
#include "redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rabbitmq *client;
static struct redis_server redis;

static int set_up(void **state) {
    (void)state;
    redis_start(&redis, NULL);
    client = rabbitmq_open("in out");
    rabbitmq_fanout(client, "quarantine", "aside");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    int status = bridge_tidy(state);
    redis_remove(&redis);
    return status;
}

/* sequence: more keys of it. */
static struct bridge *start(const char *instance, bool shared, const char *sequence) {
    static char config[2048];
    char store[256];
    (void)snprintf(store, sizeof store, shared ? "unix://%s" : "embedded://@DIR@/store",
                   redis.socket);
    (void)snprintf(
        config, sizeof config,
        "instance: %s\n"
        "store: {url: '%s', deadline: 2s}\n"
        "bridge:\n"
        "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, prefetch: 100}\n"
        "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"
        "  quarantine: {exchange: quarantine}\n"
        "rules:\n"
        "  - name: counters\n"
        "    match: {queue: in}\n"
        "    strategy: sequence\n"
        "    scope: global\n"
        "    lease: 2s\n"
        "    sequence: {producer: property:p, epoch: property:e, number: property:n%s}\n",
        instance, store, sequence);
    struct bridge *bridge = bridge_start(config, 0);
    bridge_await(bridge, "link.up: source", 1);
    return bridge;
}

static void publish(unsigned epoch, unsigned number) {
    char headers[64];
    char body[32];
    (void)snprintf(headers, sizeof headers, "p=one e=%u n=%u", epoch, number);
    (void)snprintf(body, sizeof body, "%u.%u", epoch, number);
    rabbitmq_publish(client, &(struct rabbitmq_message){
                                 .routing_key = "in", .body = body, .headers = headers});
}

static void expect(const char *queue, const char *body) {
    assert_string_equal(rabbitmq_take(client, queue), body);
}

static void numbers_are_told_apart(bool shared) {
    struct bridge *bridge = start("one", shared, ", window: 8");
    publish(1, 20);
    expect("out", "1.20");
    publish(1, 13);
    expect("out", "1.13");
    publish(1, 12); /* below the window */
    publish(1, 20);
    publish(1, 13);
    publish(2, 0);
    expect("out", "2.0");
    publish(1, 21); /* of an epoch that is over */
    expect("aside", "1.21");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "fenced");
    publish(2, 1);
    expect("out", "2.1");
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
    assert_int_equal(bridge_figure(bridge, "duplicates"), 3);
}

static void windows_and_epochs_with_the_embedded_store(void **state) {
    (void)state;
    numbers_are_told_apart(false);
}

static void windows_and_epochs_with_redis(void **state) {
    (void)state;
    numbers_are_told_apart(true);
}

static void a_number_waits_for_those_it_leaves_out(void **state) {
    static const unsigned order[] = {4, 2, 1, 3, 0, 5};
    (void)state;
    struct bridge *bridge =
        start("one", false, ", on_gap: hold, hold_time: 60s, on_unknown: require_zero");
    for (size_t i = 0; i < 6; i++) {
        publish(0, order[i]);
    }
    for (unsigned n = 0; n < 6; n++) {
        char body[16];
        (void)snprintf(body, sizeof body, "0.%u", n);
        expect("out", body);
    }
    bridge_run_until_through(bridge, client, "in");
}

static void what_never_comes_is_waited_for_as_long_as_it_says(void **state) {
    (void)state;
    struct bridge *bridge =
        start("one", false, ", on_gap: hold, hold_time: 300ms, hold_numbers: 10");
    publish(0, 1);
    publish(0, 3);
    expect("out", "0.1");
    expect("out", "0.3");
    publish(0, 50); /* leaves more out than it may wait for */
    expect("out", "0.50");
    bridge_run_until_through(bridge, client, "in");
}

static void what_leaves_numbers_out_is_refused(void **state) {
    (void)state;
    struct bridge *bridge = start("one", false, ", on_gap: reject");
    publish(0, 1);
    expect("out", "0.1");
    publish(0, 3);
    expect("aside", "0.3");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "gap");
    publish(0, 2);
    expect("out", "0.2");
    bridge_run_until_through(bridge, client, "in");
}

static void publish_tally(unsigned numbers, unsigned copies_every) {
    for (unsigned n = 0; n < numbers; n++) {
        char headers[64];
        char body[32];
        (void)snprintf(headers, sizeof headers, "p=one e=1 n=%u", n);
        (void)snprintf(body, sizeof body, "m %u", n);
        struct rabbitmq_message message = {
            .routing_key = "in", .body = body, .headers = headers};
        rabbitmq_publish(client, &message);
        if (n % copies_every == 0) {
            rabbitmq_publish(client, &message);
        }
    }
}

/* With a window as wide as what can be under way: numbers of a queue are redelivered out of order. */
static void a_bridge_killed_again_and_again_loses_no_number(void **state) {
    const unsigned numbers = 1500;
    (void)state;
    publish_tally(numbers, 3);
    struct bridge *bridge = start("one", false, ", window: 1024");
    for (unsigned i = 1; i <= 6; i++) {
        rabbitmq_wait_more(client, "out", 30);
        bridge_kill(bridge);
        bridge_restart(bridge);
        bridge_await(bridge, "link.up: source", i + 1);
    }
    bridge_run_until_through(bridge, client, "in");
    tally_check(client, "out", numbers, bridge_logged(bridge, "copy.in_doubt"));
}

static void two_bridges_on_one_producer_lose_no_number(void **state) {
    const unsigned numbers = 1500;
    (void)state;
    publish_tally(numbers, 3);
    struct bridge *one = start("one", true, ", window: 1024");
    struct bridge *two = start("two", true, ", window: 1024");
    for (unsigned i = 1; i <= 4; i++) {
        rabbitmq_wait_more(client, "out", 30);
        bridge_kill(two);
        bridge_restart(two);
        bridge_await(two, "link.up: source", i + 1);
    }
    rabbitmq_wait_depth(client, "in", 0);
    bridge_stop(two, EXIT_SUCCESS);
    bridge_run_until_through(one, client, "in");
    tally_check(client, "out", numbers,
                bridge_logged(one, "copy.in_doubt") +
                    bridge_logged(two, "copy.in_doubt"));
}

int main(void) {
    int status;
    if (!redis_installed()) {
        return rabbitmq_missing("redis-server");
    }
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(windows_and_epochs_with_the_embedded_store),
        TEST(windows_and_epochs_with_redis),
        TEST(a_number_waits_for_those_it_leaves_out),
        TEST(what_never_comes_is_waited_for_as_long_as_it_says),
        TEST(what_leaves_numbers_out_is_refused),
        TEST(a_bridge_killed_again_and_again_loses_no_number),
        TEST(two_bridges_on_one_producer_lose_no_number),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
