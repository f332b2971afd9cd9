/* SPDX-License-Identifier: MIT
 * What the bridge in mode rpc tells of requests, replies and answers. */
#include "bridge.h"
#include "http.h"
#include "rpc.h"

#include <stdlib.h>
#include <string.h>

#define REPLIES(outcome) "idem_rpc_replies_total{outcome=\"" outcome "\"}"
#define ANSWERS(kind)    "idem_rpc_answers_total{kind=\"" kind "\"}"

static const char config[] =
    "instance: one\nstore: {url: 'memory:'}\n"
    "bridge:\n"
    "  mode: rpc\n"
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: work}\n"
    "  replies: replies\n"
    "  attempts: 1\n"
    "rules:\n"
    "  - name: payments\n    match: {queue: in}\n    key: property:idempotency-key\n"
    "    scope: global\n    on_duplicate: replay\n    lease: 2s\n"
    "    result: {max: 1024, failed: {header: status, values: [5*]}}\n"
    "http: {listen: '127.0.0.1:@HTTP@'}\n";

static struct rabbitmq *client;
static struct bridge *bridge;
static unsigned port;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in work replies mine");
    bridge = bridge_start(config, 0);
    port = bridge_http_port(bridge);
    http_await(port, "/readyz", 200);
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

static void ask(const char *key, const char *reply_to) {
    const struct rpc_request request = {
        .queue = "in", .key = key, .body = "pay", .reply_to = reply_to};
    rpc_ask(client, &request);
}

static void work(const char *reply, const char *status) {
    struct rpc_work work;
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, reply, status);
}

static void expect(const char *body, bool replayed) {
    const struct rpc_answer answer = {"mine", body, "", replayed};
    rpc_expect(client, &answer);
}

static void replies_and_replays_are_told_apart(void **state) {
    (void)state;
    assert_int_equal(http_figure(port, "idem_rpc_requests_total"), 0);
    ask("a", "mine");
    http_await_figure(port, "idem_in_flight_messages{state=\"awaiting\"}", 1);
    work("paid", "200");
    expect("paid", false);
    ask("a", "mine");
    expect("paid", true);
    ask("a", "mine");
    expect("paid", true);
    http_await_figure(port, ANSWERS("replay"), 2);
    assert_int_equal(http_figure(port, ANSWERS("reply")), 1);
    assert_int_equal(http_figure(port, "idem_rpc_requests_total"), 1);
    assert_int_equal(http_figure(port, REPLIES("stored")), 1);
    http_check_metrics(port);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void replies_are_told_by_what_became_of_them(void **state) {
    static char large[4000];
    struct rpc_work late;
    (void)state;
    memset(large, 'x', sizeof large - 1);
    ask("failed", "mine");
    work("no", "503");
    expect("no", false);
    ask("large", "mine");
    work(large, NULL);
    expect(large, false);
    ask("late", "mine");
    rpc_take(client, "work", &late);
    work("no", "503"); /* to the second copy, when the lease is over: forgotten */
    expect("no", false);
    rpc_reply(client, &late, "paid late", NULL);
    http_await_figure(port, REPLIES("stray"), 1);
    rabbitmq_publish(client, &(struct rabbitmq_message){.routing_key = "replies",
                                                        .body = "who asked?"});
    http_await_figure(port, REPLIES("alien"), 1);
    assert_int_equal(http_figure(port, REPLIES("failed")), 2);
    assert_int_equal(http_figure(port, REPLIES("too_large")), 1);
    assert_int_equal(http_figure(port, REPLIES("stored")), 0);
    assert_int_equal(http_figure(port, "idem_rpc_requests_total"), 4);
    assert_int_equal(http_figure(port, "idem_in_doubt_total{cause=\"taken_over\"}"), 1);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void an_answer_that_nobody_is_there_for_is_counted(void **state) {
    (void)state;
    ask("a", "gone");
    work("paid", NULL);
    http_await_figure(port, "idem_rpc_unanswerable_total", 1);
    assert_int_equal(http_figure(port, ANSWERS("reply")), 0);
    bridge_stop(bridge, EXIT_SUCCESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(replies_and_replays_are_told_apart),
        TEST(replies_are_told_by_what_became_of_them),
        TEST(an_answer_that_nobody_is_there_for_is_counted),
    };
    int status = 0;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
