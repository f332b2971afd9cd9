/* SPDX-License-Identifier: MIT
 * Requests that no worker will ever see, in mode rpc: each goes where its rule says, and its requester is told
 * instead of waiting in vain. */
#include "rpc_scene.h"

#include <stdlib.h>
#include <string.h>

#define DEAD_LETTERS "x-dead-letter-exchange=aside"

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

/* The same as rpc_scene_ask, but for the body. */
static void ask_more(const char *key, const char *reply_to, const char *correlation_id) {
    const struct rpc_request request = {.queue = "in",
                                        .key = key,
                                        .body = "pay more",
                                        .reply_to = reply_to,
                                        .correlation_id = correlation_id};
    rpc_ask(client, &request);
}

static void expect_header(const char *name, const char *value) {
    const char *header = rabbitmq_header(client, name);
    assert_non_null(header);
    assert_string_equal(header, value);
}

static void expect_refusal(const char *queue, const char *correlation_id,
                           const char *reason) {
    const struct rpc_answer answer = {queue, "", correlation_id, false};
    rpc_expect(client, &answer);
    expect_header("x-idem-result", "refused");
    expect_header("x-idem-reason", reason);
    expect_header("x-idem-rule", "payments");
}

static void expect_aside(const char *body, const char *reason) {
    assert_string_equal(rabbitmq_take(client, "aside"), body);
    if (reason != NULL) {
        expect_header("x-idem-reason", reason);
    }
}

/* A request that has been done, and its answer. */
static void pay(const char *key) {
    const struct rpc_answer answer = {"mine", "paid", "first", false};
    struct rpc_work work;
    rpc_scene_ask(client, key, "mine", "first");
    rpc_take(client, "work", &work);
    rpc_reply(client, &work, "paid", "200");
    rpc_expect(client, &answer);
}

static void end(struct bridge *bridge, unsigned long refused) {
    rpc_scene_end(client, bridge);
    assert_int_equal(rabbitmq_depth(client, "aside"), 0);
    assert_int_equal(bridge_figure(bridge, "refused"), refused);
}

static void a_conflict_is_set_aside_and_its_requester_told(void **state) {
    const struct rpc_answer again = {"mine", "paid", "r-3", true};
    (void)state;
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    pay("a");
    ask_more("a", "yours", "r-2");
    expect_refusal("yours", "r-2", "conflict");
    expect_aside("pay more", "conflict");
    rpc_scene_ask(client, "a", "mine",
                  "r-3"); /* and nothing has changed for the others */
    rpc_expect(client, &again);
    end(bridge, 1);
    assert_int_equal(bridge_figure(bridge, "delivered"), 1);
}

static void a_conflict_that_is_dropped_is_told_too(void **state) {
    (void)state;
    struct bridge *bridge =
        rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(", on_conflict: drop"));
    pay("a");
    ask_more("a", "yours", NULL); /* also without a correlation id */
    expect_refusal("yours", "", "conflict");
    end(bridge, 1);
}

static void a_conflict_that_is_dead_lettered_is_told_too(void **state) {
    (void)state;
    rabbitmq_queue(client, "in", DEAD_LETTERS);
    struct bridge *bridge =
        rpc_scene_start(RPC_SCENE_TOP_BARE RPC_SCENE_RULE(", on_conflict: reject"));
    pay("a");
    ask_more("a", "yours", "r-2");
    expect_refusal("yours", "r-2", "conflict");
    expect_aside("pay more", NULL);
    end(bridge, 1);
}

/* The worker gets it as it came, and answers by itself. */
static void a_conflict_that_is_delivered_is_the_workers(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge =
        rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(", on_conflict: deliver"));
    pay("a");
    ask_more("a", "yours", "r-2");
    rpc_take(client, "work", &work);
    assert_string_equal(work.body, "pay more");
    assert_string_equal(work.reply_to, "yours");
    assert_string_equal(work.correlation_id, "r-2");
    end(bridge, 0);
}

/* Held until it is known whether it is one: the first may fail. */
static void a_conflict_with_a_pending_request_is_told_when_that_is_done(void **state) {
    const struct rpc_answer first = {"mine", "paid", "r-1", false};
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    rpc_scene_ask(client, "a", "mine", "r-1");
    rpc_take(client, "work", &work);
    ask_more("a", "yours", "r-2");
    rpc_reply(client, &work, "paid", NULL);
    rpc_expect(client, &first);
    expect_refusal("yours", "r-2", "conflict");
    expect_aside("pay more", "conflict");
    end(bridge, 1);
}

static void a_conflict_that_nobody_wants_answered_is_only_set_aside(void **state) {
    (void)state;
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    pay("a");
    ask_more("a", NULL, NULL);
    expect_aside("pay more", "conflict");
    end(bridge, 0);
}

static void a_refused_requester_that_is_gone_holds_up_nothing(void **state) {
    (void)state;
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    pay("a");
    ask_more("a", "nowhere", "r-2");
    expect_aside("pay more", "conflict");
    rabbitmq_wait_unheld("in");
    end(bridge, 0);
    assert_int_equal(bridge_figure(bridge, "unanswerable"), 1);
}

static void a_refused_requester_without_a_queue_is_told_directly(void **state) {
    const struct rpc_request request = {
        .queue = "in", .key = "a", .body = "pay more", .correlation_id = "d-1"};
    (void)state;
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    pay("a");
    struct rpc_direct *direct = rpc_direct_open();
    rpc_direct_ask(direct, &request);
    rpc_direct_expect(direct, "", "d-1");
    expect_aside("pay more", "conflict");
    rpc_direct_close(direct);
    end(bridge, 1);
}

/* Later copies get what a done request without a result gets. */
static void a_request_in_doubt_that_is_set_aside_is_told(void **state) {
    const struct rpc_answer again = {"yours", "", "r-2", true};
    struct rpc_work work;
    (void)state;
    struct bridge *bridge = rpc_scene_start(
        RPC_SCENE_TOP RPC_SCENE_RULE(", lease: 1s, on_in_doubt: quarantine"));
    rpc_scene_ask(client, "a", "mine", "r-1");
    rpc_take(client, "work", &work);
    expect_refusal("mine", "r-1", "in_doubt");
    expect_aside("pay", "in_doubt");
    rpc_scene_ask(client, "a", "yours", "r-2");
    rpc_expect(client, &again);
    expect_header("x-idem-result", "none");
    end(bridge, 1);
    assert_int_equal(bridge_figure(bridge, "delivered"), 1);
}

static void a_request_in_doubt_that_is_dropped_is_told(void **state) {
    struct rpc_work work;
    (void)state;
    struct bridge *bridge =
        rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(", lease: 1s, on_in_doubt: drop"));
    rpc_scene_ask(client, "a", "mine", "r-1");
    rpc_take(client, "work", &work);
    expect_refusal("mine", "r-1", "in_doubt");
    end(bridge, 1);
}

static void a_request_that_no_queue_takes_is_told(void **state) {
    (void)state;
    rabbitmq_delete_queue(client, "work");
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    rpc_scene_ask(client, "a", "mine", "r-1");
    expect_refusal("mine", "r-1", "unroutable");
    expect_aside("pay", "unroutable");
    rabbitmq_queue(client, "work", NULL);
    pay("a"); /* nothing was done, and the key is free */
    end(bridge, 1);
}

static void a_request_without_a_key_is_told(void **state) {
    const struct rpc_request keyless = {
        .queue = "in", .body = "pay", .reply_to = "mine", .correlation_id = "r-1"};
    (void)state;
    struct bridge *bridge =
        rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(", on_missing_key: quarantine"));
    rpc_ask(client, &keyless);
    expect_refusal("mine", "r-1", "missing_key");
    expect_aside("pay", "missing_key");
    end(bridge, 1);
}

/* The refusal has been tried once, and the queue is full. */
static struct bridge *refuse_into_a_full_queue(void) {
    const struct rabbitmq_message filling = {.routing_key = "yours", .body = "full"};
    rabbitmq_queue(client, "yours", "x-max-length=1 x-overflow=reject-publish");
    struct bridge *bridge = rpc_scene_start(RPC_SCENE_TOP RPC_SCENE_RULE(""));
    pay("a");
    rabbitmq_publish(client, &filling);
    ask_more("a", "yours", "r-2");
    expect_aside("pay more", "conflict");
    bridge_await(bridge, "sink.undelivered: nacked", 1);
    return bridge;
}

/* What the requester gets is not what went wrong on the way to it. */
static void a_refusal_that_is_tried_again_still_says_why(void **state) {
    (void)state;
    struct bridge *bridge = refuse_into_a_full_queue();
    assert_string_equal(rabbitmq_take(client, "yours"), "full");
    expect_refusal("yours", "r-2", "conflict");
    end(bridge, 1);
}

static void a_killed_bridge_tells_a_refused_requester_after_its_start(void **state) {
    (void)state;
    struct bridge *bridge = refuse_into_a_full_queue();
    bridge_kill(bridge);
    assert_string_equal(rabbitmq_take(client, "yours"), "full");
    bridge_restart(bridge);
    expect_refusal("yours", "r-2", "conflict");
    expect_aside("pay more", "conflict"); /* a second time: nobody knew of the first */
    end(bridge, 1);
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_conflict_is_set_aside_and_its_requester_told),
        TEST(a_conflict_that_is_dropped_is_told_too),
        TEST(a_conflict_that_is_dead_lettered_is_told_too),
        TEST(a_conflict_that_is_delivered_is_the_workers),
        TEST(a_conflict_with_a_pending_request_is_told_when_that_is_done),
        TEST(a_conflict_that_nobody_wants_answered_is_only_set_aside),
        TEST(a_refused_requester_that_is_gone_holds_up_nothing),
        TEST(a_refused_requester_without_a_queue_is_told_directly),
        TEST(a_request_in_doubt_that_is_set_aside_is_told),
        TEST(a_request_in_doubt_that_is_dropped_is_told),
        TEST(a_request_that_no_queue_takes_is_told),
        TEST(a_request_without_a_key_is_told),
        TEST(a_refusal_that_is_tried_again_still_says_why),
        TEST(a_killed_bridge_tells_a_refused_requester_after_its_start),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
