/* SPDX-License-Identifier: MIT
 * The stage of most integration tests: a broker of their own with the plugin, and a watcher. */
#include "scene.h"

struct variant scene_variants[6] = {
    {MQTT_311, 0}, {MQTT_311, 1}, {MQTT_311, 2}, {MQTT_5, 0}, {MQTT_5, 1}, {MQTT_5, 2},
};

void scene_watch_again(struct scene *scene) {
    scene->watcher = scene_watcher(scene, "watcher", MQTT_5);
}

void scene_open_with(struct scene *scene, const struct broker_options *options,
                     void **state) {
    scene->variant = *(const struct variant *)*state;
    scene->broker = broker_run(options);
    scene_watch_again(scene);
}

void scene_open(struct scene *scene, const char *idem, void **state) {
    scene_open_with(scene, &(struct broker_options){.idem = idem}, state);
}

struct mqtt *scene_watcher(const struct scene *scene, const char *id,
                           enum mqtt_version version) {
    struct mqtt *watcher = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene->broker), .version = version, .client_id = id});
    mqtt_subscribe(watcher, "#", 2);
    mqtt_subscribe(watcher, "$idem/duplicate/#", 2);
    mqtt_subscribe(watcher, "$idem/quarantine/#", 2);
    mqtt_subscribe(watcher, "$idem/rejected/#", 2);
    return watcher;
}

static struct mqtt *connect_as(const struct scene *scene, const char *id, bool keep) {
    return mqtt_connect(&(struct mqtt_options){.port = broker_port(scene->broker),
                                               .version = scene->variant.version,
                                               .client_id = id,
                                               .keep_session = keep});
}

struct mqtt *scene_client(const struct scene *scene, const char *id) {
    return connect_as(scene, id, false);
}

struct mqtt *scene_session(const struct scene *scene, const char *id) {
    return connect_as(scene, id, true);
}

void scene_publish(const struct scene *scene, struct mqtt *client, const char *topic,
                   const char *payload) {
    struct mqtt_message message = {
        .topic = topic, .payload = payload, .qos = scene->variant.qos};
    mqtt_publish_ok(client, &message);
}

void scene_publish_received(struct mqtt *client, uint16_t id, bool dup, const char *topic,
                            const char *payload) {
    struct mqtt_message message = {
        .topic = topic, .payload = payload, .qos = 2, .id = id, .dup = dup};
    (void)mqtt_send(client, &message);
    assert_in_range(mqtt_await(client, MQTT_PUBREC, id), 0, 0x7f);
}

void scene_release(struct mqtt *client, uint16_t id) {
    mqtt_send_ack(client, MQTT_PUBREL, id);
    assert_int_equal(mqtt_await(client, MQTT_PUBCOMP, id), 0);
}
