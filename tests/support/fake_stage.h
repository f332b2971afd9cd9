/* SPDX-License-Identifier: MIT
 * The stage of tests of a whole node: a directory with its configuration, and a broker that plays the
 * other part. A group's set-up and tear-down, then openings and stops of nodes in between. */
#ifndef TESTS_FAKE_STAGE_H
#define TESTS_FAKE_STAGE_H

#include "fake_broker.h"
#include "files.h"

struct idem_node;

#define STAGE_PATH_SIZE (FILES_PATH_MAX + 64)

/* One rule: the payload is the key. @DIR@ in a configuration is the test's directory. */
#define STAGE_TOP "instance: unit\nstore: {url: 'embedded://@DIR@/store'}\n"
#define STAGE_RULE                                                                       \
    "rules: [{name: all, match: {topic: '#'}, key: payload, scope: global}]\n"

int stage_set_up(void **state); /* with STAGE_TOP STAGE_RULE */
int stage_tear_down(void **state);
#define STAGE_TEST(name)                                                                 \
    cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)

/* A path in the test's directory, valid until the fourth call after this one. */
const char *stage_path(const char *name);
bool stage_has(const char *name);
void stage_configure(const char *text);

/* Fails the test where the configuration is refused. */
struct idem_node *stage_open(void);
/* The broker leaves its loop with messages in its queue, and its process ends. */
void stage_stop(struct idem_node *node);

/* A turn of the loop in which nothing arrives. */
void stage_turn(struct idem_node *node);

/* A message of one client; returns what the broker is told, and the topic under which it goes on (until
 * the next call) where topic is not NULL. */
int stage_receive(struct idem_node *node, const char *payload, int qos,
                  const char **topic);
/* The same on a topic of the test's choice. */
int stage_receive_on(struct idem_node *node, const char *topic, const char *payload,
                     int qos, const char **onward);
/* The nth allocation in the next message's event is refused; ask fake_broker_refused() afterwards. */
void stage_refuse_in_event(size_t nth);
/* That client's connection ends. */
void stage_disconnect(struct idem_node *node);

/* The queue without the plugin's figures: how many, and the first. */
const struct fake_published *stage_messages(size_t *count);
void stage_assert_queued(const char *topic, const char *payload);

/* The figures in the queue: how many, and the value of one (until the next call; NULL: not there). */
size_t stage_figures(void);
const char *stage_figure(const char *name);

/* Whether a line of the log holds the text. */
bool stage_logged(const char *text);

#endif
