/* SPDX-License-Identifier: MIT
 * Numbers of producers on a real Mosquitto: windows, gaps and epochs, at once and parked, over kills of the
 * broker. */
#include "parking.h"

#include <stdio.h>

#define RULE                                                                             \
    "  - name: counters\n"                                                               \
    "    match: {topic: 'counters/#'}\n"                                                 \
    "    strategy: sequence\n"                                                           \
    "    scope: global\n"

static struct scene scene;

/* Topic counters/EPOCH/NUMBER, so that MQTT 3.1.1 has numbers too; of one client, so of one producer. */
static void count(const struct scene *on, struct mqtt *client, unsigned epoch,
                  unsigned long long number) {
    char topic[64];
    (void)snprintf(topic, sizeof topic, "counters/%u/%llu", epoch, number);
    scene_publish(on, client, topic, "m");
}

static void test_late_numbers_are_delivered_once_inside_the_window(void **state) {
    scene_open(&scene,
               SCENE_TOP RULE
               "    sequence: {epoch: topic:2, number: topic:3, window: 4}\n",
               state);
    struct mqtt *client = scene_client(&scene, "meter");
    count(&scene, client, 0, 10);
    count(&scene, client, 0, 12);
    count(&scene, client, 0, 11);
    count(&scene, client, 0, 11);
    count(&scene, client, 0, 8);
    count(&scene, client, 0, 18446744073709551615ULL);
    count(&scene, client, 0, 12);
    EXPECT(scene.watcher, "counters/0/10 m", "counters/0/12 m", "counters/0/11 m",
           "$idem/duplicate/counters/0/11 m", "$idem/duplicate/counters/0/8 m",
           "counters/0/18446744073709551615 m", "$idem/duplicate/counters/0/12 m");
}

static void test_an_older_epoch_is_fenced(void **state) {
    scene_open(&scene, SCENE_TOP RULE "    sequence: {epoch: topic:2, number: topic:3}\n",
               state);
    struct mqtt *client = scene_client(&scene, "meter");
    count(&scene, client, 1, 5);
    count(&scene, client, 2, 0);
    count(&scene, client, 1, 6);
    count(&scene, client, 2, 1);
    EXPECT(scene.watcher, "counters/1/5 m", "counters/2/0 m",
           "$idem/quarantine/counters/1/6 m", "counters/2/1 m");
    scene_publish(&scene, client, "counters/2/none", "m"); /* on_missing_key: deliver */
    EXPECT(scene.watcher, "counters/2/none m");
}

static void test_producers_count_for_themselves(void **state) {
    scene_open(&scene, SCENE_TOP RULE "    sequence: {epoch: topic:2, number: topic:3}\n",
               state);
    struct mqtt *one = scene_client(&scene, "one");
    struct mqtt *two = scene_client(&scene, "two");
    count(&scene, one, 0, 7);
    count(&scene, two, 0, 7);
    count(&scene, one, 0, 7);
    EXPECT(scene.watcher, "counters/0/7 m", "counters/0/7 m",
           "$idem/duplicate/counters/0/7 m");
}

static void test_numbers_survive_a_restart(void **state) {
    scene_open(&scene, SCENE_TOP RULE "    sequence: {epoch: topic:2, number: topic:3}\n",
               state);
    struct mqtt *client = scene_client(&scene, "meter");
    count(&scene, client, 0, 1);
    count(&scene, client, 0, 2);
    EXPECT(scene.watcher, "counters/0/1 m", "counters/0/2 m");
    mqtt_tidy();
    broker_stop(scene.broker);
    broker_start(scene.broker);
    scene_watch_again(&scene);
    client = scene_client(&scene, "meter");
    count(&scene, client, 0, 2);
    count(&scene, client, 0, 3);
    EXPECT(scene.watcher, "$idem/duplicate/counters/0/2 m", "counters/0/3 m");
}

/* Killed with the number under way, or delivered: it comes again, and is new, in doubt, or a duplicate;
 * the next one is new in any case. */
static void test_a_kill_at_any_time_loses_no_number(void **state) {
    scene_open(&scene, SCENE_TOP RULE "    sequence: {epoch: topic:2, number: topic:3}\n",
               state);
    for (unsigned i = 1; i <= 5; i++) {
        char topic[32];
        char line[64];
        (void)snprintf(topic, sizeof topic, "counters/0/%u", i);
        struct mqtt_message message = {
            .topic = topic, .payload = "m", .qos = scene.variant.qos};
        (void)mqtt_send(scene_client(&scene, "meter"), &message);
        (void)snprintf(line, sizeof line, "%s m", topic);
        if (i % 2 == 0) {
            EXPECT_NEXT(scene.watcher, line);
        }
        mqtt_tidy();
        broker_kill(scene.broker);
        broker_start(scene.broker);
        scene_watch_again(&scene);
        struct mqtt *client = scene_client(&scene, "meter");
        mqtt_publish_ok(client, &message);
        assert_int_equal(watch_count(mqtt_collect(scene.watcher)), 1);
        mqtt_publish_ok(client, &message);
        (void)snprintf(line, sizeof line, "$idem/duplicate/%s m", topic);
        EXPECT(scene.watcher, line);
    }
}

/* ---- parked ---- */

/* Copies of the same number while its claim, its delivery or its completion is on its way. */
static void test_parked_copies_in_one_breath_are_one(void **state) {
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct mqtt *client = scene_client(&parking->scene, "meter");
    enum { NUMBERS = 40, COPIES = 4 };
    char topic[32];
    char line[64];
    proxy_delay(parking->proxy, 1);
    for (unsigned i = 0; i < NUMBERS * COPIES; i++) {
        (void)snprintf(topic, sizeof topic, "counters/0/%u", i / COPIES);
        (void)mqtt_send(client,
                        &(struct mqtt_message){.topic = topic,
                                               .payload = "m",
                                               .qos = parking->scene.variant.qos});
    }
    for (unsigned i = 0; i < NUMBERS * COPIES; i++) {
        (void)snprintf(line, sizeof line, "%scounters/0/%u m",
                       i % COPIES == 0 ? "" : "$idem/duplicate/", i / COPIES);
        EXPECT_NEXT(parking->scene.watcher, line);
    }
    EXPECT_NOTHING(parking->scene.watcher);
}

static void test_parked_numbers_know_windows_and_epochs(void **state) {
    static const char *const waits[] = {"wait: park", "wait: block"};
    for (size_t i = 0; i < 2; i++) {
        struct parking *parking =
            parking_open(&(struct parking_options){.store = waits[i]}, state);
        struct scene *at = &parking->scene;
        struct mqtt *client = scene_client(at, "meter");
        /* One after the other: the mark moves when the broker has a message for certain. */
        count(at, client, 1, 20);
        EXPECT_NEXT(at->watcher, "counters/1/20 m");
        count(at, client, 1, 13);
        EXPECT_NEXT(at->watcher, "counters/1/13 m");
        count(at, client, 1, 12);
        count(at, client, 1, 13);
        count(at, client, 2, 1);
        count(at, client, 1, 21);
        EXPECT_NEXT(at->watcher, "$idem/duplicate/counters/1/12 m",
                    "$idem/duplicate/counters/1/13 m", "counters/2/1 m",
                    "$idem/quarantine/counters/1/21 m");
        EXPECT_NOTHING(at->watcher);
        (void)parking_tidy(NULL);
    }
}

/* What was delivered while the store was away is known to it when it is back. */
static void test_numbers_delivered_without_the_store_are_written_later(void **state) {
    struct parking *parking =
        parking_open(&(struct parking_options){.store = "deadline: 300ms"}, state);
    struct scene *at = &parking->scene;
    struct mqtt *client = scene_client(at, "meter");
    count(at, client, 0, 1);
    EXPECT_NEXT(at->watcher, "counters/0/1 m");
    redis_freeze(&parking->redis);
    count(at, client, 0, 2);
    EXPECT_NEXT(at->watcher, "counters/0/2 m");
    count(at, client, 0, 2);
    EXPECT_NEXT(at->watcher, "$idem/duplicate/counters/0/2 m");
    redis_thaw(&parking->redis);
    broker_expect_log(at->broker, "store.caught_up");
    count(at, client, 0, 2);
    count(at, client, 0, 3);
    EXPECT_NEXT(at->watcher, "$idem/duplicate/counters/0/2 m", "counters/0/3 m");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_late_numbers_are_delivered_once_inside_the_window),
        ACKNOWLEDGED(test_an_older_epoch_is_fenced),
        ONCE(test_producers_count_for_themselves),
        ACKNOWLEDGED(test_numbers_survive_a_restart),
        ACKNOWLEDGED(test_a_kill_at_any_time_loses_no_number),
        PARKING_QOS(test_parked_copies_in_one_breath_are_one),
        PARKING_QOS(test_parked_numbers_know_windows_and_epochs),
        PARKING_ONCE(test_numbers_delivered_without_the_store_are_written_later),
    };
    int status;
    if (parking_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
