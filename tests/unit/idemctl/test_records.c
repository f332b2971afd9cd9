/* SPDX-License-Identifier: MIT
 * idemctl forget, list, purge, stats, bench: on the embedded store and on Redis. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "ctl.h"

#include <idem/clock.h>
#include <idem/store.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Holds the embedded store, as a running broker does. */
static struct idem_store *hold(void) {
    char url[FILES_PATH_MAX + 32];
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store *store = NULL;
    (void)snprintf(url, sizeof url, "embedded://%s/store", ctl_dir);
    struct idem_store_options options = {.url = url};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_OK);
    return store;
}

static void forget_one(struct idem_store *store, const char *key) {
    (void)store;
    assert_int_equal(ctl_on("forget", "--yes", "orders", key), 0);
    assert_says("forgotten    done");
}

static void test_a_forgotten_key_is_delivered_again(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_deliver("orders/1", "{\"id\":\"b\"}");
    forget_one(NULL, "a");
    assert_int_equal(ctl_on("lookup", "orders", "a"), 4);
    assert_true(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
    assert_false(ctl_delivers("orders/1", "{\"id\":\"b\"}"));
}

static void test_forget_warns_of_programs_that_remember(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    forget_one(NULL, "a");
    if (ctl_redis.pid != 0) {
        assert_says("recent_keys");
    } else {
        assert_does_not_say("recent_keys");
    }
}

static void test_forget_does_nothing_without_being_told_to(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_with("y\n", (const char *const[]){"-c", ctl_config, "forget",
                                                           "orders", "a", NULL}),
                     6);
    assert_says("there is no terminal to ask on");
    assert_false(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
}

static void test_forgetting_what_is_not_there_has_its_exit_code(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("forget", "--yes", "orders", "b"), 4);
    assert_says("nothing is recorded");
    assert_int_equal(ctl_on("forget", "orders"), 2);
    assert_int_equal(ctl_on("forget", "--instance", "x", "orders", "a"), 2);
    assert_int_equal(ctl_on("forget", "--help"), 0);
}

static void test_no_store_is_made_to_forget_in(void **state) {
    (void)state;
    char path[FILES_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/store", ctl_dir);
    assert_int_equal(ctl_on("forget", "--yes", "orders", "b"), 3);
    assert_int_equal(ctl_on("purge"), 3);
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 3);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_a_store_that_a_program_holds_can_be_read_and_not_changed(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    struct idem_store *store = hold();
    assert_int_equal(ctl_on("lookup", "orders", "a"), 0);
    assert_int_equal(ctl_on("list"), 0);
    assert_int_equal(ctl_on("stats"), 0);
    assert_int_equal(ctl_on("bench", "--seconds", "1"), 0);
    assert_int_equal(ctl_on("forget", "--yes", "orders", "a"), 5);
    assert_says("is in use by process");
    assert_says("stop that program first");
    assert_says("mosquitto_rr -q 1 -t '$CONTROL/idem/v1'");
    assert_says("\"command\":\"forgetKey\",\"digest\":\"");
    assert_int_equal(ctl_on("purge"), 5);
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 5);
    idem_store_close(store);
    assert_false(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
}

static void test_list_prints_a_line_for_each_record(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_claim("orders/1", "{\"id\":\"b\"}");
    ctl_deliver("counted/p/5", "x");
    assert_int_equal(ctl_on("list"), 0);
    unsigned lines = 0;
    for (const char *at = strchr(ctl_output, '\n'); at != NULL;
         at = strchr(at + 1, '\n')) {
        lines++;
    }
    assert_int_equal(lines, 3);
    assert_says("  done      20");
    assert_says("  pending   20");
    assert_says("  sequence  20");
}

static void test_list_filters(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_claim("orders/1", "{\"id\":\"b\"}");
    assert_int_equal(ctl_on("list", "--state", "pending"), 0);
    assert_says("pending");
    assert_does_not_say("done");
    assert_int_equal(ctl_on("list", "--state", "in-doubt"), 0);
    assert_string_equal(ctl_output, "");
    assert_int_equal(ctl_on("list", "--expiring-within", "5m"), 0);
    assert_says("pending");
    assert_does_not_say("done");
    assert_int_equal(ctl_on("list", "--expiring-within", "73h"), 0);
    assert_says("done");
    assert_int_equal(ctl_on("list", "--limit", "1"), 0);
    assert_ptr_equal(strchr(ctl_output, '\n') + 1, ctl_output + strlen(ctl_output));
}

static void test_list_prints_an_object_for_each_record(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_deliver("counted/p/5", "x");
    assert_int_equal(ctl_on("--json", "list"), 0);
    assert_says("\"state\":\"done\"");
    assert_says("\"mark\":5");
    assert_ptr_equal(strstr(ctl_output, "}\n{") != NULL, true);
}

static void test_list_ends_quietly_when_nobody_reads_any_more(void **state) {
    (void)state;
    char command[3 * FILES_PATH_MAX];
    for (int i = 0; i < 3; i++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "{\"id\":%d}", i);
        ctl_deliver("orders/1", payload);
    }
    char *self = realpath("/proc/self/exe", NULL);
    char *tests = strstr(self, "/tests/unit/");
    assert_non_null(tests);
    (void)snprintf(command, sizeof command,
                   "bash -c 'set -o pipefail; %.*s/idemctl -c %s list 2>%s/errors | "
                   "(exec 0<&-; sleep 0.1)'",
                   (int)(tests - self), self, ctl_config, ctl_dir);
    assert_int_equal(system(command), 0);
    (void)snprintf(command, sizeof command, "%s/errors", ctl_dir);
    char *errors = files_read(command);
    assert_string_equal(errors, "");
    free(errors);
    free(self);
}

static void test_list_refuses_wrong_options(void **state) {
    (void)state;
    assert_int_equal(ctl_on("list", "--state", "gone"), 2);
    assert_says("pending, in-doubt, done or sequence");
    assert_int_equal(ctl_on("list", "--limit", "0"), 2);
    assert_int_equal(ctl_on("list", "--limit", "1x"), 2);
    assert_says("a whole number");
    assert_int_equal(ctl_on("list", "--expiring-within", "5"), 2);
    assert_says("a duration is wanted");
    assert_int_equal(ctl_on("list", "orders"), 2);
    assert_says("a store knows no keys");
    assert_int_equal(ctl_on("list", "--help"), 0);
}

static void ignore_answer(void *arg, const struct idem_answer *answer) {
    assert_int_equal(answer->code, IDEM_OK);
    (*(int *)arg)++;
}

/* A record that has expired a second ago. */
static void put_expired(struct idem_store *store) {
    int64_t now_ms = idem_clock_wall_ms();
    int answers = 0;
    struct idem_restoration restoration = {.record = {.state = IDEM_RECORD_DONE,
                                                      .first_seen_ms = now_ms - 5000,
                                                      .until_ms = now_ms - 1000},
                                           .now_ms = now_ms - 5000};
    memset(restoration.digest.bytes, 9, sizeof restoration.digest.bytes);
    idem_store_restore(store, &restoration, ignore_answer, &answers);
    assert_int_equal(answers, 1);
}

static void test_purge_removes_what_has_expired_and_nothing_else(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_claim("orders/1", "{\"id\":\"b\"}");
    struct idem_store *store = hold();
    put_expired(store); /* last: a store that is told the time purges by itself */
    idem_store_close(store);
    assert_int_equal(ctl_on("purge"), 0);
    assert_says("removed      1");
    assert_says("kept         2");
    assert_int_equal(ctl_on("purge"), 0);
    assert_says("removed      0");
    assert_false(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
}

static void test_purging_all_removes_all(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_claim("orders/1", "{\"id\":\"b\"}");
    assert_int_equal(ctl_on("purge", "--all"), 6);
    assert_says("there is no terminal to ask on");
    assert_int_equal(ctl_on("purge", "--all", "--yes"), 0);
    assert_says("removed      2");
    assert_int_equal(ctl_on("list"), 0);
    assert_string_equal(ctl_output, "");
    assert_true(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
}

static void test_redis_purges_by_itself(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("purge"), 0);
    assert_says("Redis removes expired records by itself");
    assert_int_equal(ctl_on("purge", "orders"), 2);
    assert_int_equal(ctl_on("purge", "--help"), 0);
}

static void test_stats_counts_records_by_their_state(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_deliver("orders/1", "{\"id\":\"b\"}");
    ctl_claim("orders/1", "{\"id\":\"c\"}");
    ctl_deliver("counted/p/5", "x");
    assert_int_equal(ctl_on("stats"), 0);
    assert_says("live         4");
    assert_says("pending      1");
    assert_says("in_doubt     0");
    assert_says("done         2");
    assert_says("sequences    1");
    assert_says("oldest       20");
    assert_int_equal(ctl_on("stats", "--quick"), 0);
    assert_says("keys         4");
    assert_does_not_say("done ");
    assert_int_equal(ctl_on("stats", "now"), 2);
    assert_int_equal(ctl_on("stats", "--help"), 0);
}

static void test_no_password_is_printed(void **state) {
    (void)state;
    char url[FILES_PATH_MAX + 128];
    (void)redis_tell(&ctl_redis, "ACL SETUSER ann on >hush ~* +@all");
    (void)snprintf(url, sizeof url, "unix://ann:hush@%s?timeout=10s", ctl_redis.socket);
    const char *path = ctl_configure_store("other.yaml", url);
    assert_int_equal(ctl("-c", path, "stats"), 0);
    assert_says("unix://***@/");
    assert_does_not_say("hush");
    assert_int_equal(ctl("-c", path, "purge", "--all"), 6);
    assert_does_not_say("hush");
}

static void test_stats_of_a_server_that_is_away_has_its_exit_code(void **state) {
    (void)state;
    redis_stop(&ctl_redis);
    assert_int_equal(ctl_on("stats"), 3);
    assert_int_equal(ctl_on("stats", "--quick"), 3);
    assert_int_equal(ctl_on("list"), 3);
    assert_int_equal(ctl_on("bench", "--seconds", "1"), 3);
}

static void test_bench_leaves_nothing_behind_and_touches_no_key(void **state) {
    (void)state;
    char command[FILES_PATH_MAX + 64];
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("bench", "--seconds", "1", "--depth", "8"), 0);
    assert_says("durable      yes");
    assert_says("keys_per_s   ");
    assert_says("claim_p99    ");
    assert_int_equal(ctl_on("bench", "--seconds", "1", "--relaxed"), 0);
    assert_says("durable      no");
    assert_int_equal(ctl_on("stats"), 0);
    assert_says("live         1");
    assert_false(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
    (void)snprintf(command, sizeof command, "! ls %s | grep bench", ctl_dir);
    assert_int_equal(system(command), 0);
}

static void test_bench_refuses_wrong_options(void **state) {
    (void)state;
    assert_int_equal(ctl_on("bench", "--seconds", "0"), 2);
    assert_int_equal(ctl_on("bench", "--depth", "4097"), 2);
    assert_int_equal(ctl_on("bench", "now"), 2);
    assert_int_equal(ctl_on("bench", "--help"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST_BOTH(test_a_forgotten_key_is_delivered_again),
        CTL_TEST_BOTH(test_forget_warns_of_programs_that_remember),
        CTL_TEST_BOTH(test_forget_does_nothing_without_being_told_to),
        CTL_TEST_BOTH(test_forgetting_what_is_not_there_has_its_exit_code),
        CTL_TEST(test_no_store_is_made_to_forget_in),
        CTL_TEST(test_a_store_that_a_program_holds_can_be_read_and_not_changed),
        CTL_TEST_BOTH(test_list_prints_a_line_for_each_record),
        CTL_TEST_BOTH(test_list_filters),
        CTL_TEST_BOTH(test_list_prints_an_object_for_each_record),
        CTL_TEST_BOTH(test_list_ends_quietly_when_nobody_reads_any_more),
        CTL_TEST(test_list_refuses_wrong_options),
        CTL_TEST(test_purge_removes_what_has_expired_and_nothing_else),
        CTL_TEST_BOTH(test_purging_all_removes_all),
        CTL_TEST_REDIS(test_redis_purges_by_itself),
        CTL_TEST_BOTH(test_stats_counts_records_by_their_state),
        CTL_TEST_REDIS(test_no_password_is_printed),
        CTL_TEST_REDIS(test_stats_of_a_server_that_is_away_has_its_exit_code),
        CTL_TEST_BOTH(test_bench_leaves_nothing_behind_and_touches_no_key),
        CTL_TEST(test_bench_refuses_wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
