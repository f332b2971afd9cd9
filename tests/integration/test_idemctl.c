/* SPDX-License-Identifier: MIT
 * idemctl beside a live broker with the plugin; and docs/guide/moving-stores.md, step by step. */
#include "ctl.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char rules[] =
    "mqtt: {sys_interval: 50ms}\n"
    "rules:\n"
    "  - {name: orders, match: {topic: orders/#}, key: json:/id, scope: rule}\n"
    "  - {name: counted, match: {topic: counted/+/+}, strategy: sequence,\n"
    "     scope: global, sequence: {producer: topic:2, number: topic:3, window: 8}}\n";

static char config[FILES_PATH_MAX + 16];
static char dump[FILES_PATH_MAX + 16];

/* The plugin's file, with another store. */
static void configure(struct broker *broker, const char *url) {
    char text[2048];
    (void)snprintf(text, sizeof text, "instance: test\nstore: {url: \"%s\"}\n%s", url,
                   rules);
    broker_file(broker, "idem.yaml", text);
}

static void open_on(struct scene *scene, const char *url, void **state) {
    char text[2048];
    (void)snprintf(text, sizeof text, "instance: test\nstore: {url: \"%s\"}\n%s", url,
                   rules);
    scene_open_with(scene, &(struct broker_options){.idem = text}, state);
    (void)snprintf(config, sizeof config, "%s/idem.yaml", broker_dir(scene->broker));
    (void)snprintf(dump, sizeof dump, "%s/keys", broker_dir(scene->broker));
}

#define idemctl(...) ctl("-c", config, __VA_ARGS__)

/* What the broker has delivered reaches the disk a moment later. */
static void await_record(const char *key) {
    int64_t deadline = testing_deadline();
    while (idemctl("lookup", "orders", key) != 0 ||
           strstr(ctl_output, "state        done") == NULL) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

static void publish_some(struct scene *scene) {
    struct mqtt *publisher = scene_client(scene, "publisher");
    scene_publish(scene, publisher, "orders/1", "{\"id\":\"a\"}");
    scene_publish(scene, publisher, "orders/1", "{\"id\":\"b\"}");
    scene_publish(scene, publisher, "counted/p/5", "x");
    EXPECT_NEXT(scene->watcher, "orders/1 {\"id\":\"a\"}", "orders/1 {\"id\":\"b\"}",
                "counted/p/5 x");
    await_record("a");
    await_record("b");
}

/* The broker's address, for --mqtt. */
static const char *address(const struct scene *scene) {
    static char text[32];
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", broker_port(scene->broker));
    return text;
}

/* What only the broker knows: how often a key came. */
static void assert_counts_are_told(struct scene *scene) {
    struct mqtt *publisher = scene_client(scene, "repeats");
    for (int copy = 0; copy < 3; copy++) {
        scene_publish(scene, publisher, "orders/1", "{\"id\":\"a\"}");
    }
    scene_publish(scene, publisher, "orders/1", "{\"id\":\"a\",\"x\":1}");
    assert_int_equal(idemctl("lookup", "orders", "a"), 0);
    assert_says("duplicates   no store has them: --mqtt HOST or --http URL asks");
    assert_int_equal(idemctl("lookup", "orders", "a", "--mqtt", address(scene)), 0);
    assert_says("state        done");
    assert_says("result_size  0\nbroker\n  at          127.0.0.1:");
    assert_says("\n  state       done\n");
    assert_says("\n  duplicates  3\n  conflicts   1\n");
    assert_says("\n  last_seen   20");
    assert_does_not_say("no store has them");
    assert_int_equal(idemctl("lookup", "orders", "b", "--mqtt", address(scene)), 0);
    assert_says("\n  sample      this key is not in it\n");
    assert_int_equal(
        idemctl("--json", "lookup", "-V", "311", "orders", "a", "--mqtt", address(scene)),
        0);
    assert_says("\"duplicates\": 3,");
    assert_int_equal(idemctl("stats", "--mqtt", address(scene)), 0);
    assert_says("done         2\n");
    assert_says("  messages/duplicate ");
    assert_says(" 3\n");
    assert_says("  store/name ");
}

static void test_a_running_brokers_store_can_be_read_beside_it(void **state) {
    struct scene scene;
    open_on(&scene, "embedded://@DIR@/store", state);
    publish_some(&scene);
    assert_int_equal(idemctl("list"), 0);
    assert_says("  done  ");
    assert_int_equal(idemctl("stats"), 0);
    assert_says("done         2");
    assert_int_equal(idemctl("export", dump), 0);
    assert_int_equal(idemctl("check"), 0);
    assert_int_equal(idemctl("explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("verdict      drop (duplicate)");
    assert_int_equal(idemctl("bench", "--seconds", "1"), 0);
    assert_int_equal(idemctl("forget", "--yes", "orders", "a"), 5);
    assert_says("is in use by process");
    assert_int_equal(idemctl("purge", "--all", "--yes"), 5);
    assert_int_equal(idemctl("import", dump), 5);
    assert_counts_are_told(&scene);
    EXPECT_NEXT(scene.watcher, "$idem/duplicate/orders/1 {\"id\":\"a\"}");
}

static void test_beside_a_broker_on_redis_everything_works(void **state) {
    struct scene scene;
    struct redis_server redis = {.pid = 0};
    char url[FILES_PATH_MAX + 64];
    redis_start(&redis, NULL);
    (void)snprintf(url, sizeof url, "unix://%s", redis.socket);
    open_on(&scene, url, state);
    publish_some(&scene);
    assert_int_equal(idemctl("stats"), 0);
    assert_says("done         2");
    assert_int_equal(idemctl("export", dump), 0);
    assert_int_equal(idemctl("forget", "--yes", "orders", "a"), 0);
    assert_says("recent_keys");
    assert_int_equal(idemctl("lookup", "orders", "a"), 4);
    assert_int_equal(idemctl("import", dump), 0);
    assert_says("imported     1");
    assert_int_equal(idemctl("bench", "--seconds", "1"), 0);
    assert_int_equal(idemctl("lookup", "orders", "b"), 0);
    assert_int_equal(idemctl("list", "--state", "done"), 0);
    assert_says("  done  ");
    assert_int_equal(idemctl("explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("verdict      drop (duplicate)");
    assert_counts_are_told(&scene);
    assert_int_equal(idemctl("purge", "--all", "--yes"), 0);
    assert_says("removed      3");
    mqtt_tidy();
    broker_stop(scene.broker);
    redis_remove(&redis);
}

/* Its keys are in nobody else's reach: the broker is asked, or there is no answer. */
static void test_of_a_store_in_memory_the_broker_tells(void **state) {
    struct scene scene;
    open_on(&scene, "memory:", state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    for (int copy = 0; copy < 2; copy++) {
        scene_publish(&scene, publisher, "orders/1", "{\"id\":\"a\"}");
    }
    EXPECT_NEXT(scene.watcher, "orders/1 {\"id\":\"a\"}",
                "$idem/duplicate/orders/1 {\"id\":\"a\"}");
    assert_int_equal(idemctl("lookup", "orders", "a"), 3);
    assert_says("in the memory of the program that runs");
    assert_int_equal(idemctl("lookup", "orders", "a", "--mqtt", address(&scene)), 0);
    assert_says("\n  duplicates  1\n");
    assert_int_equal(idemctl("stats", "--mqtt", address(&scene)), 0);
    assert_says("  store/name ");
}

static void
test_a_program_that_does_not_answer_is_told_and_has_its_exit_code(void **state) {
    struct scene scene;
    open_on(&scene, "embedded://@DIR@/store", state);
    publish_some(&scene);
    static const char *const wrong[][2] = {{"--mqtt", "127.0.0.1:1"},
                                           {"--http", "http://127.0.0.1:1"},
                                           {"--http", "no URL"},
                                           {"--http", "https://127.0.0.1:1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(idemctl("lookup", "orders", "a", wrong[i][0], wrong[i][1]), 7);
        assert_says("state        done"); /* what the store has is told all the same */
        assert_int_equal(idemctl("stats", "--quick", wrong[i][0], wrong[i][1]), 7);
        assert_says("keys         ");
    }
    assert_int_equal(idemctl("lookup", "orders", "a", "--mqtt", "host:0"), 2);
    assert_int_equal(idemctl("stats", "--token-file", "/nonexistent"), 2);
}

/* A broker that has no plugin, one whose control is off, and one whose ACLs keep the command out. */
static void test_a_broker_that_may_not_be_asked_says_so(void **state) {
    struct scene scene;
    char text[2048];
    open_on(&scene, "embedded://@DIR@/store", state);
    publish_some(&scene);
    mqtt_tidy();
    broker_stop(scene.broker);
    (void)snprintf(text, sizeof text, "instance: test\nstore: {url: \"%s\"}\n%s",
                   "embedded://@DIR@/store", rules);
    char *off = files_replace(text, "sys_interval: 50ms", "control: off");
    broker_file(scene.broker, "idem.yaml", off);
    free(off);
    broker_start(scene.broker);
    assert_int_equal(idemctl("lookup", "orders", "a", "--mqtt", address(&scene)), 7);
    assert_says("mqtt.control is off");
    broker_stop(scene.broker);
    broker_file(scene.broker, "acls", "topic readwrite orders/#\n");
    broker_file(scene.broker, "mosquitto.conf",
                "user root\nlistener @PORT@ 127.0.0.1\nallow_anonymous true\n"
                "acl_file @DIR@/acls\nplugin @PLUGIN@\n"
                "plugin_opt_config @DIR@/idem.yaml\n");
    broker_start(scene.broker);
    assert_int_equal(idemctl("lookup", "orders", "a", "--mqtt", address(&scene)), 7);
    assert_says("this user may not publish to $CONTROL/idem/v1");
    broker_stop(scene.broker);
    broker_file(scene.broker, "mosquitto.conf",
                "user root\nlistener @PORT@ 127.0.0.1\nallow_anonymous true\n");
    broker_start(scene.broker);
    assert_int_equal(idemctl("lookup", "orders", "a", "--mqtt", address(&scene)), 7);
    assert_says("is the plugin loaded");
    assert_says("state        done");
}

static void move_to(struct scene *scene, const char *url) {
    mqtt_tidy();
    broker_stop(scene->broker);
    assert_int_equal(idemctl("export", "--yes", dump), 0);
    assert_says("records      3");
    configure(scene->broker, url);
    assert_int_equal(idemctl("check"), 0);
    assert_int_equal(idemctl("import", dump), 0);
    assert_says("records      3");
    broker_start(scene->broker);
    scene_watch_again(scene);
}

/* Nothing but a new key is delivered after each move: the watcher sees copies under $idem only. */
static void check_no_gap(struct scene *scene, const char *fresh) {
    char line[64];
    char payload[32];
    struct mqtt *publisher = scene_client(scene, "publisher");
    (void)snprintf(payload, sizeof payload, "{\"id\":\"%s\"}", fresh);
    (void)snprintf(line, sizeof line, "orders/1 %s", payload);
    scene_publish(scene, publisher, "orders/1", "{\"id\":\"a\"}");
    scene_publish(scene, publisher, "orders/1", "{\"id\":\"b\"}");
    scene_publish(scene, publisher, "counted/p/5", "x");
    EXPECT_NEXT(scene->watcher, "$idem/duplicate/orders/1 {\"id\":\"a\"}",
                "$idem/duplicate/orders/1 {\"id\":\"b\"}",
                "$idem/duplicate/counted/p/5 x");
    scene_publish(scene, publisher, "orders/1", payload);
    EXPECT_NEXT(scene->watcher, line);
}

static void test_moving_from_embedded_to_redis_and_back_leaves_no_gap(void **state) {
    struct scene scene;
    struct redis_server redis = {.pid = 0};
    char url[FILES_PATH_MAX + 64];
    redis_start(&redis, NULL);
    (void)snprintf(url, sizeof url, "unix://%s?timeout=10s", redis.socket);
    open_on(&scene, "embedded://@DIR@/store", state);
    publish_some(&scene);
    move_to(&scene, url);
    check_no_gap(&scene, "c");
    await_record("c"); /* what completes it later would bring it back */
    assert_int_equal(idemctl("forget", "--yes", "orders", "c"), 0); /* still three */
    move_to(&scene, "embedded://@DIR@/second");
    check_no_gap(&scene, "d");
    mqtt_tidy();
    broker_stop(scene.broker);
    redis_remove(&redis);
}

int main(void) {
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        ONCE(test_a_running_brokers_store_can_be_read_beside_it),
        ONCE(test_beside_a_broker_on_redis_everything_works),
        ONCE(test_of_a_store_in_memory_the_broker_tells),
        ONCE(test_a_program_that_does_not_answer_is_told_and_has_its_exit_code),
        ONCE(test_a_broker_that_may_not_be_asked_says_so),
        ONCE(test_moving_from_embedded_to_redis_and_back_leaves_no_gap),
    };
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
