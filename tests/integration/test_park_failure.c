/* SPDX-License-Identifier: MIT
 * A store on the network that is slow, stopped, killed or emptied: no message is lost, no client waits
 * longer than the deadline, and what this process knows is recognised all the same. */
#include "parking.h"

#include <idem/clock.h>

#include <mosquitto.h>
#include <stdio.h>
#include <string.h>

static const char *const both[] = {"wait: park, deadline: 150ms",
                                   "wait: block, deadline: 150ms"};

static struct parking *open_with(const char *store, void **state) {
    return parking_open(&(struct parking_options){.store = store}, state);
}

static int64_t elapsed_ms(int64_t since_ns) {
    return (idem_clock_monotonic_ns() - since_ns) / 1000000;
}

/* What waits for a deadline is decided by then, with room for a busy machine. */
static void assert_within_deadline(int64_t since_ns) {
    assert_in_range(elapsed_ms(since_ns), 0, testing_instrumented() ? 10000 : 1000);
}

/* Publishes new keys until one is claimed again. */
static void await_protection(struct parking *parking, struct mqtt *publisher) {
    unsigned long before = watch_read_figure(parking->scene.broker, "messages/new");
    int64_t deadline = testing_deadline();
    for (unsigned i = 0;
         watch_read_figure(parking->scene.broker, "messages/new") <= before; i++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "probe %u", i);
        scene_publish(&parking->scene, publisher, "orders/probe", payload);
        (void)mqtt_collect(parking->scene.watcher);
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
    }
    while (parking_keys(parking) == 0) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
    (void)mqtt_collect(parking->scene.watcher);
}

static void await_keys(const struct parking *parking, long long count) {
    int64_t deadline = testing_deadline();
    while (parking_keys(parking) < count) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

static void test_without_redis_messages_get_through_and_known_ones_do_not(void **state) {
    for (size_t i = 0; i < 2; i++) {
        struct parking *parking = open_with(both[i], state);
        struct scene *scene = &parking->scene;
        struct mqtt *publisher = scene_client(scene, "publisher");
        scene_publish(scene, publisher, "orders/1", "known");
        EXPECT_NEXT(scene->watcher, "orders/1 known");
        redis_kill(&parking->redis);
        scene_publish(scene, publisher, "orders/1", "known");
        scene_publish(scene, publisher, "orders/1", "new");
        scene_publish(scene, publisher, "orders/1", "new");
        EXPECT_NEXT(scene->watcher, "$idem/duplicate/orders/1 known", "orders/1 new",
                    "$idem/duplicate/orders/1 new");
        EXPECT_NOTHING(scene->watcher);
        watch_figure(scene->broker, "messages/store_failure", 1);
        (void)parking_tidy(NULL);
    }
}

static void test_what_was_learnt_meanwhile_is_written_later(void **state) {
    struct parking *parking = open_with(both[0], state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    redis_kill(&parking->redis);
    scene_publish(scene, publisher, "orders/1", "a");
    scene_publish(scene, publisher, "orders/1", "b");
    EXPECT_NEXT(scene->watcher, "orders/1 a", "orders/1 b");
    redis_start(&parking->redis, NULL);
    broker_expect_log(scene->broker, "store.caught_up: 2 keys");
    await_keys(parking, 2);
    struct scene other = {.broker = parking_second(parking), .variant = scene->variant};
    other.watcher = scene_watcher(&other, "watcher", MQTT_5);
    struct mqtt *there = scene_client(&other, "publisher");
    scene_publish(&other, there, "orders/1", "a");
    scene_publish(&other, there, "orders/1", "b");
    EXPECT_NEXT(other.watcher, "$idem/duplicate/orders/1 a",
                "$idem/duplicate/orders/1 b");
}

static void test_a_stopped_redis_delays_its_own_messages_by_one_deadline(void **state) {
    for (size_t i = 0; i < 2; i++) {
        struct parking *parking = open_with(both[i], state);
        struct scene *scene = &parking->scene;
        struct mqtt *publisher = scene_client(scene, "publisher");
        redis_freeze(&parking->redis);
        int64_t start = idem_clock_monotonic_ns();
        scene_publish(scene, publisher, "orders/1", "a");
        EXPECT_NEXT(scene->watcher, "orders/1 a");
        assert_in_range(elapsed_ms(start), 140, 2000);
        start = idem_clock_monotonic_ns();
        scene_publish(scene, publisher, "orders/1", "b");
        EXPECT_NEXT(scene->watcher, "orders/1 b");
        assert_within_deadline(start);
        redis_thaw(&parking->redis);
        await_protection(parking, publisher);
        scene_publish(scene, publisher, "orders/1", "a");
        EXPECT_NEXT(scene->watcher, "$idem/duplicate/orders/1 a");
        (void)parking_tidy(NULL);
    }
}

/* Clients on other topics while Redis is stopped, again and again, and messages wait for it. */
static void test_a_stopped_redis_is_not_felt_by_others(void **state) {
    struct parking *parking = open_with("wait: park, deadline: 1s", state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    struct mqtt *other = scene_client(scene, "other");
    enum { ROUNDS = 50 };
    unsigned slow = 0;
    redis_freeze(&parking->redis);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char payload[16];
        (void)snprintf(payload, sizeof payload, "%u", i);
        scene_publish(scene, publisher, "orders/1", payload);
        int64_t start = idem_clock_monotonic_ns();
        mqtt_sync(other);
        slow += elapsed_ms(start) > 100 ? 1 : 0;
    }
    assert_in_range(slow, 0, testing_instrumented() ? ROUNDS : 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "orders/1 %u", i);
        EXPECT_NEXT(scene->watcher, line);
    }
}

static void test_a_slow_redis_protects(void **state) {
    static const int delays[] = {1, 20};
    for (size_t i = 0; i < 4; i++) {
        struct parking *parking = open_with(i < 2 ? "wait: park" : "wait: block", state);
        struct scene *scene = &parking->scene;
        struct mqtt *publisher = scene_client(scene, "publisher");
        proxy_delay(parking->proxy, delays[i % 2]);
        scene_publish(scene, publisher, "orders/1", "a");
        scene_publish(scene, publisher, "orders/1", "b");
        scene_publish(scene, publisher, "orders/1", "a");
        EXPECT_NEXT(scene->watcher, "orders/1 a", "orders/1 b",
                    "$idem/duplicate/orders/1 a");
        (void)parking_tidy(NULL);
    }
}

static void test_an_emptied_redis_does_not_empty_the_memory(void **state) {
    struct parking *parking = open_with(NULL, state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    scene_publish(scene, publisher, "orders/1", "a");
    EXPECT_NEXT(scene->watcher, "orders/1 a");
    watch_figure(scene->broker, "completed", 1);
    (void)redis_tell(&parking->redis, "FLUSHALL");
    (void)redis_tell(&parking->redis, "SCRIPT FLUSH");
    scene_publish(scene, publisher, "orders/1", "a");
    scene_publish(scene, publisher, "orders/1", "b");
    scene_publish(scene, publisher, "orders/1", "b");
    EXPECT_NEXT(scene->watcher, "$idem/duplicate/orders/1 a", "orders/1 b",
                "$idem/duplicate/orders/1 b");
}

static void test_more_than_may_be_parked_gets_through_at_once(void **state) {
    struct parking *parking =
        open_with("wait: park, deadline: 2s, park_messages: 3", state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    redis_freeze(&parking->redis);
    scene_publish(scene, publisher, "orders/1", "1");
    scene_publish(scene, publisher, "orders/1", "2");
    scene_publish(scene, publisher, "orders/1", "3");
    scene_publish(scene, publisher, "orders/1", "4");
    EXPECT_NEXT(scene->watcher, "orders/1 4");
    watch_figure(scene->broker, "messages/store_failure", 1);
    redis_thaw(&parking->redis);
    EXPECT_NEXT(scene->watcher, "orders/1 1", "orders/1 2", "orders/1 3");
}

static void test_more_bytes_than_may_be_parked_get_through_at_once(void **state) {
    struct parking *parking =
        open_with("wait: park, deadline: 2s, park_bytes: 4096", state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    char large[8192];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    redis_freeze(&parking->redis);
    scene_publish(scene, publisher, "orders/1", "1");
    scene_publish(scene, publisher, "orders/1", large);
    assert_int_equal(mqtt_receive(scene->watcher)->length, sizeof large - 1);
    redis_thaw(&parking->redis);
    EXPECT_NEXT(scene->watcher, "orders/1 1");
}

/* A rule that refuses waits for its claim, so that no acknowledgement has to be taken back. */
static void test_what_cannot_be_claimed_is_refused_where_the_rule_says_so(void **state) {
    struct parking *parking = open_with(both[0], state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    struct mqtt_message message = {
        .topic = "closed/1", .payload = "a", .qos = scene->variant.qos};
    redis_freeze(&parking->redis);
    for (unsigned i = 0; i < 3; i++) {
        int64_t start = idem_clock_monotonic_ns();
        uint8_t reason = mqtt_publish(publisher, &message);
        assert_int_equal(reason, message.qos == 0 ? 0 : 0x87);
        assert_within_deadline(start);
    }
    EXPECT_NOTHING(scene->watcher);
    watch_figure(scene->broker, "verdicts/refuse", 3);
    redis_thaw(&parking->redis);
    await_protection(parking, publisher);
    mqtt_publish_ok(publisher, &message);
    EXPECT_NEXT(scene->watcher, "closed/1 a");
    mqtt_publish_ok(publisher, &message);
    EXPECT_NEXT(scene->watcher, "$idem/duplicate/closed/1 a");
}

static void test_a_clean_stop_without_redis_loses_nothing(void **state) {
    struct parking *parking =
        parking_open(&(struct parking_options){.store = "wait: park, deadline: 500ms",
                                               .more = "persistence true\n"
                                                       "persistence_location @DIR@/\n"},
                     state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    const struct mqtt_options keeper = {.port = broker_port(scene->broker),
                                        .version = MQTT_5,
                                        .client_id = "keeper",
                                        .keep_session = true};
    mqtt_subscribe(mqtt_connect(&keeper), "orders/#", 1);
    redis_freeze(&parking->redis);
    scene_publish(scene, publisher, "orders/1", "a");
    scene_publish(scene, publisher, "orders/1", "b");
    mqtt_tidy();
    broker_stop(scene->broker);
    broker_start(scene->broker);
    EXPECT_NEXT(mqtt_connect(&keeper), "orders/1 a", "orders/1 b");
    redis_thaw(&parking->redis);
}

/* 2.0.11 gives plugins none under per_listener_settings true; 2.0.21 gives each listener's its own. */
static bool broker_has_ticks_for_each_listener(void) {
    return mosquitto_lib_version(NULL, NULL, NULL) > 2000011;
}

static void test_without_ticks_each_message_waits(void **state) {
    if (broker_has_ticks_for_each_listener()) {
        skip(); /* messages are parked, as in the other tests */
    }
    static const char apart[] = "per_listener_settings true\n"
                                "listener @PORT@ 127.0.0.1\n"
                                "allow_anonymous true\n"
                                "plugin @PLUGIN@\n"
                                "plugin_opt_config @DIR@/idem.yaml\n";
    struct parking *parking = parking_open(
        &(struct parking_options){.store = "wait: park, deadline: 150ms", .conf = apart},
        state);
    struct scene *scene = &parking->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    scene_publish(scene, publisher, "orders/1", "a");
    scene_publish(scene, publisher, "orders/1", "a");
    EXPECT(scene->watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
    broker_expect_log(scene->broker, "park.impossible");
    redis_freeze(&parking->redis);
    int64_t start = idem_clock_monotonic_ns();
    scene_publish(scene, publisher, "orders/1", "b");
    scene_publish(scene, publisher, "orders/1", "c");
    EXPECT(scene->watcher, "orders/1 b", "orders/1 c");
    assert_within_deadline(start);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        PARKING_QOS(test_without_redis_messages_get_through_and_known_ones_do_not),
        PARKING_ONCE(test_what_was_learnt_meanwhile_is_written_later),
        PARKING_QOS(test_a_stopped_redis_delays_its_own_messages_by_one_deadline),
        PARKING_ONCE(test_a_stopped_redis_is_not_felt_by_others),
        PARKING_ONCE(test_a_slow_redis_protects),
        PARKING_ONCE(test_an_emptied_redis_does_not_empty_the_memory),
        PARKING_QOS(test_more_than_may_be_parked_gets_through_at_once),
        PARKING_ONCE(test_more_bytes_than_may_be_parked_get_through_at_once),
        PARKING_QOS(test_what_cannot_be_claimed_is_refused_where_the_rule_says_so),
        PARKING_ROW(test_a_clean_stop_without_redis_loses_nothing, "QoS 1", 4),
        PARKING_ROW(test_a_clean_stop_without_redis_loses_nothing, "QoS 2", 5),
        PARKING_QOS(test_without_ticks_each_message_waits),
    };
    int status;
    if (parking_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
