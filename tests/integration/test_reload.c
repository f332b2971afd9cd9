/* SPDX-License-Identifier: MIT
 * SIGHUP: new rules are taken as a whole or not at all. */
#include "scene.h"

#include <stdlib.h>

static const char no_rule[] = "instance: test\n"
                              "store: {url: \"embedded://@DIR@/store\"}\n"
                              "rules: []\n";
static const char one_rule[] =
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n";

static const char per_listener[] = "per_listener_settings true\n"
                                   "listener @PORT@ 127.0.0.1\n"
                                   "allow_anonymous true\n"
                                   "plugin @PLUGIN@\n"
                                   "plugin_opt_config @DIR@/idem.yaml\n";

static void reload(struct scene *scene, const char *idem, const char *answer) {
    broker_file(scene->broker, "idem.yaml", idem);
    broker_reload(scene->broker);
    broker_expect_log(scene->broker, answer);
}

static void publish_twice(struct scene *scene, struct mqtt *publisher,
                          const char *payload) {
    scene_publish(scene, publisher, "orders/1", payload);
    scene_publish(scene, publisher, "orders/1", payload);
}

static void check_reload(struct scene *scene) {
    struct mqtt *publisher = scene_client(scene, "publisher");
    publish_twice(scene, publisher, "a");
    EXPECT(scene->watcher, "orders/1 a", "orders/1 a");
    reload(scene, one_rule, "config.reloaded");
    publish_twice(scene, publisher, "b");
    EXPECT(scene->watcher, "orders/1 b", "$idem/duplicate/orders/1 b");
    reload(scene, no_rule, "config.reloaded");
    publish_twice(scene, publisher, "b");
    EXPECT(scene->watcher, "orders/1 b", "orders/1 b");
    reload(scene, one_rule, "config.reloaded"); /* what was known still is */
    publish_twice(scene, publisher, "b");
    EXPECT(scene->watcher, "$idem/duplicate/orders/1 b", "$idem/duplicate/orders/1 b");
}

static void test_new_rules_act_at_once(void **state) {
    struct scene scene;
    scene_open(&scene, no_rule, state);
    check_reload(&scene);
}

static void test_new_rules_act_at_once_with_settings_per_listener(void **state) {
    struct scene scene;
    scene_open_with(
        &scene, &(struct broker_options){.idem = no_rule, .conf = per_listener}, state);
    check_reload(&scene);
}

static void test_a_bad_file_changes_nothing_and_is_reported(void **state) {
    struct scene scene;
    scene_open(&scene, one_rule, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    reload(&scene,
           SCENE_TOP "  - {name: other, match: {topic: other}, key: payload}\n"
                     "  - {name: orders, match: {topic: orders/#}, keys: payload}\n",
           "idem.yaml:6: ");
    publish_twice(&scene, publisher, "a");
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
    reload(&scene, "rules: [", "idem.yaml:");
    publish_twice(&scene, publisher, "b");
    EXPECT(scene.watcher, "orders/1 b", "$idem/duplicate/orders/1 b");
}

static void test_another_store_waits_for_a_restart(void **state) {
    struct scene scene;
    scene_open(&scene, one_rule, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    publish_twice(&scene, publisher, "a");
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
    reload(&scene,
           "instance: test\n"
           "store: {url: \"embedded://@DIR@/another\"}\n"
           "rules:\n"
           "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n",
           "restart");
    publish_twice(&scene, publisher, "a");
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a", "$idem/duplicate/orders/1 a");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        ACKNOWLEDGED(test_new_rules_act_at_once),
        ONCE(test_new_rules_act_at_once_with_settings_per_listener),
        ONCE(test_a_bad_file_changes_nothing_and_is_reported),
        ONCE(test_another_store_waits_for_a_restart),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
