/* SPDX-License-Identifier: MIT
 * Every write and every sync of a commit fails once, in turn: what was known stays
 * known, and is on disk when the fault has passed. The same with a kill at each of
 * them. The calls of LMDB are caught by functions of the same name, hence their
 * visibility. */
#undef _FILE_OFFSET_BITS /* hiredis asks for it; LMDB calls pwrite by that name */
#define _GNU_SOURCE      /* syscall */
#include "children.h"
#include "stores.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define KEYS 300

enum fault { FAIL_NO_SPACE, FAIL_IO, SHORT_WRITE, FAIL_MAP, KILL };

static struct {
    atomic_int countdown; /* 0: not armed; 1: the next call fails */
    atomic_int length;    /* how many calls fail from then on */
    atomic_int hits;
    enum fault fault;
} injected;

/* Whether this call is to fail. */
static bool hit(bool maps) {
    int left = atomic_load(&injected.countdown);
    if (left == 0 || maps != (injected.fault == FAIL_MAP)) {
        return false;
    }
    if (left > 1) {
        atomic_store(&injected.countdown, left - 1);
        return false;
    }
    if (atomic_fetch_sub(&injected.length, 1) <= 1) {
        atomic_store(&injected.countdown, 0);
    }
    if (injected.fault == KILL) {
        (void)kill(getpid(), SIGKILL);
    }
    atomic_fetch_add(&injected.hits, 1);
    errno = injected.fault == FAIL_NO_SPACE ? ENOSPC : EIO;
    return true;
}

IDEM_API ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset) {
    if (hit(false)) {
        if (injected.fault != SHORT_WRITE || n < 2) {
            return -1;
        }
        n /= 2;
    }
    return (ssize_t)syscall(SYS_pwrite64, fd, buf, n, offset);
}

IDEM_API ssize_t writev(int fd, const struct iovec *iovec, int count) {
    if (hit(false)) {
        if (injected.fault != SHORT_WRITE || count < 2) {
            return -1;
        }
        count = 1;
    }
    return (ssize_t)syscall(SYS_writev, fd, iovec, count);
}

IDEM_API int fdatasync(int fildes) {
    return hit(false) ? -1 : (int)syscall(SYS_fdatasync, fildes);
}

/* The thread sanitizer needs its own mmap before any of this runs. */
#if defined(__SANITIZE_THREAD__)
#define CATCHES_MAPS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CATCHES_MAPS false
#endif
#endif

#ifndef CATCHES_MAPS
#define CATCHES_MAPS true

IDEM_API void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset) {
    if (fd >= 0 && hit(true)) {
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset); /* NOLINT */
}
#endif

static void arm(enum fault fault, int nth, int length) {
    injected.fault = fault;
    atomic_store(&injected.hits, 0);
    atomic_store(&injected.length, length);
    atomic_store(&injected.countdown, nth);
}

static int disarm(void) {
    atomic_store(&injected.countdown, 0);
    return atomic_load(&injected.hits);
}

static void change(struct stores_box *box, uint64_t from, uint64_t to) {
    for (uint64_t n = from; n < to; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
}

/* Keys 0 to KEYS are done, but each fifth of the first half is removed again. */
static void assert_all(struct stores_box *box) {
    for (uint64_t n = 0; n < KEYS; n++) {
        bool gone = n < KEYS / 2 && n % 5 == 0;
        assert_int_equal(stores_lookup(box, n, T0).answer.code,
                         gone ? IDEM_ERR_NOT_FOUND : IDEM_OK);
    }
}

/* True while the fault was met: the sweep ends behind the last call of a commit. */
static bool survive(enum fault fault, int nth, int length) {
    struct stores_box box = {.store = NULL};
    struct idem_store_stats stats;
    stores_make(&box, "embedded://%s/store?commit=10s&map=1MiB");
    change(&box, 0, KEYS / 2);
    stores_sync(&box);
    for (uint64_t n = 0; n < KEYS / 2; n += 5) {
        assert_int_equal(stores_forget(&box, n), IDEM_OK);
    }
    change(&box, KEYS / 2, KEYS);
    arm(fault, nth, length);
    enum idem_code code = idem_store_sync(box.store, NULL);
    bool met = atomic_load(&injected.hits) > 0;
    assert_true(code == IDEM_OK || met); /* it is OK when only the merge was hit */
    idem_store_read_stats(box.store, &stats);
    assert_int_equal(stats.failing, met);
    assert_all(&box); /* also while the environment is being given up and reopened */
    (void)disarm();
    stores_sync(&box);
    assert_all(&box);
    stores_close(&box);
    stores_open(&box);
    assert_all(&box);
    idem_store_read_stats(box.store, &stats);
    assert_int_equal(stats.keys, KEYS - KEYS / 10);
    stores_remove(&box);
    return met;
}

static int sweep(enum fault fault, int length) {
    int nth = 1;
    while (survive(fault, nth, length)) {
        nth++;
        assert_in_range(nth, 1, 100);
    }
    return nth - 1;
}

static void each_call_that_finds_no_space_is_survived(void **state) {
    (void)state;
    assert_true(sweep(FAIL_NO_SPACE, 1) >= 3); /* pages, sync, meta page: at least */
}

static void each_call_that_fails_is_survived(void **state) {
    (void)state;
    assert_true(sweep(FAIL_IO, 1) >= 3);
}

static void each_short_write_is_survived(void **state) {
    (void)state;
    assert_true(sweep(SHORT_WRITE, 1) >= 3);
}

/* The second failing call is LMDB's own attempt to take the meta page back. */
static void failures_in_a_row_are_survived(void **state) {
    (void)state;
    assert_true(sweep(FAIL_IO, 2) >= 3);
    assert_true(sweep(FAIL_IO, 5) >= 3);
}

/* The map cannot grow for a while; from the second failure on there is no map at all. */
static void survive_without_map(int length) {
    enum { MANY = 20000 };
    struct stores_box box = {.store = NULL};
    struct idem_store_stats stats;
    stores_make(&box, "embedded://%s/store?commit=10s&map=1MiB");
    change(&box, 0, KEYS);
    stores_sync(&box);
    change(&box, KEYS, MANY);
    arm(FAIL_MAP, 1, length);
    assert_int_not_equal(idem_store_sync(box.store, NULL), IDEM_OK);
    enum idem_code on_disk = stores_lookup(&box, 1, T0).answer.code;
    assert_true(on_disk == IDEM_OK || (length > 1 && on_disk == IDEM_ERR_UNAVAILABLE));
    assert_int_equal(stores_lookup(&box, MANY - 1, T0).answer.code, IDEM_OK);
    assert_true(disarm() > 0);
    stores_sync(&box);
    for (uint64_t n = 0; n < MANY; n++) {
        assert_int_equal(stores_lookup(&box, n, T0).answer.code, IDEM_OK);
    }
    idem_store_read_stats(box.store, &stats);
    assert_int_equal(stats.keys, MANY);
    assert_true(stats.map_growths > 0);
    stores_remove(&box);
}

static void a_map_that_cannot_grow_is_survived(void **state) {
    (void)state;
    if (!CATCHES_MAPS) {
        skip();
    }
    survive_without_map(1);
    survive_without_map(2);
    survive_without_map(1000);
}

/* Makes all that has been submitted durable, and nothing more: the journal has it. */
static void journal(struct stores_box *box, uint64_t n) {
    struct stores_answer claimed = {.calls = 0};
    stores_submit_claim(box, n, T0, &claimed);
    stores_await(box->store, &claimed);
    assert_int_equal(claimed.answer.code, IDEM_OK);
}

/* Some keys among the records; more of them, and removals of both, in the journal: a
 * merge of three steps. */
#define MERGED   2000
#define JOURNAL  4000
#define BARRIER  100000
#define MERGE_AT "embedded://%s/store?commit=1ms"

static void fill_journal(struct stores_box *box) {
    change(box, 0, MERGED);
    stores_sync(box);
    change(box, MERGED, JOURNAL);
    for (uint64_t n = 0; n < JOURNAL; n += 5) {
        assert_int_equal(stores_forget(box, n), IDEM_OK);
    }
    journal(box, BARRIER);
}

static void assert_filled(struct stores_box *box) {
    for (uint64_t n = 0; n < JOURNAL; n++) {
        assert_int_equal(stores_lookup(box, n, T0).answer.code,
                         n % 5 == 0 ? IDEM_ERR_NOT_FOUND : IDEM_OK);
    }
}

static void assert_merged(struct stores_box *box) {
    struct idem_store_stats stats;
    assert_filled(box);
    stores_sync(box);
    assert_filled(box);
    idem_store_read_stats(box->store, &stats);
    assert_int_equal(stats.keys, JOURNAL - JOURNAL / 5 + 1);
    assert_int_equal(stats.memory_entries, 0);
}

static void a_merge_that_fails_takes_nothing_from_durability(void **state) {
    (void)state;
    struct stores_box box = {.store = NULL};
    struct idem_store_stats stats;
    stores_make(&box, MERGE_AT);
    fill_journal(&box);
    arm(FAIL_NO_SPACE, 1, 100000);
    stores_sync(&box); /* is content with the journal */
    idem_store_read_stats(box.store, &stats);
    assert_true(stats.failing);
    assert_true(stats.memory_entries > JOURNAL - MERGED);
    assert_filled(&box);
    struct stores_answer claimed = {.calls = 0};
    stores_submit_claim(&box, BARRIER + 1, T0, &claimed);
    stores_await(box.store, &claimed);
    assert_int_equal(claimed.answer.code, IDEM_ERR_TIMEOUT); /* the journal fails, too */
    assert_true(disarm() > 0);
    assert_int_equal(stores_forget(&box, BARRIER + 1), IDEM_OK);
    assert_merged(&box);
    idem_store_read_stats(box.store, &stats);
    assert_false(stats.failing);
    stores_close(&box);
    stores_open(&box);
    assert_merged(&box);
    stores_remove(&box);
}

struct killed {
    struct stores_box *box;
    int nth;
};

/* Ends by itself only if the merge took fewer calls. */
static int merge_until_killed(struct child *child, void *arg) {
    const struct killed *killed = arg;
    stores_open(killed->box);
    fill_journal(killed->box);
    child_report(child, 1);
    arm(KILL, killed->nth, 1);
    stores_sync(killed->box);
    (void)disarm();
    child_report(child, 2);
    return child_await(child) == 0 ? 0 : 1;
}

/* True while the kill came before the end. */
static bool survive_kill(int nth) {
    struct stores_box box = {.store = NULL};
    struct killed killed = {&box, nth};
    struct child child;
    stores_make(&box, MERGE_AT);
    stores_close(&box);
    child_start(&child, merge_until_killed, &killed);
    assert_int_equal(child_result(&child), 1);
    bool was_killed = child_await(&child) == 0;
    child_kill(&child);
    stores_open(&box);
    assert_merged(&box);
    stores_close(&box);
    stores_open(&box);
    assert_merged(&box);
    stores_remove(&box);
    return was_killed;
}

/* At each write and sync of the merge's steps and of the journal's trimming. */
static void a_kill_at_any_moment_of_a_merge_loses_nothing(void **state) {
    (void)state;
    int nth = 1;
    while (survive_kill(nth)) {
        nth += testing_instrumented() ? 7 : 1;
        assert_in_range(nth, 1, 2000);
    }
    assert_true(nth >
                12); /* three steps and the trimming, of three calls each at least */
}

/* A store cannot be made: it says so, leaves nothing open, and the next try works. */
static void each_failure_while_opening_is_reported(void **state) {
    (void)state;
    struct stores_box box = {.store = NULL};
    stores_make(&box, "embedded://%s/store");
    for (int nth = 1; nth < 100; nth++) {
        struct idem_error error;
        char path[FILES_PATH_MAX + 8];
        stores_close(&box);
        (void)snprintf(path, sizeof path, "%s/store", box.dir);
        assert_int_equal(unlink(path), 0);
        arm(FAIL_IO, nth, 1);
        enum idem_code code = stores_try(&box, false, &box.store, &error);
        if (disarm() == 0) {
            assert_int_equal(code, IDEM_OK);
            assert_true(nth > 3);
            break;
        }
        assert_int_equal(code, IDEM_ERR_IO);
        assert_non_null(strstr(error.text, path));
        assert_null(box.store);
        stores_open(&box);
    }
    stores_remove(&box);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_that_finds_no_space_is_survived),
        cmocka_unit_test(each_call_that_fails_is_survived),
        cmocka_unit_test(each_short_write_is_survived),
        cmocka_unit_test(failures_in_a_row_are_survived),
        cmocka_unit_test(a_map_that_cannot_grow_is_survived),
        cmocka_unit_test(a_merge_that_fails_takes_nothing_from_durability),
        cmocka_unit_test(a_kill_at_any_moment_of_a_merge_loses_nothing),
        cmocka_unit_test(each_failure_while_opening_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
