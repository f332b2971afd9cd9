/* SPDX-License-Identifier: MIT
 * What a client may not read or write it does not read or write by a replay either: with an ACL file, and
 * keys that are the same for everybody, which is the worst case. */
#include "requests.h"

static const char idem[] =
    SCENE_TOP "  - {name: requests, match: {topic: requests/#}, key: "
              "property:idempotency-key,\n"
              "     scope: rule, on_duplicate: replay}\n";

static const char acl[] = "user alice\n"
                          "topic readwrite fence/#\n"
                          "topic write requests/#\n"
                          "topic read answers/alice/#\n"
                          "user mallory\n"
                          "topic readwrite fence/#\n"
                          "topic write requests/#\n"
                          "topic read answers/mallory/#\n"
                          "user worker\n"
                          "topic readwrite fence/#\n"
                          "topic read requests/#\n"
                          "topic write answers/#\n"
                          "user machine\n"
                          "topic readwrite fence/#\n"
                          "topic read commands/#\n"
                          "topic read answers/#\n";

static const char conf[] = "listener @PORT@ 127.0.0.1\n"
                           "allow_anonymous true\n"
                           "acl_file @DIR@/acl\n"
                           "plugin @PLUGIN@\n"
                           "plugin_opt_config @DIR@/idem.yaml\n";

struct stage {
    struct scene scene;
    struct mqtt *alice;
    struct mqtt *mallory;
    struct mqtt *worker;
    struct mqtt *machine;
};

static struct mqtt *connect_user(const struct stage *stage, const char *user) {
    return mqtt_connect(&(struct mqtt_options){.port = broker_port(stage->scene.broker),
                                               .version = MQTT_5,
                                               .client_id = user,
                                               .username = user});
}

static void ask(struct mqtt *client, const char *reply_to, const char *correlation) {
    requests_send(
        client, 1,
        &(struct request){.key = "k", .reply_to = reply_to, .correlation = correlation});
}

/* Everybody subscribes to everything; alice's request is answered. */
static void open_answered(struct stage *stage, void **state) {
    (void)state;
    stage->scene.broker =
        broker_create(&(struct broker_options){.idem = idem, .conf = conf});
    broker_file(stage->scene.broker, "acl", acl);
    broker_start(stage->scene.broker);
    stage->alice = connect_user(stage, "alice");
    stage->mallory = connect_user(stage, "mallory");
    stage->worker = connect_user(stage, "worker");
    stage->machine = connect_user(stage, "machine");
    mqtt_subscribe(stage->alice, "#", 2);
    mqtt_subscribe(stage->mallory, "#", 2);
    mqtt_subscribe(stage->worker, "#", 2);
    mqtt_subscribe(stage->machine, "commands/#", 2);
    ask(stage->alice, "answers/alice/1", "a");
    requests_answer(stage->worker, 1, "secret", NULL);
    requests_expect(stage->alice, "answers/alice/1", "secret", "a", false);
    EXPECT_NOTHING(stage->mallory);
}

static void test_who_may_not_read_the_response_receives_no_replay(void **state) {
    struct stage stage;
    open_answered(&stage, state);
    ask(stage.mallory, "answers/alice/1", "m");
    requests_expect(stage.alice, "answers/alice/1", "secret", "m", true);
    EXPECT_NOTHING(stage.mallory);
    EXPECT_NOTHING(stage.worker);
}

static void test_a_topic_of_ones_own_gets_nobody_elses_response(void **state) {
    struct stage stage;
    open_answered(&stage, state);
    ask(stage.mallory, "answers/mallory/1", "m");
    EXPECT_NOTHING(stage.mallory);
    EXPECT_NOTHING(stage.alice);
    EXPECT_NOTHING(stage.worker);
}

static void test_nothing_is_published_where_the_requester_may_not_write(void **state) {
    struct stage stage;
    open_answered(&stage, state);
    ask(stage.mallory, "commands/reboot", "m");
    EXPECT_NOTHING(stage.machine);
    EXPECT_NOTHING(stage.alice);
}

/* The same before the response is there: nobody is attached to what he may not have. */
static void test_waiting_gains_nothing_either(void **state) {
    struct stage stage;
    open_answered(&stage, state);
    requests_send(
        stage.alice, 1,
        &(struct request){.key = "l", .reply_to = "answers/alice/1", .correlation = "a"});
    static const char *const topics[] = {"answers/mallory/1", "commands/reboot",
                                         "answers/alice/1"};
    for (size_t i = 0; i < 3; i++) {
        requests_send(
            stage.mallory, 1,
            &(struct request){.key = "l", .reply_to = topics[i], .correlation = "m"});
    }
    requests_answer(stage.worker, 1, "secret", NULL);
    requests_expect(stage.alice, "answers/alice/1", "secret", "a", false);
    requests_expect(stage.alice, "answers/alice/1", "secret", "m", true);
    EXPECT_NOTHING(stage.mallory);
    EXPECT_NOTHING(stage.machine);
}

/* The broker refuses the request before the plugin sees it, and the response likewise. */
static void test_who_may_not_publish_is_neither_requester_nor_responder(void **state) {
    struct stage stage;
    open_answered(&stage, state);
    struct mqtt_message request = {.topic = "requests/1", .payload = "pay", .qos = 1};
    request.properties.user[0] = (struct mqtt_user_property){"idempotency-key", "k"};
    request.properties.response_topic = "answers/alice/1";
    request.properties.correlation = "x";
    assert_int_equal(mqtt_publish(stage.machine, &request), 0x87);
    EXPECT_NOTHING(stage.alice);
    requests_send(
        stage.alice, 1,
        &(struct request){.key = "n", .reply_to = "answers/alice/1", .correlation = "n"});
    struct mqtt_message forged = {
        .topic = "answers/alice/1", .payload = "forged", .qos = 1};
    forged.properties.correlation = "n";
    assert_int_equal(mqtt_publish(stage.mallory, &forged), 0x87);
    requests_answer(stage.worker, 1, "right", NULL);
    requests_expect(stage.alice, "answers/alice/1", "right", "n", false);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        ONCE(test_who_may_not_read_the_response_receives_no_replay),
        ONCE(test_a_topic_of_ones_own_gets_nobody_elses_response),
        ONCE(test_nothing_is_published_where_the_requester_may_not_write),
        ONCE(test_waiting_gains_nothing_either),
        ONCE(test_who_may_not_publish_is_neither_requester_nor_responder),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
