/* SPDX-License-Identifier: MIT
 * Replays with a store on the network, whose answers come later: parked and blocking, over two brokers, and
 * while the store is away. */
#include "parking.h"
#include "requests.h"

static const char *const waits[] = {"wait: park", "wait: block"};

struct stage {
    struct parking *parking;
    struct scene *scene;
    struct mqtt *requester;
    struct mqtt *responder;
};

static void connect_both(struct stage *stage) {
    stage->requester = scene_client(stage->scene, "requester");
    stage->responder = scene_client(stage->scene, "responder");
    mqtt_subscribe(stage->requester, "answers/#", 2);
    mqtt_subscribe(stage->responder, "requests/#", 2);
}

static void open_stage(struct stage *stage, const char *wait, void **state) {
    stage->parking = parking_open(&(struct parking_options){.store = wait}, state);
    stage->scene = &stage->parking->scene;
    connect_both(stage);
}

static void ask_from(struct stage *stage, struct mqtt *client, const char *correlation) {
    requests_send(client, stage->scene->variant.qos,
                  &(struct request){
                      .key = "k", .reply_to = "answers/1", .correlation = correlation});
}

static void ask(struct stage *stage, const char *correlation) {
    ask_from(stage, stage->requester, correlation);
}

static void expect(struct mqtt *client, const char *payload, const char *correlation,
                   bool replayed) {
    requests_expect(client, "answers/1", payload, correlation, replayed);
}

/* What was asked before was delivered: a later message has been, too. */
static void assert_no_second_request(struct stage *stage) {
    requests_send(stage->requester, 1,
                  &(struct request){.key = "fence",
                                    .payload = "fence",
                                    .reply_to = "answers/fence",
                                    .correlation = "f"});
    assert_string_equal(mqtt_receive(stage->responder)->payload, "fence");
}

static void test_a_repeat_is_answered_from_the_store(void **state) {
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;
        open_stage(&stage, waits[i], state);
        ask(&stage, "c1");
        requests_answer(stage.responder, 1, "done", NULL);
        expect(stage.requester, "done", "c1", false);
        watch_figure(stage.scene->broker, "replay/stored", 1);
        ask(&stage, "c2");
        expect(stage.requester, "done", "c2", true);
        assert_no_second_request(&stage);
        (void)parking_tidy(NULL);
    }
}

static void test_repeats_in_one_breath_get_the_response_when_it_comes(void **state) {
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;
        open_stage(&stage, waits[i], state);
        proxy_delay(stage.parking->proxy, 20);
        ask(&stage, "c1");
        ask(&stage, "c2");
        ask(&stage, "c3");
        watch_figure(stage.scene->broker, "replay/awaited", 2);
        requests_answer(stage.responder, 1, "done", NULL);
        expect(stage.requester, "done", "c1", false);
        expect(stage.requester, "done", "c2", true);
        expect(stage.requester, "done", "c3", true);
        proxy_delay(stage.parking->proxy, 0);
        assert_no_second_request(&stage);
        (void)parking_tidy(NULL);
    }
}

static void test_a_failed_request_is_executed_again(void **state) {
    struct stage stage;
    open_stage(&stage, waits[0], state);
    ask(&stage, "c1");
    requests_answer(stage.responder, 1, "no", "500");
    expect(stage.requester, "no", "c1", false);
    watch_figure(stage.scene->broker, "abandoned", 1);
    ask(&stage, "c2");
    requests_answer(stage.responder, 1, "done", "200");
    expect(stage.requester, "done", "c2", false);
}

/* Whichever broker a repeat comes to, the result is in the store that they share. */
static void test_another_broker_answers_what_the_first_has_stored(void **state) {
    struct stage stage;
    open_stage(&stage, waits[0], state);
    struct broker *second = parking_second(stage.parking);
    ask(&stage, "c1");
    requests_answer(stage.responder, 1, "done", NULL);
    expect(stage.requester, "done", "c1", false);
    watch_figure(stage.scene->broker, "replay/stored", 1);
    struct mqtt *client = mqtt_connect(&(struct mqtt_options){
        .port = broker_port(second), .version = MQTT_5, .client_id = "requester"});
    mqtt_subscribe(client, "answers/#", 2);
    mqtt_subscribe(client, "requests/#", 2);
    ask_from(&stage, client, "c2");
    expect(client, "done", "c2", true);
    EXPECT_NOTHING(client);
}

/* The memory of recent keys knows the repeat, and has no response for it. */
static void test_while_the_store_is_away_a_repeat_is_dropped(void **state) {
    struct stage stage;
    open_stage(&stage, "wait: park, deadline: 100ms", state);
    ask(&stage, "c1");
    requests_answer(stage.responder, 1, "done", NULL);
    expect(stage.requester, "done", "c1", false);
    watch_figure(stage.scene->broker, "replay/stored", 1);
    proxy_stall(stage.parking->proxy, true);
    ask(&stage, "c2");
    watch_figure(stage.scene->broker, "replay/without_result", 1);
    proxy_stall(stage.parking->proxy, false);
    broker_expect_log(stage.scene->broker, "store.available");
    ask(&stage, "c3");
    expect(stage.requester, "done", "c3", true);
    assert_no_second_request(&stage);
}

/* The request is done in the store, or was until the store died; its response comes while nobody can write
 * it down. */
static void ask_and_lose_the_store(struct stage *stage, void **state) {
    open_stage(stage, "wait: park, deadline: 100ms", state);
    ask(stage, "c1");
    watch_figure(stage->scene->broker, "completed", 1);
}

static void expect_stored_later(struct stage *stage) {
    broker_expect_log(stage->scene->broker, "store.caught_up");
    ask(stage, "c2");
    expect(stage->requester, "done", "c2", true);
    assert_no_second_request(stage);
}

static void test_a_response_outlives_a_store_that_is_killed_before_it(void **state) {
    struct stage stage;
    ask_and_lose_the_store(&stage, state);
    redis_kill(&stage.parking->redis);
    requests_answer(stage.responder, 1, "done", NULL);
    expect(stage.requester, "done", "c1", false);
    watch_figure(stage.scene->broker, "replay/stored", 1);
    redis_start(&stage.parking->redis, NULL);
    expect_stored_later(&stage);
}

static void test_a_response_outlives_a_store_that_hangs_when_it_comes(void **state) {
    struct stage stage;
    ask_and_lose_the_store(&stage, state);
    redis_freeze(&stage.parking->redis);
    requests_answer(stage.responder, 1, "done", NULL);
    expect(stage.requester, "done", "c1", false);
    watch_figure(stage.scene->broker, "replay/stored", 1);
    redis_thaw(&stage.parking->redis);
    expect_stored_later(&stage);
}

/* What this broker owes dies with it: the repeat is dropped, and counted, and answered with nothing. */
static void test_a_response_that_is_owed_is_lost_with_the_broker(void **state) {
    struct stage stage;
    ask_and_lose_the_store(&stage, state);
    proxy_refuse(stage.parking->proxy, true);
    proxy_cut(stage.parking->proxy);
    requests_answer(stage.responder, 1, "done", NULL);
    expect(stage.requester, "done", "c1", false);
    watch_figure(stage.scene->broker, "replay/stored", 1);
    mqtt_tidy();
    broker_kill(stage.scene->broker);
    proxy_refuse(stage.parking->proxy, false);
    broker_start(stage.scene->broker);
    connect_both(&stage);
    ask(&stage, "c2");
    watch_figure(stage.scene->broker, "replay/without_result", 1);
    EXPECT_NOTHING(stage.requester);
    assert_no_second_request(&stage);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        PARKING_QOS(test_a_repeat_is_answered_from_the_store),
        PARKING_QOS(test_repeats_in_one_breath_get_the_response_when_it_comes),
        PARKING_QOS(test_a_failed_request_is_executed_again),
        PARKING_ONCE(test_another_broker_answers_what_the_first_has_stored),
        PARKING_ONCE(test_while_the_store_is_away_a_repeat_is_dropped),
        PARKING_ONCE(test_a_response_outlives_a_store_that_is_killed_before_it),
        PARKING_ONCE(test_a_response_outlives_a_store_that_hangs_when_it_comes),
        PARKING_ONCE(test_a_response_that_is_owed_is_lost_with_the_broker),
    };
    int status;
    if (parking_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
