/* SPDX-License-Identifier: MIT
 * The Redis store finds its server through sentinels, and follows a fail-over. */
#include "redis_sentinel.h"
#include "stores.h"

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static struct redis_sentinel set;
static struct stores_box box;
static unsigned dead_port;

/* The first sentinel of the URL does not exist: the second has to be asked. */
static void use_master(const char *name) {
    (void)snprintf(box.url, sizeof box.url,
                   "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/%s?timeout=10s", dead_port,
                   set.sentinel.port, name);
}

static int start_all(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    redis_sentinel_start(&set);
    dead_port = redis_free_port(); /* last, so that nobody gets it */
    return 0;
}

static int stop_all(void **state) {
    (void)state;
    stores_close(&box);
    redis_sentinel_remove(&set);
    return 0;
}

static void open_when_found(void) {
    int64_t deadline = testing_deadline();
    use_master("orders");
    stores_open(&box);
    while (stores_lookup(&box, 0, T0).answer.code == IDEM_ERR_UNAVAILABLE) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
        idem_store_dispatch(box.store);
    }
}

static void the_master_is_found_through_a_sentinel_that_answers(void **state) {
    (void)state;
    open_when_found();
    stores_put_done(&box, 1, T0, HOUR);
    assert_true(redis_tell(&set.master, "DBSIZE") >= 1);
}

static void a_master_that_no_sentinel_knows_is_refused(void **state) {
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    use_master("nobody");
    (void)snprintf(box.url, sizeof box.url, "redis+sentinel://127.0.0.1:%u/nobody",
                   set.sentinel.port);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "no master of that name"));
}

static void a_sentinel_in_place_of_a_server_is_refused(void **state) {
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    (void)snprintf(box.url, sizeof box.url, "redis://127.0.0.1:%u", set.sentinel.port);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "redis+sentinel://"));
}

static void a_fail_over_is_followed(void **state) {
    (void)state;
    open_when_found();
    stores_put_done(&box, 1, T0, HOUR);
    redis_sentinel_sync(&set);
    redis_kill(&set.master);
    redis_sentinel_await_promotion(&set);
    int64_t deadline = testing_deadline();
    while (stores_claim(&box, 1, &stores_me, T0, 1000).code != IDEM_OK) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
        idem_store_dispatch(box.store);
    }
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(&box, 2, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
    assert_true(redis_tell(&set.replica, "DBSIZE") >= 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start_all, stop_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(the_master_is_found_through_a_sentinel_that_answers),
        CASE(a_master_that_no_sentinel_knows_is_refused),
        CASE(a_sentinel_in_place_of_a_server_is_refused),
        CASE(a_fail_over_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
