/* SPDX-License-Identifier: MIT
 * When a claim becomes done: never before the broker has the message for certain. On the real receiver
 * and the memory store, with time moved by hand. */
#include "settle.h"

#include "fake_broker.h"

#include <idem/config.h>

#include <stdio.h>
#include <stdlib.h>

#define CLAIMED_MS 1000000 /* when the messages of these tests arrive */

static const char configuration[] =
    "instance: unit\n"
    "store: {url: 'memory:'}\n"
    "rules:\n"
    "  - {name: all, match: {topic: '#'}, strategy: key, key: [payload], scope: global,\n"
    "     ttl: 24h, lease: 1h}\n";

static struct idem_config config;
static struct idem_store *store;
static struct idem_receiver *receiver;
static struct idem_settle settle;
static const char alice;
static const char bob;

static int start(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    fake_broker_start(FAKE_2_0_11);
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    assert_int_equal(idem_config_parse(&config, "unit.yaml", configuration,
                                       strlen(configuration), NULL, NULL, &error),
                     IDEM_OK);
    struct idem_store_options store_options = {.url = config.store.url};
    assert_int_equal(idem_store_open(&store, &store_options, &error), IDEM_OK);
    struct idem_receiver_options options = {
        .store = store, .rules = &config.rules, .instance = config.instance};
    assert_int_equal(idem_receiver_open(&receiver, &options, &error), IDEM_OK);
    idem_settle_init(&settle, receiver);
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_settle_fini(&settle);
    idem_receiver_close(receiver);
    idem_store_close(store);
    idem_config_fini(&config);
    fake_broker_stop();
    return 0;
}

/* ---- messages, and what the store knows of them ---- */

static void decided(void *arg, struct idem_delivery *delivery) {
    (void)delivery;
    *(bool *)arg = true;
}

static struct idem_delivery submit(const char *payload) {
    struct idem_delivery delivery;
    bool answered = false;
    struct idem_message message = {
        .protocol = IDEM_PROTOCOL_MQTT,
        .topic = idem_span_text("t"),
        .payload = idem_span_text(payload),
    };
    idem_receiver_submit(receiver, &message, CLAIMED_MS, &delivery, decided, &answered);
    assert_true(answered);
    return delivery;
}

static void add(const char *payload, const char *topic, const void *client) {
    struct idem_delivery delivery = submit(payload);
    struct idem_handover handover = {.payload = payload,
                                     .payload_size = (uint32_t)strlen(payload)};
    assert_true(delivery.claimed);
    assert_int_equal(idem_settle_reserve(&settle), IDEM_OK);
    if (topic != NULL) {
        handover.topic = strdup(topic);
        assert_non_null(handover.topic);
    }
    idem_settle_add(&settle, &delivery, &handover, client, CLAIMED_MS);
}

static void pass(const char *payload) {
    add(payload, NULL, &alice);
}

static void hand_on(const char *payload) {
    add(payload, "t", &alice);
}

/* A further copy: a duplicate where the claim is done, in flight where it is pending. */
static bool is_done(const char *payload) {
    enum idem_reason reason = submit(payload).reason;
    assert_true(reason == IDEM_REASON_DUPLICATE || reason == IDEM_REASON_IN_FLIGHT);
    return reason == IDEM_REASON_DUPLICATE;
}

static void message_after(int64_t ms) {
    idem_settle_on_message(&settle, CLAIMED_MS + ms);
}

/* A tick that hands on what was parked. */
static void tick_that_hands_on(const char *payload) {
    idem_settle_on_tick(&settle, CLAIMED_MS);
    if (payload != NULL) {
        add(payload, "t", NULL);
    }
    idem_settle_end_turn(&settle);
}

static void tick(void) {
    tick_that_hands_on(NULL);
}

static void disconnect(const void *client, bool out_of_memory) {
    idem_settle_on_disconnect(&settle, client, out_of_memory, CLAIMED_MS);
}

/* ---- passing messages ---- */

static void a_passing_message_is_done_at_the_next_event_and_not_before(void **state) {
    (void)state;
    pass("a");
    assert_false(is_done("a"));
    message_after(0);
    assert_true(is_done("a"));

    pass("b");
    assert_false(is_done("b"));
    tick();
    assert_true(is_done("b"));

    pass("c");
    assert_false(is_done("c"));
    disconnect(&bob, false);
    assert_true(is_done("c"));

    pass("d");
    disconnect(&alice, false); /* its own */
    assert_true(is_done("d"));
    assert_int_equal(settle.count, 0);
}

static void a_broker_out_of_memory_leaves_the_claim_of_its_client_pending(void **state) {
    (void)state;
    add("alice", NULL, &alice);
    add("bob", NULL, &bob);
    disconnect(&alice, true);
    assert_true(is_done("bob"));
    tick();
    message_after(5000);
    assert_false(is_done("alice"));
    assert_int_equal(settle.count, 0);
}

static void what_was_handed_on_is_the_brokers_even_then(void **state) {
    (void)state;
    add("alice", "t", &alice);
    disconnect(&alice, true);
    assert_false(is_done("alice"));
    tick();
    tick();
    assert_true(is_done("alice"));
}

/* ---- messages handed on ---- */

static void a_message_handed_on_is_done_after_a_turn(void **state) {
    (void)state;
    tick();
    hand_on("a");
    message_after(0);
    assert_false(is_done("a"));
    tick(); /* the end of the turn in which it was handed on */
    assert_false(is_done("a"));
    message_after(0); /* in the next turn, which began with the broker's queue */
    assert_true(is_done("a"));

    hand_on("b");
    tick();
    assert_false(is_done("b"));
    tick();
    assert_true(is_done("b"));
}

static void a_disconnection_proves_it_a_turn_later(void **state) {
    (void)state;
    hand_on("a");
    disconnect(&bob, false);
    assert_false(is_done("a"));
    tick();
    disconnect(&bob, false); /* perhaps the broker is shutting down */
    assert_false(is_done("a"));
    tick();
    assert_true(is_done("a"));
}

static void what_a_tick_hands_on_is_done_with_the_next_event(void **state) {
    (void)state;
    tick_that_hands_on("a");
    disconnect(&bob, false);
    assert_false(is_done("a"));
    message_after(0);
    assert_true(is_done("a"));

    tick_that_hands_on("b");
    assert_false(is_done("b"));
    tick();
    assert_true(is_done("b"));
}

static void where_the_broker_does_not_tick_a_second_must_pass(void **state) {
    (void)state;
    hand_on("a");
    message_after(999);
    assert_false(is_done("a"));
    message_after(1000);
    assert_true(is_done("a"));

    hand_on("b");
    idem_settle_on_disconnect(&settle, &bob, false, CLAIMED_MS + 999);
    assert_false(is_done("b"));
    idem_settle_on_disconnect(&settle, &bob, false, CLAIMED_MS + 1000);
    assert_true(is_done("b"));
}

static void where_it_ticks_time_proves_nothing(void **state) {
    (void)state;
    tick();
    hand_on("a");
    message_after(60000);
    assert_false(is_done("a"));
}

/* ---- the stop ---- */

struct saving {
    bool answer;
    unsigned calls;
    size_t count;
    char payloads[64]; /* of what came to be saved, in its order */
};

static bool save(void *arg, const struct idem_handover *const *handovers, size_t count) {
    struct saving *saving = arg;
    saving->calls++;
    saving->count = count;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(handovers[i]->topic);
        assert_false(is_done(handovers[i]->payload));
        size_t used = strlen(saving->payloads);
        (void)snprintf(saving->payloads + used, sizeof saving->payloads - used, "%s ",
                       (const char *)handovers[i]->payload);
    }
    return saving->answer;
}

static void at_the_stop_what_the_broker_still_has_is_saved(void **state) {
    (void)state;
    struct saving saving = {.answer = true};
    hand_on("taken");
    tick();
    hand_on("first");
    pass("passed");
    hand_on("second");
    tick();
    hand_on("third");
    idem_settle_stop(&settle, CLAIMED_MS, save, &saving);
    assert_int_equal(saving.calls, 1);
    assert_string_equal(saving.payloads, "first second third ");
    static const char *const all[] = {"taken", "first", "passed", "second", "third"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(is_done(all[i]));
    }
    assert_int_equal(settle.count, 0);
}

/* What the last turn began with has been freed by the broker: it is not looked at, nor published twice. */
static void at_the_stop_what_an_earlier_tick_handed_on_is_not_saved(void **state) {
    (void)state;
    struct saving saving = {.answer = true};
    tick_that_hands_on("taken");
    tick_that_hands_on("first");
    idem_settle_stop(&settle, CLAIMED_MS, save, &saving);
    assert_string_equal(saving.payloads, "first ");
    assert_true(is_done("taken"));
}

static void what_cannot_be_saved_stays_pending(void **state) {
    (void)state;
    struct saving saving = {.answer = false};
    tick();
    hand_on("a");
    pass("b");
    idem_settle_stop(&settle, CLAIMED_MS, save, &saving);
    assert_int_equal(saving.calls, 1);
    assert_false(is_done("a"));
    assert_true(is_done("b"));
}

static void with_nothing_left_nothing_is_saved(void **state) {
    (void)state;
    struct saving saving = {.answer = true};
    tick();
    pass("a");
    idem_settle_stop(&settle, CLAIMED_MS, save, &saving);
    assert_int_equal(saving.calls, 0);
    assert_true(is_done("a"));
}

/* The broker may have freed it: nothing of it may be looked at. */
static void without_ticks_the_rest_is_left_in_doubt(void **state) {
    (void)state;
    struct saving saving = {.answer = true};
    hand_on("a");
    pass("b");
    idem_settle_stop(&settle, CLAIMED_MS, save, &saving);
    assert_int_equal(saving.calls, 0);
    assert_false(is_done("a"));
    assert_true(is_done("b"));
}

static void without_memory_to_save_the_rest_stays_pending(void **state) {
    (void)state;
    struct saving saving = {.answer = true};
    tick();
    hand_on("a");
    fake_broker_refuse(1, 1);
    idem_settle_stop(&settle, CLAIMED_MS, save, &saving);
    assert_true(fake_broker_refused());
    assert_int_equal(saving.calls, 0);
    assert_false(is_done("a"));
}

/* ---- many ---- */

static void name(char *payload, size_t size, int i) {
    (void)snprintf(payload, size, "message %d", i);
}

static bool was_handed_on(int i) {
    return i % 3 == 0;
}

static void add_many(char (*payloads)[24], int from, int to) {
    for (int i = from; i < to; i++) {
        name(payloads[i], sizeof payloads[i], i);
        add(payloads[i], was_handed_on(i) ? "t" : NULL, &alice);
    }
}

static void many_are_each_done_in_their_time(void **state) {
    (void)state;
    static char payloads[1000][24];
    tick();
    add_many(payloads, 0, 500);
    tick();
    add_many(payloads, 500, 1000);
    message_after(0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(is_done(payloads[i]), i < 500 || !was_handed_on(i));
    }
    tick();
    tick();
    for (int i = 0; i < 1000; i++) {
        assert_true(is_done(payloads[i]));
    }
    assert_int_equal(settle.count, 0);
}

static void room_is_made_before_anything_is_claimed(void **state) {
    (void)state;
    fake_broker_refuse(1, 1);
    assert_int_equal(idem_settle_reserve(&settle), IDEM_ERR_NOMEM);
    assert_true(fake_broker_refused());
    pass("a");
    while (settle.count < settle.capacity) {
        char payload[24];
        name(payload, sizeof payload, (int)settle.count);
        pass(payload);
    }
    fake_broker_refuse(1, 1);
    assert_int_equal(idem_settle_reserve(&settle), IDEM_ERR_NOMEM);
    assert_true(fake_broker_refused());
    message_after(0);
    assert_true(is_done("a"));
    assert_int_equal(settle.count, 0);
}

static void what_waits_is_held_and_nothing_else(void **state) {
    (void)state;
    pass("a");
    hand_on("b");
    struct idem_digest a = settle.items[0].delivery.digest;
    struct idem_digest b = settle.items[1].delivery.digest;
    assert_true(idem_settle_holds(&settle, &a));
    assert_true(idem_settle_holds(&settle, &b));
    message_after(0);
    assert_false(idem_settle_holds(&settle, &a));
    assert_true(idem_settle_holds(&settle, &b));
    message_after(1000);
    assert_false(idem_settle_holds(&settle, &b));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_passing_message_is_done_at_the_next_event_and_not_before),
        TEST(a_broker_out_of_memory_leaves_the_claim_of_its_client_pending),
        TEST(what_was_handed_on_is_the_brokers_even_then),
        TEST(a_message_handed_on_is_done_after_a_turn),
        TEST(a_disconnection_proves_it_a_turn_later),
        TEST(what_a_tick_hands_on_is_done_with_the_next_event),
        TEST(where_the_broker_does_not_tick_a_second_must_pass),
        TEST(where_it_ticks_time_proves_nothing),
        TEST(at_the_stop_what_the_broker_still_has_is_saved),
        TEST(at_the_stop_what_an_earlier_tick_handed_on_is_not_saved),
        TEST(what_cannot_be_saved_stays_pending),
        TEST(with_nothing_left_nothing_is_saved),
        TEST(without_ticks_the_rest_is_left_in_doubt),
        TEST(without_memory_to_save_the_rest_stays_pending),
        TEST(many_are_each_done_in_their_time),
        TEST(what_waits_is_held_and_nothing_else),
        TEST(room_is_made_before_anything_is_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
