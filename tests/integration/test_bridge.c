/* SPDX-License-Identifier: MIT
 * Two brokers and a bridge: what crosses it crosses once, with the plugin on either side. */
#include "scene.h"

#include <stdio.h>

static const char idem[] =
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n";

struct pair {
    struct scene edge; /* holds the bridge */
    struct scene centre;
    struct mqtt *at_edge; /* subscribers to orders only */
    struct mqtt *at_centre;
};

static struct mqtt *subscriber(const struct scene *scene, const char *id) {
    struct mqtt *client = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(scene->broker), .version = MQTT_5, .client_id = id});
    mqtt_subscribe(client, "orders/#", 2);
    return client;
}

static void open_pair(struct pair *pair, bool plugin_at_edge, bool plugin_at_centre,
                      void **state) {
    char bridge[256];
    scene_open_with(&pair->centre,
                    &(struct broker_options){.idem = plugin_at_centre ? idem : NULL},
                    state);
    (void)snprintf(bridge, sizeof bridge,
                   "connection bridge\n"
                   "address 127.0.0.1:%u\n"
                   "topic orders/# both 2\n"
                   "bridge_protocol_version %s\n",
                   broker_port(pair->centre.broker),
                   pair->centre.variant.version == MQTT_5 ? "mqttv50" : "mqttv311");
    scene_open_with(
        &pair->edge,
        &(struct broker_options){.idem = plugin_at_edge ? idem : NULL, .more = bridge},
        state);
    pair->at_edge = subscriber(&pair->edge, "at-edge");
    pair->at_centre = subscriber(&pair->centre, "at-centre");
    broker_expect_log(pair->edge.broker, "Received SUBACK from");
}

/* Three messages with repeats, and a last one to show that nothing came before it. */
static void cross(struct pair *pair, struct scene *from) {
    static const char *const payloads[] = {"a", "b", "c"};
    struct mqtt *publisher = scene_client(from, "publisher");
    for (size_t i = 0; i < 3; i++) {
        scene_publish(from, publisher, "orders/1", payloads[i]);
        scene_publish(from, publisher, "orders/1", payloads[i]);
        scene_publish(from, publisher, "orders/1", payloads[0]);
    }
    EXPECT_NEXT(pair->at_centre, "orders/1 a", "orders/1 b", "orders/1 c");
    scene_publish(from, publisher, "orders/1", "end");
    EXPECT_NEXT(pair->at_centre, "orders/1 end");
}

static void test_duplicates_from_the_edge_are_dropped_at_the_centre(void **state) {
    struct pair pair;
    open_pair(&pair, false, true, state);
    cross(&pair, &pair.edge);
}

static void test_duplicates_do_not_leave_the_edge(void **state) {
    struct pair pair;
    open_pair(&pair, true, false, state);
    cross(&pair, &pair.edge);
    EXPECT_NEXT(pair.at_edge, "orders/1 a", "orders/1 b", "orders/1 c", "orders/1 end");
}

static void test_what_comes_in_over_the_bridge_comes_once(void **state) {
    struct pair pair;
    open_pair(&pair, true, true, state);
    cross(&pair, &pair.centre);
    EXPECT_NEXT(pair.at_edge, "orders/1 a", "orders/1 b", "orders/1 c", "orders/1 end");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_duplicates_from_the_edge_are_dropped_at_the_centre),
        EACH(test_duplicates_do_not_leave_the_edge),
        EACH(test_what_comes_in_over_the_bridge_comes_once),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
