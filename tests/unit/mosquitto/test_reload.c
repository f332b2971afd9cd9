/* SPDX-License-Identifier: MIT
 * A configuration that is read again: taken as a whole or not at all, and what of it has to wait. */
#include "node.h"

#include "fake_stage.h"

#include <string.h>
#include <time.h>

#define ANOTHER_RULE                                                                     \
    "rules: [{name: other, match: {topic: 'other/#'}, key: payload, scope: global}]\n"

static void reload(struct idem_node *node, const char *text) {
    stage_configure(text);
    assert_int_equal(idem_node_on_reload(node), MOSQ_ERR_SUCCESS);
}

/* Publishes twice, and returns whether the second was a duplicate. */
static bool recognises(struct idem_node *node, const char *topic, const char *payload) {
    const char *onward = NULL;
    assert_int_equal(stage_receive_on(node, topic, payload, 1, NULL), MOSQ_ERR_SUCCESS);
    stage_turn(node);
    assert_int_equal(stage_receive_on(node, topic, payload, 1, &onward),
                     MOSQ_ERR_SUCCESS);
    return strncmp(onward, "$idem/duplicate/", strlen("$idem/duplicate/")) == 0;
}

static void rules_are_replaced(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    reload(node, STAGE_TOP ANOTHER_RULE);
    assert_true(stage_logged("config.reloaded: 1 rules"));
    assert_false(stage_logged("config.restart_needed"));
    assert_false(recognises(node, "a/b", "1"));
    assert_true(recognises(node, "other/b", "1"));
    stage_stop(node);
}

static void what_is_refused_changes_nothing(void **state) {
    static const char *const texts[] = {
        STAGE_TOP "rules: [\n",
        STAGE_TOP "rules: [{name: a, match: {topic: a}, keys: payload}]\n",
        STAGE_TOP "rules: [{name: a, match: {topic: a}, strategy: sequence,\n"
                  "         sequence: {number: topic:1, on_gap: hold}}]\n",
    };
    static const char *const why[] = {"idem.yaml:4: ", "did you mean 'key'",
                                      "cannot keep a message back"};
    (void)state;
    struct idem_node *node = stage_open();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char payload[] = {(char)('0' + (int)i), '\0'};
        reload(node, texts[i]);
        assert_true(stage_logged("config.refused"));
        assert_true(stage_logged(why[i]));
        assert_true(stage_logged("; the old one is kept"));
        assert_true(recognises(node, "a/b", payload));
    }
    assert_false(stage_logged("config.reloaded"));
    stage_stop(node);
}

/* A file may serve the plugin and the bridge: what is for the bridge is not the plugin's business. */
static void a_rule_for_amqp_may_ask_for_what_the_bridge_can_do(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    reload(node, STAGE_TOP
           "rules: [{name: a, match: {queue: a}, strategy: sequence,\n"
           "         sequence: {producer: user, number: message-id, on_gap: hold}}]\n");
    assert_true(stage_logged("config.reloaded: 1 rules"));
    assert_false(recognises(node, "a/b", "1"));
    stage_stop(node);
}

static void what_names_the_store_or_the_owner_waits_for_a_restart(void **state) {
    static const char *const texts[] = {
        "instance: unit\nstore: {url: 'embedded://@DIR@/elsewhere'}\n" STAGE_RULE,
        "instance: renamed\nstore: {url: 'embedded://@DIR@/store'}\n" STAGE_RULE,
        "secret_file: secret\n" STAGE_TOP STAGE_RULE,
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *onward = NULL;
        assert_int_equal(stage_tear_down(state), 0);
        assert_int_equal(stage_set_up(state), 0);
        files_write(stage_path("."), "secret", "0123456789abcdef0123456789abcdef\n");
        struct idem_node *node = stage_open();
        assert_true(recognises(node, "a/b", "1"));
        reload(node, texts[i]);
        assert_true(stage_logged("config.restart_needed"));
        assert_int_equal(stage_receive(node, "1", 1, &onward), MOSQ_ERR_SUCCESS);
        assert_string_equal(onward, "$idem/duplicate/a/b");
        assert_false(stage_has("elsewhere"));
        stage_stop(node);
    }
}

static void the_level_of_the_log_changes_at_once(void **state) {
    (void)state;
    stage_configure(STAGE_TOP "log: {level: error}\n" STAGE_RULE);
    struct idem_node *node = stage_open();
    assert_false(stage_logged("plugin.started"));
    reload(node, STAGE_TOP "log: {level: info}\n" STAGE_RULE);
    assert_true(stage_logged("config.reloaded"));
    size_t lines = fake_broker_lines();
    reload(node, STAGE_TOP "log: {level: error}\n" STAGE_RULE);
    assert_int_equal(fake_broker_lines(), lines);
    stage_stop(node);
}

static void the_interval_of_figures_changes_at_once(void **state) {
    (void)state;
    struct timespec pause = {0, 2000000};
    stage_configure(STAGE_TOP "mqtt: {sys_interval: 0s}\n" STAGE_RULE);
    struct idem_node *node = stage_open();
    stage_turn(node);
    assert_int_equal(stage_figures(), 0);
    reload(node, STAGE_TOP "mqtt: {sys_interval: 1ms}\n" STAGE_RULE);
    stage_turn(node);
    assert_true(stage_figures() > 0);
    reload(node, STAGE_TOP "mqtt: {sys_interval: 0s}\n" STAGE_RULE);
    assert_true(recognises(node, "a/b", "1"));
    assert_int_equal(nanosleep(&pause, NULL), 0);
    stage_turn(node);
    assert_int_equal(stage_figures(), 0);
    stage_stop(node);
}

static void warnings_are_in_the_log(void **state) {
    (void)state;
    struct idem_node *node = stage_open();
    reload(node, STAGE_TOP "rules: []\n");
    assert_true(stage_logged("config.warning: "));
    assert_true(stage_logged("no rules: every message passes"));
    stage_stop(node);
}

/* Each allocation refused once: the old rules or the new ones, and the log says which. */
static void without_memory_the_old_rules_are_kept(void **state) {
    (void)state;
    bool refused = true;
    size_t kept = 0;
    for (size_t nth = 1; refused; nth++) {
        assert_int_equal(stage_tear_down(state), 0);
        assert_int_equal(stage_set_up(state), 0);
        struct idem_node *node = stage_open();
        stage_configure(STAGE_TOP ANOTHER_RULE);
        fake_broker_refuse(nth, 1);
        assert_int_equal(idem_node_on_reload(node), MOSQ_ERR_SUCCESS);
        refused = fake_broker_refused();
        bool reloaded = stage_logged("config.reloaded");
        assert_true(reloaded !=
                    (stage_logged("config.refused: ") || stage_logged("config.kept: ")));
        assert_true(recognises(node, "other/b", "1"));
        assert_int_equal(recognises(node, "a/b", "1"), !reloaded);
        kept += reloaded ? 0 : 1;
        stage_stop(node);
    }
    assert_true(kept > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(rules_are_replaced),
        STAGE_TEST(what_is_refused_changes_nothing),
        STAGE_TEST(a_rule_for_amqp_may_ask_for_what_the_bridge_can_do),
        STAGE_TEST(what_names_the_store_or_the_owner_waits_for_a_restart),
        STAGE_TEST(the_level_of_the_log_changes_at_once),
        STAGE_TEST(the_interval_of_figures_changes_at_once),
        STAGE_TEST(warnings_are_in_the_log),
        STAGE_TEST(without_memory_the_old_rules_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
