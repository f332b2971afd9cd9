/* SPDX-License-Identifier: MIT
 * A whole node on the embedded store, from one start of the broker to the next. */
#include "node.h"

#include "fake_stage.h"

#include <idem/digest.h>

#include <dirent.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HANDOVER "store.handover"
#define MEMORY   "instance: unit\nstore: {url: 'memory:'}\n" STAGE_RULE

static void receive(struct idem_node *node, const char *payload, int qos) {
    assert_int_equal(stage_receive(node, payload, qos, NULL), MOSQ_ERR_SUCCESS);
}

/* The same message again: whether it is recognised. */
static bool is_known(struct idem_node *node, const char *payload) {
    const char *topic = NULL;
    assert_int_equal(stage_receive(node, payload, 1, &topic), MOSQ_ERR_SUCCESS);
    return strcmp(topic, "$idem/duplicate/a/b") == 0;
}

/* A stop with one message in the broker's queue. */
static void leave_a_message_behind(void) {
    struct idem_node *node = stage_open();
    stage_turn(node);
    receive(node, "payload", 2);
    stage_assert_queued("a/b", "payload");
    stage_stop(node);
    assert_true(stage_has(HANDOVER));
}

static void a_first_copy_is_delivered_and_a_later_one_shown_as_a_duplicate(void **state) {
    (void)state;
    for (int qos = 0; qos <= 2; qos++) {
        char payload[] = {'q', (char)('0' + qos), '\0'};
        struct idem_node *node = stage_open();
        stage_turn(node);
        receive(node, payload, qos);
        stage_turn(node);
        stage_turn(node);
        receive(node, payload, 2);
        stage_assert_queued("$idem/duplicate/a/b", payload);
        stage_turn(node);
        stage_turn(node);
        stage_stop(node);
        assert_false(stage_has(HANDOVER));
    }
}

static void
what_a_stop_leaves_in_the_queue_is_delivered_after_the_next_start(void **state) {
    (void)state;
    leave_a_message_behind();
    struct idem_node *node = stage_open();
    stage_assert_queued("a/b", "payload");
    assert_true(stage_has(HANDOVER));
    stage_turn(node);
    assert_false(stage_has(HANDOVER));
    receive(node, "payload", 2);
    stage_assert_queued("$idem/duplicate/a/b", "payload");
    stage_turn(node);
    stage_turn(node);
    stage_stop(node);
}

static void a_message_proves_that_the_loop_has_begun_as_well(void **state) {
    (void)state;
    leave_a_message_behind();
    struct idem_node *node = stage_open();
    fake_broker_take_queue();
    receive(node, "other", 1);
    assert_false(stage_has(HANDOVER));
    stage_stop(node);
}

static void a_broker_that_never_came_to_its_loop_publishes_again(void **state) {
    (void)state;
    leave_a_message_behind();
    stage_stop(stage_open());
    assert_true(stage_has(HANDOVER));
    struct idem_node *node = stage_open();
    stage_assert_queued("a/b", "payload");
    stage_stop(node);
}

static void a_damaged_file_does_not_keep_the_broker_from_starting(void **state) {
    (void)state;
    files_write(stage_path("."), HANDOVER, "damaged");
    struct idem_node *node = stage_open();
    size_t count = 0;
    (void)stage_messages(&count);
    assert_int_equal(count, 0);
    assert_true(stage_has(HANDOVER ".damaged"));
    assert_false(stage_has(HANDOVER));
    assert_true(stage_logged("handover.unread"));
    stage_stop(node);
}

/* Each allocation of a start refused once: the node opens with all its messages published, or not at all
 * and the file is still there. */
static void a_start_without_memory_loses_nothing(void **state) {
    (void)state;
    leave_a_message_behind();
    size_t failures = 0;
    for (size_t nth = 1;; nth++) {
        struct idem_error error = IDEM_ERROR_INIT;
        struct idem_node *node = NULL;
        bool first = false;
        fake_broker_refuse(nth, 1);
        enum idem_code code =
            idem_node_acquire(&node, stage_path("idem.yaml"), &first, &error);
        bool refused = fake_broker_refused();
        assert_true(stage_has(HANDOVER));
        if (code == IDEM_OK) {
            stage_assert_queued("a/b", "payload");
            stage_stop(node);
        } else {
            assert_true(error.text[0] != '\0');
            fake_broker_take_queue();
            failures++;
        }
        if (!refused) {
            assert_int_equal(code, IDEM_OK);
            break;
        }
    }
    assert_true(failures > 10);
}

static void what_waits_over_a_stop_is_told(void **state) {
    (void)state;
    leave_a_message_behind();
    assert_true(stage_logged("plugin.started: version "));
    assert_true(stage_logged("handover.saved: 1 messages"));
    assert_false(stage_logged("handover.published"));
    struct idem_node *node = stage_open();
    assert_true(stage_logged("handover.published: 1 messages"));
    stage_stop(node);
}

/* Several instances share a node and tick at the end of the same turn. */
static void ticks_of_other_instances_are_no_turns(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    stage_turn(node);
    receive(node, "payload", 2);
    assert_int_equal(idem_node_on_tick(node, false), MOSQ_ERR_SUCCESS);
    assert_int_equal(idem_node_on_tick(node, false), MOSQ_ERR_SUCCESS);
    stage_stop(node);
    assert_true(stage_logged("handover.saved: 1 messages"));
}

/* Its publisher has been told that the broker has it, whether Idem claimed anything or not. */
static void what_is_quarantined_without_a_key_is_kept_over_a_stop(void **state) {
    (void)state;
    stage_configure(STAGE_TOP
                    "rules: [{name: all, match: {topic: '#'}, key: 'property:k', "
                    "scope: global, on_missing_key: quarantine}]\n");
    struct idem_node *node = stage_open();
    stage_turn(node);
    receive(node, "payload", 2);
    stage_assert_queued("$idem/quarantine/a/b", "payload");
    stage_stop(node);
    assert_true(stage_logged("handover.saved: 1 messages"));
    node = stage_open();
    stage_assert_queued("$idem/quarantine/a/b", "payload");
    stage_turn(node);
    stage_turn(node);
    stage_stop(node);
    assert_false(stage_has(HANDOVER));
}

static void options_of_the_store_are_no_part_of_its_path(void **state) {
    (void)state;
    stage_configure(
        "instance: unit\nstore: {url: 'embedded://@DIR@/store?commit=1ms'}\n" STAGE_RULE);
    leave_a_message_behind();
}

/* The store keeps nothing, so that the next start would deliver a kept message twice. */
static void a_store_in_memory_keeps_no_messages_either(void **state) {
    (void)state;
    stage_configure(MEMORY);
    struct idem_node *node = stage_open();
    stage_turn(node);
    receive(node, "payload", 2);
    stage_stop(node);
    assert_true(stage_logged("handover.lost: 1 messages"));
    assert_true(stage_logged("the store keeps nothing"));
}

/* Lost with the broker's queue, but not for ever: its repeat is delivered. */
static void what_cannot_be_kept_over_a_stop_is_told_and_stays_in_doubt(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    stage_turn(node);
    receive(node, "payload", 2);
    assert_int_equal(mkdir(stage_path(HANDOVER ".new"), 0700), 0);
    stage_stop(node);
    assert_true(stage_logged("handover.lost: 1 messages"));
    assert_true(stage_logged(HANDOVER " cannot be written: "));
    node = stage_open();
    assert_false(is_known(node, "payload"));
    stage_stop(node);
}

static void a_file_that_cannot_be_removed_is_told_once(void **state) {
    (void)state;
    leave_a_message_behind();
    struct idem_node *node = stage_open();
    assert_int_equal(unlink(stage_path(HANDOVER)), 0);
    assert_int_equal(mkdir(stage_path(HANDOVER), 0700), 0);
    stage_turn(node);
    assert_true(stage_logged("handover.not_removed: "));
    size_t lines = fake_broker_lines();
    stage_turn(node);
    assert_int_equal(fake_broker_lines(), lines);
    stage_stop(node);
}

static void a_file_that_it_has_not_published_is_left_alone(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    files_write(stage_path("."), HANDOVER, "somebody's");
    stage_turn(node);
    receive(node, "payload", 1);
    assert_true(stage_has(HANDOVER));
    stage_stop(node);
}

/* ---- instances ---- */

static void a_file_under_two_names_is_one_node_until_its_last_user_is_gone(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_node *node = stage_open();
    struct idem_node *again = NULL;
    bool first = true;
    assert_int_equal(symlink("idem.yaml", stage_path("other.yaml")), 0);
    assert_int_equal(idem_node_acquire(&again, stage_path("other.yaml"), &first, &error),
                     IDEM_OK);
    assert_ptr_equal(again, node);
    assert_false(first);
    idem_node_release(again);
    receive(node, "payload", 1);
    stage_turn(node);
    assert_true(is_known(node, "payload"));
    stage_stop(node);
    stage_stop(stage_open());
    idem_node_release(NULL);
}

static void two_files_are_two_nodes(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_node *node = stage_open();
    struct idem_node *other = NULL;
    bool first = false;
    files_write(stage_path("."), "other.yaml", MEMORY);
    assert_int_equal(idem_node_acquire(&other, stage_path("other.yaml"), &first, &error),
                     IDEM_OK);
    assert_ptr_not_equal(other, node);
    assert_true(first);
    receive(node, "payload", 1);
    stage_turn(node);
    assert_false(is_known(other, "payload"));
    stage_stop(node);
    stage_stop(other);
}

/* ---- events ---- */

static void clients_are_refused_on_the_plugins_own_topics(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    for (int qos = 0; qos <= 2; qos++) {
        const char *topic = NULL;
        assert_int_equal(stage_receive_on(node, "$idem/sink", "payload", qos, &topic),
                         MOSQ_ERR_ACL_DENIED);
        assert_string_equal(topic, "$idem/sink");
    }
    assert_false(is_known(node, "payload"));
    stage_stop(node);
}

static int on_message(struct mosquitto_evt_message *event, void *arg) {
    return idem_node_on_message(arg, event);
}

/* What was read of the properties goes back to the broker, or the count of its memory is off. */
static void keys_are_found_in_properties(void **state) {
    (void)state;
    static struct mosquitto client = {"client", NULL, 5};
    static const char *const topics[] = {"a/b", "$idem/duplicate/a/b"};
    stage_configure(STAGE_TOP "rules: [{name: all, match: {topic: '#'}, scope: global,\n"
                              "         key: [property:id, correlation-id]}]\n");
    struct idem_node *node = stage_open();
    for (int i = 0; i < 4; i++) {
        struct fake_arrival arrival;
        fake_arrival_init(&arrival, "a/b", "payload", 7, 1, false);
        if (i < 2) {
            fake_user_property_add(&arrival.properties, "id", "1");
        } else {
            fake_property_add(&arrival.properties, MQTT_PROP_CORRELATION_DATA, NULL, "2",
                              1);
        }
        assert_int_equal(fake_arrival_event(&arrival, &client, on_message, node),
                         MOSQ_ERR_SUCCESS);
        assert_string_equal(arrival.topic, topics[i % 2]);
        fake_arrival_fini(&arrival);
        stage_turn(node);
    }
    stage_stop(node);
}

static unsigned count_threads(void) {
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;
    assert_non_null(tasks);
    while (readdir(tasks) != NULL) {
        count++;
    }
    (void)closedir(tasks);
    return count;
}

/* It answers in the event: a thread that waits for its answers would only cost. */
static void beside_an_embedded_store_only_its_writer_runs(void **state) {
    (void)state;
    unsigned before = count_threads();
    struct idem_node *node = stage_open();
    assert_int_equal(count_threads(), before + 1);
    stage_stop(node);
}

static void pause_ms(long ms) {
    struct timespec time = {0, ms * 1000000};
    assert_int_equal(nanosleep(&time, NULL), 0);
}

static void assert_completed(const char *expected) {
    const char *completed = stage_figure("completed");
    assert_non_null(completed);
    assert_string_equal(completed, expected);
}

/* Mosquitto 2.0.11 does not tick under per_listener_settings true: each kind of event must do. */
static void each_event_completes_what_passed_before_it_and_shows_it(void **state) {
    (void)state;
    stage_configure(STAGE_TOP "mqtt: {sys_interval: 1ms}\n" STAGE_RULE);
    struct idem_node *node = stage_open();
    receive(node, "first", 1);
    assert_completed("0");
    pause_ms(20); /* the clock may be ten late */
    receive(node, "second", 1);
    assert_completed("1");
    pause_ms(20); /* the clock may be ten late */
    stage_turn(node);
    assert_completed("2");
    receive(node, "third", 1);
    pause_ms(20); /* the clock may be ten late */
    stage_disconnect(node);
    assert_completed("3");
    stage_stop(node);
}

/* The broker says nothing when it could not keep a message; it disconnects the client at once. */
static void
a_client_lost_to_a_broker_without_memory_leaves_its_message_in_doubt(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    receive(node, "payload", 1);
    fake_broker_refuse(1, 1);
    stage_disconnect(node);
    assert_true(fake_broker_refused());
    stage_stop(node);
    node = stage_open();
    assert_false(is_known(node, "payload"));
    stage_stop(node);
}

/* Whatever fails, the publisher learns of it and sends again: then the message is delivered, once. */
static void a_message_that_found_no_memory_is_new_when_it_comes_again(void **state) {
    (void)state;
    bool refused = true;
    size_t failures = 0;
    struct idem_node *node = stage_open();
    for (size_t nth = 1; refused; nth++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "payload %zu", nth);
        stage_turn(node);
        stage_refuse_in_event(nth);
        int rc = stage_receive(node, payload, 2, NULL);
        refused = fake_broker_refused();
        if (rc != MOSQ_ERR_SUCCESS) {
            assert_int_equal(rc, MOSQ_ERR_NOMEM);
            receive(node, payload, 2);
            failures++;
        }
        stage_assert_queued("a/b", payload);
        stage_turn(node);
        stage_turn(node);
        assert_true(is_known(node, payload));
    }
    assert_true(failures > 3);
    stage_stop(node);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_first_copy_is_delivered_and_a_later_one_shown_as_a_duplicate),
        STAGE_TEST(what_a_stop_leaves_in_the_queue_is_delivered_after_the_next_start),
        STAGE_TEST(a_message_proves_that_the_loop_has_begun_as_well),
        STAGE_TEST(a_broker_that_never_came_to_its_loop_publishes_again),
        STAGE_TEST(a_damaged_file_does_not_keep_the_broker_from_starting),
        STAGE_TEST(a_start_without_memory_loses_nothing),
        STAGE_TEST(what_waits_over_a_stop_is_told),
        STAGE_TEST(ticks_of_other_instances_are_no_turns),
        STAGE_TEST(what_is_quarantined_without_a_key_is_kept_over_a_stop),
        STAGE_TEST(options_of_the_store_are_no_part_of_its_path),
        STAGE_TEST(a_store_in_memory_keeps_no_messages_either),
        STAGE_TEST(what_cannot_be_kept_over_a_stop_is_told_and_stays_in_doubt),
        STAGE_TEST(a_file_that_cannot_be_removed_is_told_once),
        STAGE_TEST(a_file_that_it_has_not_published_is_left_alone),
        STAGE_TEST(a_file_under_two_names_is_one_node_until_its_last_user_is_gone),
        STAGE_TEST(two_files_are_two_nodes),
        STAGE_TEST(clients_are_refused_on_the_plugins_own_topics),
        STAGE_TEST(keys_are_found_in_properties),
        STAGE_TEST(beside_an_embedded_store_only_its_writer_runs),
        STAGE_TEST(each_event_completes_what_passed_before_it_and_shows_it),
        STAGE_TEST(a_client_lost_to_a_broker_without_memory_leaves_its_message_in_doubt),
        STAGE_TEST(a_message_that_found_no_memory_is_new_when_it_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
