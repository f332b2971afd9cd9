/* SPDX-License-Identifier: MIT
 * A whole node on the embedded store, from one start of the broker to the next. */
#include "node.h"

#include "fake_broker.h"
#include "files.h"

#include <idem/digest.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE (FILES_PATH_MAX + 32)

static struct mosquitto client = {"client", "user", 5};

static char dir[FILES_PATH_MAX];
static char config_path[PATH_SIZE];
static char handover_path[PATH_SIZE];

static int start(void **state) {
    (void)state;
    char text[FILES_PATH_MAX + 256];
    files_make_dir(dir);
    (void)snprintf(config_path, sizeof config_path, "%s/idem.yaml", dir);
    (void)snprintf(handover_path, sizeof handover_path, "%s/store.handover", dir);
    (void)snprintf(text, sizeof text,
                   "instance: unit\n"
                   "store: {url: 'embedded://%s/store'}\n"
                   "rules:\n"
                   "  - {name: all, match: {topic: '#'}, strategy: key, key: [payload],\n"
                   "     ttl: 24h}\n",
                   dir);
    files_write(dir, "idem.yaml", text);
    fake_broker_start(FAKE_2_0_21);
    return 0;
}

static int stop(void **state) {
    (void)state;
    files_remove_dir(dir);
    fake_broker_stop();
    return 0;
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static struct idem_node *open_node(void) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_node *node = NULL;
    bool first = false;
    if (idem_node_acquire(&node, config_path, &first, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
    assert_true(first);
    return node;
}

/* The broker leaves its loop with messages in its queue, and its process ends. */
static void stop_broker(struct idem_node *node) {
    idem_node_release(node);
    fake_broker_take_queue();
}

/* A turn of the loop in which nothing arrives. */
static void turn(struct idem_node *node) {
    fake_broker_take_queue();
    assert_int_equal(idem_node_on_tick(node, true), MOSQ_ERR_SUCCESS);
}

static int callback(struct mosquitto_evt_message *event, void *arg) {
    return idem_node_on_message(arg, event);
}

static void receive(struct idem_node *node, const char *payload, int qos) {
    struct fake_arrival arrival;
    fake_arrival_init(&arrival, "a/b", payload, strlen(payload), qos, false);
    assert_int_equal(fake_arrival_event(&arrival, &client, callback, node),
                     MOSQ_ERR_SUCCESS);
    fake_arrival_fini(&arrival);
}

/* The queue without the plugin's figures. */
static const struct fake_published *messages(size_t *count) {
    const struct fake_published *first = NULL;
    *count = 0;
    for (const struct fake_published *at = fake_broker_queue(); at != NULL;
         at = at->next) {
        if (strncmp(at->topic, "$SYS/", 5) != 0) {
            first = first == NULL ? at : first;
            (*count)++;
        }
    }
    return first;
}

static void assert_queued(const char *topic, const char *payload) {
    size_t count = 0;
    const struct fake_published *message = messages(&count);
    assert_int_equal(count, 1);
    assert_string_equal(message->topic, topic);
    assert_int_equal(message->size, strlen(payload));
    assert_memory_equal(message->payload, payload, message->size);
}

/* A stop with one message in the broker's queue. */
static void leave_a_message_behind(void) {
    struct idem_node *node = open_node();
    turn(node);
    receive(node, "payload", 2);
    assert_queued("a/b", "payload");
    stop_broker(node);
    assert_true(exists(handover_path));
}

static void a_first_copy_is_delivered_and_a_later_one_shown_as_a_duplicate(void **state) {
    (void)state;
    for (int qos = 0; qos <= 2; qos++) {
        char payload[] = {'q', (char)('0' + qos), '\0'};
        struct idem_node *node = open_node();
        turn(node);
        receive(node, payload, qos);
        turn(node);
        turn(node);
        receive(node, payload, 2);
        assert_queued("$idem/duplicate/a/b", payload);
        turn(node);
        turn(node);
        stop_broker(node);
        assert_false(exists(handover_path));
    }
}

static void
what_a_stop_leaves_in_the_queue_is_delivered_after_the_next_start(void **state) {
    (void)state;
    leave_a_message_behind();
    struct idem_node *node = open_node();
    assert_queued("a/b", "payload");
    assert_true(exists(handover_path));
    turn(node);
    assert_false(exists(handover_path));
    receive(node, "payload", 2);
    assert_queued("$idem/duplicate/a/b", "payload");
    turn(node);
    turn(node);
    stop_broker(node);
}

static void a_message_proves_that_the_loop_has_begun_as_well(void **state) {
    (void)state;
    leave_a_message_behind();
    struct idem_node *node = open_node();
    fake_broker_take_queue();
    receive(node, "other", 1);
    assert_false(exists(handover_path));
    stop_broker(node);
}

static void a_broker_that_never_came_to_its_loop_publishes_again(void **state) {
    (void)state;
    leave_a_message_behind();
    stop_broker(open_node());
    assert_true(exists(handover_path));
    struct idem_node *node = open_node();
    assert_queued("a/b", "payload");
    stop_broker(node);
}

static void a_damaged_file_does_not_keep_the_broker_from_starting(void **state) {
    (void)state;
    char aside[PATH_SIZE + 16];
    (void)snprintf(aside, sizeof aside, "%s.damaged", handover_path);
    files_write(dir, "store.handover", "damaged");
    struct idem_node *node = open_node();
    size_t count = 0;
    (void)messages(&count);
    assert_int_equal(count, 0);
    assert_true(exists(aside));
    assert_false(exists(handover_path));
    assert_non_null(strstr(fake_broker_line(0), "handover.unread"));
    stop_broker(node);
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
        enum idem_code code = idem_node_acquire(&node, config_path, &first, &error);
        bool refused = fake_broker_refused();
        assert_true(exists(handover_path));
        if (code == IDEM_OK) {
            assert_queued("a/b", "payload");
            stop_broker(node);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_first_copy_is_delivered_and_a_later_one_shown_as_a_duplicate),
        TEST(what_a_stop_leaves_in_the_queue_is_delivered_after_the_next_start),
        TEST(a_message_proves_that_the_loop_has_begun_as_well),
        TEST(a_broker_that_never_came_to_its_loop_publishes_again),
        TEST(a_damaged_file_does_not_keep_the_broker_from_starting),
        TEST(a_start_without_memory_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
