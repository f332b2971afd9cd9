/* SPDX-License-Identifier: MIT
 * Repeats of a request are answered with the response of the first, and the request goes nowhere a second
 * time. */
#include "requests.h"

#include <string.h>

#define RULE                                                                             \
    "  - {name: requests, match: {topic: requests/#}, key: property:idempotency-key,\n"  \
    "     scope: rule, on_duplicate: replay,\n"                                          \
    "     result: {max: 2000, failed: {header: status, values: ['5*', '409']}}}\n"

static const char idem[] = SCENE_TOP RULE;
static const char store_failed[] =
    SCENE_TOP "  - {name: requests, match: {topic: requests/#}, key: "
              "property:idempotency-key,\n"
              "     scope: rule, on_duplicate: replay,\n"
              "     result: {failed: status, store_failed: true}}\n";
static const char narrow[] = "instance: test\n"
                             "store: {url: \"embedded://@DIR@/store\"}\n"
                             "mqtt: {sys_interval: 50ms, replay_requests: 1}\n"
                             "rules:\n" RULE;

struct stage {
    struct scene scene;
    struct mqtt *requester;
    struct mqtt *responder;
};

static void connect_both(struct stage *stage) {
    stage->requester = scene_client(&stage->scene, "requester");
    stage->responder = scene_client(&stage->scene, "responder");
    mqtt_subscribe(stage->requester, "answers/#", 2);
    mqtt_subscribe(stage->responder, "requests/#", 2);
}

static void open_stage(struct stage *stage, const char *config, void **state) {
    scene_open(&stage->scene, config, state);
    connect_both(stage);
}

static void ask(struct stage *stage, const char *key, const char *correlation) {
    requests_send(stage->requester, stage->scene.variant.qos,
                  &(struct request){
                      .key = key, .reply_to = "answers/1", .correlation = correlation});
}

static void answer(struct stage *stage, const char *payload, const char *status) {
    requests_answer(stage->responder, stage->scene.variant.qos, payload, status);
}

static void expect(struct stage *stage, const char *payload, const char *correlation,
                   bool replayed) {
    requests_expect(stage->requester, "answers/1", payload, correlation, replayed);
}

static void figure(struct stage *stage, const char *name, unsigned long value) {
    watch_figure(stage->scene.broker, name, value);
}

static void test_a_repeat_is_answered_from_the_store(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    ask(&stage, "k", "c2");
    expect(&stage, "done", "c2", true);
    ask(&stage, "k", "c1");
    expect(&stage, "done", "c1", true);
    EXPECT_NOTHING(stage.responder);
    EXPECT_NOTHING(stage.requester);
    figure(&stage, "replay/answered", 2);
    figure(&stage, "replay/stored", 1);
    figure(&stage, "verdicts/replay", 2);
}

static void test_other_keys_are_other_requests(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "one", NULL);
    ask(&stage, "l", "c2");
    answer(&stage, "two", NULL);
    expect(&stage, "one", "c1", false);
    expect(&stage, "two", "c2", false);
    ask(&stage, "k", "c3");
    expect(&stage, "one", "c3", true);
}

/* The response that is under way is for both, or is sent once more for the second. */
static void test_a_repeat_before_the_response_gets_it_when_it_comes(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    ask(&stage, "k", "c1");
    ask(&stage, "k", "c2");
    requests_answer(stage.responder, 1, "done", NULL); /* QoS 2 is handed on later */
    expect(&stage, "done", "c1", false);
    expect(&stage, "done", "c2", true);
    EXPECT_NOTHING(stage.responder);
    EXPECT_NOTHING(stage.requester);
    figure(&stage, "replay/awaited", 2);
}

static void test_a_failed_request_is_executed_again(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "no", "503");
    expect(&stage, "no", "c1", false);
    ask(&stage, "k", "c2");
    answer(&stage, "done", "200");
    expect(&stage, "done", "c2", false);
    ask(&stage, "k", "c3");
    expect(&stage, "done", "c3", true);
    figure(&stage, "replay/failed", 1);
}

static void test_a_failure_that_is_stored_is_replayed(void **state) {
    struct stage stage;
    open_stage(&stage, store_failed, state);
    ask(&stage, "k", "c1");
    answer(&stage, "no", "503");
    expect(&stage, "no", "c1", false);
    ask(&stage, "k", "c2");
    expect(&stage, "no", "c2", true);
    EXPECT_NOTHING(stage.responder);
}

static void test_a_response_that_is_too_long_is_not_stored(void **state) {
    static char payload[2001];
    struct stage stage;
    open_stage(&stage, idem, state);
    memset(payload, 'x', sizeof payload - 1);
    ask(&stage, "k", "c1");
    answer(&stage, payload, NULL);
    expect(&stage, payload, "c1", false);
    ask(&stage, "k", "c2");
    EXPECT_NOTHING(stage.requester);
    EXPECT_NOTHING(stage.responder);
    figure(&stage, "replay/too_large", 1);
    figure(&stage, "replay/without_result", 1);
}

static void test_a_conflict_is_no_repeat(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    requests_send(stage.requester, stage.scene.variant.qos,
                  &(struct request){.key = "k",
                                    .payload = "other",
                                    .reply_to = "answers/1",
                                    .correlation = "c2"});
    EXPECT_NOTHING(stage.requester);
    EXPECT_NOTHING(stage.responder);
}

static void test_what_else_is_published_there_is_no_response(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    scene_publish(&stage.scene, stage.responder, "answers/1", "news");
    answer(&stage, "done", NULL);
    (void)mqtt_receive(stage.requester);
    expect(&stage, "done", "c1", false);
    scene_publish(&stage.scene, stage.responder, "answers/1", "more");
    (void)mqtt_receive(stage.requester);
    ask(&stage, "k", "c2");
    expect(&stage, "done", "c2", true);
}

/* Without correlation data the topic alone tells, as long as one request at a time uses it. */
static void test_a_topic_of_its_own_is_enough(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", NULL);
    answer(&stage, "done", NULL);
    expect(&stage, "done", NULL, false);
    ask(&stage, "k", NULL);
    expect(&stage, "done", NULL, true);
}

static void test_responses_that_cannot_be_told_apart_are_nobodys(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c");
    ask(&stage, "l", "c");
    answer(&stage, "one", NULL);
    answer(&stage, "two", NULL);
    expect(&stage, "one", "c", false);
    expect(&stage, "two", "c", false);
    ask(&stage, "k", "d");
    ask(&stage, "l", "e");
    EXPECT_NOTHING(stage.requester);
    EXPECT_NOTHING(stage.responder);
    figure(&stage, "replay/unpaired", 1);
}

/* What is stored of k must not be taken for the response that l waits for. */
static void test_a_replay_does_not_answer_another_request(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    ask(&stage, "l", "c2");
    ask(&stage, "k", "c2");
    EXPECT_NOTHING(stage.requester);
    figure(&stage, "replay/other_response_topic", 1);
    answer(&stage, "right", NULL);
    expect(&stage, "right", "c2", false);
}

static void ask_for(struct stage *stage, const char *key, const char *reply_to) {
    requests_send(
        stage->requester, stage->scene.variant.qos,
        &(struct request){.key = key, .reply_to = reply_to, .correlation = "c"});
}

static void test_another_response_topic_is_not_answered_to(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    ask_for(&stage, "k", "answers/2"); /* before the response, and after it */
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    ask_for(&stage, "k", "answers/2");
    ask_for(&stage, "k", "answers");
    EXPECT_NOTHING(stage.requester);
    figure(&stage, "replay/other_response_topic", 3);
}

static void test_topics_of_the_broker_are_no_response_topics(void **state) {
    /* brokers newer than 2.0.11 disconnect over one with a wildcard: test_response.c has those */
    static const char *const topics[] = {"$SYS/broker/uptime", "$idem/sink"};
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        ask_for(&stage, "k", topics[i]);
    }
    EXPECT_NOTHING(stage.requester);
    figure(&stage, "replay/no_response_topic", sizeof topics / sizeof topics[0]);
}

static void test_repeats_without_a_response_topic_are_dropped(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    ask_for(&stage, "k", NULL);
    EXPECT_NOTHING(stage.requester);
    EXPECT_NOTHING(stage.responder);
    figure(&stage, "replay/no_response_topic", 1);
}

static void test_without_room_the_oldest_request_is_not_remembered(void **state) {
    struct stage stage;
    open_stage(&stage, narrow, state);
    ask(&stage, "k", "c1");
    ask(&stage, "l", "c2");
    answer(&stage, "one", NULL);
    answer(&stage, "two", NULL);
    expect(&stage, "one", "c1", false);
    expect(&stage, "two", "c2", false);
    ask(&stage, "k", "c3");
    EXPECT_NOTHING(stage.requester);
    ask(&stage, "l", "c4");
    expect(&stage, "two", "c4", true);
    figure(&stage, "replay/evicted", 1);
}

static void restart(struct stage *stage) {
    mqtt_tidy();
    broker_stop(stage->scene.broker);
    broker_start(stage->scene.broker);
    connect_both(stage);
}

static void test_results_outlive_a_restart(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    restart(&stage);
    ask(&stage, "k", "c2");
    expect(&stage, "done", "c2", true);
    EXPECT_NOTHING(stage.responder);
}

/* Its request is known, and who asked is not: never executed again, and not answered. */
static void test_a_response_after_a_restart_is_not_stored(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    (void)mqtt_receive(stage.responder);
    restart(&stage);
    struct mqtt_message late = {.topic = "answers/1", .payload = "done", .qos = 1};
    late.properties.correlation = "c1";
    mqtt_publish_ok(stage.responder, &late);
    (void)mqtt_receive(stage.requester);
    ask(&stage, "k", "c2");
    EXPECT_NOTHING(stage.requester);
    EXPECT_NOTHING(stage.responder);
    figure(&stage, "replay/without_result", 1);
}

static void test_a_reload_keeps_what_is_awaited(void **state) {
    struct stage stage;
    open_stage(&stage, idem, state);
    ask(&stage, "k", "c1");
    broker_reload(stage.scene.broker);
    answer(&stage, "done", NULL);
    expect(&stage, "done", "c1", false);
    ask(&stage, "k", "c2");
    expect(&stage, "done", "c2", true);
}

#define EACH_QOS(test)                                                                   \
    SCENE_ROW(test, "QoS 0", 3), SCENE_ROW(test, "QoS 1", 4), SCENE_ROW(test, "QoS 2", 5)

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH_QOS(test_a_repeat_is_answered_from_the_store),
        ONCE(test_other_keys_are_other_requests),
        EACH_QOS(test_a_repeat_before_the_response_gets_it_when_it_comes),
        EACH_QOS(test_a_failed_request_is_executed_again),
        ONCE(test_a_failure_that_is_stored_is_replayed),
        ONCE(test_a_response_that_is_too_long_is_not_stored),
        ONCE(test_a_conflict_is_no_repeat),
        ONCE(test_what_else_is_published_there_is_no_response),
        EACH_QOS(test_a_topic_of_its_own_is_enough),
        ONCE(test_responses_that_cannot_be_told_apart_are_nobodys),
        ONCE(test_a_replay_does_not_answer_another_request),
        ONCE(test_another_response_topic_is_not_answered_to),
        ONCE(test_topics_of_the_broker_are_no_response_topics),
        ONCE(test_repeats_without_a_response_topic_are_dropped),
        ONCE(test_without_room_the_oldest_request_is_not_remembered),
        EACH_QOS(test_results_outlive_a_restart),
        ONCE(test_a_response_after_a_restart_is_not_stored),
        ONCE(test_a_reload_keeps_what_is_awaited),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
