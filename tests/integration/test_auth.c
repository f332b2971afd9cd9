/* SPDX-License-Identifier: MIT
 * Beside authentication: passwords, ACL files and the dynamic security plugin decide as they did before,
 * and a message that they refuse uses up no key. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

static const char idem[] =
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule}\n"
              "  - {name: own, match: {topic: own/#}, key: payload}\n";

/* mosquitto_passwd made these; each password is the name followed by pw. */
static const char passwords[] =
    "alice:$7$101$4KaPdxN2dNEAEUW5$5arQ7HOs5c6ccgL7HSFH65oAZo6zXYYENRPMpUd4WlLhEx+"
    "ppqvomTa/vZZ6jsa3L7dEHfrq/nzVMiY+lmmm/w==\n"
    "bob:$7$101$1iHnLSr67rr463Bx$9fgHjbwOKqFlbfdcn/tI1djDfSIS4YYCxUhGtXU/"
    "TuZc7LeAZMiCpAEZbRyrAG/oCdTN+rIhWOjEdnz9XgTfpw==\n"
    "operator:$7$101$FQbjA6SYjpOWGMGD$YazHKnZUxqWg/"
    "cFQNUpuzr3FeMJI4mp8WEfyvUoPgHwvrPJs/DZ83R59je5BJluJ1LakuzwelRIOBnpXVa0nhg==\n";

static const char acl[] = "user alice\n"
                          "topic readwrite fence/#\n"
                          "topic write orders/#\n"
                          "topic write own/#\n"
                          "user bob\n"
                          "topic readwrite fence/#\n"
                          "topic read #\n"
                          "topic write own/#\n"
                          "user operator\n"
                          "topic readwrite fence/#\n"
                          "topic read #\n"
                          "topic read $idem/#\n";

static const char conf[] = "listener @PORT@ 127.0.0.1\n"
                           "allow_anonymous false\n"
                           "password_file @DIR@/passwords\n"
                           "acl_file @DIR@/acl\n"
                           "plugin @PLUGIN@\n"
                           "plugin_opt_config @DIR@/idem.yaml\n";

static struct mqtt_options options_for(const struct scene *scene, const char *user,
                                       const char *id, char *password, size_t size) {
    (void)snprintf(password, size, "%spw", user);
    return (struct mqtt_options){.port = broker_port(scene->broker),
                                 .version = scene->variant.version,
                                 .client_id = id,
                                 .username = user,
                                 .password = password};
}

static struct mqtt *connect_user(const struct scene *scene, const char *user,
                                 const char *id) {
    char password[64];
    struct mqtt_options options = options_for(scene, user, id, password, sizeof password);
    return mqtt_connect(&options);
}

static void open_guarded(struct scene *scene, void **state) {
    scene->variant = *(const struct variant *)*state;
    scene->broker = broker_create(&(struct broker_options){.idem = idem, .conf = conf});
    broker_file(scene->broker, "passwords", passwords);
    broker_file(scene->broker, "acl", acl);
    broker_start(scene->broker);
    scene->watcher = connect_user(scene, "operator", "watcher");
    mqtt_subscribe(scene->watcher, "#", 2);
    mqtt_subscribe(scene->watcher, "$idem/duplicate/#", 2);
}

static void publish(const struct scene *scene, struct mqtt *client, const char *topic,
                    const char *payload, bool allowed) {
    struct mqtt_message message = {
        .topic = topic, .payload = payload, .qos = scene->variant.qos};
    uint8_t reason = mqtt_publish(client, &message);
    bool told = !allowed && scene->variant.version == MQTT_5 && message.qos > 0;
    assert_int_equal(reason >= 0x80 ? reason : 0, told ? 0x87 : 0);
}

static void test_strangers_are_still_refused(void **state) {
    struct scene scene;
    open_guarded(&scene, state);
    char password[64];
    struct mqtt_options options =
        options_for(&scene, "alice", "x", password, sizeof password);
    options.password = "wrong";
    assert_int_not_equal(mqtt_try_connect(&options), 0);
    options.username = options.password = NULL;
    assert_int_not_equal(mqtt_try_connect(&options), 0);
}

static void test_a_refused_message_uses_up_no_key(void **state) {
    struct scene scene;
    open_guarded(&scene, state);
    struct mqtt *alice = connect_user(&scene, "alice", "a");
    struct mqtt *bob = connect_user(&scene, "bob", "b");
    publish(&scene, bob, "orders/1", "x", false);
    publish(&scene, alice, "orders/1", "x", true);
    publish(&scene, bob, "orders/1", "x", false);
    publish(&scene, alice, "orders/1", "x", true);
    EXPECT(scene.watcher, "orders/1 x", "$idem/duplicate/orders/1 x");
}

static void test_the_user_is_the_principal_whatever_the_client(void **state) {
    struct scene scene;
    open_guarded(&scene, state);
    publish(&scene, connect_user(&scene, "alice", "a1"), "own/1", "x", true);
    publish(&scene, connect_user(&scene, "alice", "a2"), "own/1", "x", true);
    publish(&scene, connect_user(&scene, "bob", "b"), "own/1", "x", true);
    struct mqtt *reader = connect_user(&scene, "bob", "r");
    mqtt_subscribe(reader, "#", 2);
    publish(&scene, connect_user(&scene, "bob", "b2"), "own/1", "x", true);
    publish(&scene, connect_user(&scene, "bob", "b2"), "own/1", "y", true);
    EXPECT(reader, "own/1 y");
}

static void test_only_those_who_may_read_them_see_duplicates(void **state) {
    struct scene scene;
    open_guarded(&scene, state);
    struct mqtt *alice = connect_user(&scene, "alice", "a");
    struct mqtt *curious = connect_user(&scene, "bob", "b");
    mqtt_subscribe(curious, "#", 2);
    mqtt_subscribe(curious, "$idem/#", 2);
    mqtt_subscribe(curious, "$idem/duplicate/#", 2);
    publish(&scene, alice, "orders/1", "x", true);
    publish(&scene, alice, "orders/1", "x", true);
    EXPECT(curious, "orders/1 x");
}

/* Everybody may publish to and read from orders and the fences; the administrator may do more. */
static const char dynsec[] =
    "{\"clients\": [{\"username\": \"admin\", \"salt\": \"WggsGvd/mlwjfi/Y\",\n"
    "  \"password\": \"RmUo+IdxX9HHvQjY5BsmGziB9NjF2Rfv3mFaKw0AIdCZxOOjd8hxmtW9OGD6cnKvaw"
    "ICTWziw5zOLc/27sgAYQ==\",\n"
    "  \"iterations\": 101, \"roles\": [{\"rolename\": \"admin\"}]}],\n"
    " \"groups\": [{\"groupname\": \"all\", \"roles\": [{\"rolename\": \"user\"}]}],\n"
    " \"anonymousGroup\": \"all\",\n"
    " \"roles\": [\n"
    "  {\"rolename\": \"admin\", \"acls\": [\n"
    "   {\"acltype\": \"publishClientSend\", \"topic\": \"$CONTROL/#\", \"allow\": "
    "true},\n"
    "   {\"acltype\": \"publishClientReceive\", \"topic\": \"$CONTROL/#\", \"allow\": "
    "true},\n"
    "   {\"acltype\": \"subscribePattern\", \"topic\": \"$CONTROL/#\", \"allow\": "
    "true}]},\n"
    "  {\"rolename\": \"user\", \"acls\": [\n"
    "   {\"acltype\": \"publishClientSend\", \"topic\": \"orders/#\", \"allow\": true},\n"
    "   {\"acltype\": \"publishClientSend\", \"topic\": \"fence/#\", \"allow\": "
    "true}]}],\n"
    " \"defaultACLAccess\": {\"publishClientSend\": false, \"publishClientReceive\": "
    "true,\n"
    "  \"subscribe\": true, \"unsubscribe\": true}}\n";

#define LISTENER "listener @PORT@ 127.0.0.1\nallow_anonymous true\n"
#define IDEM     "plugin @PLUGIN@\nplugin_opt_config @DIR@/idem.yaml\n"
#define DYNSEC   "plugin @DYNSEC@\nplugin_opt_config_file @DIR@/dynsec.json\n"

static void open_beside_dynsec(struct scene *scene, const char *order, void **state) {
    scene->variant = *(const struct variant *)*state;
    scene->broker = broker_create(&(struct broker_options){.idem = idem, .conf = order});
    broker_file(scene->broker, "dynsec.json", dynsec);
    broker_start(scene->broker);
    scene_watch_again(scene);
}

static void check_control(const struct scene *scene) {
    struct mqtt *admin =
        mqtt_connect(&(struct mqtt_options){.port = broker_port(scene->broker),
                                            .version = scene->variant.version,
                                            .client_id = "admin",
                                            .username = "admin",
                                            .password = "adminpw"});
    mqtt_subscribe(admin, "$CONTROL/dynamic-security/v1/response", 1);
    for (int i = 0; i < 2; i++) { /* the same request twice is two requests */
        scene_publish(scene, admin, "$CONTROL/dynamic-security/v1",
                      "{\"commands\": [{\"command\": \"getClient\", \"username\": "
                      "\"admin\", \"correlationData\": \"c1\"}]}");
        const char *response = mqtt_receive(admin)->payload;
        assert_non_null(strstr(response, "c1"));
        assert_null(strstr(response, "error"));
    }
}

static void test_dynamic_security_decides_as_before(void **state) {
    static const char *const orders[] = {LISTENER IDEM DYNSEC, LISTENER DYNSEC IDEM};
    if (broker_dynsec() == NULL) {
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        struct scene scene;
        open_beside_dynsec(&scene, orders[i], state);
        struct mqtt *client = scene_client(&scene, "client");
        publish(&scene, client, "orders/1", "x", true);
        publish(&scene, client, "orders/1", "x", true);
        publish(&scene, client, "own/1", "x", false);
        publish(&scene, client, "$CONTROL/dynamic-security/v1", "{}", false);
        EXPECT(scene.watcher, "orders/1 x", "$idem/duplicate/orders/1 x");
        check_control(&scene);
        (void)testing_tidy(NULL);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        VERSIONS(test_strangers_are_still_refused),
        EACH(test_a_refused_message_uses_up_no_key),
        EACH(test_the_user_is_the_principal_whatever_the_client),
        EACH(test_only_those_who_may_read_them_see_duplicates),
        EACH(test_dynamic_security_decides_as_before),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
