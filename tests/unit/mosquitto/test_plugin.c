/* SPDX-License-Identifier: MIT
 * What Mosquitto calls: options, callbacks, and the end. */
#include "fake_callbacks.h"
#include "fake_stage.h"

#include <mosquitto_plugin.h>
#include <string.h>

enum { HOOKS = 5, NEEDED = 4 }; /* the control topic comes last */

/* The broker's handle: only its address counts. */
static int handles[2];

static mosquitto_plugin_id_t *handle(size_t instance) {
    return (mosquitto_plugin_id_t *)&handles[instance];
}

static int init_with(size_t instance, const char *key, const char *value,
                     void **userdata) {
    char name[32];
    char text[STAGE_PATH_SIZE];
    (void)strcpy(name, key);
    (void)strcpy(text, value);
    struct mosquitto_opt options[] = {{name, text}};
    return mosquitto_plugin_init(handle(instance), userdata, options, 1);
}

static void *init(size_t instance) {
    void *userdata = NULL;
    assert_int_equal(init_with(instance, "config", stage_path("idem.yaml"), &userdata),
                     MOSQ_ERR_SUCCESS);
    assert_non_null(userdata);
    return userdata;
}

static void cleanup(void *userdata) {
    assert_int_equal(mosquitto_plugin_cleanup(userdata, NULL, 0), MOSQ_ERR_SUCCESS);
}

static int start(void **state) {
    fake_callbacks_grant(2 * HOOKS);
    return stage_set_up(state);
}

static int stop(void **state) {
    assert_int_equal(fake_callbacks_count(), 0);
    return stage_tear_down(state);
}

static void the_interface_of_mosquitto_2_is_spoken_and_no_other(void **state) {
    static const int versions[] = {2, 3, 4, 5, 6};
    (void)state;
    assert_int_equal(mosquitto_plugin_version(5, versions), 5);
    assert_int_equal(mosquitto_plugin_version(4, versions), 5);
    assert_int_equal(mosquitto_plugin_version(3, versions), -1);
    assert_int_equal(mosquitto_plugin_version(1, versions + 4), -1);
    assert_int_equal(mosquitto_plugin_version(0, versions), -1);
}

static void callbacks_are_there_until_the_end(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) { /* the store is free for the next start */
        void *userdata = init(0);
        assert_int_equal(fake_callbacks_count(), HOOKS);
        cleanup(userdata);
        assert_int_equal(fake_callbacks_count(), 0);
        fake_broker_take_queue();
    }
    cleanup(NULL);
}

static void options_that_are_not_right_are_refused(void **state) {
    (void)state;
    void *userdata = NULL;
    assert_int_not_equal(init_with(0, "speed", "high", &userdata), MOSQ_ERR_SUCCESS);
    assert_true(stage_logged("unknown option plugin_opt_speed"));
    assert_int_not_equal(mosquitto_plugin_init(handle(0), &userdata, NULL, 0),
                         MOSQ_ERR_SUCCESS);
    assert_true(stage_logged("add \"plugin_opt_config PATH\""));
    assert_int_not_equal(init_with(0, "config", stage_path("absent.yaml"), &userdata),
                         MOSQ_ERR_SUCCESS);
    assert_true(stage_logged("absent.yaml: cannot be read: No such file"));
    stage_configure("instance: a b\n");
    assert_int_not_equal(init_with(0, "config", stage_path("idem.yaml"), &userdata),
                         MOSQ_ERR_SUCCESS);
    assert_true(stage_logged("idem.yaml:1: instance: "));
    assert_null(userdata);
}

static void a_callback_that_the_broker_refuses_ends_the_start(void **state) {
    (void)state;
    for (size_t granted = 0; granted < NEEDED; granted++) {
        void *userdata = NULL;
        fake_callbacks_grant(granted);
        assert_int_equal(init_with(0, "config", stage_path("idem.yaml"), &userdata),
                         MOSQ_ERR_NOT_SUPPORTED);
        assert_null(userdata);
        assert_int_equal(fake_callbacks_count(), 0);
        assert_true(stage_logged("the broker refused a callback: not supported"));
        fake_broker_take_queue();
    }
    fake_callbacks_grant(HOOKS);
    stage_stop(stage_open()); /* nothing holds the node */
}

static void a_control_topic_that_the_broker_refuses_does_not_end_the_start(void **state) {
    (void)state;
    fake_callbacks_grant(NEEDED);
    void *userdata = init(0);
    assert_true(stage_logged("control.impossible: "));
    assert_int_equal(fake_callbacks_count(), NEEDED);
    cleanup(userdata);
}

static void without_memory_the_start_fails_as_a_whole(void **state) {
    (void)state;
    bool refused = true;
    size_t failures = 0;
    for (size_t nth = 1; refused; nth++) {
        void *userdata = NULL;
        const char *path = stage_path("idem.yaml");
        fake_broker_refuse(nth, 1);
        int rc = init_with(0, "config", path, &userdata);
        refused = fake_broker_refused();
        assert_int_equal(userdata != NULL, rc == MOSQ_ERR_SUCCESS);
        cleanup(userdata);
        assert_int_equal(fake_callbacks_count(), 0);
        fake_broker_take_queue();
        failures += rc == MOSQ_ERR_SUCCESS ? 0 : 1;
    }
    assert_true(failures > 10);
}

/* ---- events ---- */

static struct mosquitto client = {"client", NULL, 5};

/* Messages come through the first listener. */
static int receive(struct mosquitto_evt_message *event, void *arg) {
    (void)arg;
    return fake_callbacks_call(handle(0), MOSQ_EVT_MESSAGE, event);
}

static const char *message(const char *payload, int qos) {
    static char topic[64];
    struct fake_arrival arrival;
    fake_arrival_init(&arrival, "a/b", payload, strlen(payload), qos, false);
    assert_int_equal(fake_arrival_event(&arrival, &client, receive, NULL),
                     MOSQ_ERR_SUCCESS);
    assert_true(strlen(arrival.topic) < sizeof topic);
    (void)strcpy(topic, arrival.topic);
    fake_arrival_fini(&arrival);
    return topic;
}

static void tick(void) {
    struct mosquitto_evt_tick event;
    memset(&event, 0, sizeof event);
    assert_int_equal(fake_callbacks_call(NULL, MOSQ_EVT_TICK, &event), MOSQ_ERR_SUCCESS);
}

static void each_event_has_its_part(void **state) {
    (void)state;
    struct mosquitto_evt_reload reloading;
    struct mosquitto_evt_disconnect leaving = {.client = &client};
    memset(&reloading, 0, sizeof reloading);
    void *userdata = init(0);
    assert_string_equal(message("ticked", 1), "a/b");
    tick();
    assert_string_equal(message("left", 1), "a/b");
    assert_int_equal(fake_callbacks_call(handle(0), MOSQ_EVT_DISCONNECT, &leaving),
                     MOSQ_ERR_SUCCESS);
    assert_int_equal(fake_callbacks_call(handle(0), MOSQ_EVT_RELOAD, &reloading),
                     MOSQ_ERR_SUCCESS);
    assert_true(stage_logged("config.reloaded"));
    struct mosquitto_evt_control asking = {.client = &client, .payload = NULL};
    assert_int_equal(fake_callbacks_call(handle(0), MOSQ_EVT_CONTROL, &asking),
                     MOSQ_ERR_SUCCESS);
    cleanup(userdata);
    fake_broker_take_queue();

    userdata = init(0); /* what is done outlives the stop */
    assert_string_equal(message("ticked", 1), "$idem/duplicate/a/b");
    assert_string_equal(message("left", 1), "$idem/duplicate/a/b");
    cleanup(userdata);
}

/* The broker gives the plugin an instance for each listener, and a tick to each at the end of a turn. A
 * message in the broker's queue is not taken from it before the next turn. */
static void the_ticks_of_two_listeners_are_one_turn(void **state) {
    (void)state;
    void *first = init(0);
    void *second = init(1);
    assert_int_equal(fake_callbacks_count(), 2 * HOOKS);
    tick();
    fake_broker_take_queue();
    assert_string_equal(message("waits", 2), "$idem/sink");
    tick();
    cleanup(second);
    cleanup(first);
    assert_true(stage_has("store.handover"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_interface_of_mosquitto_2_is_spoken_and_no_other),
        TEST(callbacks_are_there_until_the_end),
        TEST(options_that_are_not_right_are_refused),
        TEST(a_callback_that_the_broker_refuses_ends_the_start),
        TEST(a_control_topic_that_the_broker_refuses_does_not_end_the_start),
        TEST(without_memory_the_start_fails_as_a_whole),
        TEST(each_event_has_its_part),
        TEST(the_ticks_of_two_listeners_are_one_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
