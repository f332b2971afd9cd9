/* SPDX-License-Identifier: MIT
 * The control topic of a real broker: who is answered, who may ask. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

#define REQUEST  "$CONTROL/idem/v1"
#define RESPONSE "$CONTROL/idem/v1/response"

#define RULES                                                                            \
    "rules:\n"                                                                           \
    "  - {name: orders, match: {topic: orders/#}, key: \"json:/id\", scope: global}\n"
static const char idem[] = "instance: test\n"
                           "store: {url: \"embedded://@DIR@/store\"}\n"
                           "mqtt: {sys_interval: 50ms, control: full}\n" RULES;

#define KEY(command) "{\"command\":\"" command "\",\"rule\":\"orders\",\"key\":\"A-1\"}"

static void send_commands(const struct scene *scene, struct mqtt *client,
                          const char *commands) {
    char payload[1024];
    (void)snprintf(payload, sizeof payload, "{\"commands\":[%s]}", commands);
    mqtt_publish_ok(client, &(struct mqtt_message){.topic = REQUEST,
                                                   .payload = payload,
                                                   .qos = scene->variant.qos});
}

/* The response, which comes without a subscription. */
static const char *ask(const struct scene *scene, struct mqtt *client,
                       const char *commands) {
    send_commands(scene, client, commands);
    const struct mqtt_message *response = mqtt_receive(client);
    assert_string_equal(response->topic, RESPONSE);
    return response->payload;
}

static void expect(const struct scene *scene, struct mqtt *client, const char *commands,
                   const char *text) {
    const char *response = ask(scene, client, commands);
    if (strstr(response, text) == NULL) {
        fail_msg("%s was answered %s", commands, response);
    }
}

static void test_a_key_is_looked_up_and_forgotten(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    struct mqtt *client = scene_client(&scene, "operator");
    expect(&scene, client, KEY("lookupKey"), "\"state\":\"none\"");
    scene_publish(&scene, publisher, "orders/1", "{\"id\":\"A-1\"}");
    watch_figure_reaches(scene.broker, "completed", 1);
    expect(&scene, client, KEY("lookupKey"), "\"state\":\"done\"");
    scene_publish(&scene, publisher, "orders/1", "{\"id\":\"A-1\"}");
    expect(&scene, client, "{\"command\":\"getDuplicates\"}",
           "\"reason\":\"duplicate\",\"rule\":\"orders\"");
    expect(&scene, client, KEY("forgetKey"), "\"forgotten\":true");
    scene_publish(&scene, publisher, "orders/1", "{\"id\":\"A-1\"}");
    EXPECT(scene.watcher, "orders/1 {\"id\":\"A-1\"}",
           "$idem/duplicate/orders/1 {\"id\":\"A-1\"}", "orders/1 {\"id\":\"A-1\"}");
}

static void test_a_rule_is_out_until_the_configuration_is_read_again(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *client = scene_client(&scene, "operator");
    expect(&scene, client,
           "{\"command\":\"setRuleState\",\"rule\":\"orders\",\"enabled\":false}",
           "\"enabled\":false");
    broker_expect_log(scene.broker, "rule.disabled: rule orders, by client operator");
    for (int i = 0; i < 2; i++) {
        scene_publish(&scene, client, "orders/1", "{\"id\":\"A-1\"}");
    }
    watch_figure(scene.broker, "rules/orders/bypassed", 2);
    watch_figure(scene.broker, "rules/orders/enabled", 0);
    broker_reload(scene.broker);
    for (int i = 0; i < 2; i++) {
        scene_publish(&scene, client, "orders/1", "{\"id\":\"A-1\"}");
    }
    EXPECT(scene.watcher, "orders/1 {\"id\":\"A-1\"}", "orders/1 {\"id\":\"A-1\"}",
           "orders/1 {\"id\":\"A-1\"}", "$idem/duplicate/orders/1 {\"id\":\"A-1\"}");
}

static void test_only_the_client_that_asks_is_answered(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *other = scene_client(&scene, "other");
    mqtt_subscribe(other, "$CONTROL/#", 1);
    mqtt_subscribe(scene.watcher, "$CONTROL/#", 1);
    expect(&scene, scene_client(&scene, "operator"), "{\"command\":\"getStats\"}",
           "\"instance\":\"test\"");
    EXPECT_NOTHING(other);
    EXPECT_NOTHING(scene.watcher);
}

static void test_what_is_no_request_leaves_the_client_connected(void **state) {
    struct scene scene;
    scene_open(&scene, idem, state);
    struct mqtt *client = scene_client(&scene, "operator");
    static char payload[20000];
    memset(payload, '[', sizeof payload - 1);
    static const char *const payloads[] = {"x", "{\"commands\":[1,null]}", payload};
    for (size_t i = 0; i < 3; i++) {
        mqtt_publish_ok(client, &(struct mqtt_message){.topic = REQUEST,
                                                       .payload = payloads[i],
                                                       .qos = scene.variant.qos});
        assert_non_null(strstr(mqtt_receive(client)->payload, "\"error\":"));
    }
    /* nothing at all is a request, too; what is retained is not kept */
    mqtt_publish_ok(
        client, &(struct mqtt_message){.topic = REQUEST, .payload = "", .retain = true});
    assert_non_null(strstr(mqtt_receive(client)->payload, "\"error\":"));
    expect(&scene, client, "{\"command\":\"listRules\"}", "\"name\":\"orders\"");
}

static void test_by_default_nothing_can_be_changed(void **state) {
    struct scene scene;
    scene_open(&scene,
               SCENE_TOP
               "  - {name: orders, match: {topic: orders/#}, key: \"json:/id\", "
               "scope: global}\n",
               state);
    struct mqtt *client = scene_client(&scene, "operator");
    scene_publish(&scene, client, "orders/1", "{\"id\":\"A-1\"}");
    expect(&scene, client, KEY("lookupKey"), "\"data\":");
    expect(&scene, client, KEY("forgetKey"), "it takes mqtt.control: full");
    scene_publish(&scene, client, "orders/1", "{\"id\":\"A-1\"}");
    EXPECT(scene.watcher, "orders/1 {\"id\":\"A-1\"}",
           "$idem/duplicate/orders/1 {\"id\":\"A-1\"}");
}

/* mosquitto_passwd made these; each password is the name followed by pw. */
static const char passwords[] =
    "alice:$7$101$4KaPdxN2dNEAEUW5$5arQ7HOs5c6ccgL7HSFH65oAZo6zXYYENRPMpUd4WlLhEx+"
    "ppqvomTa/vZZ6jsa3L7dEHfrq/nzVMiY+lmmm/w==\n"
    "bob:$7$101$1iHnLSr67rr463Bx$9fgHjbwOKqFlbfdcn/tI1djDfSIS4YYCxUhGtXU/"
    "TuZc7LeAZMiCpAEZbRyrAG/oCdTN+rIhWOjEdnz9XgTfpw==\n";
static const char acl[] = "user alice\n"
                          "topic readwrite #\n"
                          "topic write $CONTROL/idem/v1\n"
                          "user bob\n"
                          "topic readwrite #\n";
static const char guarded[] = "listener @PORT@ 127.0.0.1\n"
                              "allow_anonymous false\n"
                              "password_file @DIR@/passwords\n"
                              "acl_file @DIR@/acl\n"
                              "plugin @PLUGIN@\n"
                              "plugin_opt_config @DIR@/idem.yaml\n";

static struct mqtt *connect_user(const struct scene *scene, const char *user,
                                 const char *password) {
    return mqtt_connect(&(struct mqtt_options){.port = broker_port(scene->broker),
                                               .version = scene->variant.version,
                                               .client_id = user,
                                               .username = user,
                                               .password = password});
}

static void test_an_acl_file_has_to_grant_the_topic(void **state) {
    struct scene scene = {.variant = *(const struct variant *)*state};
    scene.broker = broker_create(&(struct broker_options){.idem = idem, .conf = guarded});
    broker_file(scene.broker, "passwords", passwords);
    broker_file(scene.broker, "acl", acl);
    broker_start(scene.broker);
    struct mqtt *alice = connect_user(&scene, "alice", "alicepw");
    struct mqtt *bob = connect_user(&scene, "bob", "bobpw");
    expect(&scene, alice, "{\"command\":\"listRules\"}", "\"name\":\"orders\"");
    uint8_t reason = mqtt_publish(
        bob, &(struct mqtt_message){.topic = REQUEST,
                                    .payload = "{\"commands\":[" KEY("forgetKey") "]}",
                                    .qos = scene.variant.qos});
    assert_int_equal(reason, scene.variant.version == MQTT_5 ? 0x87 : 0);
    EXPECT_NOTHING(bob);
    expect(&scene, alice, "{\"command\":\"getStats\"}", "\"requests\":2");
}

#define PLUGIN                                                                           \
    "plugin @PLUGIN@\n"                                                                  \
    "plugin_opt_config @DIR@/idem.yaml\n"

static void test_each_listener_answers(void **state) {
    static const char *const confs[] = {
        "per_listener_settings true\n"
        "listener @PORT@ 127.0.0.1\n"
        "allow_anonymous true\n" PLUGIN "listener @PORT2@ 127.0.0.1\n"
        "allow_anonymous true\n" PLUGIN,
        "listener @PORT@ 127.0.0.1\n"
        "listener @PORT2@ 127.0.0.1\n"
        "allow_anonymous true\n" PLUGIN,
    };
    for (size_t i = 0; i < 2; i++) {
        struct scene scene;
        scene_open_with(&scene, &(struct broker_options){.idem = idem, .conf = confs[i]},
                        state);
        expect(&scene, scene_client(&scene, "first"), "{\"command\":\"listRules\"}",
               "\"name\":\"orders\"");
        struct mqtt *second =
            mqtt_connect(&(struct mqtt_options){.port = broker_port2(scene.broker),
                                                .version = scene.variant.version,
                                                .client_id = "second"});
        expect(&scene, second, KEY("lookupKey"), "\"state\":\"none\"");
        assert_false(broker_logged(scene.broker, "control.impossible"));
        (void)testing_tidy(NULL);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_a_key_is_looked_up_and_forgotten),
        ONCE(test_a_rule_is_out_until_the_configuration_is_read_again),
        EACH(test_only_the_client_that_asks_is_answered),
        EACH(test_what_is_no_request_leaves_the_client_connected),
        ONCE(test_by_default_nothing_can_be_changed),
        VERSIONS(test_an_acl_file_has_to_grant_the_topic),
        ONCE(test_each_listener_answers),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
