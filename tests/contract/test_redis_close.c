/* SPDX-License-Identifier: MIT
 * Closing a Redis store that is owed many keys: bounded by time whatever the server does, and what is not
 * reported as lost is there. */
#include "proxy.h"
#include "stores.h"

#include <idem/clock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define MANY UINT64_C(60000)

/* Three seconds for what is owed, a few timeouts for what is under way; and this machine's pauses. */
#define CLOSE_MS(timeout_ms) (3000 + 4 * (timeout_ms) + 3000)

static struct redis_server server;
static struct proxy *proxy;
static struct stores_box box;
static char lost_text[256]; /* of the warning; empty: there was none */

static void note_log(void *context, enum idem_log_level level, const char *event,
                     const char *text) {
    (void)context;
    (void)level;
    if (strcmp(event, "store.not_caught_up") == 0) {
        (void)snprintf(lost_text, sizeof lost_text, "%s", text);
    }
}

static int setup(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    lost_text[0] = '\0';
    box.log = (struct idem_log){.sink = note_log, .level = IDEM_LOG_NOTICE};
    box.recent_keys = 2 * MANY;
    redis_start(&server, NULL);
    proxy = proxy_start(server.port);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    stores_close(&box);
    proxy_stop(proxy);
    proxy = NULL;
    redis_remove(&server);
    return 0;
}

static void open_store(unsigned timeout_ms) {
    (void)snprintf(box.url, sizeof box.url, "redis://127.0.0.1:%u?timeout=%ums",
                   proxy_port(proxy), timeout_ms);
    stores_open(&box);
}

static bool failing(void) {
    struct idem_store_stats stats;
    idem_store_read_stats(box.store, &stats);
    return stats.failing;
}

static void turn_until(bool state) {
    int64_t deadline = testing_deadline();
    while (failing() != state) {
        assert_true(testing_remaining_ms(deadline) > 0);
        idem_store_dispatch(box.store);
        testing_pause();
    }
}

/* Delivers copies while the server cannot be reached: their keys are owed to it. */
static void owe(uint64_t count) {
    proxy_refuse(proxy, true);
    proxy_cut(proxy);
    turn_until(true);
    for (uint64_t n = 0; n < count; n++) {
        struct idem_claim claim = stores_claim_of(n, &stores_me, T0, 1000);
        claim.deferrable = true;
        assert_int_equal(stores_claim_as(&box, &claim).answer.code, IDEM_ERR_UNAVAILABLE);
        assert_int_equal(stores_complete(&box, n, &stores_me, T0, HOUR), IDEM_OK);
    }
}

static void reach_again(void) {
    proxy_refuse(proxy, false);
    turn_until(false);
}

static void close_within(int64_t most_ms) {
    int64_t start_ns = idem_clock_monotonic_ns();
    stores_close(&box);
    int64_t took_ms = (idem_clock_monotonic_ns() - start_ns) / 1000000;
    assert_in_range(took_ms, 0, most_ms * (testing_instrumented() ? 3 : 1));
}

static uint64_t lost(void) {
    return strtoull(lost_text, NULL, 10);
}

static bool count_done(void *arg, const struct idem_digest *digest,
                       const struct idem_record *record) {
    uint64_t *count = arg;
    (void)digest;
    *count += record->state == IDEM_RECORD_DONE ? 1 : 0;
    return true;
}

/* Whoever comes next finds all that was not reported as lost. */
static void check_account(uint64_t owed) {
    struct idem_error error = IDEM_ERROR_INIT;
    uint64_t there = 0;
    proxy_stall(proxy, false);
    proxy_delay(proxy, 0);
    assert_in_range(lost(), 0, owed);
    open_store(10000);
    if (idem_store_iterate(box.store, T0, count_done, &there, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
    assert_in_range(there, owed - lost(), owed);
}

static void all_is_paid_where_the_server_is_quick(void **state) {
    (void)state;
    open_store(5000);
    owe(20000);
    reach_again();
    close_within(CLOSE_MS(5000));
    assert_string_equal(lost_text, "");
    check_account(20000);
}

static void a_slow_link_is_paid_for_a_few_seconds(void **state) {
    (void)state;
    open_store(2000);
    owe(MANY);
    proxy_delay(proxy, 150);
    reach_again();
    close_within(CLOSE_MS(2000));
    assert_in_range(lost(), 1, MANY - 1000); /* more than a few at a time went through */
    check_account(MANY);
}

static void a_server_that_is_away_costs_no_time(void **state) {
    (void)state;
    open_store(100);
    owe(1000);
    close_within(CLOSE_MS(100));
    assert_int_equal(lost(), 1000);
}

static void a_server_killed_while_it_is_paid_ends_the_closing(void **state) {
    (void)state;
    open_store(300);
    owe(1000);
    reach_again();
    redis_kill(&server);
    close_within(CLOSE_MS(300));
    assert_in_range(lost(), 1, 1000);
}

static void a_server_stopped_while_it_is_paid_ends_the_closing(void **state) {
    (void)state;
    open_store(300);
    owe(1000);
    reach_again();
    redis_freeze(&server);
    close_within(CLOSE_MS(300));
    assert_in_range(lost(), 1, 1000);
    redis_thaw(&server);
    check_account(1000);
}

static void a_silent_network_ends_the_closing(void **state) {
    (void)state;
    open_store(300);
    owe(1000);
    reach_again();
    proxy_stall(proxy, true);
    close_within(CLOSE_MS(300));
    assert_in_range(lost(), 1, 1000);
    check_account(1000);
}

static void a_new_connection_that_stays_silent_ends_the_closing(void **state) {
    (void)state;
    open_store(300);
    owe(1000);
    reach_again();
    proxy_stall(proxy, true);
    proxy_cut(proxy);
    close_within(CLOSE_MS(300));
    assert_in_range(lost(), 1, 1000);
    check_account(1000);
}

static void a_new_connection_is_paid_like_the_old_one(void **state) {
    (void)state;
    open_store(2000);
    owe(20000);
    reach_again();
    proxy_cut(proxy);
    close_within(CLOSE_MS(2000));
    assert_in_range(lost(), 0, 10000); /* those under way on the old one */
    check_account(20000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(all_is_paid_where_the_server_is_quick),
        CASE(a_slow_link_is_paid_for_a_few_seconds),
        CASE(a_server_that_is_away_costs_no_time),
        CASE(a_server_killed_while_it_is_paid_ends_the_closing),
        CASE(a_server_stopped_while_it_is_paid_ends_the_closing),
        CASE(a_silent_network_ends_the_closing),
        CASE(a_new_connection_that_stays_silent_ends_the_closing),
        CASE(a_new_connection_is_paid_like_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
