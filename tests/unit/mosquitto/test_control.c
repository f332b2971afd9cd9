/* SPDX-License-Identifier: MIT
 * Commands on the control topic: what is answered, and what is refused. */
#include "control.h"
#include "fake_asking.h"

#include <stdio.h>
#include <stdlib.h>

static void each_command_has_a_response_in_its_place(void **state) {
    (void)state;
    asking_expect(
        "{\"commands\":[{\"command\":\"setRuleState\",\"rule\":\"plain\","
        "\"enabled\":false,\"correlationData\":\"c-1\"},{\"command\":\"nothing\"},"
        "{\"command\":\"getDuplicates\"}]}",
        "{\"responses\":[{\"command\":\"setRuleState\",\"correlationData\":\"c-1\","
        "\"data\":{\"rule\":\"plain\",\"enabled\":false}},{\"command\":\"nothing\","
        "\"error\":\"Unknown command\"},{\"command\":\"getDuplicates\",\"data\":{"
        "\"duplicates\":[]}}]}");
    assert_int_equal(asking_control.counts.requests, 1);
    assert_int_equal(asking_control.counts.commands, 3);
    assert_int_equal(asking_control.counts.refused, 1);
}

static void space_after_a_request_is_none_of_it(void **state) {
    (void)state;
    asking_expect("{\"commands\":[]}\r\n\t ", "{\"responses\":[]}");
    asking_send(0, "{\"commands\":[]}\n\0", sizeof "{\"commands\":[]}\n\0" - 1);
    struct json_object *json = asking_taken("first");
    assert_non_null(strstr(json_object_to_json_string(json), "not valid JSON"));
    (void)json_object_put(json);
}

static void figures_are_a_tree(void **state) {
    (void)state;
    asking_expect(
        "{\"commands\":[{\"command\":\"getStats\"}]}",
        "{\"responses\":[{\"command\":\"getStats\",\"data\":{\"version\":\"1.2\","
        "\"messages\":{\"new\":7},\"rules\":{\"orders\":{\"messages\":{\"new\":"
        "1152921504606846976}}}}}]}");
}

static void what_is_no_request_is_refused(void **state) {
    (void)state;
    static const char *const invalid[] = {
        "",
        "x",
        "[]x",
        "{\"commands\":[}",
        "{\"commands\":[]} {}",
        "\xff\xfe",
        "{\"commands\":[[[[[[[[[[1]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        asking_expect(invalid[i],
                      "{\"responses\":[{\"command\":\"Unknown command\",\"error\":"
                      "\"Payload not valid JSON\"}]}");
    }
    static const char *const empty[] = {
        "[]", "{}", "null", "123", "{\"commands\":{}}", "{\"commands\":\"getStats\"}"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        asking_send(0, empty[i], strlen(empty[i]));
        struct json_object *json = asking_taken("first");
        assert_non_null(strstr(json_object_to_json_string(json), "error"));
        (void)json_object_put(json);
    }
    static const char *const commands[] = {
        "1", "null", "{}", "[]", "{\"command\":1}", "{\"command\":\"get\\u0000Stats\"}"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        asking_expect_error(commands[i], "Missing command");
    }
}

static void requests_are_bounded(void **state) {
    (void)state;
    char *large = malloc(IDEM_CONTROL_REQUEST_MAX + 2);
    assert_non_null(large);
    memset(large, ' ', IDEM_CONTROL_REQUEST_MAX + 1);
    large[IDEM_CONTROL_REQUEST_MAX + 1] = '\0';
    asking_expect(large, "{\"responses\":[{\"command\":\"Unknown command\",\"error\":"
                         "\"Payload too large\"}]}");
    size_t used = (size_t)sprintf(large, "{\"commands\":[{}");
    for (int i = 0; i < IDEM_CONTROL_COMMANDS_MAX; i++) {
        used += (size_t)sprintf(large + used, ",{}");
    }
    (void)sprintf(large + used, "]}");
    asking_expect(large, "{\"responses\":[{\"command\":\"Unknown command\",\"error\":"
                         "\"Too many commands\"}]}");
    free(large);
}

static void a_rule_is_taken_out_and_put_back(void **state) {
    (void)state;
    asking_expect_data(
        "{\"command\":\"setRuleState\",\"rule\":\"orders\",\"enabled\":false}", "enabled",
        "false");
    assert_non_null(strstr(asking_log, "rule.disabled: rule orders, by client first"));
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_NO_RULE);
    struct json_object *response = asking_ask("{\"command\":\"listRules\"}");
    const char *rules = asking_data(response, "rules");
    assert_non_null(strstr(rules, "\"enabled\": false"));
    assert_non_null(strstr(rules, "\"bypassed\": 1"));
    assert_non_null(strstr(rules, "\"topic\": \"orders\\/#\""));
    assert_non_null(strstr(rules, "\"strategy\": \"sequence\""));
    (void)json_object_put(response);
    asking_expect_data(
        "{\"command\":\"setRuleState\",\"rule\":\"orders\",\"enabled\":true}", "enabled",
        "true");
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_NEW);
    asking_expect_error(
        "{\"command\":\"setRuleState\",\"rule\":\"orders\",\"enabled\":1}",
        "true or false");
    asking_expect_error(
        "{\"command\":\"setRuleState\",\"rule\":\"order\",\"enabled\":true}",
        "no rule has that name");
}

static void what_was_recognised_lately_is_listed(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        (void)asking_submit("orders/1", "K-1");
        (void)asking_submit("orders/1", "K-2");
    }
    struct json_object *response =
        asking_ask("{\"command\":\"getDuplicates\",\"count\":1}");
    const char *list = asking_data(response, "duplicates");
    assert_non_null(strstr(list, "\"reason\": \"duplicate\", \"rule\": \"orders\""));
    assert_non_null(strstr(list, "\"count\": 2"));
    assert_null(strchr(strchr(list, '{') + 1, '{'));
    (void)json_object_put(response);
    asking_expect_error("{\"command\":\"getDuplicates\",\"count\":0}", "from 1 to 256");
    asking_expect_error("{\"command\":\"getDuplicates\",\"count\":257}", "from 1 to 256");
    asking_expect_error("{\"command\":\"getDuplicates\",\"count\":\"all\"}",
                        "from 1 to 256");
}

static void the_configuration_decides_what_is_answered(void **state) {
    (void)state;
    (void)asking_submit("orders/1", "K-1");
    asking_control.mode = IDEM_CONTROL_READ;
    asking_expect_data(LOOKUP("orders", "K-1"), "state", "done");
    asking_expect_error(FORGET("orders", "K-1"), "it takes mqtt.control: full");
    asking_expect_error(
        "{\"command\":\"setRuleState\",\"rule\":\"orders\",\"enabled\":false}",
        "it takes mqtt.control: full");
    asking_control.mode = IDEM_CONTROL_OFF;
    asking_expect_error(LOOKUP("orders", "K-1"), "mqtt.control is off");
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_DUPLICATE);
}

/* Each allocation refused once: a response, or none, and nothing that leaks or stays open. */
static void without_memory_nothing_stays_behind(void **state) {
    (void)state;
    static const char request[] = "{\"commands\":[" LOOKUP("orders", "K-1") "," FORGET(
        "orders", "K-1") ",{\"command\":\"listRules\"},{\"command\":\"getStats\"},"
                         "{\"command\":\"getDuplicates\"}]}";
    bool refused = true;
    size_t tries = 0;
    for (size_t nth = 1; refused; nth++, tries++) {
        asking_refuse = nth;
        asking_send(0, request, strlen(request));
        refused = asking_refused;
        fake_broker_take_queue();
        assert_null(asking_control.open);
        assert_int_equal(asking_control.questions, 0);
    }
    assert_true(tries > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asking_start, asking_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_command_has_a_response_in_its_place),
        TEST(space_after_a_request_is_none_of_it),
        TEST(figures_are_a_tree),
        TEST(what_is_no_request_is_refused),
        TEST(requests_are_bounded),
        TEST(a_rule_is_taken_out_and_put_back),
        TEST(what_was_recognised_lately_is_listed),
        TEST(the_configuration_decides_what_is_answered),
        TEST(without_memory_nothing_stays_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
