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

static void test_a_running_brokers_store_can_be_read_beside_it(void **state) {
    struct scene scene;
    open_on(&scene, "embedded://@DIR@/store", state);
    publish_some(&scene);
    assert_int_equal(idemctl("list"), 0);
    assert_says("  done  ");
    assert_int_equal(idemctl("stats"), 0);
    assert_says("done         2");
    assert_int_equal(idemctl("export", dump), 0);
    assert_int_equal(idemctl("bench", "--seconds", "1"), 0);
    assert_int_equal(idemctl("forget", "--yes", "orders", "a"), 5);
    assert_says("is in use by process");
    assert_int_equal(idemctl("purge", "--all", "--yes"), 5);
    assert_int_equal(idemctl("import", dump), 5);
    struct mqtt *publisher = scene_client(&scene, "late");
    scene_publish(&scene, publisher, "orders/1", "{\"id\":\"a\"}");
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 {\"id\":\"a\"}");
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
    mqtt_tidy();
    broker_stop(scene.broker);
    redis_remove(&redis);
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
        ONCE(test_moving_from_embedded_to_redis_and_back_leaves_no_gap),
    };
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
