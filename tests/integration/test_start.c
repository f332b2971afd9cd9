/* SPDX-License-Identifier: MIT
 * What is wrong is said at start, and the broker does not come up without the protection asked for. */
#include "scene.h"

#include <stdio.h>
#include <sys/stat.h>

static const char idem[] =
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n";

static void refuses(const struct broker_options *options, const char *why) {
    struct broker *broker = broker_create(options);
    assert_int_not_equal(broker_refuses(broker), 0);
    broker_expect_log(broker, why);
}

static void test_an_unknown_key_is_named_with_its_line(void **state) {
    (void)state;
    refuses(&(struct broker_options){.idem = SCENE_TOP "  - name: orders\n"
                                                       "    match: {topic: orders/#}\n"
                                                       "    key: payload\n"
                                                       "    on_dupliacte: drop\n"},
            "idem.yaml:8: ");
}

static void test_an_impossible_value_is_named_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *idem;
        const char *why;
    } cases[] = {
        {SCENE_TOP "  - name: o\n"
                   "    match: {topic: o}\n"
                   "    key: payload\n"
                   "    ttl: soon\n",
         "idem.yaml:8: "},
        {SCENE_TOP "  - name: o\n"
                   "    match: {topic: 'o/#/x'}\n"
                   "    key: payload\n",
         "idem.yaml:6: "},
        {"instance: test\n"
         "store: {url: \"file:///x\"}\n",
         "idem.yaml:2: "},
        {"rules: [\n", "idem.yaml:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuses(&(struct broker_options){.idem = cases[i].idem}, cases[i].why);
    }
}

static void test_the_configuration_has_to_be_named_and_to_be_there(void **state) {
    (void)state;
#define LISTENER "listener @PORT@ 127.0.0.1\nallow_anonymous true\n"
    refuses(&(struct broker_options){.conf = LISTENER "plugin @PLUGIN@\n"},
            "plugin_opt_config");
    refuses(&(struct broker_options){.conf = LISTENER
                                     "plugin @PLUGIN@\n"
                                     "plugin_opt_config @DIR@/absent.yaml\n"},
            "absent.yaml");
    refuses(&(struct broker_options){.idem = idem,
                                     .conf =
                                         LISTENER "plugin @PLUGIN@\n"
                                                  "plugin_opt_config @DIR@/idem.yaml\n"
                                                  "plugin_opt_speed high\n"},
            "speed");
}

static void test_a_store_that_cannot_be_opened_is_named(void **state) {
    (void)state;
    struct broker *broker = broker_create(&(struct broker_options){.idem = idem});
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/store", broker_dir(broker));
    if (mkdir(path, 0700) == 0) {
        broker_file(broker, "store/data.mdb", "this is no store, and stays as it is\n");
    }
    assert_int_not_equal(broker_refuses(broker), 0);
    broker_expect_log(broker, "store");
}

static void test_a_store_on_the_network_may_come_later(void **state) {
    (void)state;
    struct broker *broker = broker_run(&(struct broker_options){
        .idem = "instance: test\n"
                "store: {url: \"redis://127.0.0.1:1?connect_timeout=100ms\"}\n"});
    assert_true(broker_logged(broker, "store.unavailable"));
}

static void test_a_store_in_use_is_refused(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    char other[1024];
    (void)snprintf(other, sizeof other,
                   "instance: other\nstore: {url: \"embedded://%s/store\"}\n",
                   broker_dir(scene.broker));
    refuses(&(struct broker_options){.idem = other}, "store");
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "orders/1", "a");
    scene_publish(&scene, publisher, "orders/1", "a");
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_a_rule_that_the_plugin_cannot_carry_out_is_named(void **state) {
    (void)state;
    refuses(
        &(struct broker_options){.idem = SCENE_TOP
                                 "  - name: counters\n"
                                 "    match: {topic: counters/#}\n"
                                 "    strategy: sequence\n"
                                 "    sequence: {number: property:seq, on_gap: hold}\n"},
        "idem.yaml:5: sequence.on_gap: rule counters");
}

static void test_a_short_ttl_is_warned_about(void **state) {
    struct scene scene;
    scene_open(&scene,
               SCENE_TOP "  - {name: o, match: {topic: o}, key: payload, ttl: 10m}\n",
               state);
    broker_expect_log(scene.broker, "ttl");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        ONCE(test_an_unknown_key_is_named_with_its_line),
        ONCE(test_an_impossible_value_is_named_with_its_line),
        ONCE(test_the_configuration_has_to_be_named_and_to_be_there),
        ONCE(test_a_store_that_cannot_be_opened_is_named),
        ONCE(test_a_store_on_the_network_may_come_later),
        ONCE(test_a_store_in_use_is_refused),
        ONCE(test_a_rule_that_the_plugin_cannot_carry_out_is_named),
        ONCE(test_a_short_ttl_is_warned_about),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
