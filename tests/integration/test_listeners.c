/* SPDX-License-Identifier: MIT
 * Several listeners: one store for all, also with settings of their own for each, where Mosquitto 2.0.11
 * never ticks its plugins. */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

static const char idem[] =
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n";

#define PLUGIN                                                                           \
    "plugin @PLUGIN@\n"                                                                  \
    "plugin_opt_config @DIR@/idem.yaml\n"

static const char apart[] = "per_listener_settings true\n"
                            "listener @PORT@ 127.0.0.1\n"
                            "allow_anonymous true\n" PLUGIN "listener @PORT2@ 127.0.0.1\n"
                            "allow_anonymous true\n" PLUGIN;
static const char together[] = "listener @PORT@ 127.0.0.1\n"
                               "listener @PORT2@ 127.0.0.1\n"
                               "allow_anonymous true\n" PLUGIN;
static const char one_of_two[] =
    "per_listener_settings true\n"
    "listener @PORT@ 127.0.0.1\n"
    "allow_anonymous true\n" PLUGIN "listener @PORT2@ 127.0.0.1\n"
    "allow_anonymous true\n";

static void open_with(struct scene *scene, const char *conf, void **state) {
    scene_open_with(scene, &(struct broker_options){.idem = idem, .conf = conf}, state);
}

static struct mqtt *connect_to_second(const struct scene *scene, const char *id) {
    return mqtt_connect(&(struct mqtt_options){.port = broker_port2(scene->broker),
                                               .version = scene->variant.version,
                                               .client_id = id});
}

static void test_a_copy_through_another_listener_is_a_duplicate(void **state) {
    static const char *const confs[] = {apart, together};
    for (size_t i = 0; i < 2; i++) {
        struct scene scene;
        open_with(&scene, confs[i], state);
        struct mqtt *first = scene_client(&scene, "first");
        struct mqtt *second = connect_to_second(&scene, "second");
        scene_publish(&scene, first, "orders/1", "a");
        scene_publish(&scene, second, "orders/1", "a");
        scene_publish(&scene, second, "orders/1", "b");
        scene_publish(&scene, first, "orders/1", "b");
        EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a", "orders/1 b",
               "$idem/duplicate/orders/1 b");
        (void)testing_tidy(NULL);
    }
}

static void test_without_ticks_a_quick_repeat_is_a_duplicate(void **state) {
    struct scene scene;
    open_with(&scene, apart, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt_message copy = {
        .topic = "orders/1", .payload = "a", .qos = scene.variant.qos};
    uint16_t first = mqtt_send(publisher, &copy);
    uint16_t second = mqtt_send(publisher, &copy);
    enum mqtt_type type = copy.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
    assert_in_range(mqtt_await(publisher, type, first), 0, 0x7f);
    assert_in_range(mqtt_await(publisher, type, second), 0, 0x7f);
    if (copy.qos == 2) {
        scene_release(publisher, first);
        scene_release(publisher, second);
    }
    mqtt_publish_ok(publisher, &copy);
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a",
           "$idem/duplicate/orders/1 a");
}

static void test_a_listener_without_the_plugin_passes_everything(void **state) {
    struct scene scene;
    open_with(&scene, one_of_two, state);
    struct mqtt *plain = connect_to_second(&scene, "plain");
    scene_publish(&scene, plain, "orders/1", "a");
    scene_publish(&scene, plain, "orders/1", "a");
    struct mqtt *guarded = scene_client(&scene, "guarded");
    scene_publish(&scene, guarded, "orders/1", "a");
    scene_publish(&scene, guarded, "orders/1", "a");
    EXPECT(scene.watcher, "orders/1 a", "orders/1 a", "orders/1 a",
           "$idem/duplicate/orders/1 a");
}

/* Without ticks a message at QoS 2 is certain after a second, and messages are the occasions to see it. */
static void wait_until_completed(struct scene *scene) {
    struct mqtt *client = scene_client(scene, "occasions");
    mqtt_subscribe(client, "$SYS/broker/idem/completed", 0);
    int64_t deadline = testing_deadline();
    unsigned long completed = 0;
    while (completed == 0) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        const struct mqtt_message *message = mqtt_collect(client);
        for (; message != NULL; message = message->next) {
            completed = strtoul(message->payload, NULL, 10);
        }
    }
}

static void test_keys_outlive_a_restart_without_ticks(void **state) {
    struct scene scene;
    open_with(&scene, apart, state);
    scene_publish(&scene, scene_client(&scene, "publisher"), "orders/1", "a");
    EXPECT(scene.watcher, "orders/1 a");
    wait_until_completed(&scene);
    mqtt_tidy();
    broker_stop(scene.broker);
    broker_start(scene.broker);
    scene_watch_again(&scene);
    scene_publish(&scene, connect_to_second(&scene, "publisher"), "orders/1", "a");
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a");
}

static void test_figures_are_published_without_ticks(void **state) {
    struct scene scene;
    open_with(&scene, apart, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt *figures = scene_client(&scene, "figures");
    mqtt_subscribe(figures, "$SYS/broker/idem/messages/duplicate", 0);
    int64_t deadline = testing_deadline();
    const char *value;
    do { /* each message is an occasion to publish them */
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        scene_publish(&scene, publisher, "orders/1", "a");
        const struct mqtt_message *message = mqtt_collect(figures);
        value = message != NULL ? message->payload : "0";
    } while (strcmp(value, "0") == 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_a_copy_through_another_listener_is_a_duplicate),
        ACKNOWLEDGED(test_without_ticks_a_quick_repeat_is_a_duplicate),
        EACH(test_a_listener_without_the_plugin_passes_everything),
        EACH(test_keys_outlive_a_restart_without_ticks),
        ONCE(test_figures_are_published_without_ticks),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
