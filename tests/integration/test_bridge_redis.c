/* SPDX-License-Identifier: MIT
 * Bridges that share a Redis: instances killed beside each other, copies held by another, a store that
 * goes and comes back. */
#include "bridge.h"
#include "proxy.h"
#include "rabbitmq_tally.h"
#include "redis.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct rabbitmq *client;
static struct redis_server redis;

static int set_up(void **state) {
    (void)state;
    redis_start(&redis, redis_durable);
    client = rabbitmq_open("in in2 out");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    int status = bridge_tidy(state);
    redis_remove(&redis);
    return status;
}

struct setting {
    const char *instance;
    const char *queue;  /* NULL: "in" */
    const char *bridge; /* more keys of it; NULL */
    const char *rule;   /* of the rule; NULL */
    bool proxied;       /* the sink, by way of @PORT@ */
};

static const char *configure(const struct setting *setting) {
    static char config[2048];
    char direct[16];
    (void)snprintf(direct, sizeof direct, "%u", rabbitmq_port());
    (void)snprintf(config, sizeof config,
                   "instance: %s\n"
                   "store: {url: 'unix://%s', deadline: 200ms}\n"
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:%s', queue: %s, prefetch: 100}\n"
                   "  sink: {url: 'amqp://127.0.0.1:%s', routing_key: out}\n%s"
                   "rules:\n"
                   "  - {name: orders, match: {queue: '#'}, key: "
                   "property:idempotency-key, scope: global%s}\n",
                   setting->instance, redis.socket, direct,
                   setting->queue != NULL ? setting->queue : "in",
                   setting->proxied ? "@PORT@" : direct,
                   setting->bridge != NULL ? setting->bridge : "",
                   setting->rule != NULL ? setting->rule : "");
    return config;
}

static struct bridge *start(const struct setting *setting, struct proxy *proxy) {
    struct bridge *bridge =
        bridge_start(configure(setting), proxy != NULL ? proxy_port(proxy) : 0);
    bridge_await(bridge, "link.up: source", 1);
    return bridge;
}

static void publish(const char *queue, const char *key) {
    struct rabbitmq_message message = {.routing_key = queue, .body = key, .key = key};
    rabbitmq_publish(client, &message);
}

static void pause_ms(long ms) {
    const struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void one_of_two_killed_again_and_again_loses_nothing(void **state) {
    const unsigned messages = 5000;
    static const struct setting one = {.instance = "one", .rule = ", lease: 2s"};
    static const struct setting two = {.instance = "two", .rule = ", lease: 2s"};
    (void)state;
    tally_publish(client, "in", messages);
    struct bridge *steady = start(&two, NULL);
    struct bridge *killed = start(&one, NULL);
    for (unsigned i = 1; i <= 8; i++) {
        rabbitmq_wait_more(client, "out", 50);
        bridge_kill(killed);
        bridge_restart(killed);
        bridge_await(killed, "link.up: source", i + 1);
    }
    rabbitmq_wait_depth(client, "in", 0);
    bridge_stop(killed, EXIT_SUCCESS);
    bridge_run_until_through(steady, client, "in");
    tally_check(client, "out", messages,
                bridge_logged(steady, "copy.in_doubt") +
                    bridge_logged(killed, "copy.in_doubt"));
}

static void two_workers_share_a_queue(void **state) {
    static const struct setting both = {.instance = "one", .bridge = "  workers: 2\n"};
    (void)state;
    struct bridge *bridge = start(&both, NULL);
    bridge_await(bridge, "link.up: source", 2);
    int64_t deadline = testing_deadline();
    while (rabbitmq_consumers(client, "in") < 2) { /* connected is not yet consuming */
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
    }
    tally_publish(client, "in", 3000);
    bridge_run_until_through(bridge, client, "in");
    tally_check(client, "out", 3000, 0);
    assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 0);
    assert_int_equal(bridge_logged(bridge, "arrived 0"), 0); /* each had its share */
}

/* A bridge whose sink is not there: what it consumes it claims, and holds in line. */
static struct bridge *start_holder(struct proxy *proxy, const char *rule) {
    struct setting setting = {.instance = "holder", .proxied = true, .rule = rule};
    struct bridge *holder = start(&setting, proxy);
    bridge_await(holder, "link.up: sink", 1);
    proxy_refuse(proxy, true);
    proxy_cut(proxy);
    bridge_await(holder, "link.unreached", 1);
    publish("in", "k");
    rabbitmq_wait_depth(client, "in", 0);
    pause_ms(100); /* the claim, too */
    return holder;
}

static long long commands_so_far(void) {
    redisReply *reply = redis_ask(&redis, "INFO stats");
    const char *at = strstr(reply->str, "total_commands_processed:");
    assert_non_null(at);
    long long count = strtoll(strchr(at, ':') + 1, NULL, 10);
    freeReplyObject(reply);
    return count;
}

static void a_copy_that_another_instance_holds_waits_without_spinning(void **state) {
    static const struct setting other = {.instance = "other", .queue = "in2"};
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *holder = start_holder(proxy, "");
    struct bridge *waiting = start(&other, NULL);
    publish("in2", "k");
    rabbitmq_wait_depth(client, "in2", 0);
    pause_ms(500);
    long long commands = commands_so_far();
    long spent = bridge_cpu_ms(waiting);
    pause_ms(2000);
    assert_true(commands_so_far() - commands < 20);
    assert_true(bridge_cpu_ms(waiting) - spent < 100);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
    proxy_refuse(proxy, false);
    assert_string_equal(rabbitmq_take(client, "out"), "k");
    bridge_stop(holder, EXIT_SUCCESS);
    publish("in2", "end");
    assert_string_equal(rabbitmq_take(client, "out"), "end");
    pause_ms(2000); /* the longest look */
    bridge_stop(waiting, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(waiting, "duplicates 1"), 1);
    assert_int_equal(rabbitmq_depth(client, "in2"), 0);
    proxy_stop(proxy);
}

/* The holder waits for its sink longer than its lease; meanwhile the other one delivers. */
static void a_claim_that_ran_out_in_line_is_asked_for_again(void **state) {
    static const struct setting other = {
        .instance = "other", .queue = "in2", .rule = ", lease: 1s"};
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *holder = start_holder(proxy, ", lease: 1s");
    struct bridge *taker = start(&other, NULL);
    publish("in2", "k");
    assert_string_equal(rabbitmq_take(client, "out"), "k");
    proxy_refuse(proxy, false);
    bridge_await(holder, "link.up: sink", 2);
    publish("in", "end");
    assert_string_equal(rabbitmq_take(client, "out"), "end");
    bridge_stop(holder, EXIT_SUCCESS);
    bridge_stop(taker, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(holder, "duplicates 1"), 1);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
    assert_int_equal(rabbitmq_depth(client, "in2"), 0);
    proxy_stop(proxy);
}

static void refuse_stops_the_consumption_until_the_store_is_back(void **state) {
    static const struct setting careful = {.instance = "one",
                                           .rule = ", on_store_failure: refuse"};
    const unsigned messages = 1000;
    (void)state;
    struct bridge *bridge = start(&careful, NULL);
    publish("in", "first 0");
    assert_string_equal(rabbitmq_take(client, "out"), "first 0");
    redis_stop(&redis);
    tally_publish(client, "in", messages);
    bridge_await(bridge, "store.unavailable", 1);
    rabbitmq_wait_depth(client, "in", messages + messages / 3 - 100); /* the prefetch */
    long spent = bridge_cpu_ms(bridge);
    pause_ms(1000);
    assert_true(bridge_cpu_ms(bridge) - spent < 200);
    assert_int_equal(rabbitmq_depth(client, "in"), messages + messages / 3 - 100);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
    redis_start(&redis, redis.options);
    bridge_run_until_through(bridge, client, "in");
    tally_check(client, "out", messages, bridge_logged(bridge, "copy.in_doubt"));
    assert_true(bridge_logged(bridge, "unprotected 0") > 0);
}

static const struct setting bold = {.instance = "one"};

static void without_the_store_copies_are_known_and_written_later(void **state) {
    (void)state;
    struct bridge *bridge = start(&bold, NULL);
    redis_stop(&redis);
    tally_publish(client, "in", 300);
    rabbitmq_wait_depth(client, "in", 0);
    rabbitmq_wait_depth(client, "out", 300);
    redis_start(&redis, redis.options);
    bridge_await(bridge, "store.caught_up: 300 keys", 1);
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_figure(bridge, "unprotected"), 300);
    assert_int_equal(bridge_figure(bridge, "duplicates"), 100);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
    tally_check(client, "out", 300, 0);
    bridge_restart(bridge); /* it remembers nothing itself */
    tally_publish(client, "in", 300);
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_figure(bridge, "duplicates"), 100 + 400);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
}

static void what_was_known_before_the_store_went_is_dropped(void **state) {
    (void)state;
    struct bridge *bridge = start(&bold, NULL);
    tally_publish(client, "in", 300);
    bridge_run_until_through(bridge, client, "in");
    bridge_restart(bridge);
    bridge_await(bridge, "link.up: source", 2);
    tally_publish(client, "in", 300); /* found to be done in the store */
    rabbitmq_wait_depth(client, "in", 0);
    rabbitmq_wait_unheld("in");
    redis_stop(&redis);
    tally_publish(client, "in", 300);
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_figure(bridge, "unprotected"), 0);
    tally_check(client, "out", 300, 0);
}

/* The later copies arrive before the first one is confirmed: nothing is known of it but that it is here. */
static void without_the_store_copies_in_one_breath_are_one(void **state) {
    enum { KEYS = 20, COPIES = 4 };
    unsigned numbers[KEYS * COPIES];
    struct setting setting = {.instance = "one", .proxied = true};
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *bridge = start(&setting, proxy);
    bridge_await(bridge, "link.up: sink", 1);
    redis_stop(&redis);
    proxy_stall(proxy, true);
    for (unsigned i = 0; i < KEYS * COPIES; i++) {
        numbers[i] = i / COPIES;
    }
    rabbitmq_publish_numbers(client, "in", "m", numbers, KEYS * COPIES);
    rabbitmq_wait_depth(client, "in", 0);
    pause_ms(200);
    proxy_stall(proxy, false);
    rabbitmq_wait_unheld("in");
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_figure(bridge, "unprotected"), KEYS);
    assert_int_equal(bridge_figure(bridge, "duplicates"), KEYS * (COPIES - 1));
    tally_check(client, "out", KEYS, 0);
    proxy_stop(proxy);
}

/* Killed while the store is away it forgets what it has delivered: twice, but never lost. Ended well it
 * says so. */
static void what_is_owed_dies_with_the_bridge(void **state) {
    (void)state;
    struct bridge *bridge = start(&bold, NULL);
    redis_stop(&redis);
    tally_publish(client, "in", 300);
    rabbitmq_wait_depth(client, "out", 300);
    rabbitmq_wait_unheld("in");
    bridge_kill(bridge);
    bridge_restart(bridge);
    bridge_await(bridge, "link.up: source", 2);
    tally_publish(client, "in", 300);
    rabbitmq_wait_depth(client, "in", 0);
    rabbitmq_wait_unheld(
        "in"); /* a copy that a stop gives back would be new to the next run */
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_logged(bridge, "store.not_caught_up: 300 keys"), 1);
    assert_int_equal(bridge_figure(bridge, "unprotected"), 300);
    tally_check(client, "out", 300, 300);
    redis_start(&redis, redis.options);
}

/* One message is claimed, and then published, for all that the bridge can tell. */
static void await_claim(void) {
    int64_t deadline = testing_deadline();
    while (redis_tell(&redis, "DBSIZE") < 2 && testing_remaining_ms(deadline) > 0) {
        testing_pause(); /* the other key is the secret's check */
    }
    assert_int_equal(redis_tell(&redis, "DBSIZE"), 2);
    pause_ms(200);
}

/* Claimed and published; the store goes before the sink confirms. */
static void deliver_as_the_store_goes(struct bridge *bridge, struct proxy *proxy) {
    proxy_stall(proxy, true);
    publish("in", "k");
    await_claim();
    redis_stop(&redis);
    bridge_await(bridge, "store.unavailable", 1);
    proxy_stall(proxy, false);
    assert_string_equal(rabbitmq_take(client, "out"), "k");
}

/* Claimed, published, and then the store goes: its rule does not want the source to wait for it. */
static void a_completion_that_can_be_deferred_is(void **state) {
    struct setting setting = {.instance = "one", .proxied = true};
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *bridge = start(&setting, proxy);
    deliver_as_the_store_goes(bridge, proxy);
    rabbitmq_wait_unheld("in");
    publish("in", "k");
    publish("in", "end");
    assert_string_equal(rabbitmq_take(client, "out"), "end");
    redis_start(&redis, redis.options);
    bridge_await(bridge, "store.caught_up: 2 keys", 1);
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_figure(bridge, "duplicates"), 1);
    assert_int_equal(bridge_figure(bridge, "unprotected"), 1);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
    proxy_stop(proxy);
}

/* The sink confirms while the store is away: the source is told only when the record is done. */
static void a_completion_is_tried_until_the_store_takes_it(void **state) {
    static const struct setting setting = {
        .instance = "one", .proxied = true, .rule = ", on_store_failure: refuse"};
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    struct bridge *bridge = start(&setting, proxy);
    deliver_as_the_store_goes(bridge, proxy);
    pause_ms(300);
    assert_int_equal(rabbitmq_unacknowledged("in"), 1);
    redis_start(&redis, redis.options);
    publish("in", "k");
    publish("in", "end");
    assert_string_equal(rabbitmq_take(client, "out"), "end");
    bridge_run_until_through(bridge, client, "in");
    assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 0);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
    proxy_stop(proxy);
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
        TEST(one_of_two_killed_again_and_again_loses_nothing),
        TEST(two_workers_share_a_queue),
        TEST(a_copy_that_another_instance_holds_waits_without_spinning),
        TEST(a_claim_that_ran_out_in_line_is_asked_for_again),
        TEST(refuse_stops_the_consumption_until_the_store_is_back),
        TEST(without_the_store_copies_are_known_and_written_later),
        TEST(what_was_known_before_the_store_went_is_dropped),
        TEST(without_the_store_copies_in_one_breath_are_one),
        TEST(what_is_owed_dies_with_the_bridge),
        TEST(a_completion_that_can_be_deferred_is),
        TEST(a_completion_is_tried_until_the_store_takes_it),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
