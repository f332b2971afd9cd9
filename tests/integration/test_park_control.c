/* SPDX-License-Identifier: MIT
 * The control topic with a store on the network: answered when the store answers, and the broker goes on. */
#include "parking.h"

#include <stdio.h>
#include <string.h>

#define KEY(command)                                                                     \
    "{\"commands\":[{\"command\":\"" command "\",\"rule\":\"places\",\"key\":\"7\"}]}"

static void send_request(const struct scene *scene, struct mqtt *client,
                         const char *request) {
    mqtt_publish_ok(client, &(struct mqtt_message){.topic = "$CONTROL/idem/v1",
                                                   .payload = request,
                                                   .qos = scene->variant.qos});
}

static void expect_response(struct mqtt *client, const char *text) {
    const struct mqtt_message *response = mqtt_receive(client);
    assert_string_equal(response->topic, "$CONTROL/idem/v1/response");
    if (strstr(response->payload, text) == NULL) {
        fail_msg("the answer was %s", response->payload);
    }
}

static void test_a_forgotten_key_is_new_to_this_process_too(void **state) {
    struct scene *scene = &parking_open(&(struct parking_options){0}, state)->scene;
    struct mqtt *publisher = scene_client(scene, "publisher");
    struct mqtt *client = scene_client(scene, "operator");
    scene_publish(scene, publisher, "place/7", "a");
    scene_publish(scene, publisher, "place/7", "a");
    EXPECT_NEXT(scene->watcher, "place/7 a", "$idem/duplicate/place/7 a");
    watch_figure_reaches(scene->broker, "completed", 1);
    send_request(scene, client, KEY("lookupKey"));
    expect_response(client, "\"state\":\"done\"");
    send_request(scene, client, KEY("forgetKey"));
    expect_response(client, "\"forgotten\":true");
    scene_publish(scene, publisher, "place/7", "a");
    EXPECT_NEXT(scene->watcher, "place/7 a");
    EXPECT_NOTHING(scene->watcher);
}

static void test_the_broker_goes_on_while_the_store_is_asked(void **state) {
    enum { ASKED = 70, BOUND = 64 };
    struct parking *parking = parking_open(&(struct parking_options){0}, state);
    struct scene *scene = &parking->scene;
    struct mqtt *client = scene_client(scene, "operator");
    struct mqtt *publisher = scene_client(scene, "publisher");
    proxy_stall(parking->proxy, true);
    for (int i = 0; i < ASKED; i++) {
        send_request(scene, client, KEY("lookupKey"));
    }
    for (int i = BOUND; i < ASKED; i++) {
        expect_response(client, "too many questions wait for the store");
    }
    scene_publish(scene, publisher, "other/1", "free");
    EXPECT_NEXT(scene->watcher, "other/1 free");
    proxy_stall(parking->proxy, false);
    for (int i = 0; i < BOUND; i++) {
        expect_response(client, "\"state\":\"none\"");
    }
}

static void test_a_store_that_is_away_is_told(void **state) {
    struct parking *parking =
        parking_open(&(struct parking_options){.store = "deadline: 150ms"}, state);
    struct scene *scene = &parking->scene;
    struct mqtt *client = scene_client(scene, "operator");
    watch_figure(scene->broker, "store/connected", 1);
    redis_kill(&parking->redis);
    send_request(scene, client, KEY("lookupKey"));
    expect_response(client, "\"error\":");
    watch_figure(scene->broker, "store/connected", 0);
    watch_figure(scene->broker, "store/breakers_open", 1);
    watch_figure(scene->broker, "store/servers", 1);
}

static void test_a_broker_that_stops_owes_no_answer(void **state) {
    struct parking *parking =
        parking_open(&(struct parking_options){.store = "deadline: 150ms"}, state);
    struct mqtt *client = scene_client(&parking->scene, "operator");
    proxy_stall(parking->proxy, true);
    send_request(&parking->scene, client, KEY("lookupKey"));
    send_request(&parking->scene, client, KEY("forgetKey"));
    broker_stop(parking->scene.broker);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        PARKING_EACH(test_a_forgotten_key_is_new_to_this_process_too),
        PARKING_QOS(test_the_broker_goes_on_while_the_store_is_asked),
        PARKING_ONCE(test_a_store_that_is_away_is_told),
        PARKING_ONCE(test_a_broker_that_stops_owes_no_answer),
    };
    int status;
    if (parking_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
