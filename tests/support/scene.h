/* SPDX-License-Identifier: MIT
 * The stage of most integration tests: a broker of their own with the plugin, and a watcher. */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

#include "watch.h"

/* How the publisher of a test speaks; each test runs for several of these. */
struct variant {
    enum mqtt_version version;
    uint8_t qos;
};
extern struct variant scene_variants[6];

/* Rows of a table of tests. EACH: for each version and QoS; ACKNOWLEDGED: QoS 1 and 2 only; VERSIONS: each
 * version once, QoS 2; ONCE: MQTT 5, QoS 1. */
#define SCENE_ROW(test, label, variant)                                                  \
    { #test " (" label ")", test, NULL, testing_tidy, &scene_variants[variant] }
#define ACKNOWLEDGED(test)                                                               \
    SCENE_ROW(test, "MQTT 3.1.1, QoS 1", 1), SCENE_ROW(test, "MQTT 3.1.1, QoS 2", 2),    \
        SCENE_ROW(test, "MQTT 5, QoS 1", 4), SCENE_ROW(test, "MQTT 5, QoS 2", 5)
#define EACH(test)                                                                       \
    SCENE_ROW(test, "MQTT 3.1.1, QoS 0", 0), SCENE_ROW(test, "MQTT 5, QoS 0", 3),        \
        ACKNOWLEDGED(test)
#define VERSIONS(test) SCENE_ROW(test, "MQTT 3.1.1", 2), SCENE_ROW(test, "MQTT 5", 5)
#define ONCE(test)                                                                       \
    { #test, test, NULL, testing_tidy, &scene_variants[4] }

/* The top of every configuration of the plugin here; rules follow. */
#define SCENE_TOP                                                                        \
    "instance: test\n"                                                                   \
    "store: {url: \"embedded://@DIR@/store\"}\n"                                         \
    "mqtt: {sys_interval: 50ms}\n"                                                       \
    "rules:\n"

struct scene {
    struct broker *broker;
    struct variant variant; /* of the publishers */
    struct mqtt *watcher; /* MQTT 5; sees every message, and what the plugin set aside */
};

/* state: the test's own, which holds its variant. */
void scene_open(struct scene *scene, const char *idem, void **state);
void scene_open_with(struct scene *scene, const struct broker_options *options,
                     void **state);
/* After a restart of the broker: a new watcher. */
void scene_watch_again(struct scene *scene);

/* A subscriber to everything and to what the plugin set aside. */
struct mqtt *scene_watcher(const struct scene *scene, const char *id,
                           enum mqtt_version version);
/* A client of the variant's version, without a session / with one that outlives connections. */
struct mqtt *scene_client(const struct scene *scene, const char *id);
struct mqtt *scene_session(const struct scene *scene, const char *id);

/* Publishes at the variant's QoS; the broker has to acknowledge with success. */
void scene_publish(const struct scene *scene, struct mqtt *client, const char *topic,
                   const char *payload);

/* The QoS 2 handshake in steps: PUBLISH and PUBREC; PUBREL and PUBCOMP. */
void scene_publish_received(struct mqtt *client, uint16_t id, bool dup, const char *topic,
                            const char *payload);
void scene_release(struct mqtt *client, uint16_t id);

#endif
