/* SPDX-License-Identifier: MIT
 * The Redis store and replicas: waiting for them, not writing to them, and changes of roles. */
#include "logged.h"
#include "stores.h"

#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static struct redis_server server;
static struct redis_server other;
static struct stores_box box;

static const char *const forgetful[] = {"--save", "", "--appendonly", "no", NULL};

static int start_both(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    box.log = logged_open();
    redis_start(&server, forgetful);
    redis_start(&other, forgetful);
    (void)snprintf(box.url, sizeof box.url, "unix://%s?timeout=2s&wait_replicas=1",
                   server.socket);
    return 0;
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    redis_remove(&other);
    redis_remove(&server);
    return 0;
}

static void durable_operations_wait_for_replicas_where_asked(void **state) {
    struct stores_answer notes[4] = {{.calls = 0}};
    (void)state;
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
    stores_submit_claim(&box, 2, T0, &notes[0]);
    stores_await(box.store, &notes[0]);
    assert_int_equal(notes[0].answer.code, IDEM_ERR_TIMEOUT);
    (void)redis_tell(&other, "REPLICAOF 127.0.0.1 %u", server.port);
    int64_t deadline = testing_deadline();
    while (redis_tell(&server, "WAIT 1 100") < 1) {
        assert_true(testing_remaining_ms(deadline) > 0);
    }
    stores_submit_claim(&box, 3, T0, &notes[1]);
    stores_await(box.store, &notes[1]);
    assert_int_equal(notes[1].answer.code, IDEM_OK);
    stores_submit_completion(&box, 3, T0, HOUR, &notes[2]);
    stores_await(box.store, &notes[2]);
    assert_int_equal(notes[2].answer.code, IDEM_OK);
    assert_true(redis_tell(&other, "DBSIZE") >= 3);
}

static void a_replica_is_not_written(void **state) {
    (void)state;
    (void)redis_tell(&server, "REPLICAOF 127.0.0.1 %u", other.port);
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code,
                     IDEM_ERR_UNAVAILABLE);
    assert_true(logged_has("is a replica"));
}

/* A fail-over behind our back: the answer READONLY leads to a new connection. */
static void
a_server_that_becomes_a_replica_and_master_again_is_written_again(void **state) {
    (void)state;
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
    (void)redis_tell(&server, "REPLICAOF 127.0.0.1 %u", other.port);
    assert_int_equal(stores_claim(&box, 2, &stores_me, T0, 1000).code,
                     IDEM_ERR_UNAVAILABLE);
    (void)redis_tell(&server, "REPLICAOF NO ONE");
    int64_t deadline = testing_deadline();
    while (stores_claim(&box, 3, &stores_me, T0, 1000).code != IDEM_OK) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
        idem_store_dispatch(box.store);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start_both, tidy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(durable_operations_wait_for_replicas_where_asked),
        CASE(a_replica_is_not_written),
        CASE(a_server_that_becomes_a_replica_and_master_again_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
