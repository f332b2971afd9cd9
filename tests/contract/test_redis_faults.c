/* SPDX-License-Identifier: MIT
 * The Redis store when the server is slow, silent, gone, restarted, or not a Redis at all. */
#include "logged.h"
#include "proxy.h"
#include "stores.h"

#include <idem/clock.h>

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static struct redis_server server;
static struct proxy *proxy;
static struct stores_box box;

static const char *const forgetful[] = {"--save", "", "--appendonly", "no", NULL};
static const char *const lasting[] = {"--appendonly", "yes", "--appendfsync", "always",
                                      NULL};

static int reset(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    box.log = logged_open();
    return 0;
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    proxy_stop(proxy);
    proxy = NULL;
    redis_remove(&server);
    return 0;
}

static void use_port(unsigned port, const char *query) {
    (void)snprintf(box.url, sizeof box.url, "redis://127.0.0.1:%u%s", port, query);
}

static void start_direct(const char *const *options, const char *query) {
    redis_start(&server, options);
    use_port(server.port, query);
    stores_open(&box);
}

static void start_behind_proxy(const char *query) {
    redis_start(&server, forgetful);
    proxy = proxy_start(server.port);
    use_port(proxy_port(proxy), query);
    stores_open(&box);
}

static int64_t ms_since(int64_t start_ns) {
    return (idem_clock_monotonic_ns() - start_ns) / 1000000;
}

static struct idem_answer claim(uint64_t n) {
    return stores_claim(&box, n, &stores_me, T0, 1000);
}

/* The code of one claim and how long its answer took. */
static enum idem_code timed_claim(uint64_t n, int64_t *took_ms) {
    int64_t start_ns = idem_clock_monotonic_ns();
    enum idem_code code = claim(n).code;
    *took_ms = ms_since(start_ns);
    return code;
}

/* Dispatches as the loop of a program would, for that long. */
static void turn(int64_t ms) {
    int64_t start_ns = idem_clock_monotonic_ns();
    while (ms_since(start_ns) < ms) {
        idem_store_dispatch(box.store);
        testing_pause();
    }
}

/* Until the store works again: claims of keys from n on. */
static void await_recovery(uint64_t n) {
    int64_t deadline = testing_deadline();
    while (claim(n).code != IDEM_OK) {
        assert_true(testing_remaining_ms(deadline) > 0);
        turn(20);
        n++;
    }
}

static void a_server_that_is_down_at_start_is_used_when_it_is_up(void **state) {
    int64_t took_ms = 0;
    struct idem_store_stats stats;
    (void)state;
    server.port = redis_free_port();
    use_port(server.port, "");
    stores_open(&box);
    assert_true(logged_has("store.unavailable"));
    assert_int_equal(timed_claim(1, &took_ms), IDEM_ERR_UNAVAILABLE);
    assert_true(took_ms < 50);
    idem_store_read_stats(box.store, &stats);
    assert_true(stats.failing);
    redis_start(&server, forgetful);
    await_recovery(1);
    assert_true(logged_has("store.available"));
    idem_store_read_stats(box.store, &stats);
    assert_false(stats.failing);
}

static void a_restart_between_operations_costs_nothing(void **state) {
    (void)state;
    start_direct(lasting, "?timeout=5s");
    for (uint64_t n = 0; n < 3; n++) {
        stores_put_done(&box, n, T0, HOUR);
        redis_stop(&server);
        turn(1); /* the loop hears of it ... */
        redis_start(&server, lasting);
        await_recovery(100 * (n + 1));
        assert_int_equal(claim(n).outcome, IDEM_CLAIM_DONE);
    }
}

static void a_killed_server_with_an_append_only_file_forgets_nothing(void **state) {
    (void)state;
    start_direct(lasting, "?timeout=5s");
    for (uint64_t n = 0; n < 100; n++) {
        stores_put_done(&box, n, T0, HOUR);
    }
    redis_kill(&server);
    redis_start(&server, lasting);
    await_recovery(1000);
    for (uint64_t n = 0; n < 100; n++) {
        assert_int_equal(claim(n).outcome, IDEM_CLAIM_DONE);
    }
}

static void a_stopped_server_costs_one_deadline_and_then_nothing(void **state) {
    int64_t took_ms = 0;
    (void)state;
    start_direct(forgetful, "?timeout=60ms");
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    redis_freeze(&server);
    assert_int_equal(timed_claim(2, &took_ms), IDEM_ERR_TIMEOUT);
    assert_in_range(took_ms, 55, 60 + (testing_instrumented() ? 500 : 60));
    for (uint64_t n = 3; n < 40; n++) {
        assert_int_equal(timed_claim(n, &took_ms), IDEM_ERR_UNAVAILABLE);
        assert_true(took_ms < 50);
        turn(10);
    }
    redis_thaw(&server);
    await_recovery(100);
    /* Both were true: the claim that was answered by a timeout may, and did, take effect; those that were
     * refused did not. */
    assert_int_equal(claim(2).outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(claim(3).outcome, IDEM_CLAIM_NEW);
}

static void the_programs_deadline_counts_where_the_url_has_none(void **state) {
    struct stores_answer note = {.calls = 0};
    (void)state;
    redis_start(&server, forgetful);
    use_port(server.port, "");
    struct idem_store_options options = {.url = box.url, .deadline_ms = 60};
    assert_int_equal(idem_store_open(&box.store, &options, NULL), IDEM_OK);
    redis_freeze(&server);
    int64_t start_ns = idem_clock_monotonic_ns();
    stores_submit_claim(&box, 1, T0, &note);
    stores_await(box.store, &note);
    assert_int_equal(note.answer.code, IDEM_ERR_TIMEOUT);
    assert_in_range(ms_since(start_ns), 55, testing_instrumented() ? 600 : 200);
}

static void operations_in_flight_when_the_server_stops_all_end(void **state) {
    enum { COUNT = 500 };
    static struct stores_answer notes[COUNT];
    (void)state;
    memset(notes, 0, sizeof notes);
    start_direct(forgetful, "?timeout=100ms");
    redis_freeze(&server);
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_submit_claim(&box, n, T0, &notes[n]);
    }
    stores_sync(&box);
    for (size_t n = 0; n < COUNT; n++) {
        assert_int_equal(notes[n].calls, 1);
        assert_int_equal(notes[n].answer.code, IDEM_ERR_TIMEOUT);
    }
    redis_thaw(&server);
    await_recovery(COUNT);
}

static void a_lost_connection_is_replaced_without_refusing_anything(void **state) {
    (void)state;
    start_behind_proxy("?timeout=5s");
    for (uint64_t n = 0; n < 10; n++) {
        assert_int_equal(claim(n).outcome, IDEM_CLAIM_NEW);
        unsigned before = proxy_accepted(proxy);
        proxy_cut(proxy);
        while (proxy_accepted(proxy) == before) {
            turn(1);
        }
        assert_int_equal(claim(n).outcome, IDEM_CLAIM_IN_FLIGHT);
    }
    assert_false(logged_has("store.unavailable"));
}

static void what_was_sent_on_a_lost_connection_may_have_happened(void **state) {
    (void)state;
    start_behind_proxy("?timeout=5s");
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    struct stores_answer sent = {.calls = 0};
    proxy_delay(proxy, 300);
    turn(20); /* the proxy has heard of the delay */
    stores_submit_claim(&box, 2, T0, &sent);
    turn(400);
    assert_int_equal(sent.calls,
                     0); /* it has reached the server; its answer is on the way */
    proxy_cut(proxy);
    stores_await(box.store, &sent);
    assert_int_equal(sent.answer.code, IDEM_ERR_TIMEOUT);
    proxy_delay(proxy, 0);
    await_recovery(10);
    assert_int_equal(claim(2).outcome, IDEM_CLAIM_IN_FLIGHT);
}

static void a_slow_network_within_the_deadline_is_no_fault(void **state) {
    enum { COUNT = 200 };
    static struct stores_answer notes[COUNT];
    (void)state;
    memset(notes, 0, sizeof notes);
    start_behind_proxy("?timeout=2s");
    proxy_delay(proxy, 20);
    int64_t start_ns = idem_clock_monotonic_ns();
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_submit_claim(&box, n, T0, &notes[n]);
    }
    stores_sync(&box);
    assert_true(ms_since(start_ns) < 1500); /* they went together, not one by one */
    for (size_t n = 0; n < COUNT; n++) {
        assert_int_equal(notes[n].answer.outcome, IDEM_CLAIM_NEW);
    }
    assert_false(logged_has("store.unavailable"));
}

static void
a_network_slower_than_the_deadline_is_refused_until_it_is_quick_again(void **state) {
    int64_t took_ms = 0;
    (void)state;
    start_behind_proxy("?timeout=80ms");
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    proxy_delay(proxy, 100);
    assert_int_equal(timed_claim(2, &took_ms), IDEM_ERR_TIMEOUT);
    turn(700); /* late answers and late probes do not close the breaker */
    assert_int_equal(timed_claim(3, &took_ms), IDEM_ERR_UNAVAILABLE);
    assert_true(took_ms < 50);
    proxy_delay(proxy, 0);
    await_recovery(10);
}

static void a_stalled_network_is_left_for_a_new_connection(void **state) {
    (void)state;
    start_behind_proxy("?timeout=80ms&connect_timeout=200ms");
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    unsigned before = proxy_accepted(proxy);
    proxy_stall(proxy, true);
    assert_int_equal(claim(2).code, IDEM_ERR_TIMEOUT);
    turn(600);
    proxy_stall(proxy, false);
    await_recovery(10);
    assert_true(proxy_accepted(proxy) > before);
}

static void
silence_is_noticed_by_heartbeats_before_a_message_needs_the_store(void **state) {
    int64_t took_ms = 0;
    (void)state;
    start_direct(forgetful, "?timeout=80ms&idle=200ms");
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    redis_freeze(&server);
    turn(400);
    assert_int_equal(timed_claim(2, &took_ms), IDEM_ERR_UNAVAILABLE);
    assert_true(took_ms < 50);
    redis_thaw(&server);
    await_recovery(10);
}

static void a_server_that_closes_idle_connections_costs_nothing(void **state) {
    (void)state;
    start_direct(forgetful, "?timeout=5s");
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    (void)redis_tell(&server, "CLIENT KILL TYPE normal");
    turn(50);
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_false(logged_has("store.unavailable"));
}

static void closing_while_the_server_is_stopped_answers_what_is_open(void **state) {
    struct stores_answer note = {.calls = 0};
    (void)state;
    start_direct(forgetful, "?timeout=100ms");
    redis_freeze(&server);
    stores_submit_claim(&box, 1, T0, &note);
    stores_close(&box);
    assert_int_equal(note.calls, 1);
    assert_int_equal(note.answer.code, IDEM_ERR_TIMEOUT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_server_that_is_down_at_start_is_used_when_it_is_up),
        CASE(a_restart_between_operations_costs_nothing),
        CASE(a_killed_server_with_an_append_only_file_forgets_nothing),
        CASE(a_stopped_server_costs_one_deadline_and_then_nothing),
        CASE(the_programs_deadline_counts_where_the_url_has_none),
        CASE(operations_in_flight_when_the_server_stops_all_end),
        CASE(a_lost_connection_is_replaced_without_refusing_anything),
        CASE(what_was_sent_on_a_lost_connection_may_have_happened),
        CASE(a_slow_network_within_the_deadline_is_no_fault),
        CASE(a_network_slower_than_the_deadline_is_refused_until_it_is_quick_again),
        CASE(a_stalled_network_is_left_for_a_new_connection),
        CASE(silence_is_noticed_by_heartbeats_before_a_message_needs_the_store),
        CASE(a_server_that_closes_idle_connections_costs_nothing),
        CASE(closing_while_the_server_is_stopped_answers_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
