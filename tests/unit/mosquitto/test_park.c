/* SPDX-License-Identifier: MIT
 * The line of parked messages: what is kept of each, order, routes, keys, bounds, and each allocation
 * refused once. */
#include "park.h"

#include "act.h"
#include "compat.h"
#include "fake_broker.h"

#include <idem/digest.h>

#include <stdlib.h>
#include <string.h>

static struct mosquitto client = {"client", NULL, 5};
static struct mosquitto other = {"other", NULL, 4};
static struct idem_park park;

static int start(void **state) {
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    fake_broker_start(FAKE_2_0_21);
    idem_compat_learn();
    idem_park_init(&park, 3, 100000);
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_park_fini(&park);
    fake_broker_take_queue();
    fake_broker_stop();
    return 0;
}

static int add(struct mosquitto_evt_message *event, void *arg) {
    return idem_park_add(&park, arg, event);
}

/* Parks one message; what the broker goes on with is checked to be a sink. */
static struct idem_parked *put(struct mosquitto *from, const char *topic,
                               const char *payload, int qos) {
    struct fake_arrival arrival;
    struct idem_parked *parked = idem_parked_new();
    assert_non_null(parked);
    fake_arrival_init(&arrival, topic, payload, strlen(payload), qos, true);
    fake_user_property_add(&arrival.properties, "a", "1");
    assert_int_equal(fake_arrival_event(&arrival, from, add, parked), MOSQ_ERR_SUCCESS);
    assert_string_equal(arrival.topic, IDEM_TOPIC_SINK);
    assert_int_equal(arrival.payloadlen, IDEM_DIGEST_SIZE);
    assert_false(arrival.retain);
    fake_arrival_fini(&arrival);
    return parked;
}

static void decide(struct idem_parked *parked, enum idem_verdict verdict, uint8_t key) {
    parked->delivery.verdict = verdict;
    parked->delivery.claimed = verdict == IDEM_VERDICT_DELIVER;
    parked->delivery.digest.bytes[0] = key;
    idem_parked_decide(&park, parked);
}

static void messages_leave_in_the_order_they_came(void **state) {
    (void)state;
    struct idem_parked *first = put(&client, "a", "1", 1);
    struct idem_parked *second = put(&other, "b", "2", 0);
    decide(second, IDEM_VERDICT_DELIVER, 2);
    assert_false(first->decided);
    assert_ptr_equal(park.first, first);
    assert_ptr_equal(idem_park_take(&park), first);
    assert_ptr_equal(idem_park_take(&park), second);
    assert_null(idem_park_take(&park));
    assert_int_equal(park.count, 0);
    assert_int_equal(park.bytes, 0);
    idem_parked_free(first);
    idem_parked_free(second);
}

static void a_route_is_a_client_and_a_topic(void **state) {
    (void)state;
    assert_false(idem_park_has_route(&park, "client", "a"));
    (void)put(&client, "a", "1", 1);
    (void)put(&client, "a", "2", 1);
    assert_true(idem_park_has_route(&park, "client", "a"));
    assert_false(idem_park_has_route(&park, "client", "b"));
    assert_false(idem_park_has_route(&park, "other", "a"));
    assert_false(idem_park_has_route(&park, NULL, "a"));
    idem_parked_free(idem_park_take(&park));
    assert_true(idem_park_has_route(&park, "client", "a"));
    idem_parked_free(idem_park_take(&park));
    assert_false(idem_park_has_route(&park, "client", "a"));
}

static void the_key_of_a_claim_is_held_until_its_message_leaves(void **state) {
    (void)state;
    struct idem_digest key = {.bytes = {7}};
    struct idem_parked *claimed = put(&client, "a", "1", 1);
    assert_false(idem_park_holds(&park, &key));
    decide(claimed, IDEM_VERDICT_DELIVER, 7);
    assert_true(idem_park_holds(&park, &key));
    struct idem_parked *duplicate = put(&client, "a", "1", 1);
    decide(duplicate, IDEM_VERDICT_DROP, 7);
    idem_parked_free(idem_park_take(&park));
    assert_false(idem_park_holds(&park, &key)); /* a duplicate delivers nothing */
}

static void a_message_that_was_decided_before_it_was_parked_holds_its_key(void **state) {
    (void)state;
    struct fake_arrival arrival;
    struct idem_digest key = {.bytes = {9}};
    struct idem_parked *parked = idem_parked_new();
    decide(parked, IDEM_VERDICT_DELIVER, 9);
    assert_false(idem_park_holds(&park, &key));
    fake_arrival_init(&arrival, "a", "1", 1, 1, false);
    assert_int_equal(fake_arrival_event(&arrival, &client, add, parked),
                     MOSQ_ERR_SUCCESS);
    fake_arrival_fini(&arrival);
    assert_true(idem_park_holds(&park, &key));
}

static int ask_for_room(struct mosquitto_evt_message *event, void *arg) {
    *(bool *)arg = idem_park_has_room(&park, event);
    return MOSQ_ERR_SUCCESS;
}

static bool has_room(size_t size) {
    bool room = false;
    struct fake_arrival arrival;
    char *payload = calloc(size, 1);
    assert_non_null(payload);
    fake_arrival_init(&arrival, "a", payload, size, 0, false);
    (void)fake_arrival_event(&arrival, &client, ask_for_room, &room);
    fake_arrival_fini(&arrival);
    free(payload);
    return room;
}

static void the_line_is_bounded_by_count_and_bytes(void **state) {
    (void)state;
    assert_true(has_room(90000));
    assert_false(has_room(100000));
    (void)put(&client, "a", "1", 1);
    (void)put(&client, "a", "2", 1);
    assert_true(has_room(1));
    (void)put(&client, "a", "3", 1);
    assert_false(has_room(1));
    idem_parked_free(idem_park_take(&park));
    assert_true(has_room(1));
    park.most_bytes = 1; /* a reload */
    assert_false(has_room(1));
}

/* Under the plan, what goes to the broker's queue. */
static void publish(struct idem_parked *parked, struct idem_handover *handover) {
    const struct idem_act_request request = {
        .plan = idem_plan_of_parked(&parked->delivery),
        .key = parked->key,
        .reason = "conflict",
    };
    const struct idem_act_message message = {
        .topic = parked->topic,
        .size = parked->payload_size,
        .qos = parked->qos,
        .retain = parked->retain,
    };
    assert_int_equal(idem_act_publish(&message, &parked->copy, &request, handover),
                     MOSQ_ERR_SUCCESS);
}

static void assert_published(const char *topic, bool retain, const char *properties) {
    const struct fake_published *message = fake_broker_queue();
    assert_non_null(message);
    assert_string_equal(message->topic, topic);
    assert_int_equal(message->size, 1);
    assert_memory_equal(message->payload, "1", 1);
    assert_int_equal(message->qos, 2);
    assert_int_equal(message->retain, retain);
    char *text = fake_properties_text(message->properties);
    assert_string_equal(text, properties);
    free(text);
}

static void what_is_parked_leaves_as_its_verdict_says(void **state) {
    (void)state;
    static const struct {
        enum idem_verdict verdict;
        const char *topic;
        bool retain;
        const char *properties;
    } rows[] = {
        {IDEM_VERDICT_DELIVER, "a", true, "user:a=1 user:key=7 user:x-other=7"},
        {IDEM_VERDICT_DROP, "$idem/duplicate/a", false,
         "user:a=1 user:idem-reason=conflict"},
        {IDEM_VERDICT_QUARANTINE, "$idem/quarantine/a", false,
         "user:a=1 user:idem-reason=conflict"},
        {IDEM_VERDICT_REJECT, "$idem/rejected/a", false,
         "user:a=1 user:idem-reason=conflict"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct idem_handover handover;
        const char *names[] = {"key", "x-other", NULL};
        const struct idem_stamp key = {names, "7"};
        struct idem_parked *parked = put(&client, "a", "1", 2);
        parked->delivery.verdict = rows[i].verdict;
        idem_parked_carry(parked, &key);
        names[0] = "changed"; /* it has copies */
        idem_parked_decide(&park, parked);
        publish(parked, &handover);
        assert_string_equal(handover.topic, rows[i].topic);
        assert_published(rows[i].topic, rows[i].retain, rows[i].properties);
        idem_handover_fini(&handover);
        idem_parked_free(idem_park_take(&park));
        fake_broker_take_queue();
    }
}

static void without_memory_nothing_is_parked_and_nothing_changes(void **state) {
    (void)state;
    bool refused = true;
    for (size_t nth = 1; refused; nth++) {
        struct fake_arrival arrival;
        struct idem_parked *parked = idem_parked_new();
        fake_arrival_init(&arrival, "a", "1", 1, 2, true);
        fake_user_property_add(&arrival.properties, "a", "1");
        fake_broker_refuse(nth, 1);
        int rc = fake_arrival_event(&arrival, &client, add, parked);
        refused = fake_broker_refused();
        assert_int_equal(rc, refused ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS);
        if (refused) {
            assert_int_equal(park.count, 0);
            assert_string_equal(arrival.topic, "a");
            idem_parked_free(parked);
        }
        fake_arrival_fini(&arrival);
    }
    assert_int_equal(park.count, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(messages_leave_in_the_order_they_came),
        CASE(a_route_is_a_client_and_a_topic),
        CASE(the_key_of_a_claim_is_held_until_its_message_leaves),
        CASE(a_message_that_was_decided_before_it_was_parked_holds_its_key),
        CASE(the_line_is_bounded_by_count_and_bytes),
        CASE(what_is_parked_leaves_as_its_verdict_says),
        CASE(without_memory_nothing_is_parked_and_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
