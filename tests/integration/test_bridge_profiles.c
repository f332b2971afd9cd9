/* SPDX-License-Identifier: MIT
 * The profiles under examples/ as they ship, with the bridge on a real RabbitMQ: each does what the system
 * does that it is named after. */
#include "bridge.h"
#include "profile.h"
#include "rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SHA-256 of "hello", as sha256sum prints it. */
#define SHA256_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct rabbitmq *client;
static struct bridge *bridge;
static const char *source; /* queue */
static unsigned fences;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("out");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

/* Takes the text over. Everything that the sink's exchange gets goes to the queue out. */
static void open_text(char *text, const char *queue, const char *exchange,
                      const char *type) {
    source = queue;
    rabbitmq_queue(client, queue, NULL);
    rabbitmq_exchange(client, exchange, type);
    rabbitmq_bind(client, "out", exchange, "#");
    bridge = bridge_start(text, 0);
    bridge_await(bridge, "link.up: source", 1);
    free(text);
}

static void open_profile(const char *name, const char *queue, const char *exchange) {
    open_text(profile_read(name), queue, exchange, "topic");
}

static void publish(const char *body, const char *headers) {
    struct rabbitmq_message message = {
        .routing_key = source, .body = body, .headers = headers};
    rabbitmq_publish(client, &message);
}

/* The order in the queue is kept: what was published before the fence is through when the fence is. */
static void fence(char *body, size_t size) {
    char headers[256];
    (void)snprintf(body, size, "fence %u", ++fences);
    (void)snprintf(headers, sizeof headers,
                   "message-deduplication-id=fence-%u message-group-id=fences "
                   "x-deduplication-header=fence-%u "
                   "producer-id=fences producer-epoch=0 sequence=%u",
                   fences, fences, fences);
    publish(body, headers);
}

/* Fails unless these bodies, and nothing else, have arrived; NULL ends them. */
#define EXPECT(...) expect((const char *const[]){__VA_ARGS__, NULL})
static void expect(const char *const *bodies) {
    char last[32];
    fence(last, sizeof last);
    for (; *bodies != NULL; bodies++) {
        assert_string_equal(rabbitmq_take(client, "out"), *bodies);
    }
    assert_string_equal(rabbitmq_take(client, "out"), last);
}

#define EXPECT_NOTHING() expect((const char *const[]){NULL})

/* Whether what was published last has arrived. */
static bool arrives(const char *body) {
    char last[32];
    fence(last, sizeof last);
    bool arrived = strcmp(rabbitmq_take(client, "out"), body) == 0;
    if (arrived) {
        assert_string_equal(rabbitmq_take(client, "out"), last);
    }
    return arrived;
}

static void stop(void) {
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(bridge_figure(bridge, "unexpected"), 0);
}

/* ---- sqs-fifo.yaml ---- */

static void open_sqs(void) {
    open_profile("sqs-fifo.yaml", "fifo.in", "fifo");
}

static void sqs_the_id_decides_and_not_the_body(void **state) {
    (void)state;
    open_sqs();
    publish("hello", "message-deduplication-id=1");
    publish("hello", "message-deduplication-id=2");
    publish("other", "message-deduplication-id=1 message-group-id=g");
    EXPECT("hello", "hello");
    stop();
    assert_int_equal(bridge_figure(bridge, "duplicates"), 1);
}

static void sqs_without_an_id_the_body_is_the_id(void **state) {
    (void)state;
    open_sqs();
    publish("hello", "attribute=1");
    publish("hello", "attribute=2");
    publish("hello!", NULL);
    publish("other", "message-deduplication-id=" SHA256_OF_HELLO);
    EXPECT("hello", "hello!");
    stop();
}

static void sqs_an_id_is_unique_within_its_group(void **state) {
    char *text = profile_read("sqs-fifo.yaml");
    (void)state;
    rabbitmq_exchange(client, "fifo.quarantine", "fanout");
    rabbitmq_queue(client, "fifo.quarantine", NULL);
    rabbitmq_bind(client, "fifo.quarantine", "fifo.quarantine", "");
    open_text(
        profile_change(text, "queue: fifo.in}\n  sink", "queue: grouped.in}\n  sink"),
        "grouped.in", "fifo", "topic");
    publish("1", "message-deduplication-id=1 message-group-id=g");
    publish("2", "message-deduplication-id=1 message-group-id=h");
    publish("3", "message-deduplication-id=1 message-group-id=g");
    publish("no group", "message-deduplication-id=1");
    EXPECT("1", "2");
    assert_string_equal(rabbitmq_take(client, "fifo.quarantine"), "no group");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "missing_key");
    stop();
}

/* ---- windows ---- */

#define WINDOW_MS 1500

static void publish_first(void *arg) {
    publish("first", arg);
    EXPECT("first");
}

static bool copy_is_delivered(void *arg) {
    publish("copy", arg);
    return arrives("copy");
}

static void open_short_window(const char *ttl_from) {
    char *text = profile_read("sqs-fifo.yaml");
    text = profile_change(text, "ttl: 5m\n", "ttl: 1500ms\n    lease: 1s\n");
    open_text(profile_change(text, "ttl_from: first", ttl_from), "fifo.in", "fifo",
              "topic");
}

/* A window that they extended would never end. */
static void sqs_repeats_do_not_extend_the_window(void **state) {
    static char headers[] = "message-deduplication-id=1";
    (void)state;
    open_short_window("ttl_from: first");
    publish_first(headers);
    assert_true(profile_repeat_until_delivered(copy_is_delivered, headers) >=
                WINDOW_MS - 200);
    stop();
}

static void a_sliding_window_lasts_as_long_as_the_copies_come(void **state) {
    static char headers[] = "message-deduplication-id=1";
    (void)state;
    open_short_window("ttl_from: last");
    publish_first(headers);
    assert_true(profile_none_is_delivered(copy_is_delivered, publish_first, headers,
                                          2 * WINDOW_MS, WINDOW_MS / 2));
    stop();
}

/* ---- stripe.yaml ---- */

static void request(const char *key, const char *body) {
    struct rabbitmq_message message = {
        .routing_key = source, .body = body, .key = key, .user_id = "guest"};
    rabbitmq_publish(client, &message);
}

/* Without the bridge. */
static void prepare_stripe(void) {
    source = "payments.in";
    rabbitmq_queue(client, source, NULL);
    rabbitmq_exchange(client, "payments", "topic");
    rabbitmq_bind(client, "out", "payments", "#");
    rabbitmq_exchange(client, "payments.quarantine", "fanout");
    rabbitmq_queue(client, "payments.quarantine", NULL);
    rabbitmq_bind(client, "payments.quarantine", "payments.quarantine", "");
}

static void start_stripe(void) {
    char *text = profile_read("stripe.yaml");
    bridge = bridge_start(text, 0);
    free(text);
}

static void stripe_a_repeat_is_dropped_and_a_conflict_refused(void **state) {
    (void)state;
    prepare_stripe();
    start_stripe();
    request("k", "10 EUR");
    assert_string_equal(rabbitmq_take(client, "out"), "10 EUR");
    bridge_stop(bridge, EXIT_SUCCESS); /* the first one is finished */
    bridge_restart(bridge);
    request("k", "10 EUR");
    request("k", "99 EUR");
    assert_string_equal(rabbitmq_take(client, "payments.quarantine"), "99 EUR");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "conflict");
    EXPECT_NOTHING();
    stop();
}

/* While RabbitMQ takes nothing from publishers, the first one is on its way to the sink. */
static void stripe_a_concurrent_repeat_is_told_apart(void **state) {
    int64_t deadline = testing_deadline();
    (void)state;
    prepare_stripe();
    request("k", "10 EUR");
    request("k", "10 EUR");
    rabbitmq_alarm(true);
    start_stripe();
    while (rabbitmq_unacknowledged(source) < 2 && testing_remaining_ms(deadline) > 0) {
        testing_pause();
    }
    rabbitmq_alarm(false);
    assert_string_equal(rabbitmq_take(client, "out"), "10 EUR");
    assert_string_equal(rabbitmq_take(client, "payments.quarantine"), "10 EUR");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "in_flight");
    bridge_stop(bridge, EXIT_SUCCESS);
    bridge_restart(bridge);
    request("k", "10 EUR"); /* finished by now: no more than a duplicate */
    EXPECT_NOTHING();
    assert_int_equal(rabbitmq_depth(client, "payments.quarantine"), 0);
    stop();
}

static void stripe_keys_belong_to_who_made_them_up(void **state) {
    (void)state;
    prepare_stripe();
    start_stripe();
    request("k", "10 EUR");
    publish("10 EUR", "idempotency-key=k"); /* of nobody: no key */
    publish("10 EUR", "idempotency-key=k");
    EXPECT("10 EUR", "10 EUR", "10 EUR");
    stop();
}

static void stripe_a_repeat_gets_the_response_of_the_first(void **state) {
    static const struct rpc_request asked = {.queue = "payments.in",
                                             .key = "k",
                                             .body = "10 EUR",
                                             .reply_to = "answers",
                                             .correlation_id = "r",
                                             .user_id = "guest"};
    const struct rpc_answer first = {"answers", "charged", "r", false};
    const struct rpc_answer again = {"answers", "charged", "r", true};
    struct rpc_work work;
    (void)state;
    prepare_stripe();
    rabbitmq_queue(client, "answers", NULL);
    start_stripe();
    rpc_ask(client, &asked);
    rpc_take(client, "out", &work);
    rpc_reply(client, &work, "charged", "200");
    rpc_expect(client, &first);
    rpc_ask(client, &asked);
    rpc_expect(client, &again);
    EXPECT_NOTHING();
    stop();
}

/* ---- rpc.yaml ---- */

static void rpc_a_failure_is_tried_again_and_a_success_is_not(void **state) {
    static const struct rpc_request asked = {.queue = "payments.requests",
                                             .key = "k",
                                             .body = "10 EUR",
                                             .reply_to = "answers",
                                             .correlation_id = "r"};
    static const char *const statuses[] = {"503", "200"};
    const struct rpc_answer answer = {"answers", "said", "r", false};
    const struct rpc_answer again = {"answers", "said", "r", true};
    struct rpc_work work;
    char *text = profile_read("rpc.yaml");
    (void)state;
    source = "payments.requests";
    rabbitmq_queue(client, source, NULL);
    rabbitmq_queue(client, "payments.work", NULL);
    rabbitmq_queue(client, "answers", NULL);
    bridge = bridge_start(text, 0);
    free(text);
    for (size_t i = 0; i < 2; i++) {
        rpc_ask(client, &asked);
        rpc_take(client, "payments.work", &work);
        rpc_reply(client, &work, "said", statuses[i]);
        rpc_expect(client, &answer);
    }
    rpc_ask(client, &asked);
    rpc_expect(client, &again);
    assert_int_equal(rabbitmq_depth(client, "payments.work"), 0);
    stop();
}

/* ---- kafka-producer.yaml ---- */

static void open_kafka(void) {
    rabbitmq_exchange(client, "events.quarantine", "fanout");
    rabbitmq_queue(client, "events.quarantine", NULL);
    rabbitmq_bind(client, "events.quarantine", "events.quarantine", "");
    open_profile("kafka-producer.yaml", "events.in", "events");
}

static void kafka_a_repeat_is_dropped_and_a_gap_refused(void **state) {
    (void)state;
    open_kafka();
    publish("0", "producer-id=p producer-epoch=1 sequence=0");
    publish("1", "producer-id=p producer-epoch=1 sequence=1");
    publish("1 again", "producer-id=p producer-epoch=1 sequence=1");
    publish("0 again", "producer-id=p producer-epoch=1 sequence=0");
    publish("3", "producer-id=p producer-epoch=1 sequence=3");
    assert_string_equal(rabbitmq_take(client, "events.quarantine"), "3");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "gap");
    publish("2", "producer-id=p producer-epoch=1 sequence=2");
    publish("other", "producer-id=q producer-epoch=1 sequence=0");
    EXPECT("0", "1", "2", "other");
    stop();
}

static void kafka_an_older_epoch_is_fenced_off(void **state) {
    (void)state;
    open_kafka();
    publish("old", "producer-id=p producer-epoch=1 sequence=0");
    publish("new", "producer-id=p producer-epoch=2 sequence=0");
    EXPECT("old", "new");
    publish("zombie", "producer-id=p producer-epoch=1 sequence=1");
    assert_string_equal(rabbitmq_take(client, "events.quarantine"), "zombie");
    assert_string_equal(rabbitmq_header(client, "x-idem-reason"), "fenced");
    EXPECT_NOTHING();
    stop();
}

/* ---- rabbitmq-deduplication.yaml ---- */

/* The topology that the guide ends with: producers publish to the exchange that they know. */
static void open_deduplication(const char *lease) {
    char *text =
        profile_change(profile_read("rabbitmq-deduplication.yaml"), "lease: 5s", lease);
    rabbitmq_exchange(client, "orders", "fanout");
    open_text(text, "orders.in", "orders.once", "fanout");
    rabbitmq_bind(client, "orders.in", "orders", "");
}

static void produce(const char *body, const char *headers) {
    struct rabbitmq_message message = {
        .exchange = "orders", .routing_key = "any.key", .body = body, .headers = headers};
    rabbitmq_publish(client, &message);
}

static void producers_of_the_deduplication_plugin_stay_as_they_are(void **state) {
    (void)state;
    open_deduplication("lease: 5s");
    produce("first", "x-deduplication-header=a");
    produce("another body", "x-deduplication-header=a");
    produce("number", "x-deduplication-header=17");
    produce("number again", "x-deduplication-header=17");
    produce("no header", NULL);
    produce("no header", NULL);
    EXPECT("first", "number", "no header", "no header");
    stop();
}

static bool brief_copy_is_delivered(void *arg) {
    (void)arg;
    produce("brief", "x-deduplication-header=brief x-cache-ttl=1200");
    return arrives("brief");
}

static void a_message_brings_its_own_ttl(void **state) {
    (void)state;
    open_deduplication("lease: 1s");
    produce("long", "x-deduplication-header=long");
    produce("hostile", "x-deduplication-header=hostile x-cache-ttl=0");
    EXPECT("long", "hostile");
    assert_true(brief_copy_is_delivered(NULL));
    assert_true(profile_repeat_until_delivered(brief_copy_is_delivered, NULL) >= 1000);
    produce("long", "x-deduplication-header=long");
    EXPECT_NOTHING();
    stop();
}

/* ---- broker-headers.yaml ---- */

static void headers_of_other_brokers_are_keys_and_all_are_set(void **state) {
    static const char *const names[] = {"Nats-Msg-Id", "_AMQ_DUPL_ID",
                                        "x-deduplication-header", "idempotency-key"};
    (void)state;
    open_profile("broker-headers.yaml", "relay.in", "relay");
    for (size_t i = 0; i < 4; i++) {
        char headers[64];
        char key[8];
        (void)snprintf(key, sizeof key, "key-%zu", i);
        (void)snprintf(headers, sizeof headers, "%s=%s", names[i], key);
        publish(key, headers);
        publish("copy", headers);
        assert_string_equal(rabbitmq_take(client, "out"), key);
        for (size_t j = 0; j < 4; j++) {
            assert_string_equal(rabbitmq_header(client, names[j]), key);
        }
        EXPECT_NOTHING();
    }
    stop();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(sqs_the_id_decides_and_not_the_body),
        CASE(sqs_without_an_id_the_body_is_the_id),
        CASE(sqs_an_id_is_unique_within_its_group),
        CASE(sqs_repeats_do_not_extend_the_window),
        CASE(a_sliding_window_lasts_as_long_as_the_copies_come),
        CASE(stripe_a_repeat_is_dropped_and_a_conflict_refused),
        CASE(stripe_a_concurrent_repeat_is_told_apart),
        CASE(stripe_keys_belong_to_who_made_them_up),
        CASE(stripe_a_repeat_gets_the_response_of_the_first),
        CASE(rpc_a_failure_is_tried_again_and_a_success_is_not),
        CASE(kafka_a_repeat_is_dropped_and_a_gap_refused),
        CASE(kafka_an_older_epoch_is_fenced_off),
        CASE(producers_of_the_deduplication_plugin_stay_as_they_are),
        CASE(a_message_brings_its_own_ttl),
        CASE(headers_of_other_brokers_are_keys_and_all_are_set),
    };
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
