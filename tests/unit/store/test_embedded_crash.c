/* SPDX-License-Identifier: MIT
 * What the embedded store remembers after its process was killed with SIGKILL. */
#include "children.h"
#include "stores.h"

#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define URL  "embedded://%s/store"
#define SLOW URL "?commit=10s" /* nothing is committed unless a sync asks for it */

static void make_closed(struct stores_box *box, const char *url) {
    memset(box, 0, sizeof *box);
    stores_make(box, url);
    stores_close(box);
}

static void crash(struct stores_box *box, child_body *body) {
    struct child child;
    child_start(&child, body, box);
    assert_int_equal(child_result(&child), 1);
    child_kill(&child);
}

static int sync_then_change(struct child *child, void *arg) {
    struct stores_box *box = arg;
    stores_open(box);
    stores_put_done(box, 1, T0, HOUR);
    (void)stores_claim(box, 2, &stores_me, T0, 30000);
    (void)stores_claim(box, 3, &stores_me, T0, 30000);
    stores_sync(box);
    (void)stores_complete(box, 3, &stores_me, T0, HOUR);
    (void)stores_claim(box, 4, &stores_me, T0, 30000);
    child_report(child, 1);
    (void)pause();
    return 1;
}

static void what_was_synced_survives_a_kill(void **state) {
    (void)state;
    struct stores_box box;
    make_closed(&box, SLOW);
    crash(&box, sync_then_change);
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 1, &stores_me_restarted, T0 + 1, 30000).outcome,
                     IDEM_CLAIM_DONE);
    stores_remove(&box);
}

static void a_pending_claim_is_in_doubt_after_a_kill(void **state) {
    (void)state;
    struct stores_box box;
    make_closed(&box, SLOW);
    crash(&box, sync_then_change);
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 2, &stores_other, T0 + 1, 30000).outcome,
                     IDEM_CLAIM_IN_FLIGHT);
    struct idem_answer answer =
        stores_claim(&box, 2, &stores_me_restarted, T0 + 1, 30000);
    assert_int_equal(answer.outcome, IDEM_CLAIM_TAKEN_OVER);
    assert_int_equal(answer.record.owner.incarnation, stores_me.incarnation);
    assert_int_equal(answer.record.first_seen_ms, T0);
    stores_remove(&box);
}

static void a_completion_that_was_not_committed_leaves_a_doubt(void **state) {
    (void)state;
    struct stores_box box;
    make_closed(&box, SLOW);
    crash(&box, sync_then_change);
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 3, &stores_me_restarted, T0 + 1, 30000).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
    stores_remove(&box);
}

static void a_claim_that_was_not_committed_is_new(void **state) {
    (void)state;
    struct stores_box box;
    make_closed(&box, SLOW);
    crash(&box, sync_then_change);
    stores_open(&box);
    assert_int_equal(stores_claim(&box, 4, &stores_me_restarted, T0 + 1, 30000).outcome,
                     IDEM_CLAIM_NEW);
    stores_remove(&box);
}

/* Reports each key when the store says that its completion is durable; killed at any
 * moment. */
static int complete_durably(struct child *child, void *arg) {
    struct stores_box *box = arg;
    stores_open(box);
    for (uint64_t n = 1; n < UINT64_MAX; n++) {
        struct stores_answer claimed = {.calls = 0};
        struct stores_answer completed = {.calls = 0};
        stores_submit_claim(box, n, T0, &claimed);
        stores_submit_completion(box, n, T0, HOUR, &completed);
        stores_await(box->store, &claimed);
        stores_await(box->store, &completed);
        if (completed.answer.code != IDEM_OK) {
            return 1;
        }
        child_report(child, n);
    }
    return 1;
}

static void what_was_answered_as_durable_survives_a_kill_at_any_time(void **state) {
    (void)state;
    uint64_t rounds = testing_instrumented() ? 3 : 10;
    for (uint64_t round = 1; round <= rounds; round++) {
        struct stores_box box;
        struct child child;
        uint64_t last = 0;
        make_closed(&box, URL "?commit=1ms");
        child_start(&child, complete_durably, &box);
        while (last < 3 * round) {
            last = child_result(&child);
        }
        child_kill(&child);
        stores_open(&box);
        for (uint64_t n = 1; n <= last; n++) {
            assert_int_equal(stores_claim(&box, n, &stores_me_restarted, T0, 1).outcome,
                             IDEM_CLAIM_DONE);
        }
        stores_remove(&box);
    }
}

/* Load of all kinds until it is killed; the parent does not know where it was. */
static int change_busily(struct child *child, void *arg) {
    struct stores_box *box = arg;
    stores_open(box);
    for (uint64_t n = 1; n < UINT64_MAX; n++) {
        stores_put_done(box, n, T0, HOUR);
        if (n % 7 == 0) {
            (void)stores_forget(box, n - 3);
        }
        if (n % 2000 == 0) {
            child_report(child, n);
        }
    }
    return 1;
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    (void)digest;
    (void)record;
    ++*(uint64_t *)arg;
    return true;
}

static void the_file_is_sound_after_a_kill_under_load(void **state) {
    (void)state;
    struct stores_box box;
    make_closed(&box, URL "?commit=1ms&map=1MiB");
    for (int round = 0; round < 4; round++) {
        struct child child;
        uint64_t visited = 0;
        struct idem_store_stats stats;
        child_start(&child, change_busily, &box);
        (void)child_result(&child);
        (void)child_result(&child);
        child_kill(&child);
        stores_open(&box);
        assert_int_equal(idem_store_iterate(box.store, T0, count_visit, &visited, NULL),
                         IDEM_OK);
        stores_sync(&box); /* merges what was replayed; until then the count is a bound */
        idem_store_read_stats(box.store, &stats);
        assert_int_equal(stats.keys, visited);
        (void)stores_forget(&box, 1);
        stores_put_done(&box, 1, T0, HOUR);
        stores_sync(&box);
        for (uint64_t n = 1; n < 100000; n++) {
            (void)stores_forget(&box, n); /* the next round begins anew */
        }
        stores_close(&box);
    }
    stores_remove(&box);
}

/* Looks into the file with LMDB itself, as often at a time as it lets it, and never
 * ends. */
static int look_for_ever(struct child *child, void *arg) {
    const struct stores_box *box = arg;
    char path[FILES_PATH_MAX + 8];
    MDB_env *env;
    MDB_txn *txn;
    (void)snprintf(path, sizeof path, "%s/store", box->dir);
    (void)child_await(child);
    if (mdb_env_create(&env) != 0 ||
        mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600) != 0 ||
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0) {
        return 1;
    }
    while (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0) {
    }
    child_report(child, 1);
    (void)pause();
    return 1;
}

/* Its pages are free again when room is needed: the file does not grow beyond its map. */
static void a_killed_reader_does_not_pin_the_file(void **state) {
    (void)state;
    struct stores_box box;
    struct child child;
    struct idem_store_stats stats;
    make_closed(&box, URL "?map=1MiB");
    child_start(&child, look_for_ever, &box);
    stores_open(&box);
    child_tell(&child, 1);
    assert_int_equal(child_result(&child), 1);
    child_kill(&child);
    for (uint64_t n = 0; n < 300; n++) {
        stores_put_done(&box, n, T0, HOUR);
        stores_sync(&box);
    }
    idem_store_read_stats(box.store, &stats);
    assert_int_equal(stats.map_growths, 0);
    assert_int_equal(stats.keys, 300);
    stores_remove(&box);
}

static int look_once(struct child *child, void *arg) {
    struct stores_box view = *(struct stores_box *)arg;
    struct idem_error error;
    (void)child_await(child);
    enum idem_code code = stores_try(&view, true, &view.store, &error);
    stores_close(&view);
    return code == IDEM_OK ? 0 : 1;
}

static void killed_readers_leave_their_places_to_others(void **state) {
    (void)state;
    struct stores_box box;
    struct child killed;
    struct child child;
    make_closed(&box, URL);
    child_start(&killed, look_for_ever, &box);
    child_start(&child, look_once, &box);
    stores_open(&box);
    child_tell(&killed, 1);
    assert_int_equal(child_result(&killed), 1);
    child_kill(&killed);
    child_tell(&child, 1);
    child_end(&child);
    stores_remove(&box);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_survives_a_kill),
        cmocka_unit_test(a_pending_claim_is_in_doubt_after_a_kill),
        cmocka_unit_test(a_completion_that_was_not_committed_leaves_a_doubt),
        cmocka_unit_test(a_claim_that_was_not_committed_is_new),
        cmocka_unit_test(what_was_answered_as_durable_survives_a_kill_at_any_time),
        cmocka_unit_test(the_file_is_sound_after_a_kill_under_load),
        cmocka_unit_test(a_killed_reader_does_not_pin_the_file),
        cmocka_unit_test(killed_readers_leave_their_places_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
