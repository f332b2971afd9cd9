/* SPDX-License-Identifier: MIT
 * The contract of iterate, run unchanged against every backend. */
#include "contract.h"

#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define KEYS 500

/* One of ten keys is forgotten again, another is pending, a third expires at T0 +
 * 1000. */
enum { FORGOTTEN = 0, PENDING = 1, SHORT = 2 };

/* The first half is on disk, the second in memory, where there is a difference; and
 * some keys have changed since they were written. */
static void fill(struct stores_box *box) {
    box->sync_each = false;
    for (uint64_t n = 0; n < KEYS; n++) {
        if (n % 10 == PENDING) {
            (void)stores_claim(box, n, &stores_me, T0, HOUR);
        } else {
            stores_put_done(box, n, T0, n % 10 == SHORT ? 1000 : HOUR);
        }
        if (n == KEYS / 2) {
            stores_sync(box);
        }
    }
    for (uint64_t n = FORGOTTEN; n < KEYS; n += 10) {
        assert_int_equal(stores_forget(box, n), IDEM_OK);
    }
    if (contract_variant()->sync_each) {
        stores_sync(box);
    }
}

static int open_filled(void **state) {
    static struct stores_box box;
    box = contract_box();
    stores_make(&box, contract_variant()->url);
    fill(&box);
    *state = &box;
    return 0;
}

struct visits {
    struct stores_box *box;
    enum idem_record_state seen[KEYS];
    int calls;
    int stop_after;
};

static bool note_visit(void *arg, const struct idem_digest *digest,
                       const struct idem_record *record) {
    struct visits *visits = arg;
    uint64_t n = 0;
    struct idem_digest expected = stores_digest(n);
    while (!idem_digest_equal(&expected, digest) && n < KEYS) {
        expected = stores_digest(++n);
    }
    assert_in_range(n, 0, KEYS - 1);
    assert_int_equal(visits->seen[n], IDEM_RECORD_NONE); /* not twice */
    visits->seen[n] = record->state;
    visits->calls++;
    return visits->calls != visits->stop_after;
}

static void walk(struct visits *visits, int64_t now_ms) {
    assert_int_equal(
        idem_store_iterate(visits->box->store, now_ms, note_visit, visits, NULL),
        IDEM_OK);
}

static void each_live_record_is_visited_once(void **state) {
    struct visits visits = {.box = *state};
    walk(&visits, T0);
    for (uint64_t n = 0; n < KEYS; n++) {
        enum idem_record_state expected =
            n % 10 == PENDING ? IDEM_RECORD_PENDING : IDEM_RECORD_DONE;
        assert_int_equal(visits.seen[n],
                         n % 10 == FORGOTTEN ? IDEM_RECORD_NONE : expected);
    }
    assert_int_equal(visits.calls, KEYS / 10 * 9);
}

static void expired_records_are_not_visited(void **state) {
    struct visits visits = {.box = *state};
    walk(&visits, T0 + 1000);
    assert_int_equal(visits.seen[SHORT], IDEM_RECORD_NONE);
    assert_int_equal(visits.calls, KEYS / 10 * 8);
}

static void the_visitor_stops_the_walk(void **state) {
    for (int stop_after = 1; stop_after < 5; stop_after++) {
        struct visits visits = {.box = *state, .stop_after = stop_after};
        walk(&visits, T0);
        assert_int_equal(visits.calls, stop_after);
    }
}

static bool forget_visited(void *arg, const struct idem_digest *digest,
                           const struct idem_record *record) {
    struct visits *visits = arg;
    struct stores_answer note = {.calls = 0};
    assert_int_not_equal(record->state, IDEM_RECORD_NONE);
    idem_store_forget(visits->box->store, digest, stores_note, &note);
    stores_await(visits->box->store, &note);
    assert_int_equal(note.answer.code, IDEM_OK);
    visits->calls++;
    return true;
}

static void the_visitor_may_change_the_store(void **state) {
    struct visits visits = {.box = *state};
    assert_int_equal(
        idem_store_iterate(visits.box->store, T0, forget_visited, &visits, NULL),
        IDEM_OK);
    assert_int_equal(visits.calls, KEYS / 10 * 9);
    struct visits after = {.box = *state};
    walk(&after, T0);
    assert_int_equal(after.calls, 0);
}

static bool expect_result(void *arg, const struct idem_digest *digest,
                          const struct idem_record *record) {
    struct visits *visits = arg;
    struct idem_digest expected = stores_digest(KEYS);
    if (idem_digest_equal(digest, &expected)) {
        assert_true(idem_span_equal(record->result, idem_span_text("result")));
        visits->calls++;
    }
    return true;
}

static void a_visited_record_has_its_result(void **state) {
    struct visits visits = {.box = *state};
    (void)stores_claim(*state, KEYS, &stores_me, T0, HOUR);
    assert_int_equal(
        stores_complete_with(*state, KEYS, T0, HOUR, idem_span_text("result")), IDEM_OK);
    if (contract_variant()->sync_each) {
        stores_sync(*state);
    }
    assert_int_equal(
        idem_store_iterate(visits.box->store, T0, expect_result, &visits, NULL), IDEM_OK);
    assert_int_equal(visits.calls, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_filled, contract_close)

static const struct CMUnitTest contract[] = {
    CASE(each_live_record_is_visited_once), CASE(expired_records_are_not_visited),
    CASE(the_visitor_stops_the_walk),       CASE(the_visitor_may_change_the_store),
    CASE(a_visited_record_has_its_result),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
