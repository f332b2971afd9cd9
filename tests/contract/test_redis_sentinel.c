/* SPDX-License-Identifier: MIT
 * The Redis store finds its server through sentinels, and follows a fail-over. */
#include "stores.h"

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static struct redis_server master;
static struct redis_server replica;
static struct redis_server sentinel;
static struct stores_box box;
static unsigned dead_port;

static const char *const lasting[] = {"--appendonly", "yes", NULL};

static void start_sentinel(void) {
    static const char *const options[] = {"--sentinel", NULL};
    char text[512];
    files_make_dir(sentinel.dir);
    (void)snprintf(text, sizeof text,
                   "sentinel monitor orders 127.0.0.1 %u 1\n"
                   "sentinel down-after-milliseconds orders 300\n"
                   "sentinel failover-timeout orders 2000\n",
                   master.port);
    files_write(sentinel.dir, "sentinel.conf", text);
    (void)snprintf(sentinel.config, sizeof sentinel.config, "%s/sentinel.conf",
                   sentinel.dir);
    redis_start(&sentinel, options);
}

/* The first sentinel of the URL does not exist: the second has to be asked. */
static void use_master(const char *name) {
    (void)snprintf(box.url, sizeof box.url,
                   "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/%s?timeout=2s", dead_port,
                   sentinel.port, name);
}

static int start_all(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    dead_port = redis_free_port();
    redis_start(&master, lasting);
    redis_start(&replica, lasting);
    (void)redis_tell(&replica, "REPLICAOF 127.0.0.1 %u", master.port);
    int64_t deadline = testing_deadline();
    while (redis_tell(&master, "WAIT 1 100") < 1) {
        assert_true(testing_remaining_ms(deadline) > 0);
    }
    start_sentinel();
    return 0;
}

static int stop_all(void **state) {
    (void)state;
    stores_close(&box);
    redis_remove(&sentinel);
    redis_remove(&replica);
    redis_remove(&master);
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
    assert_true(redis_tell(&master, "DBSIZE") >= 1);
}

static void a_master_that_no_sentinel_knows_is_refused(void **state) {
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    use_master("nobody");
    (void)snprintf(box.url, sizeof box.url, "redis+sentinel://127.0.0.1:%u/nobody",
                   sentinel.port);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "no master of that name"));
}

static void a_sentinel_in_place_of_a_server_is_refused(void **state) {
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    (void)snprintf(box.url, sizeof box.url, "redis://127.0.0.1:%u", sentinel.port);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "redis+sentinel://"));
}

static bool sentinel_sees_the_replica(void) {
    redisReply *reply = redis_ask(&sentinel, "SENTINEL replicas orders");
    bool sees = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
    freeReplyObject(reply);
    return sees;
}

static void a_fail_over_is_followed(void **state) {
    (void)state;
    open_when_found();
    int64_t deadline = testing_deadline();
    while (!sentinel_sees_the_replica()) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
    }
    stores_put_done(&box, 1, T0, HOUR);
    assert_int_equal(redis_tell(&master, "WAIT 1 5000"), 1);
    redis_kill(&master);
    deadline = testing_deadline();
    while (stores_claim(&box, 1, &stores_me, T0, 1000).code != IDEM_OK) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
        idem_store_dispatch(box.store);
    }
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(&box, 2, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
    assert_true(redis_tell(&replica, "DBSIZE") >= 2);
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
