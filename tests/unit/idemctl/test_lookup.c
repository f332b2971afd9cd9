/* SPDX-License-Identifier: MIT
 * idemctl lookup: the three ways to name a key, and what is told of it. */
#include "ctl.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* All of it is left where the clock, which may be coarse, is a little behind. */
static void assert_says_nearly(const char *all, const char *nearly_all) {
    assert_says(strstr(ctl_output, all) != NULL ? all : nearly_all);
}

static void test_lookup_finds_by_rule_and_key(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("lookup", "orders", "a"), 0);
    assert_says("rule         orders (line 4)");
    assert_says("state        done");
    assert_says("first_seen   20");
    assert_says(" (test)\n");
    assert_says("expires      20");
    assert_says_nearly("ttl_left     72 h", "ttl_left     71 h 59 m");
    assert_says("fingerprint  ");
    assert_says("result_size  0");
    assert_int_equal(ctl_on("lookup", "orders", "b"), 4);
    assert_says("state        nothing recorded");
}

static void test_lookup_finds_by_a_whole_message_and_by_its_digest(void **state) {
    (void)state;
    char digest[33];
    ctl_deliver("readings/x", "on");
    assert_int_equal(ctl_on("lookup", "-t", "readings/x", "-m", "on", "--client", "c1"),
                     0);
    assert_says("state        done");
    (void)snprintf(digest, sizeof digest, "%.32s",
                   strstr(ctl_output, "digest       ") + 13);
    assert_int_equal(ctl_on("lookup", digest), 0);
    assert_says("state        done");
    assert_does_not_say("rule ");
    assert_int_equal(ctl_on("lookup", "-t", "readings/x", "-m", "off", "--client", "c1"),
                     4);
}

static void test_lookup_needs_who_published_where_that_is_the_scope(void **state) {
    (void)state;
    ctl_deliver("own/1", "{\"id\":7}");
    assert_int_equal(ctl_on("lookup", "own", "7", "--principal", "client:c1"), 0);
    assert_int_equal(ctl_on("lookup", "own", "7", "--client", "c1"), 0);
    assert_int_equal(ctl_on("lookup", "own", "7", "--principal", "user:c1"), 4);
    assert_int_equal(ctl_on("lookup", "own", "7"), 1);
    assert_says("--principal user:NAME");
    assert_int_equal(ctl_on("lookup", "orders", "7", "--principal", "user:c1"), 1);
    assert_says("its scope is no principal");
}

static void test_lookup_joins_what_the_rule_joins(void **state) {
    (void)state;
    ctl_deliver("tenants/red/eu", "{\"id\":7,\"tenant\":\"acme\"}");
    assert_int_equal(
        ctl_on("lookup", "tenants", "7", "red", "--by", "eu", "--by", "acme"), 0);
    assert_int_equal(
        ctl_on("lookup", "tenants", "7", "red", "--by", "acme", "--by", "eu"), 4);
    assert_int_equal(ctl_on("lookup", "tenants", "7", "--by", "eu", "--by", "acme"), 1);
    assert_says("the key has 2 values, and 1 were given");
    assert_int_equal(ctl_on("lookup", "tenants", "7", "red", "--by", "eu"), 1);
    assert_says("(--by) has 2 values");
}

static void test_lookup_tells_what_is_known_of_a_producer(void **state) {
    (void)state;
    ctl_deliver("counted/p/5", "x");
    ctl_claim("counted/p/7", "x");
    assert_int_equal(ctl_on("lookup", "counted", "p"), 0);
    assert_says("state        sequence");
    assert_says("mark         5");
    assert_says("top          7");
    assert_says("in_flight    1");
    assert_int_equal(ctl_on("lookup", "-t", "counted/p/9"), 0);
    assert_says("mark         5");
    assert_int_equal(ctl_on("lookup", "counted", "q"), 4);
}

static void test_lookup_shows_a_claim_that_a_crash_left(void **state) {
    (void)state;
    ctl_claim("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("lookup", "orders", "a"), 0);
    assert_says("state        pending");
    assert_says("lease_until  20");
    assert_says_nearly("lease_left   30 s", "lease_left   29 s");
}

static void test_lookup_calls_other_instances_by_the_names_it_is_given(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_configure_with("instance: test", "instance: another");
    assert_int_equal(ctl_on("lookup", "orders", "a"), 0);
    assert_does_not_say("(test)");
    assert_int_equal(
        ctl_on("lookup", "orders", "a", "--instance", "x", "--instance", "test"), 0);
    assert_says(" (test)\n");
}

static void test_lookup_prints_json(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("--json", "lookup", "orders", "a"), 0);
    struct json_object *report = json_tokener_parse(ctl_output);
    assert_non_null(report);
    assert_string_equal(json_object_get_string(json_object_object_get(report, "state")),
                        "done");
    (void)json_object_put(report);
}

static void test_lookup_says_why_there_is_no_key(void **state) {
    (void)state;
    assert_int_equal(ctl_on("lookup", "absent", "7"), 1);
    assert_says("there is no rule absent");
    assert_int_equal(ctl_on("lookup", "state", "7"), 1);
    assert_says("natural");
    assert_int_equal(ctl_on("lookup", "readings", "x", "on", "--client", "c"), 1);
    assert_says("hash of the payload");
    assert_int_equal(ctl_on("lookup", "-t", "nobody/matches"), 1);
    assert_says("no rule matches");
    assert_int_equal(ctl_on("lookup", "-t", "orders/1", "-m", "{}"), 1);
    assert_says("no extractor yielded a value");
    assert_int_equal(ctl_on("lookup", "-t", "own/1", "-m", "{\"id\":7}"), 1);
    assert_says("the scope has no value");
    assert_int_equal(ctl_on("lookup", "orders", ""), 1);
}

static void test_lookup_refuses_wrong_command_lines(void **state) {
    (void)state;
    assert_int_equal(ctl_on("lookup"), 2);
    assert_says("which key?");
    assert_int_equal(ctl_on("lookup", "orders"), 2);
    assert_says("no digest of 32 hexadecimal digits");
    assert_int_equal(ctl_on("lookup", "orders", "a", "-t", "orders/1"), 2);
    assert_int_equal(ctl_on("lookup", "orders", "a", "--yes"), 2);
    assert_says("unrecognized option '--yes'");
    assert_int_equal(ctl_on("lookup", "--nonsense"), 2);
    assert_int_equal(ctl_on("lookup", "--help"), 0);
    assert_says("--instance NAME");
}

static void test_lookup_of_a_store_that_is_not_there_has_its_exit_code(void **state) {
    (void)state;
    if (ctl_redis.pid != 0) {
        redis_stop(&ctl_redis);
    }
    assert_int_equal(ctl_on("lookup", "orders", "a"), 3);
    assert_says("store");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST_BOTH(test_lookup_finds_by_rule_and_key),
        CTL_TEST_BOTH(test_lookup_finds_by_a_whole_message_and_by_its_digest),
        CTL_TEST_BOTH(test_lookup_needs_who_published_where_that_is_the_scope),
        CTL_TEST_BOTH(test_lookup_joins_what_the_rule_joins),
        CTL_TEST_BOTH(test_lookup_tells_what_is_known_of_a_producer),
        CTL_TEST_BOTH(test_lookup_shows_a_claim_that_a_crash_left),
        CTL_TEST_BOTH(test_lookup_calls_other_instances_by_the_names_it_is_given),
        CTL_TEST(test_lookup_prints_json),
        CTL_TEST(test_lookup_says_why_there_is_no_key),
        CTL_TEST(test_lookup_refuses_wrong_command_lines),
        CTL_TEST_BOTH(test_lookup_of_a_store_that_is_not_there_has_its_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
