/* SPDX-License-Identifier: MIT
 * The Redis store on a real server: what is stored, who may see it, what is warned about and refused. */
#include "logged.h"
#include "stores.h"

#include "store/redis/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)

static struct redis_server server;
static struct stores_box box;
static struct stores_box second;

static int reset(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    memset(&second, 0, sizeof second);
    box.log = logged_open();
    return 0;
}

static int tidy(void **state) {
    (void)state;
    stores_close(&box);
    stores_close(&second);
    redis_remove(&server);
    return 0;
}

/* The URL of the server, through its socket, with something before and behind the path. */
static void use(struct stores_box *which, const char *credentials, const char *query) {
    (void)snprintf(which->url, sizeof which->url, "unix://%s%s%s", credentials,
                   server.socket, query);
}

static void start(const char *const *options) {
    redis_start(&server, options);
    use(&box, "", "");
    use(&second, "", "");
}

static const char *const forgetful[] = {"--save", "", "--appendonly", "no", NULL};
static const char *const lasting[] = {"--appendonly", "yes", NULL};

static void refused(enum idem_code code, const char *hint) {
    struct idem_store *store = NULL;
    struct idem_error error;
    assert_int_equal(stores_try(&box, false, &store, &error), code);
    assert_null(store);
    if (strstr(error.text, hint) == NULL) {
        fail_msg("no '%s' in: %s", hint, error.text);
    }
}

static void a_server_that_keeps_its_keys_is_not_warned_about(void **state) {
    (void)state;
    start(lasting);
    stores_open(&box);
    assert_string_equal(logged_lines(), "");
}

static void a_server_that_may_evict_keys_is_warned_about_once(void **state) {
    static const char *const options[] = {"--appendonly", "yes", "--maxmemory-policy",
                                          "allkeys-lru", NULL};
    (void)state;
    start(options);
    stores_open(&box);
    char *first = strstr(logged_lines(), "store.evicts");
    assert_non_null(first);
    assert_non_null(strstr(first, "noeviction"));
    assert_null(strstr(first + 1, "store.evicts"));
}

static void a_server_that_keeps_nothing_on_disk_is_warned_about(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    assert_true(logged_has("store.forgets"));
}

static void a_wrong_password_is_refused_at_start(void **state) {
    static const char *const options[] = {"--requirepass", "right", NULL};
    (void)state;
    start(options);
    refused(IDEM_ERR_INVALID, "wants a password");
    use(&box, ":wrong@", "");
    refused(IDEM_ERR_INVALID, "refuses the password");
    use(&box, ":right@", "");
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code, IDEM_OK);
}

static void a_user_needs_its_own_password(void **state) {
    (void)state;
    start(forgetful);
    (void)redis_tell(&server, "ACL SETUSER idem on >s3cret ~idem:* +@all");
    use(&box, "idem:wrong@", "");
    refused(IDEM_ERR_INVALID, "refuses the password");
    use(&box, "idem:s3cret@", "");
    stores_open(&box);
    stores_put_done(&box, 1, T0, HOUR);
}

static void a_database_that_is_not_there_is_refused(void **state) {
    (void)state;
    start(forgetful);
    use(&box, "", "?db=99");
    refused(IDEM_ERR_INVALID, "refuses the database");
}

static void databases_are_kept_apart(void **state) {
    (void)state;
    start(forgetful);
    use(&second, "", "?db=3");
    stores_open(&box);
    stores_open(&second);
    stores_put_done(&box, 1, T0, HOUR);
    assert_int_equal(stores_claim(&second, 1, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_NEW);
}

static void another_secret_is_refused(void **state) {
    struct idem_secret secret;
    struct idem_store *store = NULL;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    start(forgetful);
    stores_open(&box);
    memset(&secret, 0x5a, sizeof secret);
    struct idem_store_options options = {.url = box.url, .secret = &secret};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_ERR_FORMAT);
    assert_non_null(strstr(error.text, "another secret"));
}

static void a_reading_handle_changes_nothing(void **state) {
    struct idem_error error;
    (void)state;
    start(forgetful);
    stores_open(&box);
    stores_put_done(&box, 1, T0, HOUR);
    assert_int_equal(stores_try(&box, true, &second.store, &error), IDEM_OK);
    assert_int_equal(stores_lookup(&second, 1, T0).answer.code, IDEM_OK);
    assert_int_equal(stores_claim(&second, 2, &stores_me, T0, 1000).code,
                     IDEM_ERR_UNSUPPORTED);
    assert_int_equal(stores_complete(&second, 1, &stores_me, T0, 1000),
                     IDEM_ERR_UNSUPPORTED);
    assert_int_equal(stores_abandon(&second, 1, &stores_me), IDEM_ERR_UNSUPPORTED);
    assert_int_equal(stores_forget(&second, 1), IDEM_ERR_UNSUPPORTED);
    struct idem_restoration something = {
        .record = {.state = IDEM_RECORD_DONE, .until_ms = T0 + 1}, .now_ms = T0};
    assert_int_equal(stores_restore(&second, &something), IDEM_ERR_UNSUPPORTED);
}

static void two_instances_see_each_others_claims(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    stores_open(&second);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
    struct idem_answer answer = stores_claim(&second, 1, &stores_other, T0, 1000);
    assert_int_equal(answer.outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(answer.record.owner.instance, stores_me.instance);
    assert_int_equal(stores_complete(&box, 1, &stores_me, T0, HOUR), IDEM_OK);
    assert_int_equal(stores_claim(&second, 1, &stores_other, T0, 1000).outcome,
                     IDEM_CLAIM_DONE);
}

static void only_one_of_two_instances_takes_a_dead_claim_over(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    stores_open(&second);
    for (uint64_t n = 0; n < 50; n++) {
        struct idem_owner dead = {0x9999, 1};
        (void)stores_claim(&box, n, &dead, T0, 1000);
    }
    for (uint64_t n = 0; n < 50; n++) {
        struct stores_answer answers[2] = {{.calls = 0}};
        const struct idem_owner *owners[2] = {&stores_me, &stores_other};
        struct stores_box *boxes[2] = {&box, &second};
        for (int i = 0; i < 2; i++) {
            struct idem_claim claim = {.digest = stores_digest(n),
                                       .owner = *owners[i],
                                       .now_ms = T0 + 2000,
                                       .lease_ms = 1000};
            idem_store_claim(boxes[i]->store, &claim, stores_note, &answers[i]);
        }
        stores_await(box.store, &answers[0]);
        stores_await(second.store, &answers[1]);
        int sum = (answers[0].answer.outcome == IDEM_CLAIM_TAKEN_OVER) +
                  (answers[1].answer.outcome == IDEM_CLAIM_TAKEN_OVER);
        assert_int_equal(sum, 1);
        sum += (answers[0].answer.outcome == IDEM_CLAIM_IN_FLIGHT) +
               (answers[1].answer.outcome == IDEM_CLAIM_IN_FLIGHT);
        assert_int_equal(sum, 2);
    }
}

static void every_record_expires_by_itself(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    (void)stores_claim(&box, 1, &stores_me, T0, 1000);
    stores_put_done(&box, 2, T0, HOUR);
    (void)stores_claim(&box, 3, &stores_me, T0, 1000);
    (void)stores_claim(&box, 3, &stores_other, T0 + 1000, 1000);
    stores_put_done(&box, 4, T0, 1000);
    (void)stores_claim(&box, 4, &stores_other, T0 + 1000, 1000);
    for (uint64_t n = 1; n <= 4; n++) {
        uint8_t key[IDEM_LAYOUT_KEY_SIZE];
        struct idem_digest digest = stores_digest(n);
        idem_layout_key(key, &digest);
        long long left = redis_tell(&server, "PTTL %b", key, sizeof key);
        int64_t least = n == 2 ? HOUR : 1000;
        assert_true(left > least - 60000 && left <= least + INT64_C(73) * HOUR);
    }
}

static void records_leave_redis_some_time_after_their_end(void **state) {
    (void)state;
    assert_true(idem_layout_kept_ms(IDEM_RECORD_DONE, 1000) >= 1000 + 60000);
    assert_true(idem_layout_kept_ms(IDEM_RECORD_PENDING, 1000) >= 1000 + 72 * HOUR);
}

static void digests_of_any_bytes_are_kept_apart(void **state) {
    static const char *const digests[] = {
        "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
        "}}}}}}}}}}}}}}}}",
        "{{{{{{{{{{{{{{{{",
        "*?[a]*?[a]*?[a]!",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    enum { COUNT = sizeof digests / sizeof digests[0] };
    (void)state;
    start(forgetful);
    stores_open(&box);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            struct stores_answer note = {.calls = 0};
            struct idem_claim claim = {
                .owner = stores_me, .now_ms = T0, .lease_ms = 1000};
            memcpy(claim.digest.bytes, digests[i], IDEM_DIGEST_SIZE);
            idem_store_claim(box.store, &claim, stores_note, &note);
            stores_await(box.store, &note);
            assert_int_equal(note.answer.outcome,
                             round == 0 ? IDEM_CLAIM_NEW : IDEM_CLAIM_IN_FLIGHT);
        }
    }
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    int *visits = arg;
    for (uint64_t n = 0; n < 3000; n++) {
        struct idem_digest one = stores_digest(n);
        if (idem_digest_equal(&one, digest)) {
            visits[n]++;
            assert_int_equal(record->first_seen_ms, T0);
        }
    }
    return true;
}

static bool stop_at_ten(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    int *visits = arg;
    (void)digest;
    (void)record;
    return ++*visits < 10;
}

static void a_walk_visits_each_live_record_once(void **state) {
    static int visits[3000];
    static struct stores_answer answers[3000];
    int stopped = 0;
    (void)state;
    memset(visits, 0, sizeof visits);
    memset(answers, 0, sizeof answers);
    start(forgetful);
    stores_open(&box);
    for (uint64_t n = 0; n < 3000; n++) {
        stores_submit_claim(&box, n, n < 2000 ? T0 : T0 - 5000, &answers[n]);
    }
    stores_sync(&box);
    (void)redis_tell(&server, "SET idem:{other} x");
    (void)redis_tell(&server, "SET other x");
    assert_int_equal(idem_store_iterate(box.store, T0, count_visit, visits, NULL),
                     IDEM_OK);
    for (size_t n = 0; n < 3000; n++) {
        assert_int_equal(visits[n], n < 2000 ? 1 : 0);
    }
    assert_int_equal(idem_store_iterate(box.store, T0, stop_at_ten, &stopped, NULL),
                     IDEM_OK);
    assert_int_equal(stopped, 10);
}

static void put_raw(uint64_t n, const char *bytes, size_t length) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    struct idem_digest digest = stores_digest(n);
    idem_layout_key(key, &digest);
    (void)redis_tell(&server, "SET %b %b", key, sizeof key, bytes, length);
}

static void what_is_no_record_is_left_alone(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    put_raw(1, "hello", 5);
    put_raw(2, "", 0);
    put_raw(3, "\x7fnew layout", 11);
    (void)stores_claim(&box, 4, &stores_me, T0, 1000);
    static const enum idem_code codes[] = {IDEM_ERR_VERSION, IDEM_ERR_FORMAT,
                                           IDEM_ERR_VERSION};
    for (uint64_t n = 1; n <= 3; n++) {
        enum idem_code code = codes[n - 1];
        assert_int_equal(stores_claim(&box, n, &stores_me, T0, 1000).code, code);
        assert_int_equal(stores_lookup(&box, n, T0).answer.code, code);
        assert_int_equal(stores_complete(&box, n, &stores_me, T0, HOUR), code);
        assert_int_equal(stores_abandon(&box, n, &stores_me), code);
    }
    assert_int_equal(stores_claim(&box, 4, &stores_me, T0, 1000).outcome,
                     IDEM_CLAIM_IN_FLIGHT);
}

static void a_key_of_another_type_is_a_format_error(void **state) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    struct idem_digest digest = stores_digest(1);
    (void)state;
    start(forgetful);
    stores_open(&box);
    idem_layout_key(key, &digest);
    (void)redis_tell(&server, "LPUSH %b x", key, sizeof key);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code, IDEM_ERR_FORMAT);
    assert_int_equal(stores_lookup(&box, 1, T0).answer.code, IDEM_ERR_FORMAT);
    assert_int_equal(stores_forget(&box, 1), IDEM_OK);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
}

static void scripts_come_back_after_a_flush(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    for (uint64_t n = 0; n < 20; n++) {
        (void)stores_claim(&box, n, &stores_me, T0, 1000);
    }
    for (uint64_t n = 0; n < 20; n += 2) {
        (void)redis_tell(&server, "SCRIPT FLUSH");
        assert_int_equal(stores_complete(&box, n, &stores_me, T0, HOUR), IDEM_OK);
        assert_int_equal(stores_abandon(&box, n + 1, &stores_me), IDEM_OK);
    }
    (void)redis_tell(&server, "SCRIPT FLUSH");
    (void)stores_claim(&box, 100, &stores_me, T0, 1000);
    assert_int_equal(stores_claim(&box, 100, &stores_other, T0 + 1000, 1000).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
}

static long long calls_of(const char *command) {
    char pattern[64];
    redisReply *reply = redis_ask(&server, "INFO commandstats");
    (void)snprintf(pattern, sizeof pattern, "cmdstat_%s:calls=", command);
    const char *at = strstr(reply->str, pattern);
    long long calls = at != NULL ? atoll(at + strlen(pattern)) : 0;
    freeReplyObject(reply);
    return calls;
}

static void a_claim_is_one_command_and_a_completion_one_script(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    (void)redis_tell(&server, "CONFIG RESETSTAT");
    for (uint64_t n = 0; n < 10; n++) {
        stores_put_done(&box, n, T0, HOUR);
    }
    assert_int_equal(calls_of("evalsha"), 10);
    assert_int_equal(calls_of("eval"), 0);
    assert_int_equal(calls_of("set"), 20);
}

static void a_full_server_claims_nothing(void **state) {
    (void)state;
    start(forgetful);
    stores_open(&box);
    (void)redis_tell(&server, "CONFIG SET maxmemory 1");
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).code, IDEM_ERR_FULL);
    (void)redis_tell(&server, "CONFIG SET maxmemory 0");
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0, 1000).outcome, IDEM_CLAIM_NEW);
}

static void ten_thousand_claims_go_down_the_pipeline_in_order(void **state) {
    enum { COUNT = 10000 };
    static struct stores_answer claims[COUNT];
    static struct stores_answer completions[COUNT];
    (void)state;
    memset(claims, 0, sizeof claims);
    memset(completions, 0, sizeof completions);
    start(forgetful);
    use(&box, "", "?timeout=30s");
    stores_open(&box);
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_submit_claim(&box, n, T0, &claims[n]);
        stores_submit_completion(&box, n, T0, HOUR, &completions[n]);
    }
    stores_sync(&box);
    for (uint64_t n = 0; n < COUNT; n++) {
        assert_int_equal(claims[n].calls, 1);
        assert_int_equal(claims[n].answer.outcome, IDEM_CLAIM_NEW);
        assert_int_equal(completions[n].answer.code, IDEM_OK);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_server_that_keeps_its_keys_is_not_warned_about),
        CASE(a_server_that_may_evict_keys_is_warned_about_once),
        CASE(a_server_that_keeps_nothing_on_disk_is_warned_about),
        CASE(a_wrong_password_is_refused_at_start),
        CASE(a_user_needs_its_own_password),
        CASE(a_database_that_is_not_there_is_refused),
        CASE(databases_are_kept_apart),
        CASE(another_secret_is_refused),
        CASE(a_reading_handle_changes_nothing),
        CASE(two_instances_see_each_others_claims),
        CASE(only_one_of_two_instances_takes_a_dead_claim_over),
        CASE(every_record_expires_by_itself),
        CASE(records_leave_redis_some_time_after_their_end),
        CASE(digests_of_any_bytes_are_kept_apart),
        CASE(a_walk_visits_each_live_record_once),
        CASE(what_is_no_record_is_left_alone),
        CASE(a_key_of_another_type_is_a_format_error),
        CASE(scripts_come_back_after_a_flush),
        CASE(a_claim_is_one_command_and_a_completion_one_script),
        CASE(a_full_server_claims_nothing),
        CASE(ten_thousand_claims_go_down_the_pipeline_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
