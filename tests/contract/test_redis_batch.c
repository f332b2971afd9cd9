/* SPDX-License-Identifier: MIT
 * Completions that go to Redis together: one command, and an answer for each of them. */
#include "stores.h"

#include "store/redis/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

enum { COUNT = 10, BUSY = 1000 };

static struct redis_server server;
static struct stores_box box;
static struct stores_answer busy;
static struct stores_answer answers[COUNT];

static int reset(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    memset(&busy, 0, sizeof busy);
    memset(answers, 0, sizeof answers);
    return 0;
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    redis_remove(&server);
    return 0;
}

/* Open, and with the keys claimed. */
static void start(const char *const *options) {
    redis_start(&server, options);
    (void)snprintf(box.url, sizeof box.url, "unix://%s", server.socket);
    stores_open(&box);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(stores_claim(&box, n, &stores_me, T0, 1000).outcome,
                         IDEM_CLAIM_NEW);
    }
}

/* While an answer is to come: alone, each would be sent at once. */
static void submit_all(void) {
    stores_submit_claim(&box, BUSY, T0, &busy);
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_submit_completion(&box, n, T0, HOUR, &answers[n]);
    }
}

static void complete_all(void) {
    submit_all();
    stores_sync(&box);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(answers[n].calls, 1);
    }
}

static enum idem_record_state state_of(uint64_t n) {
    const struct stores_answer found = stores_lookup(&box, n, T0 + 500);
    return found.answer.code == IDEM_OK ? found.answer.record.state : IDEM_RECORD_NONE;
}

static void all_done_but(uint64_t odd) {
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(answers[n].calls, 1);
        if (n != odd) {
            assert_int_equal(answers[n].answer.code, IDEM_OK);
            assert_int_equal(state_of(n), IDEM_RECORD_DONE);
        }
    }
}

static long long script_calls(void) {
    static const char name[] = "cmdstat_evalsha:calls=";
    redisReply *reply = redis_ask(&server, "INFO commandstats");
    const char *at = strstr(reply->str, name);
    long long calls = at != NULL ? atoll(at + sizeof name - 1) : 0;
    freeReplyObject(reply);
    return calls;
}

static void completions_that_come_together_are_one_command(void **state) {
    (void)state;
    start(NULL);
    (void)redis_tell(&server, "CONFIG RESETSTAT");
    complete_all();
    assert_int_equal(script_calls(), 1);
    all_done_but(COUNT);
    const struct stores_answer found = stores_lookup(&box, 3, T0 + HOUR - 1);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.record.first_seen_ms, T0);
    assert_int_equal(found.answer.record.until_ms, T0 + HOUR);
}

static void a_batch_leaves_another_owners_claim_alone(void **state) {
    (void)state;
    start(NULL);
    assert_int_equal(stores_claim(&box, 4, &stores_other, T0 + 1000, HOUR).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
    complete_all();
    assert_int_equal(answers[4].answer.code, IDEM_ERR_NOT_OWNER);
    assert_int_equal(state_of(4), IDEM_RECORD_PENDING);
    all_done_but(4);
}

static void a_batch_makes_nothing_of_a_key_that_is_gone(void **state) {
    (void)state;
    start(NULL);
    assert_int_equal(stores_forget(&box, 0), IDEM_OK);
    complete_all();
    assert_int_equal(answers[0].answer.code, IDEM_ERR_NOT_FOUND);
    assert_int_equal(state_of(0), IDEM_RECORD_NONE);
    all_done_but(0);
}

static void a_batch_finds_what_is_done_already(void **state) {
    (void)state;
    start(NULL);
    assert_int_equal(stores_complete(&box, 9, &stores_me, T0, 2 * HOUR), IDEM_OK);
    complete_all();
    all_done_but(COUNT);
    assert_int_equal(stores_lookup(&box, 9, T0).answer.record.until_ms, T0 + 2 * HOUR);
}

/* The script fails in the middle: what it had done by then is found done. */
static void a_batch_that_fails_in_part_is_asked_for_one_by_one(void **state) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    const struct idem_digest digest = stores_digest(5);
    (void)state;
    start(NULL);
    idem_layout_key(key, &digest);
    (void)redis_tell(&server, "DEL %b", key, sizeof key);
    (void)redis_tell(&server, "LPUSH %b x", key, sizeof key);
    complete_all();
    assert_int_equal(answers[5].answer.code, IDEM_ERR_FORMAT);
    all_done_but(5);
}

static void a_batch_survives_the_flush_of_its_script(void **state) {
    (void)state;
    start(NULL);
    (void)redis_tell(&server, "SCRIPT FLUSH");
    complete_all();
    all_done_but(COUNT);
}

static void a_claim_behind_a_completion_finds_it_done(void **state) {
    struct stores_answer again = {0};
    (void)state;
    start(NULL);
    submit_all();
    stores_submit_claim(&box, 7, T0, &again);
    stores_await(box.store, &again);
    assert_int_equal(again.answer.outcome, IDEM_CLAIM_DONE);
}

static void a_server_that_goes_ends_a_batch(void **state) {
    (void)state;
    start(NULL);
    redis_kill(&server);
    complete_all();
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_not_equal(answers[n].answer.code, IDEM_OK);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(completions_that_come_together_are_one_command),
        CASE(a_batch_leaves_another_owners_claim_alone),
        CASE(a_batch_makes_nothing_of_a_key_that_is_gone),
        CASE(a_batch_finds_what_is_done_already),
        CASE(a_batch_that_fails_in_part_is_asked_for_one_by_one),
        CASE(a_batch_survives_the_flush_of_its_script),
        CASE(a_claim_behind_a_completion_finds_it_done),
        CASE(a_server_that_goes_ends_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
