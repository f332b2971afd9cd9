/* SPDX-License-Identifier: MIT
 * The stage of tests of a whole node: a directory with its configuration, and a broker that plays the
 * other part. */
#include "fake_stage.h"

#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[FILES_PATH_MAX];
static struct mosquitto client = {"client", "user", 5};

const char *stage_path(const char *name) {
    static char paths[4][STAGE_PATH_SIZE];
    static unsigned used;
    char *path = paths[used++ % 4];
    (void)snprintf(path, STAGE_PATH_SIZE, "%s/%s", dir, name);
    return path;
}

bool stage_has(const char *name) {
    return access(stage_path(name), F_OK) == 0;
}

void stage_configure(const char *text) {
    char *whole = files_replace(text, "@DIR@", dir);
    files_write(dir, "idem.yaml", whole);
    free(whole);
}

int stage_set_up(void **state) {
    (void)state;
    files_make_dir(dir);
    stage_configure(STAGE_TOP STAGE_RULE);
    fake_broker_start(FAKE_2_0_21);
    return 0;
}

int stage_tear_down(void **state) {
    (void)state;
    files_remove_dir(dir);
    fake_broker_stop();
    return 0;
}

struct idem_node *stage_open(void) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_node *node = NULL;
    bool first = false;
    if (idem_node_acquire(&node, stage_path("idem.yaml"), &first, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
    assert_true(first);
    return node;
}

void stage_stop(struct idem_node *node) {
    idem_node_release(node);
    fake_broker_take_queue();
}

void stage_turn(struct idem_node *node) {
    fake_broker_take_queue();
    assert_int_equal(idem_node_on_tick(node, true), MOSQ_ERR_SUCCESS);
}

static size_t
    refused_next; /* the allocation to refuse in the next message's event; 0: none */

void stage_refuse_in_event(size_t nth) {
    refused_next = nth;
}

static int callback(struct mosquitto_evt_message *event, void *arg) {
    if (refused_next > 0) {
        fake_broker_refuse(refused_next, 1);
        refused_next = 0;
    }
    return idem_node_on_message(arg, event);
}

int stage_receive_on(struct idem_node *node, const char *topic, const char *payload,
                     int qos, const char **onward) {
    static char kept[256];
    struct fake_arrival arrival;
    fake_arrival_init(&arrival, topic, payload, strlen(payload), qos, false);
    int rc = fake_arrival_event(&arrival, &client, callback, node);
    (void)snprintf(kept, sizeof kept, "%s", arrival.topic);
    fake_arrival_fini(&arrival);
    if (onward != NULL) {
        *onward = kept;
    }
    return rc;
}

int stage_receive(struct idem_node *node, const char *payload, int qos,
                  const char **topic) {
    return stage_receive_on(node, "a/b", payload, qos, topic);
}

void stage_disconnect(struct idem_node *node) {
    struct mosquitto_evt_disconnect event = {.client = &client};
    assert_int_equal(idem_node_on_disconnect(node, &event), MOSQ_ERR_SUCCESS);
}

static bool is_figure(const struct fake_published *message) {
    return strncmp(message->topic, "$SYS/", strlen("$SYS/")) == 0;
}

const struct fake_published *stage_messages(size_t *count) {
    const struct fake_published *first = NULL;
    *count = 0;
    for (const struct fake_published *at = fake_broker_queue(); at != NULL;
         at = at->next) {
        if (!is_figure(at)) {
            first = first == NULL ? at : first;
            (*count)++;
        }
    }
    return first;
}

void stage_assert_queued(const char *topic, const char *payload) {
    size_t count = 0;
    const struct fake_published *message = stage_messages(&count);
    assert_int_equal(count, 1);
    assert_string_equal(message->topic, topic);
    assert_int_equal(message->size, strlen(payload));
    assert_memory_equal(message->payload, payload, message->size);
}

size_t stage_figures(void) {
    size_t count = 0;
    (void)stage_messages(&count);
    return fake_broker_queued() - count;
}

const char *stage_figure(const char *name) {
    static char value[32];
    const char *found = NULL;
    for (const struct fake_published *at = fake_broker_queue(); at != NULL;
         at = at->next) {
        if (is_figure(at) && strcmp(at->topic + strlen("$SYS/broker/idem/"), name) == 0) {
            (void)snprintf(value, sizeof value, "%.*s", (int)at->size,
                           (const char *)at->payload);
            found = value;
        }
    }
    return found;
}

bool stage_logged(const char *text) {
    bool found = false;
    for (size_t i = 0; i < fake_broker_lines() && !found; i++) {
        const char *line = fake_broker_line(i);
        found = line != NULL && strstr(line, text) != NULL;
    }
    return found;
}
