/* SPDX-License-Identifier: MIT
 * A copy whose earlier delivery may or may not have happened: the holder of its claim died in between; or
 * whose first is being delivered elsewhere. */
#include "scene.h"

#include <idem/idem.h>

#include <stdio.h>
#include <string.h>

#define RULE(policy)                                                                     \
    SCENE_TOP "  - {name: orders, match: {topic: orders/#}, key: payload, scope: rule, " \
              "" policy "}\n"

static void decided(void *arg, struct idem_delivery *delivery) {
    assert_true(delivery->claimed);
    *(bool *)arg = true;
}

static void claim(const struct idem_config *config, struct idem_store *store,
                  const char *instance, const char *topic, const char *payload) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_receiver *receiver = NULL;
    struct idem_delivery delivery;
    bool answered = false;
    struct idem_receiver_options options = {
        .store = store, .rules = &config->rules, .instance = instance};
    struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                   .topic = idem_span_text(topic),
                                   .payload = idem_span_text(payload),
                                   .client = idem_span_text("publisher")};
    assert_int_equal(idem_receiver_open(&receiver, &options, &error), IDEM_OK);
    idem_receiver_submit(receiver, &message, idem_clock_wall_ms(), &delivery, decided,
                         &answered);
    assert_true(answered);
    assert_int_equal(idem_store_sync(store, &error), IDEM_OK);
    idem_receiver_close(receiver);
}

static struct idem_store *open_store(struct idem_config *config,
                                     const struct broker *broker, bool read_only) {
    char path[1024];
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store *store = NULL;
    (void)snprintf(path, sizeof path, "%s/idem.yaml", broker_dir(broker));
    assert_int_equal(idem_config_load(config, path, NULL, NULL, &error), IDEM_OK);
    struct idem_store_options options = {.url = config->store.url,
                                         .read_only = read_only,
                                         .secret = &config->rules.secret};
    if (idem_store_open(&store, &options, &error) != IDEM_OK && !read_only) {
        fail_msg("%s", error.text);
    }
    return store;
}

/* What a broker of the same configuration leaves behind when it dies between handing a message on and
 * completing its claim; or what one of another name holds while it is at that. */
static void leave_a_claim(const struct broker *broker, const char *instance,
                          const char *topic, const char *payload) {
    struct idem_config config;
    struct idem_store *store = open_store(&config, broker, false);
    claim(&config, store, instance, topic, payload);
    idem_store_close(store);
    idem_config_fini(&config);
}

static struct mqtt *open_claimed(struct scene *scene, const char *idem,
                                 const char *instance, void **state) {
    scene->variant = *(const struct variant *)*state;
    scene->broker = broker_create(&(struct broker_options){.idem = idem});
    leave_a_claim(scene->broker, instance, "orders/1", "a");
    broker_start(scene->broker);
    scene_watch_again(scene);
    return scene_client(scene, "publisher");
}

static struct mqtt *open_in_doubt(struct scene *scene, const char *idem, void **state) {
    return open_claimed(scene, idem, "test", state);
}

static void assert_reason(const struct mqtt_message *message, const char *expected) {
    const char *reason = mqtt_user_property(message, "idem-reason");
    assert_non_null(reason);
    assert_string_equal(reason, expected);
}

static void test_a_copy_in_doubt_is_delivered_by_default(void **state) {
    struct scene scene;
    struct mqtt *publisher = open_in_doubt(&scene, RULE("ttl: 2h"), state);
    scene_publish(&scene, publisher, "orders/1", "a");
    scene_publish(&scene, publisher, "orders/1", "a");
    EXPECT(scene.watcher, "orders/1 a", "$idem/duplicate/orders/1 a");
    watch_figure(scene.broker, "messages/in_doubt", 1);
}

static void test_a_copy_in_doubt_is_quarantined(void **state) {
    struct scene scene;
    struct mqtt *publisher =
        open_in_doubt(&scene, RULE("on_in_doubt: quarantine"), state);
    scene_publish(&scene, publisher, "orders/1", "a");
    assert_reason(EXPECT(scene.watcher, "$idem/quarantine/orders/1 a"), "in_doubt");
    scene_publish(&scene, publisher, "orders/1", "b");
    EXPECT(scene.watcher, "orders/1 b");
}

static void test_a_copy_in_doubt_is_dropped(void **state) {
    struct scene scene;
    struct mqtt *publisher = open_in_doubt(&scene, RULE("on_in_doubt: drop"), state);
    scene_publish(&scene, publisher, "orders/1", "a");
    scene_publish(&scene, publisher, "orders/1", "a");
    EXPECT(scene.watcher, "$idem/duplicate/orders/1 a", "$idem/duplicate/orders/1 a");
}

static void test_a_copy_in_flight_elsewhere_is_told_apart(void **state) {
    struct scene scene;
    struct mqtt *publisher = open_claimed(
        &scene, RULE("on_in_flight: quarantine, on_in_doubt: drop"), "another", state);
    scene_publish(&scene, publisher, "orders/1", "a");
    assert_reason(EXPECT(scene.watcher, "$idem/quarantine/orders/1 a"), "in_flight");
    watch_figure(scene.broker, "messages/in_flight", 1);
}

static void test_a_copy_in_flight_elsewhere_is_refused(void **state) {
    struct scene scene;
    struct mqtt *publisher =
        open_claimed(&scene, RULE("on_in_flight: reject"), "another", state);
    struct mqtt_message message = {
        .topic = "orders/1", .payload = "a", .qos = scene.variant.qos};
    uint8_t reason = mqtt_publish(publisher, &message);
    if (scene.variant.version == MQTT_5 && scene.variant.qos > 0) {
        assert_int_equal(reason, 0x87);
        EXPECT_NOTHING(scene.watcher);
    } else {
        assert_int_equal(reason, 0);
        assert_reason(EXPECT(scene.watcher, "$idem/rejected/orders/1 a"), "in_flight");
    }
}

static bool note_state(void *arg, const struct idem_digest *digest,
                       const struct idem_record *record) {
    (void)digest;
    *(enum idem_record_state *)arg = record->state;
    return true;
}

/* What the store holds of the one message there is; NONE where nothing is committed yet. */
static enum idem_record_state committed_state(const struct broker *broker) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    enum idem_record_state state = IDEM_RECORD_NONE;
    struct idem_store *store = open_store(&config, broker, true);
    if (store != NULL) {
        assert_int_equal(
            idem_store_iterate(store, idem_clock_wall_ms(), note_state, &state, &error),
            IDEM_OK);
    }
    idem_store_close(store);
    idem_config_fini(&config);
    return state;
}

/* With settings per listener Mosquitto 2.0.11 never ticks: the claim of a lone message stays open until
 * something else happens. Other versions complete it at once; the store says which it was. */
static void test_a_kill_leaves_the_copy_in_the_state_that_was_committed(void **state) {
    static const char conf[] = "per_listener_settings true\n"
                               "listener @PORT@ 127.0.0.1\n"
                               "allow_anonymous true\n"
                               "plugin @PLUGIN@\n"
                               "plugin_opt_config @DIR@/idem.yaml\n";
    struct scene scene;
    scene_open_with(
        &scene,
        &(struct broker_options){.idem = RULE("on_in_doubt: quarantine"), .conf = conf},
        state);
    struct mqtt *publisher = scene_client(&scene, "publisher");
    scene_publish(&scene, publisher, "orders/1", "a");
    EXPECT_NEXT(scene.watcher, "orders/1 a");
    int64_t deadline = testing_deadline();
    while (committed_state(scene.broker) == IDEM_RECORD_NONE) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
    broker_kill(scene.broker);
    mqtt_tidy();
    bool pending = committed_state(scene.broker) == IDEM_RECORD_PENDING;
    broker_start(scene.broker);
    scene_watch_again(&scene);
    scene_publish(&scene, scene_client(&scene, "publisher"), "orders/1", "a");
    EXPECT(scene.watcher,
           pending ? "$idem/quarantine/orders/1 a" : "$idem/duplicate/orders/1 a");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        EACH(test_a_copy_in_doubt_is_delivered_by_default),
        EACH(test_a_copy_in_doubt_is_quarantined),
        EACH(test_a_copy_in_doubt_is_dropped),
        EACH(test_a_copy_in_flight_elsewhere_is_told_apart),
        EACH(test_a_copy_in_flight_elsewhere_is_refused),
        ACKNOWLEDGED(test_a_kill_leaves_the_copy_in_the_state_that_was_committed),
    };
    int status;
    if (testing_cannot_run(&status)) {
        return status;
    }
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_digest_init(&error) != IDEM_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, testing_tidy_group);
}
