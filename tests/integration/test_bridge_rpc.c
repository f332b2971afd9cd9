/* SPDX-License-Identifier: MIT
 * The bridge in mode rpc between a requester and a worker: who is answered, with what, and how often the
 * worker is asked. */
#include "bridge.h"
#include "rpc_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plain[] = RPC_SCENE_TOP RPC_SCENE_RULE("");
static const char failing[] = RPC_SCENE_TOP RPC_SCENE_RULE(
    ", result: {max: 1024, failed: {header: status, values: [5*]}}");
static const char impatient[] = RPC_SCENE_TOP RPC_SCENE_RULE(", lease: 2s");
static struct rabbitmq *client;

static int set_up(void **state) {
    (void)state;
    client = rpc_scene_open();
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

static void ask(const char *key, const char *reply_to, const char *correlation_id) {
    rpc_scene_ask(client, key, reply_to, correlation_id);
}

static void expect(const char *queue, const char *body, const char *correlation_id,
                   bool replayed) {
    const struct rpc_answer answer = {queue, body, correlation_id, replayed};
    rpc_expect(client, &answer);
}

static void a_request_is_answered_by_the_worker(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    assert_string_equal(work.body, "pay");
    assert_string_equal(work.reply_to, "replies");
    assert_string_not_equal(work.correlation_id, "r-1");
    rpc_reply(client, &work, "paid", "200");
    expect("mine", "paid", "r-1", false);
    assert_string_equal(rabbitmq_header(client, "status"), "200");
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "answered"), 1);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
}

static void a_repeat_is_answered_from_the_store(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid", "200");
    expect("mine", "paid", "r-1", false);
    ask("a", "yours", "r-2");
    expect("yours", "paid", "r-2", true);
    assert_string_equal(rabbitmq_header(client, "status"), "200");
    bridge_stop(bridge, EXIT_SUCCESS);
    bridge_restart(bridge);
    ask("a", "mine", NULL); /* also without a correlation id, and after a restart */
    expect("mine", "paid", "", true);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "delivered"), 1);
}

static void a_repeat_while_the_first_is_pending_is_answered_with_it(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    ask("a", "yours", "r-2");
    ask("b", "yours", "r-3");
    rabbitmq_wait_depth(client, "work", 1); /* b, so that the repeat of a is in, too */
    rpc_reply(client, &work, "paid", NULL);
    expect("mine", "paid", "r-1", false);
    expect("yours", "paid", "r-2", true);
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid b", NULL);
    expect("yours", "paid b", "r-3", false);
    rpc_scene_end(client, bridge);
}

static void
a_failed_reply_is_given_once_and_the_request_can_be_tried_again(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(failing);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "no", "503");
    expect("mine", "no", "r-1", false);
    ask("a", "mine", "r-2");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid", "200");
    expect("mine", "paid", "r-2", false);
    ask("a", "mine", "r-3");
    expect("mine", "paid", "r-3", true);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "not stored"), 1);
}

static void a_failed_reply_that_is_stored_is_the_answer_for_good(void **state) {
    static const char config[] = RPC_SCENE_TOP RPC_SCENE_RULE(
        ", result: {failed: {header: status, values: [5*]}, store_failed: true}");
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(config);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "no", "503");
    expect("mine", "no", "r-1", false);
    ask("a", "mine", "r-2");
    expect("mine", "no", "r-2", true);
    rpc_scene_end(client, bridge);
}

static void a_reply_too_large_to_store_is_given_once(void **state) {
    static char large[4000];
    struct rpc_work work;
    (void)state;
    memset(large, 'x', sizeof large - 1);
    struct bridge *bridge = rpc_scene_start(failing);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, large, NULL);
    expect("mine", large, "r-1", false);
    ask("a", "mine", "r-2"); /* done, and not executed again */
    expect("mine", "", "r-2", true);
    assert_string_equal(rabbitmq_header(client, "x-idem-result"), "none");
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "not stored"), 1);
}

static void a_bridge_killed_while_the_worker_works_asks_nobody_again(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    bridge_kill(bridge);
    bridge_restart(bridge);
    bridge_await(bridge, "link.up: source", 2);
    ask("b", "mine", "r-2"); /* behind it in the queue: once this is out, a is held */
    rabbitmq_wait_depth(client, "work", 1);
    rpc_reply(client, &work, "paid", NULL);
    expect("mine", "paid", "r-1", true);
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid b", NULL);
    expect("mine", "paid b", "r-2", false);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
}

static void a_reply_that_comes_while_the_bridge_is_away_waits_for_it(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    bridge_kill(bridge);
    rpc_reply(client, &work, "paid", NULL);
    bridge_restart(bridge);
    expect("mine", "paid", "r-1", true);
    rpc_scene_end(client, bridge);
}

/* The lease is the longest that the worker is waited for. */
static void a_request_without_a_reply_is_asked_again_after_its_lease(void **state) {
    struct rpc_work first;
    struct rpc_work second;
    (void)state;
    struct bridge *bridge = rpc_scene_start(impatient);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &first);
    rpc_take(client, "work", &second);
    rpc_reply(client, &second, "paid", NULL);
    expect("mine", "paid", "r-1", false);
    rpc_reply(client, &first, "paid late", NULL); /* changes nothing any more */
    ask("a", "mine", "r-2");
    expect("mine", "paid", "r-2", true);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 1);
    assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 1);
}

static void a_requester_that_is_gone_costs_nothing_but_its_answer(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "nowhere", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid", NULL);
    rabbitmq_wait_unheld("in");
    ask("a", "mine", "r-2");
    expect("mine", "paid", "r-2", true);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "unanswerable"), 1);
    assert_int_equal(bridge_figure(bridge, "answered"), 1);
}

static void a_requester_whose_queue_is_full_is_given_up_at_last(void **state) {
    struct rpc_work work;
    (void)state;
    rabbitmq_queue(client, "yours", "x-max-length=1 x-overflow=reject-publish");
    struct rabbitmq_message filling = {.routing_key = "yours", .body = "full"};
    rabbitmq_publish(client, &filling);
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "yours", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid", NULL);
    rabbitmq_wait_unheld("in");
    assert_string_equal(rabbitmq_take(client, "yours"), "full");
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "unanswerable"), 1);
}

static const struct rpc_request direct_request = {
    .queue = "in", .key = "d", .body = "pay", .correlation_id = "d-1"};

static void a_requester_without_a_queue_is_answered_directly(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    struct rpc_direct *direct = rpc_direct_open();
    rpc_direct_ask(direct, &direct_request);
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid", NULL);
    rpc_direct_expect(direct, "paid", "d-1");
    rpc_direct_ask(direct, &direct_request);
    rpc_direct_expect(direct, "paid", "d-1");
    rpc_direct_close(direct);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "answered"), 2);
    assert_int_equal(bridge_figure(bridge, "unanswerable"), 0);
}

/* RabbitMQ does not tell whether such a requester is still there. */
static void a_requester_without_a_queue_that_is_gone_holds_up_nothing(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    struct rpc_direct *direct = rpc_direct_open();
    rpc_direct_ask(direct, &direct_request);
    rpc_take(client, "work", &work);
    rpc_direct_close(direct);
    rpc_reply(client, &work, "paid", NULL);
    rabbitmq_wait_unheld("in");
    ask("d", "mine", "r-1");
    expect("mine", "paid", "r-1", true);
    rpc_scene_end(client, bridge);
}

static void what_nobody_wants_answered_is_only_forwarded(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", NULL, "r-1");
    ask("a", NULL, "r-2");
    rpc_take(client, "work", &work);
    assert_string_equal(work.reply_to, "");
    assert_string_equal(work.correlation_id, "r-1");
    ask("a", "mine", "r-3"); /* it was done, but nobody replied */
    expect("mine", "", "r-3", true);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "delivered"), 1);
}

static void rules_without_replay_leave_the_answer_to_the_worker(void **state) {
    static const char config[] = RPC_SCENE_TOP
        "rules:\n"
        "  - {name: orders, match: {queue: in}, key: property:idempotency-key, "
        "scope: global}\n";
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(config);
    ask("a", "mine", "r-1");
    ask("a", "mine", "r-2");
    rpc_take(client, "work", &work);
    assert_string_equal(work.reply_to, "mine");
    assert_string_equal(work.correlation_id, "r-1");
    rpc_scene_end(client, bridge);
}

static void strangers_cannot_complete_a_request(void **state) {
    struct rpc_work work;
    struct rpc_work forged;
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    forged = work;
    forged.correlation_id[5] = forged.correlation_id[5] == 'A' ? 'B' : 'A';
    rpc_reply(client, &forged, "stolen", NULL);
    (void)snprintf(forged.correlation_id, sizeof forged.correlation_id, "r-1");
    rpc_reply(client, &forged, "stolen", NULL);
    const struct rabbitmq_message bare = {.routing_key = "replies", .body = "stolen"};
    rabbitmq_publish(client, &bare);
    rabbitmq_wait_unheld("replies");
    rpc_reply(client, &work, "paid", NULL);
    expect("mine", "paid", "r-1", false);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "alien replies"), 3);
}

static void a_reply_for_a_record_that_is_gone_is_counted_and_dropped(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(failing);
    ask("a", "mine", "r-1");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "no", "500");
    expect("mine", "no", "r-1", false);
    rpc_reply(client, &work, "no", "500"); /* the worker says it twice */
    rpc_reply(client, &work, "paid", "200");
    rabbitmq_wait_unheld("replies");
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "stray replies"), 2);
}

static void many_requests_are_answered_each_once(void **state) {
    enum { COUNT = 300 };
    (void)state;
    struct bridge *bridge = rpc_scene_start(plain);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        ask(key, "mine", key);
        ask(key, "yours", key);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        struct rpc_work work;
        rpc_take(client, "work", &work);
        rpc_reply(client, &work, "paid", NULL);
    }
    rabbitmq_wait_depth(client, "mine", COUNT);
    rabbitmq_wait_depth(client, "yours", COUNT);
    rabbitmq_queue(client, "mine", NULL);
    rabbitmq_queue(client, "yours", NULL);
    rpc_scene_end(client, bridge);
    assert_int_equal(bridge_figure(bridge, "answered"), 2 * COUNT);
    assert_int_equal(bridge_figure(bridge, "in doubt"), 0);
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_by_the_worker),
        TEST(a_repeat_is_answered_from_the_store),
        TEST(a_repeat_while_the_first_is_pending_is_answered_with_it),
        TEST(a_failed_reply_is_given_once_and_the_request_can_be_tried_again),
        TEST(a_failed_reply_that_is_stored_is_the_answer_for_good),
        TEST(a_reply_too_large_to_store_is_given_once),
        TEST(a_bridge_killed_while_the_worker_works_asks_nobody_again),
        TEST(a_reply_that_comes_while_the_bridge_is_away_waits_for_it),
        TEST(a_request_without_a_reply_is_asked_again_after_its_lease),
        TEST(a_requester_that_is_gone_costs_nothing_but_its_answer),
        TEST(a_requester_whose_queue_is_full_is_given_up_at_last),
        TEST(a_requester_without_a_queue_is_answered_directly),
        TEST(a_requester_without_a_queue_that_is_gone_holds_up_nothing),
        TEST(what_nobody_wants_answered_is_only_forwarded),
        TEST(rules_without_replay_leave_the_answer_to_the_worker),
        TEST(strangers_cannot_complete_a_request),
        TEST(a_reply_for_a_record_that_is_gone_is_counted_and_dropped),
        TEST(many_requests_are_answered_each_once),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
