/* SPDX-License-Identifier: MIT
 * The example consumer, built against the installed library, at a real RabbitMQ: copies, conflicts, failed
 * work, and deaths between any two of its steps. */
#include "consumer.h"
#include "process.h"
#include "proxy.h"
#include "rabbitmq.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct rabbitmq *client;
static struct consumer consumer;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_connect();
    rabbitmq_queue(client, "in",
                   "x-dead-letter-exchange=aside x-dead-letter-routing-key=dead");
    rabbitmq_fanout(client, "aside", "aside");
    consumer_init(&consumer);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    consumer_fini(&consumer);
    rabbitmq_disconnect(client);
    return 0;
}

static void publish(const char *key, const char *body) {
    struct rabbitmq_message message = {.routing_key = "in", .body = body, .key = key};
    rabbitmq_publish(client, &message);
}

static void start(const char *before, const char *after) {
    consumer_start(&consumer, rabbitmq_port(), "in", before, after);
}

static void await(const char *text, unsigned count) {
    process_await_logged(consumer.log, text, count);
}

/* A last message of its own: when its work is done, everything before it has been acknowledged or given
 * back; after the end of the consumer nothing may come back. */
static void everything_was_acknowledged(void) {
    publish("last", "last");
    await("new: last", 1);
    publish("last", "last");
    await("duplicate: last", 1);
    publish("last", "last");
    await("duplicate: last", 2); /* so the one before it is acknowledged */
    consumer_kill(&consumer);
    assert_true(rabbitmq_depth(client, "in") <= 1); /* the last of all may not be */
    assert_int_equal(consumer_effects(&consumer, "last"), 1);
}

static void each_message_has_one_effect(void **state) {
    (void)state;
    publish("a", "order a");
    publish("a", "order a");
    start("", "");
    publish("b", "order b");
    publish("a", "order a");
    publish("b", "order b");
    await("duplicate: a", 2);
    await("duplicate: b", 1);
    everything_was_acknowledged();
    assert_int_equal(consumer_effects(&consumer, "order a"), 1);
    assert_int_equal(consumer_effects(&consumer, "order b"), 1);
    assert_int_equal(consumer_total(&consumer), 3);
}

static void a_restarted_consumer_knows_what_it_has_done(void **state) {
    (void)state;
    start("", "");
    publish("a", "order a");
    publish("a", "order a");
    await("duplicate: a", 1);
    consumer_kill(&consumer);
    start("", "");
    publish("a", "order a");
    await("duplicate: a", 2);
    assert_int_equal(consumer_total(&consumer), 1);
}

/* The work itself kills the consumer when it is done: completion never happens. */
static void killed_between_work_and_completion_the_message_is_in_doubt(void **state) {
    (void)state;
    start("", "kill -9 $PPID");
    publish("a", "order a");
    assert_int_equal(consumer_wait(&consumer), 128 + SIGKILL);
    assert_int_equal(consumer_effects(&consumer, "order a"), 1);
    start("", "");
    await("in doubt: a", 1);
    publish("a", "order a");
    await("duplicate: a", 1); /* the doubt is settled */
    everything_was_acknowledged();
    assert_int_equal(process_logged(consumer.log, "new: a"), 1);
    assert_int_equal(process_logged(consumer.log, "in doubt: a"), 1);
    assert_int_equal(consumer_total(&consumer),
                     3); /* a twice, as it has said, and last */
}

static void killed_before_the_work_the_message_is_not_lost(void **state) {
    (void)state;
    start("kill -9 $PPID; exit 1;", "");
    publish("a", "order a");
    assert_int_equal(consumer_wait(&consumer), 128 + SIGKILL);
    assert_int_equal(consumer_total(&consumer), 0);
    start("", "");
    await("in doubt: a", 1);
    everything_was_acknowledged();
    assert_int_equal(consumer_effects(&consumer, "order a"), 1);
}

/* The connection is lost while it works: completed, never acknowledged. */
static void completed_but_not_acknowledged_the_message_is_a_duplicate(void **state) {
    struct proxy *proxy = proxy_start(rabbitmq_port());
    (void)state;
    consumer_start(&consumer, proxy_port(proxy), "in", "",
                   "while [ ! -e go ]; do sleep 0.05; done");
    publish("a", "order a");
    await("new: a", 1);
    proxy_cut(proxy);
    files_write(consumer.dir, "go", "");
    assert_int_equal(consumer_wait(&consumer), EXIT_FAILURE);
    proxy_stop(proxy);
    start("", "");
    await("duplicate: a", 1);
    everything_was_acknowledged();
    assert_int_equal(consumer_effects(&consumer, "order a"), 1);
    assert_int_equal(process_logged(consumer.log, "in doubt"), 0);
}

static void failed_work_is_done_again(void **state) {
    (void)state;
    start("[ -e once ] || { touch once; exit 1; };", "");
    publish("a", "order a");
    await("new: a", 2);
    everything_was_acknowledged();
    assert_int_equal(consumer_effects(&consumer, "order a"), 1);
}

static void conflicts_and_messages_without_a_key_are_set_aside(void **state) {
    (void)state;
    start("", "");
    publish("a", "order a");
    publish("a", "another");
    assert_string_equal(rabbitmq_take(client, "aside"), "another");
    publish(NULL, "nobody's");
    assert_string_equal(rabbitmq_take(client, "aside"), "nobody's");
    await("conflict: a", 1);
    assert_int_equal(consumer_total(&consumer), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(each_message_has_one_effect),
        TEST(a_restarted_consumer_knows_what_it_has_done),
        TEST(killed_between_work_and_completion_the_message_is_in_doubt),
        TEST(killed_before_the_work_the_message_is_not_lost),
        TEST(completed_but_not_acknowledged_the_message_is_a_duplicate),
        TEST(failed_work_is_done_again),
        TEST(conflicts_and_messages_without_a_key_are_set_aside),
    };
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
