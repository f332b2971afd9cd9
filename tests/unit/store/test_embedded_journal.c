/* SPDX-License-Identifier: MIT
 * The journal of the embedded store: what is in it is found, replayed and merged; what
 * cannot be in it is refused. */
#include "children.h"
#include "stores.h"

#include <idem/clock.h>

#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUR    INT64_C(3600000)
#define T0      INT64_C(1700000000000)
#define URL     "embedded://%s/store"
#define BARRIER 1000000 /* a key that no test counts with */

static void make_closed(struct stores_box *box, const char *url) {
    memset(box, 0, sizeof *box);
    stores_make(box, url);
    stores_close(box);
}

static struct idem_store_stats stats_of(struct stores_box *box) {
    struct idem_store_stats stats;
    idem_store_read_stats(box->store, &stats);
    return stats;
}

/* All that was submitted before a durable operation is durable with it; a sync would
 * merge it as well. */
static bool journal_all(struct stores_box *box, uint64_t barrier) {
    struct stores_answer claimed = {.calls = 0};
    stores_submit_claim(box, barrier, T0, &claimed);
    stores_await(box->store, &claimed);
    return claimed.answer.code == IDEM_OK;
}

/* So many keys, the last tenth of them forgotten; and the barrier. */
static int leave_journal(struct child *child, void *arg) {
    struct stores_box *box = arg;
    uint64_t from = child_await(child) - 1;
    uint64_t to = from + child_await(child);
    stores_open(box);
    for (uint64_t n = from; n < to; n++) {
        stores_put_done(box, n, T0, HOUR);
    }
    for (uint64_t n = to - (to - from) / 10; n < to; n++) {
        (void)stores_forget(box, n);
    }
    child_report(child, journal_all(box, BARRIER + from) ? 1 : 2);
    (void)pause();
    return 1;
}

static void crash_with_journal(struct stores_box *box, uint64_t from, uint64_t keys) {
    struct child child;
    child_start(&child, leave_journal, box);
    child_tell(&child, from + 1);
    child_tell(&child, keys);
    assert_int_equal(child_result(&child), 1);
    child_kill(&child);
}

static void assert_replayed(struct stores_box *box, uint64_t from, uint64_t keys) {
    for (uint64_t n = from; n < from + keys; n++) {
        bool forgotten = n >= from + keys - keys / 10;
        assert_int_equal(stores_lookup(box, n, T0).answer.code,
                         forgotten ? IDEM_ERR_NOT_FOUND : IDEM_OK);
    }
}

/* The values in one of the file's databases, by LMDB itself; the store is closed, or in
 * a child. */
struct raw {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi records;
    MDB_dbi journal;
};

static struct raw open_raw(const struct stores_box *box) {
    char path[FILES_PATH_MAX + 8];
    struct raw raw;
    (void)snprintf(path, sizeof path, "%s/store", box->dir);
    assert_int_equal(mdb_env_create(&raw.env), 0);
    assert_int_equal(mdb_env_set_maxdbs(raw.env, 1), 0);
    assert_int_equal(mdb_env_open(raw.env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(raw.env, NULL, 0, &raw.txn), 0);
    assert_int_equal(mdb_dbi_open(raw.txn, NULL, 0, &raw.records), 0);
    assert_int_equal(mdb_dbi_open(raw.txn, "journal", 0, &raw.journal), 0);
    return raw;
}

static void close_raw(struct raw *raw) {
    assert_int_equal(mdb_txn_commit(raw->txn), 0);
    mdb_env_close(raw->env);
}

static size_t journal_blobs(const struct stores_box *box) {
    struct raw raw = open_raw(box);
    MDB_stat stat;
    assert_int_equal(mdb_stat(raw.txn, raw.journal, &stat), 0);
    close_raw(&raw);
    return stat.ms_entries;
}

static void what_is_journalled_survives_a_kill(void **state) {
    (void)state;
    enum { KEYS = 500 };
    struct stores_box box;
    make_closed(&box, URL);
    crash_with_journal(&box, 0, KEYS);
    assert_true(journal_blobs(&box) > 0);
    stores_open(&box);
    assert_replayed(&box, 0, KEYS);
    stores_sync(&box);
    assert_replayed(&box, 0, KEYS);
    assert_int_equal(stats_of(&box).keys, KEYS - KEYS / 10 + 1);
    assert_int_equal(stats_of(&box).memory_entries, 0);
    stores_close(&box);
    assert_int_equal(journal_blobs(&box), 0);
    stores_remove(&box);
}

/* A crash in or before the merge of what was replayed, several times. */
static void a_replayed_journal_is_kept_until_it_is_merged(void **state) {
    (void)state;
    enum { KEYS = 300, ROUNDS = 5 };
    struct stores_box box;
    make_closed(&box, URL);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        crash_with_journal(&box, round * KEYS, KEYS);
    }
    stores_open(&box);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        assert_replayed(&box, round * KEYS, KEYS);
    }
    stores_sync(&box);
    assert_int_equal(stats_of(&box).keys, ROUNDS * (KEYS - KEYS / 10 + 1));
    stores_remove(&box);
}

static void a_full_journal_is_replayed_quickly(void **state) {
    (void)state;
    enum { KEYS = 120000 }; /* nearly a quarter of the front, when it would be merged */
    struct stores_box box;
    make_closed(&box, URL);
    crash_with_journal(&box, 0, KEYS);
    int64_t started_ns = idem_clock_thread_ns();
    stores_open(&box);
    int64_t took_ns = idem_clock_thread_ns() - started_ns;
    assert_true(testing_instrumented() || took_ns < 100 * 1000000);
    assert_replayed(&box, 0, KEYS);
    stores_sync(&box);
    assert_int_equal(stats_of(&box).keys, KEYS - KEYS / 10 + 1);
    stores_remove(&box);
}

static void a_journal_beyond_the_front_is_refused_as_such(void **state) {
    (void)state;
    enum { KEYS = 300 };
    struct stores_box box;
    struct stores_box narrow;
    struct idem_error error;
    make_closed(&box, URL);
    crash_with_journal(&box, 0, KEYS);
    narrow = box;
    (void)strncat(narrow.url, "?front=64", sizeof narrow.url - strlen(narrow.url) - 1);
    assert_int_equal(stores_try(&narrow, false, &narrow.store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "front= as it was before"));
    assert_null(narrow.store);
    stores_open(&box);
    assert_replayed(&box, 0, KEYS);
    stores_close(&box);
    stores_open(&narrow); /* now it is merged */
    assert_replayed(&narrow, 0, KEYS);
    stores_remove(&narrow);
}

/* Reports how many keys are durable, while merges begin and end all the time. */
static int journal_and_merge(struct child *child, void *arg) {
    struct stores_box *box = arg;
    uint64_t n = child_await(child);
    stores_open(box);
    for (;;) {
        for (uint64_t end = n + 200; n < end; n++) {
            stores_put_done(box, n, T0, HOUR);
        }
        if (!journal_all(box, BARRIER + n)) {
            return 1;
        }
        child_report(child, n);
    }
}

static void what_is_durable_survives_a_kill_while_merges_go_on(void **state) {
    (void)state;
    struct stores_box box;
    uint64_t last = 1;
    uint64_t random = 88172645463325252;
    make_closed(&box, URL "?commit=1ms&front=4096");
    for (int round = 0; round < (testing_instrumented() ? 3 : 12); round++) {
        struct child child;
        child_start(&child, journal_and_merge, &box);
        child_tell(&child, last + 10000);
        random ^= random << 13; /* xorshift: the same run every time */
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t first = last + 10000;
        uint64_t enough = first + 1000 + random % 5000;
        while (last < enough) {
            last = child_result(&child);
        }
        child_kill(&child);
        stores_open(&box);
        for (uint64_t n = first; n < last; n++) {
            assert_int_equal(stores_lookup(&box, n, T0).answer.code, IDEM_OK);
        }
        stores_close(&box);
    }
    stores_remove(&box);
}

static void merges_go_on_by_themselves(void **state) {
    (void)state;
    enum { KEYS = 5000 };
    struct stores_box box = {.store = NULL};
    stores_make(&box, URL "?commit=1ms&front=4096");
    int64_t deadline = testing_deadline();
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(&box, n, T0, HOUR);
        while (stats_of(&box).memory_entries >
               2048) { /* an entry more, and it is hurried */
            assert_true(testing_remaining_ms(deadline) > 0);
            testing_pause();
        }
    }
    assert_int_equal(stats_of(&box).keys, KEYS);
    while (stats_of(&box).memory_entries >= 1024) {
        assert_true(testing_remaining_ms(deadline) > 0);
        testing_pause();
    }
    assert_int_equal(stats_of(&box).keys, KEYS);
    stores_remove(&box);
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    (void)digest;
    (void)record;
    ++*(uint64_t *)arg;
    return true;
}

/* Told how many keys are live, it reports whether it sees them all, and the forgotten
 * one not. */
static int look_into_store(struct child *child, void *arg) {
    struct stores_box view = *(struct stores_box *)arg;
    struct idem_error error;
    (void)child_await(child);
    if (stores_try(&view, true, &view.store, &error) != IDEM_OK) {
        return 1;
    }
    for (uint64_t keys = child_await(child); keys > 0; keys = child_await(child)) {
        uint64_t visited = 0;
        bool right = stores_lookup(&view, 0, T0).answer.code == IDEM_ERR_NOT_FOUND;
        for (uint64_t n = 1; n < keys; n++) {
            right = right && stores_lookup(&view, n, T0).answer.code == IDEM_OK;
        }
        right = right && idem_store_iterate(view.store, T0, count_visit, &visited,
                                            NULL) == IDEM_OK;
        child_report(child, right && visited == keys && stats_of(&view).keys == keys);
    }
    stores_close(&view);
    return 0;
}

static void a_reader_sees_what_is_journalled(void **state) {
    (void)state;
    struct stores_box box;
    struct child child;
    make_closed(&box, URL);
    child_start(&child, look_into_store, &box);
    stores_open(&box);
    stores_put_done(&box, 0, T0, HOUR);
    stores_sync(&box);
    child_tell(&child, 1);
    assert_int_equal(stores_forget(&box, 0),
                     IDEM_OK); /* among the records, it is there */
    uint64_t n = 1;
    for (uint64_t more = 10; more <= 1000; more *= 10) {
        for (; n < more; n++) {
            stores_put_done(&box, n, T0, HOUR);
        }
        assert_true(journal_all(&box, BARRIER));
        child_tell(&child, n); /* the barrier is one of them, key 0 is not */
        assert_int_equal(child_result(&child), 1);
        if (more == 100) {
            stores_sync(&box);
            child_tell(&child, n);
            assert_int_equal(child_result(&child), 1);
        }
        assert_int_equal(stores_forget(&box, BARRIER), IDEM_OK);
    }
    child_tell(&child, 0);
    child_end(&child);
    stores_remove(&box);
}

static void plant(const struct stores_box *box, const void *number, size_t number_size,
                  const void *blob, size_t size) {
    struct raw raw = open_raw(box);
    MDB_val key = {number_size, (void *)(uintptr_t)number};
    MDB_val data = {size, (void *)(uintptr_t)blob};
    assert_int_equal(mdb_put(raw.txn, raw.journal, &key, &data, 0), 0);
    close_raw(&raw);
}

static void uproot(const struct stores_box *box, const void *number, size_t number_size) {
    struct raw raw = open_raw(box);
    MDB_val key = {number_size, (void *)(uintptr_t)number};
    assert_int_equal(mdb_del(raw.txn, raw.journal, &key, NULL), 0);
    close_raw(&raw);
}

static void assert_refused(struct stores_box *box, enum idem_code code,
                           const char *text) {
    for (int read_only = 0; read_only < 2; read_only++) {
        struct idem_error error;
        struct idem_store *store = NULL;
        assert_int_equal(stores_try(box, read_only != 0, &store, &error), code);
        assert_non_null(strstr(error.text, text));
        assert_non_null(strstr(error.text, box->dir));
        assert_null(store);
    }
}

static const uint8_t one[8] = {0, 0, 0, 0, 0, 0, 0, 1};

/* A blob of a removal, and behind it an entry whose length and record are given. */
static void refuse_blob(struct stores_box *box, const uint8_t *tail, size_t tail_size,
                        enum idem_code code) {
    uint8_t blob[256] = {0};
    size_t size = 20 + tail_size;
    memcpy(blob + 20, tail, tail_size);
    plant(box, one, sizeof one, blob, size);
    assert_refused(box, code, code == IDEM_ERR_VERSION ? "newer Idem" : "entry 1 of its");
    uproot(box, one, sizeof one);
}

static void a_damaged_blob_is_refused(void **state) {
    (void)state;
    struct stores_box box;
    uint8_t tail[128] = {0};
    make_closed(&box, URL);
    for (size_t size = 1; size < 20; size++) {
        refuse_blob(&box, tail, size, IDEM_ERR_FORMAT); /* no whole entry */
    }
    tail[16] = 23;
    tail[20] = 1; /* version, and state */
    tail[21] = 1;
    refuse_blob(&box, tail, 20 + 22, IDEM_ERR_FORMAT); /* longer than what is there */
    memset(tail + 16, 0xff, 4);
    refuse_blob(&box, tail, 20 + 22, IDEM_ERR_FORMAT);
    memset(tail + 16, 0, 4);
    tail[16] = 21;
    refuse_blob(&box, tail, 20 + 21, IDEM_ERR_FORMAT); /* no whole record */
    tail[20] = 0x7f; /* a version that nobody has written yet */
    refuse_blob(&box, tail, 20 + 21, IDEM_ERR_VERSION);
    plant(&box, one, sizeof one, tail, 0); /* no entry at all is no harm */
    stores_open(&box);
    stores_put_done(&box, 1, T0, HOUR);
    stores_remove(&box);
}

static void a_number_that_is_none_is_refused(void **state) {
    (void)state;
    static const uint8_t most[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t blob[20] = {0};
    struct stores_box box;
    make_closed(&box, URL);
    plant(&box, most, sizeof most, blob, sizeof blob);
    assert_refused(&box, IDEM_ERR_FORMAT, "makes no sense");
    uproot(&box, most, sizeof most);
    plant(&box, one, sizeof one - 1, blob, sizeof blob);
    assert_refused(&box, IDEM_ERR_FORMAT, "makes no sense");
    stores_remove(&box);
}

static void a_missing_journal_is_refused(void **state) {
    (void)state;
    struct stores_box box;
    make_closed(&box, URL);
    struct raw raw = open_raw(&box);
    assert_int_equal(mdb_drop(raw.txn, raw.journal, 1), 0);
    close_raw(&raw);
    assert_refused(&box, IDEM_ERR_FORMAT, "its journal is missing");
    stores_remove(&box);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_journalled_survives_a_kill),
        cmocka_unit_test(a_replayed_journal_is_kept_until_it_is_merged),
        cmocka_unit_test(a_full_journal_is_replayed_quickly),
        cmocka_unit_test(a_journal_beyond_the_front_is_refused_as_such),
        cmocka_unit_test(what_is_durable_survives_a_kill_while_merges_go_on),
        cmocka_unit_test(merges_go_on_by_themselves),
        cmocka_unit_test(a_reader_sees_what_is_journalled),
        cmocka_unit_test(a_damaged_blob_is_refused),
        cmocka_unit_test(a_number_that_is_none_is_refused),
        cmocka_unit_test(a_missing_journal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
