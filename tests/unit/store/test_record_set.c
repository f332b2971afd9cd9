/* SPDX-License-Identifier: MIT
 * Records packed into tables: nothing is lost on the way in and out. */
#include "store/record_set.h"

#include "store/step.h"
#include "stores.h"

#include <string.h>

static int open_set(void **state) {
    static struct idem_record_set set;
    if (idem_digest_init(NULL) != IDEM_OK || !idem_record_set_init(&set, 8)) {
        return -1;
    }
    *state = &set;
    return 0;
}

static int close_set(void **state) {
    idem_record_set_fini(*state);
    return 0;
}

static struct idem_record sample(uint64_t n) {
    struct idem_record record = {
        .state = n % 2 == 0 ? IDEM_RECORD_DONE : IDEM_RECORD_PENDING,
        .has_fingerprint = n % 3 == 0,
        .owner = {.instance = n % 5, .incarnation = n % 7},
        .first_seen_ms = (int64_t)n,
        .until_ms = (INT64_C(1) << 48) - 1 - (int64_t)n,
    };
    if (record.has_fingerprint) {
        record.fingerprint = stores_digest(n);
    }
    return record;
}

static void put(struct idem_record_set *set, uint64_t n,
                const struct idem_record *record) {
    struct idem_digest digest = stores_digest(n);
    assert_int_equal(idem_record_set_put(set, &digest, record), IDEM_OK);
}

static bool get(const struct idem_record_set *set, uint64_t n,
                struct idem_record *record) {
    struct idem_digest digest = stores_digest(n);
    return idem_record_set_find(set, &digest, record);
}

static void put_result(struct idem_record_set *set, uint64_t n, const char *result) {
    struct idem_record record = sample(2 * n);
    record.result = idem_span_text(result);
    put(set, n, &record);
}

static void all_fields_come_back(void **state) {
    for (uint64_t n = 0; n < 2000; n++) {
        struct idem_record record = sample(n);
        put(*state, n, &record);
    }
    for (uint64_t n = 0; n < 2000; n++) {
        struct idem_record expected = sample(n);
        struct idem_record record;
        assert_true(get(*state, n, &record));
        assert_int_equal(record.state, expected.state);
        assert_int_equal(record.has_fingerprint, expected.has_fingerprint);
        assert_true(idem_digest_equal(&record.fingerprint, &expected.fingerprint));
        assert_int_equal(record.owner.instance, expected.owner.instance);
        assert_int_equal(record.owner.incarnation, expected.owner.incarnation);
        assert_int_equal(record.first_seen_ms, expected.first_seen_ms);
        assert_int_equal(record.until_ms, expected.until_ms);
        assert_int_equal(record.result.len, 0);
    }
}

static void a_digest_may_be_known_to_have_no_record(void **state) {
    struct idem_record gone = {.state = IDEM_RECORD_NONE};
    struct idem_record record;
    put(*state, 1, &gone);
    assert_true(get(*state, 1, &record));
    assert_int_equal(record.state, IDEM_RECORD_NONE);
    assert_false(get(*state, 2, &record));
}

static void results_are_replaced_and_dropped(void **state) {
    struct idem_record_set *set = *state;
    struct idem_record plain = sample(2);
    struct idem_record record;
    struct idem_digest digest = stores_digest(1);
    put_result(set, 1, "first");
    put_result(set, 1, "second one");
    put_result(set, 2, "other");
    assert_true(get(set, 1, &record));
    assert_true(idem_span_equal(record.result, idem_span_text("second one")));
    assert_int_equal(set->result_bytes, strlen("second one") + strlen("other"));
    put(set, 1, &plain);
    assert_true(get(set, 1, &record));
    assert_int_equal(record.result.len, 0);
    idem_record_set_remove(set, &digest);
    digest = stores_digest(2);
    idem_record_set_remove(set, &digest);
    assert_int_equal(set->result_bytes, 0);
    assert_int_equal(set->results.count, 0);
    assert_int_equal(idem_record_set_count(set), 0);
}

static void clearing_forgets_results_too(void **state) {
    struct idem_record_set *set = *state;
    struct idem_record record;
    put_result(set, 1, "first");
    idem_record_set_clear(set);
    assert_false(get(set, 1, &record));
    assert_int_equal(set->result_bytes, 0);
    put_result(set, 1, "again");
    assert_true(get(set, 1, &record));
    assert_true(idem_span_equal(record.result, idem_span_text("again")));
}

static void more_owners_than_can_be_told_apart_are_refused(void **state) {
    struct idem_record_set *set = *state;
    struct idem_digest digest = stores_digest(1);
    struct idem_record record = sample(1);
    struct idem_record found;
    record.owner.instance = 1000;
    put(set, 2, &record);
    while (set->owner_count < 65536) {
        record.owner.instance++;
        if (set->owner_count == set->owner_room) {
            put(set, 2, &record); /* grows the list */
        } else {
            set->owners[set->owner_count++] =
                record.owner; /* quicker than 65536 searches */
        }
    }
    record.owner.instance = UINT64_MAX;
    assert_int_equal(idem_record_set_put(set, &digest, &record), IDEM_ERR_FULL);
    assert_false(idem_record_set_find(set, &digest, &found));
    record.owner.instance = 1000;
    assert_int_equal(idem_record_set_put(set, &digest, &record), IDEM_OK);
}

static void sweeping_removes_the_expired_only(void **state) {
    struct idem_record_set *set = *state;
    struct idem_record record = sample(2);
    for (uint64_t n = 0; n < 1000; n++) {
        record.until_ms = n % 2 == 0 ? 500 : 501;
        put(set, n, &record);
    }
    put_result(set, 1000, "kept");
    record.until_ms = 500;
    record.result = idem_span_text("expired");
    put(set, 1001, &record);
    size_t dropped = 0;
    for (int i = 0; i < 1000; i++) {
        dropped += idem_record_set_sweep(set, 10, 500);
    }
    assert_int_equal(dropped, 501);
    assert_int_equal(idem_record_set_count(set), 501);
    assert_int_equal(set->result_bytes, strlen("kept"));
    assert_true(get(set, 1, &record));
    assert_false(get(set, 2, &record));
}

static void merging_lets_the_newer_word_count(void **state) {
    struct idem_record_set newer;
    struct idem_record gone = {.state = IDEM_RECORD_NONE};
    struct idem_record record;
    assert_true(idem_record_set_init(&newer, 8));
    put_result(*state, 1, "old");
    put_result(*state, 2, "old");
    put_result(&newer, 1, "new");
    put(&newer, 2, &gone);
    put_result(&newer, 3, "added");
    assert_int_equal(idem_record_set_merge(*state, &newer), IDEM_OK);
    idem_record_set_fini(&newer);
    assert_true(get(*state, 1, &record));
    assert_true(idem_span_equal(record.result, idem_span_text("new")));
    assert_true(get(*state, 2, &record));
    assert_int_equal(record.state, IDEM_RECORD_NONE);
    assert_true(get(*state, 3, &record));
    assert_int_equal(idem_record_set_count(*state), 3);
}

/* A pending record whose lease is over tells of a doubt: purging leaves it alone for a
 * while. */
static void doubts_outlive_their_lease(void **state) {
    (void)state;
    assert_true(idem_record_expired(IDEM_RECORD_DONE, 1000, 1000));
    assert_false(idem_record_expired(IDEM_RECORD_DONE, 1000, 999));
    assert_false(idem_record_expired(IDEM_RECORD_PENDING, 1000, 1000));
    assert_false(
        idem_record_expired(IDEM_RECORD_PENDING, 1000, 999 + IDEM_DOUBT_KEPT_MS));
    assert_true(
        idem_record_expired(IDEM_RECORD_PENDING, 1000, 1000 + IDEM_DOUBT_KEPT_MS));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_set, close_set)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(all_fields_come_back),
        CASE(a_digest_may_be_known_to_have_no_record),
        CASE(results_are_replaced_and_dropped),
        CASE(clearing_forgets_results_too),
        CASE(more_owners_than_can_be_told_apart_are_refused),
        CASE(sweeping_removes_the_expired_only),
        CASE(merging_lets_the_newer_word_count),
        CASE(doubts_outlive_their_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
