/* SPDX-License-Identifier: MIT
 * The embedded store beside the contract: keeping, growing, purging, and other
 * processes. */
#include "children.h"
#include "stores.h"

#include "store/step.h"

#include <idem/clock.h>

#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define URL  "embedded://%s/store"

static int open_store(void **state) {
    static struct stores_box box;
    memset(&box, 0, sizeof box);
    stores_make(&box, URL);
    *state = &box;
    return 0;
}

static int close_store(void **state) {
    stores_remove(*state);
    return 0;
}

static struct idem_store_stats stats_of(struct stores_box *box) {
    struct idem_store_stats stats;
    idem_store_read_stats(box->store, &stats);
    return stats;
}

static void records_survive_closing(void **state) {
    struct stores_box *box = *state;
    stores_put_done(box, 1, T0, HOUR);
    (void)stores_claim(box, 2, &stores_me, T0, 1000);
    stores_close(box);
    stores_open(box);
    assert_int_equal(stores_claim(box, 1, &stores_me, T0, 1).outcome, IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(box, 2, &stores_me, T0, 1).outcome,
                     IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(stats_of(box).keys, 2);
}

static void removals_survive_closing(void **state) {
    struct stores_box *box = *state;
    stores_put_done(box, 1, T0, HOUR);
    stores_sync(box);
    assert_int_equal(stores_forget(box, 1), IDEM_OK);
    stores_close(box);
    stores_open(box);
    assert_int_equal(stats_of(box).keys, 0);
    assert_int_equal(stores_lookup(box, 1, T0).answer.code, IDEM_ERR_NOT_FOUND);
}

static void a_new_file_is_private(void **state) {
    struct stores_box *box = *state;
    struct stat status;
    char path[FILES_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/store", box->dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_claim_that_ends_within_its_group_costs_no_commit(void **state) {
    struct stores_box *box = *state;
    (void)stores_claim(box, 1, &stores_me, T0, 1000);
    assert_int_equal(stores_abandon(box, 1, &stores_me), IDEM_OK);
    stores_put_done(box, 2, T0, HOUR);
    stores_sync(box);
    struct idem_store_stats stats = stats_of(box);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.keys, 1);
    assert_int_equal(stats.memory_entries, 0);
}

static void groups_are_committed_without_being_asked(void **state) {
    struct stores_box *box = *state;
    int64_t deadline = testing_deadline();
    stores_put_done(box, 1, T0, HOUR);
    while (stats_of(box).commits == 0 && testing_remaining_ms(deadline) > 0) {
        testing_pause();
    }
    assert_int_equal(stats_of(box).commits, 1);
    assert_int_equal(stats_of(box).memory_entries, 1); /* until it is merged */
    assert_int_equal(stats_of(box).keys, 1);
}

/* Also when the writer sleeps already, after a change that nobody waits for. */
static void a_group_that_someone_waits_for_is_written_before_its_time(void **state) {
    (void)state;
    struct stores_box box = {.store = NULL};
    struct stores_answer claimed = {.calls = 0};
    stores_make(&box, URL "?commit=10s");
    stores_put_done(&box, 1, T0, HOUR);
    testing_pause();
    int64_t start = idem_clock_monotonic_ns();
    stores_submit_claim(&box, 2, T0, &claimed);
    stores_await(box.store, &claimed);
    assert_true(idem_clock_monotonic_ns() - start < INT64_C(8000000000));
    assert_int_equal(claimed.answer.code, IDEM_OK);
    assert_int_equal(stats_of(&box).commits, 1);
    stores_remove(&box);
}

static void a_front_half_full_is_written_before_its_time(void **state) {
    (void)state;
    struct stores_box box = {.store = NULL};
    stores_make(&box, URL "?commit=10s&front=64");
    for (uint64_t n = 0; n < 32; n++) {
        assert_int_equal(stats_of(&box).commits, 0);
        stores_put_done(&box, n, T0, HOUR);
    }
    int64_t start = idem_clock_monotonic_ns();
    while (stats_of(&box).commits == 0) {
        testing_pause();
    }
    assert_true(idem_clock_monotonic_ns() - start < INT64_C(8000000000));
    stores_remove(&box);
}

static void results_count_against_the_front(void **state) {
    (void)state;
    static const uint8_t result[4096];
    struct stores_box box = {.store = NULL};
    enum idem_code code = IDEM_OK;
    uint64_t n = 0;
    stores_make(&box, URL "?commit=10s&front=64");
    for (n = 0; code == IDEM_OK && n < 20; n++) {
        (void)stores_claim(&box, n, &stores_me, T0, 1000);
        code =
            stores_complete_with(&box, n, T0, HOUR, idem_span_of(result, sizeof result));
    }
    assert_int_equal(code, IDEM_ERR_FULL);
    assert_int_equal(n, 2 * 64 * 256 / sizeof result + 1);
    stores_sync(&box);
    assert_int_equal(
        stores_complete_with(&box, n - 1, T0, HOUR, idem_span_of(result, sizeof result)),
        IDEM_OK);
    stores_remove(&box);
}

struct late {
    struct stores_box *box;
    struct stores_answer claimed;
    struct stores_answer submitted;
};

static void submit_another(void *arg, const struct idem_answer *answer) {
    struct late *late = arg;
    stores_note(&late->claimed, answer);
    stores_submit_claim(late->box, 2, T0, &late->submitted);
}

static void what_a_callback_submits_while_closing_is_refused(void **state) {
    struct late late = {.box = *state};
    struct idem_claim claim = {.digest = stores_digest(1),
                               .durable = true,
                               .owner = stores_me,
                               .now_ms = T0,
                               .lease_ms = 1000};
    idem_store_claim(late.box->store, &claim, submit_another, &late);
    stores_close(late.box);
    assert_int_equal(late.claimed.calls, 1);
    assert_int_equal(late.claimed.answer.code, IDEM_OK);
    assert_int_equal(late.submitted.calls, 1);
    assert_int_equal(late.submitted.answer.code, IDEM_ERR_UNAVAILABLE);
}

static volatile sig_atomic_t signals_handled;

static void note_signal(int number) {
    (void)number;
    signals_handled = 1;
}

/* A signal that the program's threads block must stay pending, not find its way into
 * the writer. */
static void the_writer_takes_no_signals(void **state) {
    struct stores_box *box = *state;
    struct sigaction action = {.sa_handler = note_signal};
    sigset_t one;
    sigset_t before;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &one, &before), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    stores_put_done(box, 1, T0, HOUR); /* the writer wakes up and works */
    stores_sync(box);
    testing_pause();
    assert_int_equal(signals_handled, 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(signals_handled, 1);
}

static void the_map_grows_without_a_restart(void **state) {
    (void)state;
    enum { KEYS = 30000 };
    struct stores_box box = {.store = NULL};
    stores_make(&box, URL "?map=1MiB");
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(&box, n, T0, HOUR);
        if (n % 5000 == 0) {
            stores_sync(&box);
        }
    }
    stores_sync(&box);
    assert_true(stats_of(&box).map_growths > 0);
    assert_true(stats_of(&box).bytes > 1024 * 1024);
    assert_int_equal(stats_of(&box).keys, KEYS);
    for (uint64_t n = 0; n < KEYS; n++) {
        assert_int_equal(stores_claim(&box, n, &stores_me, T0, 1).outcome,
                         IDEM_CLAIM_DONE);
    }
    stores_close(&box);
    stores_open(&box); /* with map=1MiB again, and a file that is larger */
    assert_int_equal(stores_claim(&box, 7, &stores_me, T0, 1).outcome, IDEM_CLAIM_DONE);
    stores_remove(&box);
}

static void traffic_purges_what_has_expired(void **state) {
    enum { KEYS = 5000 };
    struct stores_box *box = *state;
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(box, n, T0, 1000);
    }
    stores_sync(box);
    for (uint64_t n = KEYS; n < KEYS + 2000; n += 100) {
        for (uint64_t i = n; i < n + 100; i++) {
            stores_put_done(box, i, T0 + 1000, HOUR);
        }
        stores_sync(box);
    }
    assert_int_equal(stats_of(box).purged, KEYS);
    assert_int_equal(stats_of(box).keys, 2000);
    assert_int_equal(stores_claim(box, KEYS, &stores_me, T0 + 1000, 1).outcome,
                     IDEM_CLAIM_DONE);
}

/* Readers rely on it, and LMDB alone does not see to it: see fill_tail in commit.c. */
static void the_file_is_never_shorter_than_it_says(void **state) {
    enum { KEYS = 10000, EACH = 500 };
    struct stores_box *box = *state;
    char path[FILES_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/store", box->dir);
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(box, n, T0, 1000);
    }
    for (uint64_t n = 0; n < KEYS; n += EACH) {
        struct stat status;
        for (uint64_t i = n; i < n + EACH; i++) {
            stores_put_done(box, KEYS + i, T0 + 1000 * (int64_t)(n / EACH), 1000);
        }
        stores_sync(box);
        assert_int_equal(stat(path, &status), 0);
        assert_true((uint64_t)status.st_size >= stats_of(box).bytes);
    }
}

/* Rounds that could not find anything are left out, until what comes later expires sooner. */
static void what_expires_sooner_than_all_before_is_purged_in_time(void **state) {
    enum { KEYS = 3000 };
    struct stores_box *box = *state;
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
    for (uint64_t n = KEYS; n < KEYS + 40; n++) {
        stores_put_done(box, n, T0, HOUR);
        stores_sync(box); /* rounds, until one has seen all of it */
    }
    for (uint64_t n = 2 * KEYS; n < 3 * KEYS; n++) {
        stores_put_done(box, n, T0, 1000);
    }
    stores_sync(box);
    assert_int_equal(stats_of(box).purged, 0);
    for (uint64_t n = 3 * KEYS; n < 3 * KEYS + 60; n++) {
        stores_put_done(box, n, T0 + 1000, HOUR);
        stores_sync(box);
    }
    assert_int_equal(stats_of(box).purged, KEYS);
    for (uint64_t n = 4 * KEYS; n < 4 * KEYS + 60; n++) {
        stores_put_done(box, n, T0 + HOUR, HOUR);
        stores_sync(box);
    }
    assert_int_equal(stats_of(box).purged, 2 * KEYS + 40);
}

static void a_quiet_store_is_purged_too(void **state) {
    enum { KEYS = 3000 };
    struct stores_box *box = *state;
    int64_t deadline = testing_deadline();
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(box, n, T0, 1000);
    }
    stores_sync(box);
    stores_put_done(box, KEYS, T0 + 1000, HOUR);
    while (stats_of(box).keys > 1 && testing_remaining_ms(deadline) > 0) {
        testing_pause();
    }
    assert_int_equal(stats_of(box).keys, 1);
    assert_int_equal(stats_of(box).purged, KEYS);
}

static void purging_keeps_doubts(void **state) {
    struct stores_box *box = *state;
    (void)stores_claim(box, 1, &stores_me, T0, 1000);
    stores_sync(box);
    stores_put_done(box, 2, T0 + 2000, HOUR);
    stores_sync(box);
    assert_int_equal(stores_claim(box, 1, &stores_other, T0 + 2000, 1).outcome,
                     IDEM_CLAIM_TAKEN_OVER);
    stores_sync(box);
    stores_put_done(box, 3, T0 + 2001 + IDEM_DOUBT_KEPT_MS, HOUR);
    stores_sync(box);
    assert_int_equal(
        stores_claim(box, 1, &stores_other, T0 + 2001 + IDEM_DOUBT_KEPT_MS, 1).outcome,
        IDEM_CLAIM_NEW);
}

/* Puts a value under the digest of n, with LMDB itself, into a store that is closed. */
static void plant(const struct stores_box *box, uint64_t n, const void *value,
                  size_t size) {
    char path[FILES_PATH_MAX + 8];
    struct idem_digest digest = stores_digest(n);
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {sizeof digest.bytes, digest.bytes};
    MDB_val data = {size, (void *)(uintptr_t)value};
    (void)snprintf(path, sizeof path, "%s/store", box->dir);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &data, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void unreadable_records_fail_alone_and_can_be_forgotten(void **state) {
    struct stores_box *box = *state;
    stores_put_done(box, 1, T0, HOUR);
    stores_close(box);
    plant(box, 2, "\x01garbage", 8);
    plant(box, 3, "\x7fnewer", 6);
    stores_open(box);
    assert_int_equal(stores_claim(box, 1, &stores_me, T0, 1).outcome, IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(box, 2, &stores_me, T0, 1).code, IDEM_ERR_FORMAT);
    assert_int_equal(stores_lookup(box, 3, T0).answer.code, IDEM_ERR_VERSION);
    stores_put_done(box, 4, T0 + 2 * HOUR, HOUR);
    stores_sync(box); /* purging passes them over */
    assert_int_equal(stores_lookup(box, 2, T0).answer.code, IDEM_ERR_FORMAT);
    assert_int_equal(stores_forget(box, 2), IDEM_OK);
    assert_int_equal(stores_forget(box, 3), IDEM_OK);
    stores_sync(box);
    assert_int_equal(stores_claim(box, 2, &stores_me, T0, 1).outcome, IDEM_CLAIM_NEW);
    assert_int_equal(stores_claim(box, 3, &stores_me, T0, 1).outcome, IDEM_CLAIM_NEW);
}

static void the_same_process_cannot_open_it_twice(void **state) {
    struct stores_box *box = *state;
    struct idem_error error;
    struct idem_store *second = NULL;
    assert_int_equal(stores_try(box, false, &second, &error), IDEM_ERR_BUSY);
    assert_non_null(strstr(error.text, "already open in this process"));
    assert_int_equal(stores_try(box, true, &second, &error), IDEM_ERR_BUSY);
    assert_non_null(strstr(error.text, "already open in this process"));
    assert_null(second);
    stores_put_done(box, 1, T0, HOUR); /* the first handle is none the worse for it */
    stores_sync(box);
}

static int hold_store(struct child *child, void *arg) {
    struct stores_box *box = arg;
    stores_open(box);
    child_report(child, 1);
    (void)child_await(child);
    stores_close(box);
    return 0;
}

static void a_second_process_is_told_who_holds_the_store(void **state) {
    struct stores_box *box = *state;
    struct child child;
    struct idem_error error;
    struct idem_store *second = NULL;
    char pid[32];
    stores_close(box);
    child_start(&child, hold_store, box);
    (void)child_result(&child);
    (void)snprintf(pid, sizeof pid, "process %ld;", (long)child.pid);
    assert_int_equal(stores_try(box, false, &second, &error), IDEM_ERR_BUSY);
    assert_non_null(strstr(error.text, box->dir));
    assert_non_null(strstr(error.text, pid));
    assert_non_null(strstr(error.text, "store of its own"));
    child_tell(&child, 1);
    child_end(&child);
    stores_open(box);
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    (void)digest;
    (void)record;
    ++*(uint64_t *)arg;
    return true;
}

/* Looks into the store each time it is told how many keys must be in it. */
static int look_into_store(struct child *child, void *arg) {
    struct stores_box *box = arg;
    struct stores_box view = *box;
    struct idem_error error;
    const struct idem_restoration something = {
        .record = {.state = IDEM_RECORD_DONE, .until_ms = T0 + 1}, .now_ms = T0};
    (void)child_await(child);
    if (stores_try(box, true, &view.store, &error) != IDEM_OK) {
        return 1;
    }
    for (uint64_t keys = child_await(child); keys > 0; keys = child_await(child)) {
        uint64_t visited = 0;
        bool sees_last = stores_lookup(&view, keys - 1, T0).answer.code == IDEM_OK;
        enum idem_code code =
            idem_store_iterate(view.store, T0, count_visit, &visited, NULL);
        child_report(child, sees_last && code == IDEM_OK && visited == keys &&
                                stats_of(&view).keys == keys);
    }
    bool refused =
        stores_claim(&view, 1, &stores_me, T0, 1).code == IDEM_ERR_UNSUPPORTED &&
        stores_complete(&view, 1, &stores_me, T0, 1) == IDEM_ERR_UNSUPPORTED &&
        stores_abandon(&view, 1, &stores_me) == IDEM_ERR_UNSUPPORTED &&
        stores_forget(&view, 1) == IDEM_ERR_UNSUPPORTED &&
        stores_restore(&view, &something) == IDEM_ERR_UNSUPPORTED;
    idem_store_dispatch(view.store);
    stores_sync(&view);
    stores_close(&view);
    return refused ? 0 : 2;
}

static void a_reader_sees_what_is_committed_beside_a_writer(void **state) {
    (void)state;
    struct stores_box box = {.store = NULL};
    struct child child;
    stores_make(&box, URL "?map=1MiB");
    stores_close(&box);
    child_start(&child, look_into_store, &box);
    stores_open(&box);
    child_tell(&child, 1);
    uint64_t keys = 0;
    for (uint64_t more = 10; more <= 10000; more *= 10) { /* the map grows on the way */
        for (; keys < more; keys++) {
            stores_put_done(&box, keys, T0, HOUR);
        }
        stores_sync(&box);
        child_tell(&child, keys);
        assert_int_equal(child_result(&child), 1);
    }
    assert_true(stats_of(&box).map_growths > 0);
    child_tell(&child, 0);
    child_end(&child);
    stores_remove(&box);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(records_survive_closing),
        CASE(removals_survive_closing),
        CASE(a_new_file_is_private),
        CASE(a_claim_that_ends_within_its_group_costs_no_commit),
        CASE(groups_are_committed_without_being_asked),
        cmocka_unit_test(a_group_that_someone_waits_for_is_written_before_its_time),
        cmocka_unit_test(a_front_half_full_is_written_before_its_time),
        cmocka_unit_test(results_count_against_the_front),
        CASE(what_a_callback_submits_while_closing_is_refused),
        CASE(the_writer_takes_no_signals),
        cmocka_unit_test(the_map_grows_without_a_restart),
        CASE(traffic_purges_what_has_expired),
        CASE(the_file_is_never_shorter_than_it_says),
        CASE(what_expires_sooner_than_all_before_is_purged_in_time),
        CASE(a_quiet_store_is_purged_too),
        CASE(purging_keeps_doubts),
        CASE(unreadable_records_fail_alone_and_can_be_forgotten),
        CASE(the_same_process_cannot_open_it_twice),
        CASE(a_second_process_is_told_who_holds_the_store),
        cmocka_unit_test(a_reader_sees_what_is_committed_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
