/* SPDX-License-Identifier: MIT
 * What becomes of an arriving message and of the broker's queue, under each version's rules of ownership
 * and with each allocation refused once. */
#include "act.h"

#include "compat.h"
#include "fake_broker.h"

#include <idem/digest.h>

#include <mqtt_protocol.h>
#include <stdlib.h>

#define TOPIC     "plant/7/state"
#define PAYLOAD   "a\0b"
#define SIZE      3
#define TOPIC_MAX 65535
#define PROPERTIES                                                                       \
    "user:a=1 user:key=old content: format:1 correlation:3:xyz user:b= user:key=older"
#define WITHOUT "user:a=1 content: format:1 correlation:3:xyz user:b="

static struct mosquitto client = {"client", NULL, 5};

/* One message on its way through idem_act_on(). */
struct passage {
    struct fake_arrival arrival;
    struct idem_act_request request;
    struct idem_handover handover;
};

static void open_as(struct passage *passage, enum fake_version version, int qos,
                    bool retain) {
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    fake_broker_start(version);
    idem_compat_learn();
    memset(passage, 0, sizeof *passage);
    fake_arrival_init(&passage->arrival, TOPIC, PAYLOAD, SIZE, qos, retain);
}

static void add_properties(struct passage *passage) {
    mosquitto_property **list = &passage->arrival.properties;
    fake_user_property_add(list, "a", "1");
    fake_user_property_add(list, "key", "old");
    fake_property_add(list, MQTT_PROP_CONTENT_TYPE, NULL, "", 0);
    fake_property_add(list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, NULL, "\1", 1);
    fake_property_add(list, MQTT_PROP_CORRELATION_DATA, NULL, "xyz", 3);
    fake_user_property_add(list, "b", "");
    fake_user_property_add(list, "key", "older");
}

static void close_all(struct passage *passage) {
    idem_handover_fini(&passage->handover);
    fake_arrival_fini(&passage->arrival);
    fake_broker_stop();
}

static int callback(struct mosquitto_evt_message *event, void *arg) {
    struct passage *passage = arg;
    return idem_act_on(event, &passage->request, &passage->handover);
}

static int act(struct passage *passage, enum idem_act wanted) {
    passage->request.plan.act = wanted;
    return fake_arrival_event(&passage->arrival, &client, callback, passage);
}

static void propagate(struct passage *passage, const char *property, const char *key) {
    static const char *names[2];
    names[0] = property;
    passage->request.key = (struct idem_stamp){names, key};
}

static void assert_properties(const mosquitto_property *list, const char *expected) {
    char *text = fake_properties_text(list);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_untouched(const struct passage *passage, bool retain,
                             const char *properties) {
    const struct fake_arrival *arrival = &passage->arrival;
    assert_string_equal(arrival->topic, TOPIC);
    assert_int_equal(arrival->payloadlen, SIZE);
    assert_memory_equal(arrival->payload, PAYLOAD, SIZE);
    assert_int_equal(arrival->retain, retain);
    assert_properties(arrival->properties, properties);
    assert_int_equal(fake_broker_queued(), 0);
    assert_null(passage->handover.topic);
}

static void assert_sunk(const struct passage *passage) {
    assert_string_equal(passage->arrival.topic, "$idem/sink");
    assert_int_equal(passage->arrival.payloadlen, IDEM_DIGEST_SIZE);
    assert_int_equal(passage->arrival.payload[IDEM_DIGEST_SIZE], 0);
    assert_int_equal(passage->arrival.qos, 2);
    assert_false(passage->arrival.retain);
}

/* Exactly one message in the queue, and the handover points to it. */
static void assert_published(const struct passage *passage, const char *topic,
                             bool retain, const char *properties) {
    const struct fake_published *published = fake_broker_queue();
    assert_int_equal(fake_broker_queued(), 1);
    assert_string_equal(published->topic, topic);
    assert_int_equal(published->size, SIZE);
    assert_memory_equal(published->payload, PAYLOAD, SIZE);
    assert_int_equal(published->qos, 2);
    assert_int_equal(published->retain, retain);
    assert_properties(published->properties, properties);
    assert_string_equal(passage->handover.topic, topic);
    assert_ptr_equal(passage->handover.payload, published->payload);
    assert_ptr_equal(passage->handover.properties, published->properties);
    assert_int_equal(passage->handover.payload_size, SIZE);
    assert_int_equal(passage->handover.qos, 2);
    assert_int_equal(passage->handover.retain, retain);
}

static void a_passing_message_is_left_alone(void **state) {
    (void)state;
    for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)version, 1, true);
        add_properties(&passage);
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        assert_untouched(&passage, true, PROPERTIES);
        close_all(&passage);
    }
}

static void a_message_carries_its_key_under_each_name(void **state) {
    static const char *const names[] = {"x-deduplication-header", "key", "b", NULL};
    static const char expected[] =
        "user:a=1 content: format:1 correlation:3:xyz "
        "user:x-deduplication-header=new user:key=new user:b=new";
    (void)state;
    for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)version, 1, false);
        add_properties(&passage);
        passage.request.key = (struct idem_stamp){names, "new"};
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        assert_untouched(&passage, false, expected);
        close_all(&passage);
    }
}

static void a_passing_message_carries_its_key(void **state) {
    (void)state;
    for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)version, 1, false);
        propagate(&passage, "key", "new");
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        assert_untouched(&passage, false, "user:key=new");
        close_all(&passage);

        open_as(&passage, (enum fake_version)version, 1, false);
        add_properties(&passage);
        propagate(&passage, "other", "new");
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        assert_untouched(&passage, false, PROPERTIES " user:other=new");
        close_all(&passage);
    }
}

static void
a_property_of_that_name_is_replaced_and_the_others_keep_their_order(void **state) {
    (void)state;
    for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)version, 0, false);
        add_properties(&passage);
        propagate(&passage, "key", "new");
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        assert_untouched(&passage, false, WITHOUT " user:key=new");
        close_all(&passage);

        open_as(&passage, (enum fake_version)version, 0, false);
        fake_user_property_add(&passage.arrival.properties, "key", "first of several");
        fake_user_property_add(&passage.arrival.properties, "a", "1");
        propagate(&passage, "key", "new");
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        assert_untouched(&passage, false, "user:a=1 user:key=new");
        close_all(&passage);
    }
}

/* A newer broker may show properties that the plugin cannot copy. */
static void a_property_of_another_kind_does_not_hold_the_message_up(void **state) {
    (void)state;
    struct passage passage;
    open_as(&passage, FAKE_2_0_21, 2, false);
    fake_property_add(&passage.arrival.properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER,
                      NULL, NULL, 0);
    fake_user_property_add(&passage.arrival.properties, "a", "1");
    assert_int_equal(act(&passage, IDEM_ACT_HAND_ON), MOSQ_ERR_SUCCESS);
    assert_published(&passage, TOPIC, false, "user:a=1");
    close_all(&passage);
}

static void a_message_is_handed_on_whole_and_its_arrival_sunk(void **state) {
    (void)state;
    for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)version, 2, true);
        add_properties(&passage);
        assert_int_equal(act(&passage, IDEM_ACT_HAND_ON), MOSQ_ERR_SUCCESS);
        assert_published(&passage, TOPIC, true, PROPERTIES);
        assert_sunk(&passage);
        close_all(&passage);

        open_as(&passage, (enum fake_version)version, 2, false);
        add_properties(&passage);
        propagate(&passage, "key", "new");
        assert_int_equal(act(&passage, IDEM_ACT_HAND_ON), MOSQ_ERR_SUCCESS);
        assert_published(&passage, TOPIC, false, WITHOUT " user:key=new");
        assert_sunk(&passage);
        close_all(&passage);
    }
}

static void a_message_without_payload_is_handed_on(void **state) {
    (void)state;
    struct passage passage;
    open_as(&passage, FAKE_2_0_11, 2, false);
    fake_arrival_fini(&passage.arrival);
    fake_arrival_init(&passage.arrival, TOPIC, NULL, 0, 2, false);
    assert_int_equal(act(&passage, IDEM_ACT_HAND_ON), MOSQ_ERR_SUCCESS);
    assert_int_equal(fake_broker_queued(), 1);
    assert_int_equal(fake_broker_queue()->size, 0);
    assert_null(fake_broker_queue()->payload);
    assert_sunk(&passage);
    close_all(&passage);
}

static void sink_of(uint8_t *digest, enum idem_act wanted, const char *topic,
                    const void *payload, size_t size, bool retain) {
    struct passage passage;
    open_as(&passage, FAKE_2_0_11, 2, retain);
    passage.request.reason = "duplicate";
    fake_arrival_fini(&passage.arrival);
    fake_arrival_init(&passage.arrival, topic, payload, size, 2, retain);
    assert_int_equal(act(&passage, wanted), MOSQ_ERR_SUCCESS);
    assert_sunk(&passage);
    memcpy(digest, passage.arrival.payload, IDEM_DIGEST_SIZE);
    close_all(&passage);
}

/* The broker compares a resend with the first copy, and would discard the first where they differ. */
static void copies_have_the_same_sink_whatever_becomes_of_them(void **state) {
    (void)state;
    uint8_t first[IDEM_DIGEST_SIZE];
    uint8_t later[IDEM_DIGEST_SIZE];
    sink_of(first, IDEM_ACT_HAND_ON, "a", "payload", 7, true);
    sink_of(later, IDEM_ACT_DIVERT, "a", "payload", 7, true);
    assert_memory_equal(first, later, IDEM_DIGEST_SIZE);
    sink_of(later, IDEM_ACT_HAND_ON, "a", "payload", 7, true);
    assert_memory_equal(first, later, IDEM_DIGEST_SIZE);
}

static void other_messages_have_other_sinks(void **state) {
    (void)state;
    uint8_t first[IDEM_DIGEST_SIZE];
    uint8_t other[IDEM_DIGEST_SIZE];
    sink_of(first, IDEM_ACT_HAND_ON, "ab", "c", 1, false);
    sink_of(other, IDEM_ACT_HAND_ON, "a", "bc", 2, false);
    assert_memory_not_equal(first, other, IDEM_DIGEST_SIZE);
    sink_of(other, IDEM_ACT_HAND_ON, "b", "c", 1, false);
    assert_memory_not_equal(first, other, IDEM_DIGEST_SIZE);
    sink_of(other, IDEM_ACT_HAND_ON, "ab", "c\0", 2, false);
    assert_memory_not_equal(first, other, IDEM_DIGEST_SIZE);
}

static void diverting_rewrites_the_topic(void **state) {
    (void)state;
    for (int at = 0; at < 2 * FAKE_VERSION_COUNT; at++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)(at / 2), at % 2, true);
        add_properties(&passage);
        passage.request.plan.channel = IDEM_CHANNEL_QUARANTINE;
        passage.request.reason = "conflict";
        assert_int_equal(act(&passage, IDEM_ACT_DIVERT), MOSQ_ERR_SUCCESS);
        assert_string_equal(passage.arrival.topic, "$idem/quarantine/" TOPIC);
        assert_memory_equal(passage.arrival.payload, PAYLOAD, SIZE);
        assert_false(passage.arrival.retain);
        assert_properties(passage.arrival.properties,
                          PROPERTIES " user:idem-reason=conflict");
        assert_int_equal(fake_broker_queued(), 0);
        assert_null(passage.handover.topic);
        close_all(&passage);
    }
}

static void diverting_at_qos_2_hands_on_under_the_new_topic(void **state) {
    (void)state;
    for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
        struct passage passage;
        open_as(&passage, (enum fake_version)version, 2, true);
        passage.request.reason = "duplicate";
        assert_int_equal(act(&passage, IDEM_ACT_DIVERT), MOSQ_ERR_SUCCESS);
        assert_published(&passage, "$idem/duplicate/" TOPIC, false,
                         "user:idem-reason=duplicate");
        assert_sunk(&passage);
        close_all(&passage);
    }
}

static void divert_topic_of(size_t length, const char *expected, size_t expected_length) {
    struct passage passage;
    char *topic = calloc(1, length + 1);
    assert_non_null(topic);
    memset(topic, 't', length);
    open_as(&passage, FAKE_2_0_21, 1, false);
    fake_arrival_fini(&passage.arrival);
    fake_arrival_init(&passage.arrival, topic, PAYLOAD, SIZE, 1, false);
    passage.request.reason = "duplicate";
    assert_int_equal(act(&passage, IDEM_ACT_DIVERT), MOSQ_ERR_SUCCESS);
    assert_int_equal(strlen(passage.arrival.topic), expected_length);
    assert_memory_equal(passage.arrival.topic, expected, strlen(expected));
    close_all(&passage);
    free(topic);
}

static void a_topic_that_would_be_too_long_is_left_out(void **state) {
    (void)state;
    const size_t prefix = strlen("$idem/duplicate/");
    divert_topic_of(TOPIC_MAX - prefix, "$idem/duplicate/ttt", TOPIC_MAX);
    divert_topic_of(TOPIC_MAX - prefix + 1, "$idem/duplicate", prefix - 1);
    divert_topic_of(TOPIC_MAX, "$idem/duplicate", prefix - 1);
}

static void denying_and_disconnecting_change_nothing(void **state) {
    (void)state;
    for (int qos = 0; qos <= 2; qos++) {
        struct passage passage;
        open_as(&passage, FAKE_2_0_11, qos, true);
        add_properties(&passage);
        assert_int_equal(act(&passage, IDEM_ACT_DENY), MOSQ_ERR_ACL_DENIED);
        assert_untouched(&passage, true, PROPERTIES);
        assert_int_equal(act(&passage, IDEM_ACT_DISCONNECT),
                         MOSQ_ERR_ADMINISTRATIVE_ACTION);
        assert_untouched(&passage, true, PROPERTIES);
        close_all(&passage);
    }
}

/* A message that cannot carry its key must not make its client reconnect and send it for ever. */
static void
a_property_that_the_broker_refuses_does_not_hold_the_message_up(void **state) {
    (void)state;
    struct passage passage;
    open_as(&passage, FAKE_2_0_11, 1, false);
    add_properties(&passage);
    propagate(&passage, "\xFF", "new");
    assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
    assert_untouched(&passage, false, PROPERTIES);
    close_all(&passage);

    open_as(&passage, FAKE_2_0_11, 2, false);
    add_properties(&passage);
    propagate(&passage, "\xFF", "new");
    assert_int_equal(act(&passage, IDEM_ACT_HAND_ON), MOSQ_ERR_SUCCESS);
    assert_published(&passage, TOPIC, false, PROPERTIES);
    assert_sunk(&passage);
    close_all(&passage);
}

/* ---- each allocation refused once ---- */

typedef void check_after(const struct passage *passage, int rc);

static void all_or_nothing(const struct passage *passage, int rc, const char *topic) {
    if (rc == MOSQ_ERR_SUCCESS) {
        assert_int_equal(fake_broker_queued(), 1);
        assert_string_equal(fake_broker_queue()->topic, topic);
        assert_memory_equal(fake_broker_queue()->payload, PAYLOAD, SIZE);
        assert_sunk(passage);
        assert_string_equal(passage->handover.topic, topic);
    } else {
        assert_int_equal(rc, MOSQ_ERR_NOMEM);
        assert_untouched(passage, false, PROPERTIES);
    }
}

static void handed_on_or_untouched(const struct passage *passage, int rc) {
    all_or_nothing(passage, rc, TOPIC);
}

static void diverted_or_untouched(const struct passage *passage, int rc) {
    all_or_nothing(passage, rc, "$idem/duplicate/" TOPIC);
}

static void rewritten_or_untouched(const struct passage *passage, int rc) {
    if (rc == MOSQ_ERR_SUCCESS) {
        assert_string_equal(passage->arrival.topic, "$idem/duplicate/" TOPIC);
        assert_memory_equal(passage->arrival.payload, PAYLOAD, SIZE);
    } else {
        assert_int_equal(rc, MOSQ_ERR_NOMEM);
        assert_untouched(passage, false, PROPERTIES);
    }
}

/* A copy that lacks a property is better than none. */
static void passed_with_or_without(const struct passage *passage, int rc) {
    char *text = fake_properties_text(passage->arrival.properties);
    assert_int_equal(rc, MOSQ_ERR_SUCCESS);
    assert_true(strcmp(text, PROPERTIES) == 0 ||
                strcmp(text, WITHOUT " user:key=new") == 0);
    free(text);
    assert_string_equal(passage->arrival.topic, TOPIC);
}

/* Whether there was an nth allocation to refuse. */
static bool refuse(enum fake_version version, size_t nth, enum idem_act wanted, int qos,
                   check_after *check) {
    struct passage passage;
    open_as(&passage, version, qos, false);
    add_properties(&passage);
    propagate(&passage, "key", "new");
    passage.request.reason = "duplicate";
    fake_broker_refuse(nth, 1);
    int rc = act(&passage, wanted);
    bool refused = fake_broker_refused();
    check(&passage, rc);
    close_all(&passage);
    return refused;
}

static void without_memory_nothing_is_done_by_halves(void **state) {
    (void)state;
    static const struct {
        enum idem_act act;
        int qos;
        check_after *check;
        /* Allocations that must have been refused, so that the test means something. */
        size_t least;
    } cases[] = {
        {IDEM_ACT_PASS, 1, passed_with_or_without, 10},
        {IDEM_ACT_HAND_ON, 2, handed_on_or_untouched, 20},
        {IDEM_ACT_DIVERT, 1, rewritten_or_untouched, 5},
        {IDEM_ACT_DIVERT, 2, diverted_or_untouched, 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int version = 0; version < FAKE_VERSION_COUNT; version++) {
            size_t nth = 1;
            while (refuse((enum fake_version)version, nth, cases[i].act, cases[i].qos,
                          cases[i].check)) {
                nth++;
            }
            assert_true(nth > cases[i].least);
        }
    }
}

/* Not even where memory is too short to see that the property is there. */
static void without_memory_no_second_property_of_that_name_comes_about(void **state) {
    (void)state;
    bool refused = true;
    for (size_t nth = 1; refused; nth++) {
        struct passage passage;
        open_as(&passage, FAKE_2_0_11, 1, false);
        fake_user_property_add(&passage.arrival.properties, "key", "old");
        propagate(&passage, "key", "new");
        fake_broker_refuse(nth, 1);
        assert_int_equal(act(&passage, IDEM_ACT_PASS), MOSQ_ERR_SUCCESS);
        refused = fake_broker_refused();
        char *text = fake_properties_text(passage.arrival.properties);
        assert_true(strcmp(text, "user:key=new") == 0 ||
                    (refused && strcmp(text, "user:key=old") == 0));
        free(text);
        close_all(&passage);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passing_message_is_left_alone),
        cmocka_unit_test(a_message_carries_its_key_under_each_name),
        cmocka_unit_test(a_passing_message_carries_its_key),
        cmocka_unit_test(
            a_property_of_that_name_is_replaced_and_the_others_keep_their_order),
        cmocka_unit_test(a_property_of_another_kind_does_not_hold_the_message_up),
        cmocka_unit_test(a_message_is_handed_on_whole_and_its_arrival_sunk),
        cmocka_unit_test(a_message_without_payload_is_handed_on),
        cmocka_unit_test(copies_have_the_same_sink_whatever_becomes_of_them),
        cmocka_unit_test(other_messages_have_other_sinks),
        cmocka_unit_test(diverting_rewrites_the_topic),
        cmocka_unit_test(diverting_at_qos_2_hands_on_under_the_new_topic),
        cmocka_unit_test(a_topic_that_would_be_too_long_is_left_out),
        cmocka_unit_test(denying_and_disconnecting_change_nothing),
        cmocka_unit_test(a_property_that_the_broker_refuses_does_not_hold_the_message_up),
        cmocka_unit_test(without_memory_nothing_is_done_by_halves),
        cmocka_unit_test(without_memory_no_second_property_of_that_name_comes_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
