/* SPDX-License-Identifier: MIT
 * Sliding windows on a real Redis: what becomes of the key there, and what where it cannot be extended. */
#include "stores.h"

#include "store/redis/layout.h"

#include <stdio.h>
#include <string.h>

#define T0     INT64_C(1700000000000)
#define HOUR   INT64_C(3600000)
#define MINUTE INT64_C(60000)

static struct redis_server server;
static struct stores_box box;
static struct stores_box second;

static void use(struct stores_box *which, const char *credentials) {
    memset(which, 0, sizeof *which);
    (void)snprintf(which->url, sizeof which->url, "unix://%s%s?timeout=10s", credentials,
                   server.socket);
}

static int start(void **state) {
    (void)state;
    redis_start(&server, NULL);
    use(&box, "");
    use(&second, "");
    stores_open(&box);
    return 0;
}

static int stop(void **state) {
    (void)state;
    stores_close(&box);
    stores_close(&second);
    redis_remove(&server);
    return 0;
}

static struct stores_answer copy_at(struct stores_box *which, uint64_t n,
                                    int64_t now_ms) {
    struct idem_claim claim = stores_claim_of(n, &stores_other, now_ms, 1000);
    claim.extend_ms = HOUR;
    return stores_claim_as(which, &claim);
}

static void assert_ends(uint64_t n, int64_t until_ms) {
    struct stores_answer found = stores_lookup(&box, n, T0);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.record.until_ms, until_ms);
}

static long long left_of(uint64_t n) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    struct idem_digest digest = stores_digest(n);
    idem_layout_key(key, &digest);
    return redis_tell(&server, "PTTL %b", key, sizeof key);
}

static void the_key_stays_as_long_as_its_record(void **state) {
    (void)state;
    stores_put_done(&box, 1, T0, MINUTE);
    assert_true(left_of(1) <= 2 * MINUTE);
    assert_int_equal(copy_at(&box, 1, T0 + 1000).answer.outcome, IDEM_CLAIM_DONE);
    assert_true(left_of(1) > HOUR - MINUTE);
    assert_ends(1, T0 + 1000 + HOUR);
}

static void every_instance_sees_the_later_end(void **state) {
    (void)state;
    stores_open(&second);
    stores_put_done(&box, 1, T0, MINUTE);
    assert_int_equal(copy_at(&second, 1, T0 + MINUTE - 1).answer.outcome,
                     IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(&box, 1, &stores_me, T0 + HOUR, 1000).outcome,
                     IDEM_CLAIM_DONE);
}

static void a_flushed_script_is_loaded_again(void **state) {
    (void)state;
    for (uint64_t n = 0; n < 10; n++) {
        stores_put_done(&box, n, T0, MINUTE);
        (void)redis_tell(&server, "SCRIPT FLUSH");
        assert_int_equal(copy_at(&box, n, T0).answer.outcome, IDEM_CLAIM_DONE);
        assert_ends(n, T0 + HOUR);
    }
}

static void what_cannot_be_extended_is_a_duplicate_all_the_same(void **state) {
    (void)state;
    (void)redis_tell(&server, "ACL SETUSER idem on >pw ~* +@all -setrange");
    use(&second, "idem:pw@");
    stores_open(&second);
    (void)stores_claim(&box, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_complete_with(&box, 1, T0, MINUTE, idem_span_text("result")),
                     IDEM_OK);
    struct stores_answer copy = copy_at(&second, 1, T0);
    assert_int_equal(copy.answer.code, IDEM_OK);
    assert_int_equal(copy.answer.outcome, IDEM_CLAIM_DONE);
    assert_int_equal(copy.answer.record.result.len, 6);
    assert_memory_equal(copy.result, "result", 6);
    assert_ends(1, T0 + MINUTE);
}

/* Between the claim's two commands anybody may come: here the record goes, over and over. */
static void a_record_that_goes_meanwhile_is_claimed_anew(void **state) {
    (void)state;
    stores_open(&second);
    for (uint64_t n = 0; n < 50; n++) {
        struct stores_answer claimed = {.calls = 0};
        struct stores_answer forgotten = {.calls = 0};
        struct idem_claim claim = stores_claim_of(n, &stores_other, T0, 1000);
        struct idem_digest digest = stores_digest(n);
        claim.extend_ms = HOUR;
        stores_put_done(&box, n, T0, MINUTE);
        idem_store_claim(box.store, &claim, stores_note, &claimed);
        idem_store_forget(second.store, &digest, stores_note, &forgotten);
        idem_store_dispatch(box.store);
        idem_store_dispatch(second.store);
        stores_await(second.store, &forgotten);
        stores_await(box.store, &claimed);
        assert_int_equal(claimed.answer.code, IDEM_OK);
        struct stores_answer found = stores_lookup(&box, n, T0);
        if (claimed.answer.outcome == IDEM_CLAIM_NEW) {
            assert_int_equal(found.answer.record.state, IDEM_RECORD_PENDING);
        } else {
            assert_int_equal(claimed.answer.outcome, IDEM_CLAIM_DONE);
            assert_int_equal(found.answer.code, IDEM_ERR_NOT_FOUND);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(the_key_stays_as_long_as_its_record),
        CASE(every_instance_sees_the_later_end),
        CASE(a_flushed_script_is_loaded_again),
        CASE(what_cannot_be_extended_is_a_duplicate_all_the_same),
        CASE(a_record_that_goes_meanwhile_is_claimed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
