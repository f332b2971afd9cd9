/* SPDX-License-Identifier: MIT
 * Bridges in mode rpc that share a Redis and a queue of replies: what one has asked, another can finish; and
 * connections and stores that go and come back meanwhile. */
#include "bridge.h"
#include "proxy.h"
#include "redis.h"
#include "rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rabbitmq *client;
static struct redis_server redis;
static int set_up(void **state) {
    (void)state;
    redis_start(&redis, redis_durable);
    client = rabbitmq_open("in in2 work replies mine");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    int status = bridge_tidy(state);
    redis_remove(&redis);
    return status;
}

/* The sink, and with it the queue of replies, by way of the proxy. */
static struct bridge *start(const char *instance, const char *queue, const char *rule,
                            struct proxy *proxy) {
    char config[2048];
    (void)snprintf(
        config, sizeof config,
        "instance: %s\n"
        "store: {url: 'unix://%s', deadline: 200ms}\n"
        "bridge:\n"
        "  mode: rpc\n"
        "  source: {url: 'amqp://127.0.0.1:%u', queue: %s, prefetch: 100}\n"
        "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: work}\n"
        "  replies: {queue: replies, prefetch: 10}\n"
        "rules:\n"
        "  - {name: payments, match: {queue: '#'}, key: property:idempotency-key, "
        "scope: global, on_duplicate: replay%s}\n",
        instance, redis.socket, rabbitmq_port(), queue, rule);
    struct bridge *bridge = bridge_start(config, proxy != NULL ? proxy_port(proxy) : 0);
    bridge_await(bridge, "link.up: source", 1);
    return bridge;
}

static void ask(const char *queue, const char *key) {
    const struct rpc_request request = {.queue = queue,
                                        .key = key,
                                        .body = "pay",
                                        .reply_to = "mine",
                                        .correlation_id = key};
    rpc_ask(client, &request);
}

static void expect(const char *body, const char *correlation_id, bool replayed) {
    const struct rpc_answer answer = {"mine", body, correlation_id, replayed};
    rpc_expect(client, &answer);
}

static void expect_end(struct bridge *bridge, const char *queue) {
    bridge_run_until_through(bridge, client, queue);
    assert_int_equal(rabbitmq_depth(client, "work"), 0);
    assert_int_equal(rabbitmq_depth(client, "mine"), 0);
}

static void another_instance_finishes_what_a_dead_one_has_asked(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *one = start("one", "in", "", NULL);
    ask("in", "a");
    rpc_take(client, "work", &work);
    bridge_kill(one);
    struct bridge *two = start("two", "in", "", NULL);
    rpc_reply(client, &work, "paid", NULL);
    expect("paid", "a", true);
    ask("in", "a");
    expect("paid", "a", true);
    expect_end(two, "in");
    assert_int_equal(bridge_figure(two, "delivered"), 0);
    assert_int_equal(bridge_figure(two, "in doubt"), 0);
}

/* The queue gives the replies to both in turn, but only one has the requests. */
static void replies_that_come_to_another_instance_are_found_in_the_store(void **state) {
    enum { COUNT = 20 };
    (void)state;
    struct bridge *one = start("one", "in", "", NULL);
    struct bridge *two = start("two", "in2", "", NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[16];
        struct rpc_work work;
        (void)snprintf(key, sizeof key, "k%u", i);
        ask("in", key);
        rpc_take(client, "work", &work);
        rpc_reply(client, &work, "paid", NULL);
        expect("paid", key, false);
    }
    expect_end(one, "in");
    expect_end(two, "in2");
    assert_int_equal(bridge_figure(one, "delivered"), COUNT);
    assert_int_equal(bridge_figure(one, "answered"), COUNT);
    assert_true(bridge_figure(two, "replies") > 0);
}

static void a_failed_reply_comes_to_the_instance_that_has_the_request(void **state) {
    enum { COUNT = 10 };
    static const char rule[] = ", result: {failed: {header: status, values: ['5*']}}";
    (void)state;
    struct bridge *one = start("one", "in", rule, NULL);
    struct bridge *two = start("two", "in2", rule, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[16];
        struct rpc_work work;
        (void)snprintf(key, sizeof key, "k%u", i);
        ask("in", key);
        rpc_take(client, "work", &work);
        rpc_reply(client, &work, "no", "500");
        expect("no", key, false);
    }
    expect_end(one, "in");
    expect_end(two, "in2");
    assert_int_equal(bridge_figure(one, "delivered"), COUNT);
    assert_int_equal(bridge_figure(one, "not stored"), COUNT);
}

static void a_repeat_at_another_instance_is_answered_with_the_first(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *one = start("one", "in", "", NULL);
    struct bridge *two = start("two", "in2", "", NULL);
    ask("in", "a");
    rpc_take(client, "work", &work);
    ask("in2", "a");
    ask("in2", "b");
    rabbitmq_wait_depth(client, "work", 1);
    rpc_reply(client, &work, "paid", NULL);
    assert_string_equal(rabbitmq_take(client, "mine"), "paid");
    assert_string_equal(rabbitmq_take(client, "mine"), "paid");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid b", NULL);
    expect("paid b", "b", false);
    expect_end(one, "in");
    expect_end(two, "in2");
}

static void a_reply_waits_for_a_store_that_is_away(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = start("one", "in", ", on_store_failure: refuse", NULL);
    ask("in", "a");
    rpc_take(client, "work", &work);
    redis_kill(&redis);
    rpc_reply(client, &work, "paid", NULL);
    bridge_await(bridge, "a claim was not settled", 1);
    assert_int_equal(rabbitmq_unacknowledged("replies"), 1);
    redis_start(&redis, redis_durable);
    expect("paid", "a", false);
    expect_end(bridge, "in");
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
}

static void without_a_store_the_worker_answers_the_requester_itself(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = start("one", "in", "", NULL);
    redis_kill(&redis);
    ask("in", "a");
    rpc_take(client, "work", &work);
    assert_string_equal(work.reply_to, "mine");
    assert_string_equal(work.correlation_id, "a");
    redis_start(&redis, redis_durable);
    expect_end(bridge, "in");
    assert_int_equal(bridge_figure(bridge, "unprotected"), 1);
}

static void a_reply_waits_for_a_connection_that_is_lost(void **state) {
    struct rpc_work work;
    (void)state;
    struct proxy *proxy = proxy_start(rabbitmq_port());
    struct bridge *bridge = start("one", "in", "", proxy);
    ask("in", "a");
    rpc_take(client, "work", &work);
    proxy_cut(proxy);
    rpc_reply(client, &work, "paid", NULL);
    expect("paid", "a", false);
    bridge_await(bridge, "link.up: replies", 2);
    expect_end(bridge, "in");
    proxy_stop(proxy);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
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
        TEST(another_instance_finishes_what_a_dead_one_has_asked),
        TEST(replies_that_come_to_another_instance_are_found_in_the_store),
        TEST(a_failed_reply_comes_to_the_instance_that_has_the_request),
        TEST(a_repeat_at_another_instance_is_answered_with_the_first),
        TEST(a_reply_waits_for_a_store_that_is_away),
        TEST(without_a_store_the_worker_answers_the_requester_itself),
        TEST(a_reply_waits_for_a_connection_that_is_lost),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
