/* SPDX-License-Identifier: MIT
 * The bridge between two queues of a real RabbitMQ: what goes through, what does not, and where to. */
#include "bridge.h"
#include "rabbitmq.h"
#include "rabbitmq_library.h"
#include "rabbitmq_types.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDS                                                                             \
    "bridge:\n"                                                                          \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, prefetch: 100}\n"             \
    "  attempts: 2\n"
#define TO_OUT        "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"
#define TO_EXCHANGE   "  sink: {url: 'amqp://127.0.0.1:@PORT@', exchange: events}\n"
#define TO_QUARANTINE "  quarantine: {exchange: aside}\n"
#define STORE         "instance: one\nstore: {url: 'embedded://@DIR@/store'}\n"
#define RULE                                                                             \
    "rules:\n"                                                                           \
    "  - name: orders\n"                                                                 \
    "    match: {queue: in}\n"                                                           \
    "    key: property:idempotency-key\n"                                                \
    "    scope: global\n"

static const char plain[] = STORE ENDS TO_OUT TO_QUARANTINE RULE;
static struct rabbitmq *client;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    rabbitmq_fanout(client, "aside", "aside");
    rabbitmq_exchange(client, "events", "topic");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

static void publish(const char *key, const char *body) {
    struct rabbitmq_message message = {.routing_key = "in", .body = body, .key = key};
    rabbitmq_publish(client, &message);
}

static void duplicates_are_dropped_and_acknowledged(void **state) {
    (void)state;
    publish("a", "one");
    publish("a", "one");
    publish("b", "two");
    publish("a", "one");
    struct bridge *bridge = bridge_start(plain, 0);
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    assert_string_equal(rabbitmq_take(client, "out"), "two");
    bridge_await(bridge, "link.up: source", 1);
    publish("b", "two");
    publish("c", "three");
    assert_string_equal(rabbitmq_take(client, "out"), "three");
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
    assert_int_equal(bridge_logged(bridge, "duplicates 3"), 1);
    assert_int_equal(bridge_logged(bridge, "unexpected 0"), 1);
}

static void a_restarted_bridge_knows_what_it_delivered(void **state) {
    (void)state;
    struct bridge *bridge = bridge_start(plain, 0);
    publish("a", "one");
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    bridge_stop(bridge, EXIT_SUCCESS);
    publish("a", "one");
    publish("b", "two");
    bridge_restart(bridge);
    assert_string_equal(rabbitmq_take(client, "out"), "two");
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
}

struct order {
    unsigned next;
};

static void in_order(void *arg, const char *body) {
    struct order *order = arg;
    char expected[32];
    (void)snprintf(expected, sizeof expected, "m %u", order->next++);
    assert_string_equal(body, expected);
}

static void order_is_kept(void **state) {
    static const char half_natural[] =
        STORE ENDS TO_OUT "rules:\n"
                          "  - {name: keyed, match: {header: idempotency-key}, key: "
                          "property:idempotency-key, scope: global}\n";
    struct order order = {0};
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "m %u", i);
        publish(i % 3 == 0 ? NULL : body,
                body); /* some are decided at once, some later */
    }
    struct bridge *bridge = bridge_start(half_natural, 0);
    rabbitmq_wait_depth(client, "out", 600);
    rabbitmq_take_all(client, "out", in_order, &order);
    assert_int_equal(order.next, 600);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void a_conflict_goes_to_the_quarantine_with_reasons(void **state) {
    (void)state;
    struct bridge *bridge = bridge_start(plain, 0);
    publish("a", "one");
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    publish("a", "another");
    assert_string_equal(rabbitmq_take(client, "aside"), "another");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "conflict");
    assert_string_equal(rabbitmq_header(client, "x-idem-rule"), "orders");
    assert_string_equal(rabbitmq_header(client, "x-idem-exchange"), "");
    assert_string_equal(rabbitmq_header(client, "x-idem-routing-key"), "in");
    assert_string_equal(rabbitmq_header(client, "x-idem-queue"), "in");
    assert_string_equal(rabbitmq_header(client, "idempotency-key"), "a");
    assert_true(strtoll(rabbitmq_header(client, "x-idem-first-seen"), NULL, 10) >
                1500000000);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
}

static void without_a_quarantine_a_conflict_is_dead_lettered(void **state) {
    static const char config[] = STORE ENDS TO_OUT RULE;
    (void)state;
    rabbitmq_queue(client, "in",
                   "x-dead-letter-exchange=aside x-dead-letter-routing-key=dead");
    struct bridge *bridge = bridge_start(config, 0);
    publish("a", "one");
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    publish("a", "another");
    assert_string_equal(rabbitmq_take(client, "aside"), "another");
    bridge_stop(bridge, EXIT_SUCCESS);
    rabbitmq_queue(client, "in", NULL);
}

static void an_unroutable_message_is_retried_then_quarantined(void **state) {
    static const char config[] = STORE ENDS TO_EXCHANGE TO_QUARANTINE RULE;
    (void)state;
    rabbitmq_bind(client, "out", "events", "known");
    struct bridge *bridge = bridge_start(config, 0);
    struct rabbitmq_message message = {.routing_key = "in", .body = "lost", .key = "a"};
    rabbitmq_publish(client, &message);
    assert_string_equal(rabbitmq_take(client, "aside"), "lost");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "unroutable");
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(bridge, "returned 2"), 1);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
}

static void an_unroutable_message_goes_when_there_is_a_way(void **state) {
    static const char config[] = STORE ENDS TO_EXCHANGE RULE; /* no quarantine */
    (void)state;
    struct bridge *bridge = bridge_start(config, 0);
    publish("a", "one");
    publish("a", "one"); /* waits behind the first, which is not certain yet */
    for (int i = 0; i < 100; i++) {
        testing_pause();
    }
    rabbitmq_bind(client, "out", "events", "in");
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    bridge_stop(bridge,
                EXIT_SUCCESS); /* does not wait for a copy that is held for long */
    bridge_restart(bridge);
    bridge_await(bridge, "bridge.started", 2);
    rabbitmq_wait_depth(client, "in", 0);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
}

static void a_full_sink_is_retried_until_it_has_room(void **state) {
    static const char config[] = STORE ENDS TO_OUT RULE;
    (void)state;
    rabbitmq_queue(client, "out", "x-max-length=1 x-overflow=reject-publish");
    publish("a", "one");
    publish("b", "two");
    struct bridge *bridge = bridge_start(config, 0);
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    assert_string_equal(rabbitmq_take(client, "out"), "two");
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
    rabbitmq_queue(client, "out", NULL);
}

static void the_key_is_propagated(void **state) {
    static const char config[] =
        STORE ENDS TO_OUT RULE "    propagate: {as: idempotency-key, hop: billing}\n";
    (void)state;
    publish("a", "one");
    struct bridge *bridge = bridge_start(config, 0);
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    assert_int_equal(strlen(rabbitmq_header(client, "idempotency-key")), 32);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void a_copy_without_a_key_can_be_set_aside(void **state) {
    static const char config[] =
        STORE ENDS TO_OUT TO_QUARANTINE RULE "    on_missing_key: quarantine\n";
    (void)state;
    publish(NULL, "nameless");
    struct bridge *bridge = bridge_start(config, 0);
    assert_string_equal(rabbitmq_take(client, "aside"), "nameless");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "missing_key");
    bridge_stop(bridge, EXIT_SUCCESS);
}

/* A foreign user_id in the property would make the broker close the channel. */
static void a_user_id_travels_as_a_header(void **state) {
    static const char config[] =
        STORE "bridge:\n"
              "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
              "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n" RULE;
    (void)state;
    struct rabbitmq_message message = {
        .routing_key = "in", .body = "one", .key = "a", .user_id = "guest"};
    rabbitmq_publish(client, &message);
    struct bridge *bridge = bridge_start(config, 0);
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    const amqp_basic_properties_t *properties = rabbitmq_properties(client);
    assert_true((properties->_flags & AMQP_BASIC_USER_ID_FLAG) != 0); /* the same user */
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void every_property_of_every_type_survives(void **state) {
    static const char config[] =
        STORE ENDS TO_OUT "rules:\n"
                          "  - name: orders\n"
                          "    match: {queue: in}\n"
                          "    key: [message-id]\n"
                          "    scope: principal\n"
                          "    propagate: {as: idempotency-key}\n";
    struct rabbitmq_message message = {.routing_key = "in",
                                       .body = "\0binary\0",
                                       .length = 8,
                                       .properties = rabbitmq_all_types()};
    (void)state;
    rabbitmq_publish(client, &message);
    rabbitmq_publish(client, &message);
    struct bridge *bridge = bridge_start(config, 0);
    assert_memory_equal(rabbitmq_take(client, "out"), "\0binary\0", 8);
    rabbitmq_expect_properties(rabbitmq_properties(client), rabbitmq_all_types());
    assert_string_equal(rabbitmq_header(client, "idempotency-key"), "message-1");
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
}

static void large_messages_pass(void **state) {
    static char body[900000];
    (void)state;
    memset(body, 'x', sizeof body - 1);
    publish("a", body);
    publish("b", "small");
    struct bridge *bridge = bridge_start(plain, 0);
    assert_string_equal(rabbitmq_take(client, "out"), body);
    assert_string_equal(rabbitmq_take(client, "out"), "small");
    bridge_stop(bridge, EXIT_SUCCESS);
}

/* The broker closes the channel over each of them: the guilty ones are found one by one. */
static void messages_that_close_the_channel_are_quarantined(void **state) {
    static const char config[] = STORE ENDS TO_EXCHANGE TO_QUARANTINE RULE;
    (void)state;
    rabbitmq_internal_exchange(client, "events");
    publish("a", "one");
    publish("b", "two");
    publish("c", "three");
    struct bridge *bridge = bridge_start(config, 0);
    for (int i = 0; i < 3; i++) {
        (void)rabbitmq_take(client, "aside");
        assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "refused");
    }
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(rabbitmq_depth(client, "in"), 0);
    assert_true(bridge_logged(bridge, "copy.in_doubt") > 0);
}

static void a_blocked_sink_is_waited_for(void **state) {
    (void)state;
    struct bridge *bridge = bridge_start(plain, 0);
    bridge_await(bridge, "link.up: source", 1);
    rabbitmq_publish_many(client, "in", "m", 500);
    rabbitmq_wait_depth(client, "out", 500);
    bridge_stop(bridge, EXIT_SUCCESS);
    rabbitmq_publish_many(client, "in", "n", 500);
    rabbitmq_alarm(true);
    bridge_restart(bridge);
    bridge_await(bridge, "link.blocked: sink", 1);
    assert_int_equal(rabbitmq_depth(client, "out"), 500);
    rabbitmq_alarm(false);
    rabbitmq_wait_depth(client, "out", 1000);
    assert_int_equal(bridge_logged(bridge, "link.unblocked: sink"), 1);
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_logged(bridge, "copy.in_doubt"), 0);
}

static void rules_are_reloaded(void **state) {
    static const char without_rules[] = STORE ENDS TO_OUT;
    (void)state;
    struct bridge *bridge = bridge_start(without_rules, 0);
    publish("a", "one");
    publish("a", "one");
    rabbitmq_wait_depth(client, "out", 2);
    bridge_configure(bridge, plain);
    bridge_signal(bridge, SIGHUP);
    bridge_await(bridge, "config.reloaded: 1 rules", 1);
    publish("a", "one");
    publish("a", "one");
    publish("b", "two");
    rabbitmq_wait_depth(client, "out", 4);
    bridge_configure(bridge, "nonsense: true\n");
    bridge_signal(bridge, SIGHUP);
    bridge_await(bridge, "config.kept", 1);
    publish("b", "two");
    publish("c", "three");
    rabbitmq_wait_depth(client, "out", 5);
    bridge_stop(bridge, EXIT_SUCCESS);
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(duplicates_are_dropped_and_acknowledged),
        TEST(a_restarted_bridge_knows_what_it_delivered),
        TEST(order_is_kept),
        TEST(a_conflict_goes_to_the_quarantine_with_reasons),
        TEST(without_a_quarantine_a_conflict_is_dead_lettered),
        TEST(an_unroutable_message_is_retried_then_quarantined),
        TEST(an_unroutable_message_goes_when_there_is_a_way),
        TEST(a_full_sink_is_retried_until_it_has_room),
        TEST(the_key_is_propagated),
        TEST(a_copy_without_a_key_can_be_set_aside),
        TEST(a_user_id_travels_as_a_header),
        TEST(every_property_of_every_type_survives),
        TEST(large_messages_pass),
        TEST(messages_that_close_the_channel_are_quarantined),
        TEST(a_blocked_sink_is_waited_for),
        TEST(rules_are_reloaded),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
