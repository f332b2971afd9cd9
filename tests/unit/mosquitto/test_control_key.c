/* SPDX-License-Identifier: MIT
 * Questions about a key: which one is meant, and answers that come later than the question. */
#include "control.h"
#include "fake_asking.h"

#include <stdio.h>
#include <stdlib.h>

static void a_key_is_looked_up_by_rule_and_value_or_by_digest(void **state) {
    (void)state;
    asking_expect_data(LOOKUP("orders", "K-1"), "state", "none");
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_NEW);
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_DUPLICATE);
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_DUPLICATE);
    struct json_object *response = asking_ask(LOOKUP("orders", "K-1"));
    assert_string_equal(asking_data(response, "state"), "done");
    assert_string_equal(asking_data(response, "firstSeen"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(asking_data(response, "until"), "2023-11-17T22:13:20.000Z");
    assert_string_equal(asking_data(response, "duplicate"), "2");
    char command[128];
    (void)snprintf(command, sizeof command,
                   "{\"command\":\"lookupKey\",\"digest\":\"%s\"}",
                   asking_data(response, "digest"));
    asking_expect_data(command, "state", "done");
    (void)json_object_put(response);
}

static void joined_keys_scopes_and_producers_are_found(void **state) {
    (void)state;
    assert_int_equal(asking_submit("own/7", "K-1"), IDEM_REASON_NEW);
    asking_expect_data(
        "{\"command\":\"lookupKey\",\"rule\":\"own\",\"key\":[\"7\",\"K-1\"],"
        "\"client\":\"c1\"}",
        "state", "done");
    asking_expect_data(
        "{\"command\":\"lookupKey\",\"rule\":\"own\",\"key\":[\"7\",\"K-1\"],"
        "\"user\":\"c1\"}",
        "state", "none");
    assert_int_equal(asking_submit("count/7", "4"), IDEM_REASON_NEW);
    asking_expect_data(LOOKUP("count", "c1"), "mark", "4");
}

static void what_names_no_key_is_refused(void **state) {
    (void)state;
    asking_expect_error("{\"command\":\"lookupKey\"}",
                        "it takes digest, or rule and key");
    asking_expect_error("{\"command\":\"lookupKey\",\"digest\":\"12\"}",
                        "32 hexadecimal");
    asking_expect_error(LOOKUP("other", "K-1"), "no rule has that name");
    asking_expect_error(LOOKUP("plain", "K-1"), "keeps no records");
    asking_expect_error(LOOKUP("own", "K-1"), "its key is of 2 values");
    asking_expect_error("{\"command\":\"lookupKey\",\"rule\":\"orders\",\"key\":7}",
                        "a text");
    asking_expect_error("{\"command\":\"lookupKey\",\"rule\":\"orders\",\"key\":[]}",
                        "its key is of 1 values, 0 are given");
    asking_expect_error("{\"command\":\"forgetKey\",\"rule\":\"orders\",\"key\":["
                        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
                        "a text");
}

static void a_key_that_is_forgotten_is_new_again(void **state) {
    (void)state;
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_NEW);
    asking_expect_data(FORGET("orders", "K-1"), "forgotten", "true");
    assert_non_null(strstr(asking_log, "key.forget: digest "));
    assert_non_null(strstr(asking_log, "by client first, user 'alice'"));
    asking_expect_data(FORGET("orders", "K-1"), "forgotten", "false");
    assert_int_equal(asking_submit("orders/1", "K-1"), IDEM_REASON_NEW);
}

/* ---- a store that answers later ---- */

static void answers_that_come_later_complete_the_response(void **state) {
    (void)state;
    (void)asking_submit("orders/1", "K-1");
    asking_slow = true;
    static const char request[] = "{\"commands\":[" LOOKUP(
        "orders", "K-1") ",{\"command\":\"nothing\"}," LOOKUP("orders", "K-2") "]}";
    asking_send(1, request, strlen(request));
    assert_int_equal(fake_broker_queued(), 0);
    assert_int_equal(asking_control.questions, 2);
    asking_answer();
    assert_int_equal(fake_broker_queued(), 0);
    asking_answer();
    struct json_object *json = asking_taken("second");
    const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
    const char *done = strstr(text, "\"state\":\"done\"");
    const char *unknown = strstr(text, "Unknown command");
    const char *none = strstr(text, "\"state\":\"none\"");
    assert_true(done != NULL && unknown > done && none > unknown);
    (void)json_object_put(json);
    assert_int_equal(asking_control.questions, 0);
}

static void questions_that_wait_are_bounded(void **state) {
    (void)state;
    asking_slow = true;
    for (int i = 0; i < IDEM_CONTROL_QUESTIONS_MAX; i++) {
        static const char request[] = "{\"commands\":[" LOOKUP("orders", "K-1") "]}";
        asking_send(0, request, strlen(request));
    }
    assert_int_equal(fake_broker_queued(), 0);
    asking_expect_error(LOOKUP("orders", "K-1"), "too many questions wait for the store");
    asking_answer_all();
    assert_int_equal(fake_broker_queued(), IDEM_CONTROL_QUESTIONS_MAX);
    fake_broker_take_queue();
    asking_slow = false;
    asking_expect_data(LOOKUP("orders", "K-1"), "state", "none");
}

static void the_answer_for_a_client_that_has_gone_goes_to_nobody(void **state) {
    (void)state;
    asking_slow = true;
    static const char request[] = "{\"commands\":[" LOOKUP("orders", "K-1") "]}";
    asking_send(0, request, strlen(request));
    asking_send(1, request, strlen(request));
    idem_control_client_gone(&asking_control, &asking_clients[0]);
    asking_answer_all();
    struct json_object *json = asking_taken("second");
    (void)json_object_put(json);
}

static void what_is_open_at_the_stop_is_answered_to_nobody(void **state) {
    (void)state;
    asking_slow = true;
    static const char request[] = "{\"commands\":[" FORGET("orders", "K-1") "]}";
    asking_send(0, request, strlen(request));
    idem_control_stop(&asking_control);
    asking_answer_all();
    assert_int_equal(fake_broker_queued(), 0);
}

static void a_store_that_fails_is_told(void **state) {
    (void)state;
    asking_code = IDEM_ERR_UNAVAILABLE;
    asking_expect_error(LOOKUP("orders", "K-1"), idem_code_text(IDEM_ERR_UNAVAILABLE));
    asking_expect_error(FORGET("orders", "K-1"), idem_code_text(IDEM_ERR_UNAVAILABLE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, asking_start, asking_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_looked_up_by_rule_and_value_or_by_digest),
        TEST(joined_keys_scopes_and_producers_are_found),
        TEST(what_names_no_key_is_refused),
        TEST(a_key_that_is_forgotten_is_new_again),
        TEST(answers_that_come_later_complete_the_response),
        TEST(questions_that_wait_are_bounded),
        TEST(the_answer_for_a_client_that_has_gone_goes_to_nobody),
        TEST(what_is_open_at_the_stop_is_answered_to_nobody),
        TEST(a_store_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
