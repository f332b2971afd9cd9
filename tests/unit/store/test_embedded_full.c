/* SPDX-License-Identifier: MIT
 * A disk without room, real (a small file system) or by a limit on the file: reported,
 * survived, and recovered from. */
#define _GNU_SOURCE /* mount, unshare */
#include "stores.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define OLD  200

struct events {
    pthread_mutex_t mutex;
    int full;
    int failed;
    int recovered;
    int lost;
};

static struct events events = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void note_event(void *context, enum idem_log_level level, const char *event,
                       const char *text) {
    struct events *seen = context;
    (void)level;
    assert_non_null(strstr(text, "/store"));
    (void)pthread_mutex_lock(&seen->mutex);
    seen->full += strcmp(event, "store.full") == 0;
    seen->failed += strcmp(event, "store.write_failed") == 0;
    seen->recovered += strcmp(event, "store.recovered") == 0;
    seen->lost += strcmp(event, "store.lost") == 0;
    (void)pthread_mutex_unlock(&seen->mutex);
}

/* A way to run out of room, and to get it back. */
struct shortage {
    const char *name;
    void (*begin)(const struct stores_box *box);
    void (*end)(const struct stores_box *box);
    bool mounts;
};

static const struct shortage *shortage;

static void limit_files(const struct stores_box *box) {
    char path[FILES_PATH_MAX + 8];
    struct stat status;
    struct rlimit limit;
    (void)snprintf(path, sizeof path, "%s/store", box->dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = (rlim_t)status.st_size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void unlimit_files(const struct stores_box *box) {
    struct rlimit limit;
    (void)box;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void filler(const struct stores_box *box, char *path, size_t size) {
    (void)snprintf(path, size, "%s/filler", box->dir);
}

static void fill_disk(const struct stores_box *box) {
    static const char block[4096];
    char path[FILES_PATH_MAX + 8];
    filler(box, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) == (ssize_t)sizeof block) {
    }
    (void)close(fd);
}

static void empty_disk(const struct stores_box *box) {
    char path[FILES_PATH_MAX + 8];
    filler(box, path, sizeof path);
    assert_int_equal(unlink(path), 0);
}

static const struct shortage shortages[] = {
    {"a limit on the file's size", limit_files, unlimit_files, false},
    {"a full file system", fill_disk, empty_disk, true},
};

/* The box gets its own small file system where the shortage needs one. */
static void make(struct stores_box *box, const char *parameters) {
    *box = (struct stores_box){.log = {note_event, &events, IDEM_LOG_DEBUG}};
    events.full = events.failed = events.recovered = events.lost = 0;
    files_make_dir(box->dir);
    if (shortage->mounts) {
        assert_int_equal(mount("none", box->dir, "tmpfs", 0, "size=4m"), 0);
    }
    (void)snprintf(box->url, sizeof box->url, "embedded://%s/store?%s", box->dir,
                   parameters);
    stores_open(box);
    for (uint64_t n = 0; n < OLD; n++) {
        stores_put_done(box, n, T0, HOUR);
        if (n % 32 == 0) {
            stores_sync(box); /* a front of 64 would fill up faster than it is written */
        }
    }
    stores_sync(box);
}

static void unmake(struct stores_box *box) {
    stores_close(box);
    if (shortage->mounts) {
        assert_int_equal(umount(box->dir), 0);
    }
    files_remove_dir(box->dir);
}

static struct idem_store_stats stats_of(struct stores_box *box) {
    struct idem_store_stats stats;
    idem_store_read_stats(box->store, &stats);
    return stats;
}

static void assert_done(struct stores_box *box, uint64_t from, uint64_t to) {
    for (uint64_t n = from; n < to; n++) {
        assert_int_equal(stores_claim(box, n, &stores_me, T0, 1).outcome,
                         IDEM_CLAIM_DONE);
    }
}

static void nothing_is_forgotten_and_all_is_written_when_there_is_room(void **state) {
    (void)state;
    enum { NEW = 5000 };
    struct stores_box box;
    struct idem_error error = IDEM_ERROR_INIT;
    make(&box, "commit=10ms");
    shortage->begin(&box);
    for (uint64_t n = OLD; n < NEW; n++) {
        stores_put_done(&box, n, T0, HOUR);
    }
    assert_int_equal(idem_store_sync(box.store, &error), IDEM_ERR_FULL);
    assert_non_null(strstr(error.text, "not on disk yet"));
    assert_true(stats_of(&box).failing);
    assert_true(stats_of(&box).commit_failures > 0);
    assert_true(stats_of(&box).memory_entries > 0);
    assert_done(&box, 0, NEW);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(idem_store_sync(box.store, NULL), IDEM_ERR_FULL);
    }
    assert_in_range(events.full + events.failed, 1, 2); /* a short write may come first */
    assert_int_equal(events.recovered, 0);

    shortage->end(&box);
    int64_t deadline = testing_deadline(); /* it recovers by itself */
    while (stats_of(&box).failing && testing_remaining_ms(deadline) > 0) {
        testing_pause();
    }
    assert_false(stats_of(&box).failing);
    stores_sync(&box);
    assert_int_equal(events.recovered, 1);
    assert_int_equal(stats_of(&box).memory_entries, 0);
    stores_close(&box);
    assert_int_equal(events.lost, 0);
    stores_open(&box);
    assert_int_equal(stats_of(&box).keys, NEW);
    assert_done(&box, 0, NEW);
    unmake(&box);
}

static void a_full_front_refuses_new_keys_and_knows_the_old(void **state) {
    (void)state;
    struct stores_box box;
    uint64_t n = OLD;
    make(&box, "commit=1ms&front=64");
    shortage->begin(&box);
    int64_t deadline = testing_deadline();
    struct idem_answer answer = {.code = IDEM_OK};
    while (answer.code != IDEM_ERR_FULL || !stats_of(&box).failing) {
        assert_true(testing_remaining_ms(deadline) > 0);
        answer = stores_claim(&box, n, &stores_me, T0, 30000);
        assert_true(answer.code == IDEM_OK || answer.code == IDEM_ERR_FULL);
        n += answer.code == IDEM_OK;
    }
    assert_int_equal(stores_lookup(&box, n, T0).answer.code, IDEM_ERR_NOT_FOUND);
    assert_done(&box, 0, OLD);
    for (uint64_t known = OLD; known < n; known++) {
        assert_int_equal(stores_claim(&box, known, &stores_other, T0, 1).outcome,
                         IDEM_CLAIM_IN_FLIGHT);
    }
    /* What has been claimed can be completed, and abandoned. */
    assert_int_equal(stores_complete(&box, n - 1, &stores_me, T0, HOUR), IDEM_OK);
    assert_int_equal(stores_complete(&box, n - 2, &stores_me, T0, HOUR), IDEM_OK);
    assert_int_equal(stores_abandon(&box, n - 3, &stores_me), IDEM_OK);
    assert_in_range(stats_of(&box).memory_entries, 64, 128);
    shortage->end(&box);
    stores_sync(&box);
    assert_int_equal(stores_claim(&box, n, &stores_me, T0, 30000).outcome,
                     IDEM_CLAIM_NEW);
    assert_int_equal(stores_claim(&box, n - 3, &stores_me, T0, 1).outcome,
                     IDEM_CLAIM_NEW);
    assert_done(&box, n - 2, n);
    unmake(&box);
}

static void durable_operations_are_told_that_it_may_come_later(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    static struct stores_answer answers[COUNT];
    struct stores_box box;
    memset(answers, 0, sizeof answers);
    make(&box, "commit=10ms");
    shortage->begin(&box);
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_submit_claim(&box, OLD + n, T0, &answers[n]);
    }
    for (uint64_t n = 0; n < COUNT; n++) {
        stores_await(box.store, &answers[n]);
    }
    assert_int_equal(answers[COUNT - 1].answer.code, IDEM_ERR_TIMEOUT);
    struct stores_answer later = {.calls = 0}; /* behind the group that is stuck */
    stores_submit_claim(&box, OLD + COUNT, T0, &later);
    stores_await(box.store, &later);
    assert_int_equal(later.answer.code, IDEM_ERR_TIMEOUT);
    assert_int_equal(stores_claim(&box, OLD + COUNT - 1, &stores_other, T0, 1).outcome,
                     IDEM_CLAIM_IN_FLIGHT);
    shortage->end(&box);
    struct stores_answer completed = {.calls = 0};
    stores_submit_completion(&box, OLD + COUNT - 1, T0, HOUR, &completed);
    stores_sync(&box);
    stores_await(box.store, &completed);
    assert_true(completed.answer.code == IDEM_OK ||
                completed.answer.code == IDEM_ERR_TIMEOUT); /* by the retry before */
    stores_close(&box);
    stores_open(&box);
    assert_done(&box, OLD + COUNT - 1, OLD + COUNT);
    unmake(&box);
}

static void closing_without_room_ends_and_says_what_is_lost(void **state) {
    (void)state;
    struct stores_box box;
    make(&box, "commit=10s");
    shortage->begin(&box);
    for (uint64_t n = OLD; n < 5000; n++) {
        stores_put_done(&box, n, T0, HOUR);
    }
    stores_close(&box);
    assert_int_equal(events.lost, 1);
    shortage->end(&box);
    stores_open(&box);
    assert_done(&box, 0, OLD);
    unmake(&box);
}

/* In a name space of its own: however this program ends, no mount is left behind. */
static bool can_mount(void) {
    char dir[FILES_PATH_MAX];
    files_make_dir(dir);
    bool can = unshare(CLONE_NEWNS) == 0 &&
               mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("none", dir, "tmpfs", 0, "size=1m") == 0;
    if (can) {
        (void)umount(dir);
    }
    files_remove_dir(dir);
    return can;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_forgotten_and_all_is_written_when_there_is_room),
        cmocka_unit_test(a_full_front_refuses_new_keys_and_knows_the_old),
        cmocka_unit_test(durable_operations_are_told_that_it_may_come_later),
        cmocka_unit_test(closing_without_room_ends_and_says_what_is_lost),
    };
    int failed = 0;
    (void)signal(SIGXFSZ, SIG_IGN); /* in this thread; the store's own blocks it */
    for (size_t i = 0; i < sizeof shortages / sizeof shortages[0]; i++) {
        shortage = &shortages[i];
        if (!shortage->mounts || can_mount()) {
            failed += cmocka_run_group_tests_name(shortage->name, tests, NULL, NULL);
        }
    }
    return failed;
}
