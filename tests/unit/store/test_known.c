/* SPDX-License-Identifier: MIT
 * The embedded store's filter excludes nothing that is there: while it is filled, while
 * the store changes under it, when another one takes its place. */
#include "store/embedded/embedded.h"

#include "children.h"
#include "stores.h"

#include <string.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define URL  "embedded://%s/store"

struct view {
    bool exists;
    size_t room;
    size_t excluded; /* of the keys asked for */
};

/* What the filter says of the keys from..to-1. */
static struct view look(struct stores_box *box, uint64_t from, uint64_t to) {
    struct idem_embedded *embedded = idem_embedded_of(box->store);
    struct view view = {.excluded = 0};
    (void)pthread_mutex_lock(&embedded->mutex);
    view.exists = embedded->known.blocks != NULL;
    view.room = embedded->known.room;
    for (uint64_t n = from; n < to; n++) {
        struct idem_digest digest = stores_digest(n);
        view.excluded += idem_filter_excludes(&embedded->known, &digest);
    }
    (void)pthread_mutex_unlock(&embedded->mutex);
    return view;
}

static void await_filter(struct stores_box *box) {
    int64_t deadline = testing_deadline();
    while (!look(box, 0, 0).exists && testing_remaining_ms(deadline) > 0) {
        testing_pause();
    }
    assert_true(look(box, 0, 0).exists);
}

static void put(struct stores_box *box, uint64_t from, uint64_t to) {
    for (uint64_t n = from; n < to; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
}

static void assert_known(struct stores_box *box, uint64_t from, uint64_t to) {
    assert_int_equal(look(box, from, to).excluded, 0);
    for (uint64_t n = from; n < to; n += 7) {
        assert_int_equal(stores_claim(box, n, &stores_me, T0, 1).outcome,
                         IDEM_CLAIM_DONE);
    }
}

/* Most, as the filter may be in vain now and then. */
static void assert_mostly_excluded(struct stores_box *box, uint64_t from, uint64_t to) {
    assert_true(look(box, from, to).excluded > (to - from) / 10 * 9);
}

static void an_empty_store_has_a_filter_at_once(void **state) {
    (void)state;
    struct stores_box box = {.sync_each = false};
    stores_make(&box, URL);
    assert_true(look(&box, 0, 0).exists);
    assert_int_equal(look(&box, 0, 1000).excluded, 1000);
    put(&box, 0, 3000);
    stores_sync(&box);
    assert_known(&box, 0, 3000);
    assert_mostly_excluded(&box, 3000, 6000);
    stores_remove(&box);
}

static void a_store_that_is_opened_again_fills_one(void **state) {
    (void)state;
    struct stores_box box = {.sync_each = false};
    stores_make(&box, URL);
    put(&box, 0, 20000);
    stores_close(&box);
    stores_open(&box);
    put(&box, 20000, 20500); /* while it is being filled */
    assert_known(&box, 0, 20500);
    await_filter(&box);
    stores_sync(&box);
    assert_known(&box, 0, 20500);
    assert_mostly_excluded(&box, 30000, 40000);
    stores_remove(&box);
}

/* The round of the sweep ends with the first step of the merge, long before the last key
 * of the journal is among the records. */
static void leave_keys(struct child *child, struct stores_box *box) {
    struct stores_answer barrier = {.calls = 0};
    put(box, 0, 10000);
    stores_submit_claim(box, 1000000, T0, &barrier);
    stores_await(box->store, &barrier);
    child_report(child, 1);
}

static int leave_journal(struct child *child, void *arg) {
    struct stores_box *box = arg;
    stores_open(box);
    leave_keys(child, box);
    (void)pause();
    return 1;
}

static void a_replayed_journal_is_in_it(void **state) {
    (void)state;
    struct stores_box box = {.sync_each = false};
    struct child child;
    stores_make(&box, URL);
    stores_close(&box);
    child_start(&child, leave_journal, &box);
    assert_int_equal(child_result(&child), 1);
    child_kill(&child);
    stores_open(&box);
    await_filter(&box);
    assert_known(&box, 0, 10000);
    stores_sync(&box);
    assert_known(&box, 0, 10000);
    assert_mostly_excluded(&box, 30000, 40000);
    stores_remove(&box);
}

/* A small front, so that it is full soon; changes go on while each next one is filled. */
static void a_full_one_is_replaced_while_traffic_goes_on(void **state) {
    (void)state;
    enum { KEYS = 20000, EACH = 50 };
    struct stores_box box = {.sync_each = false};
    stores_make(&box, URL "?front=256");
    size_t first_room = look(&box, 0, 0).room;
    for (uint64_t n = 0; n < KEYS; n += EACH) {
        put(&box, n, n + EACH);
        stores_sync(&box);
        if (n % (20 * EACH) == 0) {
            assert_int_equal(look(&box, 0, n + EACH).excluded, 0);
        }
    }
    assert_true(look(&box, 0, 0).room > 8 * first_room);
    assert_known(&box, 0, KEYS);
    assert_mostly_excluded(&box, KEYS, 2 * KEYS);
    stores_remove(&box);
}

/* What has expired is not learnt again: a store of short-lived keys keeps a small one. */
static void expired_keys_leave_it(void **state) {
    (void)state;
    enum { TURNS = 60, EACH = 100 };
    struct stores_box box = {.sync_each = false};
    stores_make(&box, URL "?front=256");
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        int64_t now_ms = T0 + (int64_t)turn * 1000;
        for (uint64_t n = turn * EACH; n < (turn + 1) * EACH; n++) {
            stores_put_done(&box, n, now_ms, 1000);
        }
        stores_sync(&box);
    }
    assert_true(look(&box, 0, 0).room < TURNS * EACH);
    assert_true(look(&box, 0, (TURNS / 2) * EACH).excluded > TURNS / 2 * EACH / 2);
    stores_remove(&box);
}

/* As if the writer had lost its core while a group joins those journalled. */
static int claim_while_joining(struct child *child, void *arg) {
    struct stores_box *box = arg;
    stores_open(box);
    struct idem_embedded *embedded = idem_embedded_of(box->store);
    (void)pthread_mutex_lock(&embedded->joining);
    for (uint64_t n = 0; n < 1000; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
    (void)pthread_mutex_unlock(&embedded->joining);
    stores_close(box);
    child_report(child, 1);
    return 0;
}

static void a_new_key_does_not_wait_for_a_group_that_joins(void **state) {
    (void)state;
    struct stores_box box = {.sync_each = false};
    struct child child;
    stores_make(&box, URL);
    stores_close(&box);
    child_start(&child, claim_while_joining, &box);
    assert_int_equal(child_result(&child), 1);
    child_end(&child);
    stores_open(&box);
    assert_known(&box, 0, 1000);
    stores_remove(&box);
}

/* Each key is asked for again when its group is about to be journalled, joins, or has
 * joined: until there have been some groups, which a busy machine takes its time for. */
static void a_key_is_known_while_its_group_joins(void **state) {
    (void)state;
    struct stores_box box = {.sync_each = false};
    struct idem_store_stats stats = {.commits = 0};
    stores_make(&box, URL "?commit=1ms");
    uint64_t n = 0;
    for (; n < 20000 || (stats.commits < 3 && n < 2000000); n++) {
        stores_put_done(&box, n, T0, HOUR);
        for (uint64_t back = 1; back <= n && back < 2000; back *= 4) {
            assert_int_equal(stores_claim(&box, n - back, &stores_me, T0, 1).outcome,
                             IDEM_CLAIM_DONE);
        }
        if (n % 1000 == 999) {
            idem_store_read_stats(box.store, &stats);
        }
    }
    idem_store_read_stats(box.store, &stats);
    assert_true(stats.commits > 2);
    assert_int_equal(stats.keys, n);
    stores_remove(&box);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_store_has_a_filter_at_once),
        cmocka_unit_test(a_store_that_is_opened_again_fills_one),
        cmocka_unit_test(a_replayed_journal_is_in_it),
        cmocka_unit_test(a_new_key_does_not_wait_for_a_group_that_joins),
        cmocka_unit_test(a_key_is_known_while_its_group_joins),
        cmocka_unit_test(a_full_one_is_replaced_while_traffic_goes_on),
        cmocka_unit_test(expired_keys_leave_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
