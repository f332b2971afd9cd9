/* SPDX-License-Identifier: MIT
 * What the writer thread does between two looks at its clock: transactions, and what they
 * entail. All of it without the mutex, but for moments. */
#include "store/embedded/embedded.h"

#include "store/embedded/sort.h"

#include <idem/clock.h>

#include <errno.h>
#include <stdlib.h>

#define SWEEP_IDLE   16384 /* records a second while nothing else is to do */
#define SWEEP_EACH   4     /* records looked at for each change */
#define SWEEP_LEAST  256
#define GROWTHS_MOST 32
#define JOIN_MOST    64 /* records, and bytes of results, that join those journalled */
#define JOIN_BYTES   (256 * 1024) /* while their mutex is held */

static void lock(struct idem_embedded *embedded) {
    (void)pthread_mutex_lock(&embedded->mutex);
}

static void unlock(struct idem_embedded *embedded) {
    (void)pthread_mutex_unlock(&embedded->mutex);
}

/* Ascending order, so that neighbours share pages: fewer of them are copied and
 * written. */
static bool list_digests(struct idem_merge *merge,
                         const struct idem_record_set *records) {
    size_t most = idem_record_set_count(records);
    struct idem_table_cursor cursor = {0, 0};
    struct idem_record record;
    *merge = (struct idem_merge){.digests = malloc(most * sizeof *merge->digests)};
    if (merge->digests == NULL) {
        return false;
    }
    while (
        merge->count < most &&
        idem_record_set_next(records, &cursor, &merge->digests[merge->count], &record)) {
        merge->count++;
    }
    idem_digests_sort(merge->digests, merge->count);
    return true;
}

/* A merge takes many transactions, so that a group that has become due meanwhile waits
 * for one of them only; and because each change copies a page, and the pages of the
 * last two transactions cannot be reused: large ones make the file long (at a million
 * keys, steps of 16384 changes one of 160 bytes a key, steps of 1024 one of 100).
 * Records are independent of each other, so nothing needs the whole. When all are among
 * the records, the journal is trimmed, in transactions of its own. */
static int take_step(struct idem_embedded *embedded, struct idem_attempt *attempt) {
    struct idem_merge *merge = &embedded->writer.merge;
    struct idem_sweep *sweep = &embedded->writer.sweep;
    if (merge->digests == NULL && !list_digests(merge, attempt->merging->records)) {
        return ENOMEM;
    }
    size_t left = merge->count - merge->written;
    if (left == 0) {
        return idem_journal_trim(&embedded->disk, attempt->merging->last,
                                 &attempt->merged);
    }
    struct idem_disk_batch batch = {
        .records = attempt->merging->records,
        .digests = merge->digests + merge->written,
        .count = left < attempt->step ? left : attempt->step,
    };
    sweep->budget = batch.count * SWEEP_EACH + SWEEP_LEAST;
    int rc = idem_disk_merge(&embedded->disk, &batch, sweep);
    merge->written += rc == MDB_SUCCESS ? batch.count : 0;
    return rc;
}

static int sweep_only(struct idem_embedded *embedded) {
    static const struct idem_disk_batch nothing = {.count = 0};
    embedded->writer.sweep.budget = SWEEP_IDLE;
    return idem_disk_merge(&embedded->disk, &nothing, &embedded->writer.sweep);
}

/* Before the first slice of a round; again, where that failed. */
static void begin_round(struct idem_embedded *embedded) {
    static const struct idem_digest first = {{0}};
    struct idem_sweep *sweep = &embedded->writer.sweep;
    if (idem_digest_equal(&sweep->from, &first)) {
        idem_known_begin(embedded);
        sweep->seen = &embedded->writer.next_known;
    }
}

/* One transaction. */
static int transact(struct idem_embedded *embedded, struct idem_attempt *attempt) {
    switch (attempt->work) {
    case IDEM_WORK_JOURNAL:
        return embedded->writer.group.complete
                   ? MDB_SUCCESS
                   : idem_journal_append(&embedded->disk, &embedded->writer.group);
    case IDEM_WORK_MERGE:
        return take_step(embedded, attempt);
    case IDEM_WORK_SWEEP:
        return sweep_only(embedded);
    case IDEM_WORK_NONE:
        break;
    }
    return MDB_SUCCESS;
}

/* Changing the mapping takes the mutex: nobody may look at the file meanwhile. */
static int grow(struct idem_embedded *embedded, struct idem_attempt *attempt) {
    size_t before = embedded->disk.map_size;
    lock(embedded);
    int rc = idem_disk_grow(&embedded->disk);
    unlock(embedded);
    attempt->growths += embedded->disk.map_size > before;
    return rc;
}

static int heal(struct idem_embedded *embedded) {
    lock(embedded);
    int rc = idem_disk_heal(&embedded->disk);
    unlock(embedded);
    return rc;
}

static int transact_and_grow(struct idem_embedded *embedded,
                             struct idem_attempt *attempt) {
    int rc = transact(embedded, attempt);
    for (int i = 0; rc == MDB_MAP_FULL && i < GROWTHS_MOST; i++) {
        rc = grow(embedded, attempt);
        if (rc == MDB_SUCCESS) {
            rc = transact(embedded, attempt);
        }
    }
    return rc;
}

/* Copies some of the frozen group. False: that was the end of it. */
static bool join_some(struct idem_embedded *embedded, struct idem_table_cursor *cursor,
                      enum idem_code *code) {
    struct idem_digest digest;
    struct idem_record record;
    size_t bytes = 0;
    for (int i = 0; i < JOIN_MOST && bytes < JOIN_BYTES; i++) {
        if (!idem_record_set_next(embedded->frozen.records, cursor, &digest, &record)) {
            return false;
        }
        *code = idem_record_set_put(embedded->journalled.records, &digest, &record);
        if (*code != IDEM_OK) {
            return false;
        }
        idem_known_learn(embedded, &digest);
        bytes += record.result.len;
    }
    return true;
}

/* The places that the next records will take, in the table and in the filter, are anywhere: fetched ahead,
 * the misses overlap, and none is waited for with their mutex held. */
static void fetch_ahead(const struct idem_embedded *embedded,
                        struct idem_table_cursor cursor) {
    struct idem_digest digest;
    for (int i = 0; i < JOIN_MOST &&
                    idem_record_set_peek(embedded->frozen.records, &cursor, &digest);
         i++) {
        idem_record_set_fetch(embedded->journalled.records, &digest);
        idem_filter_fetch(&embedded->known, &digest);
    }
}

/* The frozen group is in the journal; now its records join those that wait to be
 * merged. Until settle lets go of it, it is looked at first, so that nobody misses what
 * has not joined them yet. */
static int join_group(struct idem_embedded *embedded) {
    struct idem_table_cursor cursor = {0, 0};
    enum idem_code code = IDEM_OK;
    bool more = true;
    while (more) {
        fetch_ahead(embedded, cursor);
        (void)pthread_mutex_lock(&embedded->joining);
        more = join_some(embedded, &cursor, &code);
        (void)pthread_mutex_unlock(&embedded->joining);
    }
    return code == IDEM_OK ? MDB_SUCCESS : ENOMEM;
}

void idem_work_run(struct idem_embedded *embedded, struct idem_attempt *attempt) {
    int64_t started_ns = idem_clock_thread_ns();
    if (embedded->disk.env == NULL) {
        attempt->rc = heal(embedded);
    }
    if (attempt->work != IDEM_WORK_JOURNAL) {
        begin_round(embedded);
    }
    bool more = true;
    while (attempt->rc == MDB_SUCCESS && more) {
        attempt->rc = transact_and_grow(embedded, attempt);
        more = attempt->work == IDEM_WORK_JOURNAL && !embedded->writer.group.complete;
    }
    if (attempt->rc == MDB_SUCCESS && attempt->work == IDEM_WORK_JOURNAL) {
        attempt->rc = join_group(embedded);
    }
    if (attempt->rc != MDB_SUCCESS) {
        (void)heal(embedded); /* so that lookups work until the next attempt */
    }
    idem_disk_size(&embedded->disk, &attempt->disk_records, &attempt->disk_bytes);
    attempt->cost_ns = idem_clock_thread_ns() - started_ns;
}
