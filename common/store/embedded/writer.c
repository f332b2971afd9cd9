/* SPDX-License-Identifier: MIT
 * The writer thread: takes the changes group by group, makes them durable, and merges them. It alone
 * waits for disks.
 *
 * States, by the sets of the front, and what a crash in them loses:
 *   active filled    waits until the group is due; the active group is lost
 *   frozen           being journalled, or failed and waiting for its retry; what of it is not committed
 *                    is lost, and the active group
 *   journalled       on disk; waits until a merge is due; nothing is lost
 *   merging          on disk, and step by step among the records, too; nothing is lost */
#include "store/embedded/embedded.h"

#include <idem/clock.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MS           INT64_C(1000000)
#define LOG_EVERY_NS (60 * 1000 * MS)
#define SWEEP_IDLE   16384 /* records a second while nothing else is to do */
#define SWEEP_EACH   8     /* records looked at for each change */
#define SWEEP_LEAST  256
#define STEP_MOST    1024 /* changes in one step of a merge; see take_step */
#define STEP_HURRIED 4096 /* when the front is half full: the disk is slow */
#define GROWTHS_MOST 32
#define MOVE_MOST    64 /* records, and bytes of results, moved while the mutex */
#define MOVE_BYTES   (256 * 1024) /* is held */

/* What one attempt is about, so that it can run without the mutex. */
struct attempt {
    enum idem_work work;
    const struct idem_backlog *merging;
    size_t step; /* changes */
    int rc;
    bool merged; /* the last step of a merge */
    int64_t cost_ns;
    uint64_t growths;
    uint64_t disk_records;
    uint64_t disk_bytes;
    struct idem_record_set *group_to_clear;
    struct idem_record_set *backlog_to_clear;
    size_t waiting; /* records that are not where they should be */
    bool report_failure;
    bool report_recovery;
};

static void lock(struct idem_embedded *embedded) {
    (void)pthread_mutex_lock(&embedded->mutex);
}

static void unlock(struct idem_embedded *embedded) {
    (void)pthread_mutex_unlock(&embedded->mutex);
}

static int compare_digests(const void *a, const void *b) {
    return memcmp(a, b, IDEM_DIGEST_SIZE);
}

/* Ascending order, so that neighbours share pages: fewer of them are copied and written. */
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
    qsort(merge->digests, merge->count, sizeof *merge->digests, compare_digests);
    return true;
}

/* A merge takes many transactions, so that a group that has become due meanwhile waits for one of them
 * only; and because each change copies a page, and the pages of the last two transactions cannot be
 * reused: large ones make the file long (at a million keys, steps of 16384 changes one of 160 bytes a
 * key, steps of 1024 one of 100). Records are independent of each other, so nothing needs the
 * whole. When all are among the records, the journal is trimmed, in transactions of its own. */
static int take_step(struct idem_embedded *embedded, struct attempt *attempt) {
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

/* One transaction. */
static int transact(struct idem_embedded *embedded, struct attempt *attempt) {
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
static int grow(struct idem_embedded *embedded, struct attempt *attempt) {
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

static int transact_and_grow(struct idem_embedded *embedded, struct attempt *attempt) {
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
static bool move_some(struct idem_embedded *embedded, struct idem_table_cursor *cursor,
                      enum idem_code *code) {
    struct idem_digest digest;
    struct idem_record record;
    size_t bytes = 0;
    for (int i = 0; i < MOVE_MOST && bytes < MOVE_BYTES; i++) {
        if (!idem_record_set_next(embedded->frozen.records, cursor, &digest, &record)) {
            return false;
        }
        *code = idem_record_set_put(embedded->journalled.records, &digest, &record);
        if (*code != IDEM_OK) {
            return false;
        }
        embedded->frozen_moved++;
        bytes += record.result.len;
    }
    return true;
}

/* The frozen group is in the journal; now its records join those that wait to be merged. */
static int move_group(struct idem_embedded *embedded) {
    struct idem_table_cursor cursor = {0, 0};
    enum idem_code code = IDEM_OK;
    bool more = true;
    lock(embedded);
    embedded->frozen_moved = 0;
    unlock(embedded);
    while (more) {
        lock(embedded);
        more = move_some(embedded, &cursor, &code);
        unlock(embedded);
    }
    return code == IDEM_OK ? MDB_SUCCESS : ENOMEM;
}

/* The part of an attempt that waits for the disk. */
static void run(struct idem_embedded *embedded, struct attempt *attempt) {
    int64_t started_ns = idem_clock_thread_ns();
    if (embedded->disk.env == NULL) {
        attempt->rc = heal(embedded);
    }
    bool more = true;
    while (attempt->rc == MDB_SUCCESS && more) {
        attempt->rc = transact_and_grow(embedded, attempt);
        more = attempt->work == IDEM_WORK_JOURNAL && !embedded->writer.group.complete;
    }
    if (attempt->rc == MDB_SUCCESS && attempt->work == IDEM_WORK_JOURNAL) {
        attempt->rc = move_group(embedded);
    }
    if (attempt->rc != MDB_SUCCESS) {
        (void)heal(embedded); /* so that lookups work until the next attempt */
    }
    idem_disk_size(&embedded->disk, &attempt->disk_records, &attempt->disk_bytes);
    attempt->cost_ns = idem_clock_thread_ns() - started_ns;
}

/* Freezes the active group if none is frozen. From here on to settle the frozen records do not change,
 * and are read by both threads without a lock on our side. */
static void freeze_group(struct idem_embedded *embedded) {
    if (embedded->frozen.records != NULL) {
        return;
    }
    embedded->frozen = embedded->active;
    embedded->active = (struct idem_group){.records = embedded->spare_group};
    embedded->spare_group = NULL;
    embedded->active_no++;
    embedded->writer.group = (struct idem_journal_group){
        .records = embedded->frozen.records,
    };
    idem_pace_frozen(embedded);
}

/* The same for what is journalled. */
static void freeze_backlog(struct idem_embedded *embedded) {
    if (embedded->merging.records != NULL) {
        return;
    }
    embedded->merging = embedded->journalled;
    embedded->journalled = (struct idem_backlog){.records = embedded->spare_backlog};
    embedded->spare_backlog = NULL;
}

static struct attempt begin(struct idem_embedded *embedded, enum idem_work work) {
    struct idem_writer *writer = &embedded->writer;
    if (work == IDEM_WORK_JOURNAL) {
        freeze_group(embedded);
    } else if (work == IDEM_WORK_MERGE) {
        freeze_backlog(embedded);
    }
    writer->sweep.now_ms = embedded->now_ms;
    writer->sweep.round_ended = false;
    writer->sweep.dropped = 0;
    return (struct attempt){
        .work = work,
        .merging = &embedded->merging,
        .step = idem_pace_hurried(embedded) ? STEP_HURRIED : STEP_MOST,
    };
}

/* Lets the operations that wait for a group go, with the code that they get. */
static void answer(struct idem_embedded *embedded, struct idem_waiters *waiters,
                   enum idem_code code) {
    if (waiters->first == NULL) {
        return;
    }
    for (struct idem_waiter *at = waiters->first; at != NULL; at = at->next) {
        at->answer.code = code;
    }
    idem_waiters_splice(&embedded->answered, waiters);
    uint64_t one = 1;
    ssize_t written = write(embedded->event_fd, &one, sizeof one);
    (void)
        written; /* fails only when the counter is at its limit: readable all the same */
}

/* Whether this failure is worth a line: the first of its kind, and then one a minute. */
static bool worth_logging(struct idem_writer *writer, bool failing, int rc) {
    int64_t now_ns = idem_clock_monotonic_ns();
    if (failing && rc == writer->failed_rc && now_ns - writer->logged_ns < LOG_EVERY_NS) {
        return false;
    }
    writer->logged_ns = now_ns;
    return true;
}

/* The work is tried again. Whoever waits for a group is told that it MAY become durable: the operation
 * has taken effect in memory, and only a crash before the disk recovers would undo it. Those in the
 * active group are told so too, as it cannot be written before the frozen one. */
static void settle_failed(struct idem_embedded *embedded, struct attempt *attempt) {
    struct idem_writer *writer = &embedded->writer;
    idem_pace_failed(embedded, attempt->work);
    if (attempt->work == IDEM_WORK_SWEEP) {
        return;
    }
    attempt->report_failure = worth_logging(writer, embedded->stats.failing, attempt->rc);
    writer->failed_rc = attempt->rc;
    embedded->stats.commit_failures++;
    if (attempt->work == IDEM_WORK_JOURNAL) {
        answer(embedded, &embedded->frozen.waiters, IDEM_ERR_TIMEOUT);
        answer(embedded, &embedded->active.waiters, IDEM_ERR_TIMEOUT);
        attempt->waiting = idem_front_unsaved(embedded);
    } else {
        attempt->waiting = idem_record_set_count(embedded->merging.records);
    }
}

/* The frozen group is on disk, and in memory it has joined those that are. */
static void settle_journalled(struct idem_embedded *embedded, struct attempt *attempt) {
    struct idem_backlog *journalled = &embedded->journalled;
    answer(embedded, &embedded->frozen.waiters, IDEM_OK);
    journalled->delta += embedded->frozen.delta;
    journalled->entries += embedded->writer.group.entries;
    journalled->last = embedded->writer.group.last;
    journalled->no = embedded->active_no - 1;
    attempt->group_to_clear = embedded->frozen.records;
    embedded->frozen = (struct idem_group){.records = NULL};
    embedded->frozen_moved = 0;
    embedded->committed_no = embedded->active_no - 1;
    embedded->stats.commits++;
}

/* With each step, what the records have gained is not the front's to add any more. */
static void settle_merged(struct idem_embedded *embedded, struct attempt *attempt) {
    struct idem_writer *writer = &embedded->writer;
    struct idem_backlog *merging = &embedded->merging;
    merging->delta -=
        (int64_t)(attempt->disk_records + writer->sweep.dropped - embedded->stats.keys);
    if (attempt->merged) {
        embedded->merged_no = merging->no;
        attempt->backlog_to_clear = merging->records;
        *merging = (struct idem_backlog){.records = NULL};
        free(writer->merge.digests);
        writer->merge = (struct idem_merge){.digests = NULL};
    }
}

static void settle_done(struct idem_embedded *embedded, struct attempt *attempt) {
    if (attempt->work == IDEM_WORK_JOURNAL) {
        settle_journalled(embedded, attempt);
    } else if (attempt->work == IDEM_WORK_MERGE) {
        settle_merged(embedded, attempt);
    }
    embedded->stats.keys = attempt->disk_records;
    embedded->stats.bytes = attempt->disk_bytes;
    embedded->stats.purged += embedded->writer.sweep.dropped;
    idem_pace_done(embedded, attempt->work, attempt->cost_ns);
}

static void settle(struct idem_embedded *embedded, struct attempt *attempt) {
    const struct idem_retry *retries = embedded->writer.retries;
    bool was_failing = embedded->stats.failing;
    embedded->stats.map_growths += attempt->growths;
    if (attempt->rc == MDB_SUCCESS) {
        settle_done(embedded, attempt);
    } else {
        settle_failed(embedded, attempt);
    }
    embedded->stats.failing =
        retries[IDEM_WORK_JOURNAL].failing || retries[IDEM_WORK_MERGE].failing;
    attempt->report_recovery = was_failing && !embedded->stats.failing;
    (void)pthread_cond_broadcast(&embedded->writer.settled);
}

/* Without the mutex: the program's log may take its time. */
static void report(const struct idem_embedded *embedded, const struct attempt *attempt) {
    if (attempt->report_failure) {
        bool full = idem_disk_code(attempt->rc) == IDEM_ERR_FULL;
        bool journal = attempt->work == IDEM_WORK_JOURNAL;
        idem_log_write(
            &embedded->log, IDEM_LOG_ERROR, full ? "store.full" : "store.write_failed",
            "store %s: %zu records cannot be %s: %s; they are kept in %s "
            "and tried again",
            embedded->disk.path, attempt->waiting, journal ? "written" : "merged",
            mdb_strerror(attempt->rc), journal ? "memory" : "memory and in its journal");
    }
    if (attempt->report_recovery) {
        idem_log_write(&embedded->log, IDEM_LOG_NOTICE, "store.recovered",
                       "store %s: records are written again", embedded->disk.path);
    }
}

/* Clearing takes its time, and nobody else sees the set. */
static void clear_sets(struct idem_embedded *embedded, const struct attempt *attempt) {
    if (attempt->group_to_clear != NULL) {
        idem_record_set_clear(attempt->group_to_clear);
        embedded->spare_group = attempt->group_to_clear;
    }
    if (attempt->backlog_to_clear != NULL) {
        idem_record_set_clear(attempt->backlog_to_clear);
        embedded->spare_backlog = attempt->backlog_to_clear;
    }
}

static void sleep_until(struct idem_embedded *embedded, int64_t due_ns) {
    if (due_ns == INT64_MAX) {
        (void)pthread_cond_wait(&embedded->writer.work, &embedded->mutex);
        return;
    }
    struct timespec until = {.tv_sec = due_ns / (1000 * MS),
                             .tv_nsec = (long)(due_ns % (1000 * MS))};
    (void)pthread_cond_timedwait(&embedded->writer.work, &embedded->mutex, &until);
}

/* NONE: told to stop, and nothing is left that could be written. */
static enum idem_work await_work(struct idem_embedded *embedded) {
    for (;;) {
        int64_t due_ns;
        enum idem_work work = idem_pace_next(embedded, &due_ns);
        if (work != IDEM_WORK_NONE || embedded->writer.stop) {
            return work;
        }
        sleep_until(embedded, due_ns);
    }
}

static void *writer_main(void *arg) {
    struct idem_embedded *embedded = arg;
    enum idem_work work;
    (void)prctl(PR_SET_NAME, "idem-writer", 0, 0, 0);
    lock(embedded);
    while ((work = await_work(embedded)) != IDEM_WORK_NONE) {
        struct attempt attempt = begin(embedded, work);
        unlock(embedded);
        run(embedded, &attempt);
        lock(embedded);
        settle(embedded, &attempt);
        unlock(embedded);
        report(embedded, &attempt);
        clear_sets(embedded, &attempt);
        lock(embedded);
    }
    unlock(embedded);
    return NULL;
}

/* Signals are the program's business, and one in this thread could interrupt a write: all are blocked.
 * That includes SIGXFSZ, so that a file size limit is an error code like a full disk. */
int idem_writer_start(struct idem_embedded *embedded) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc != 0) {
        return rc;
    }
    rc = pthread_create(&embedded->writer.thread, NULL, writer_main, embedded);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void idem_writer_stop(struct idem_embedded *embedded) {
    lock(embedded);
    embedded->writer.stop = true;
    embedded->writer.journal_asked = UINT64_MAX;
    embedded->writer.merge_asked = UINT64_MAX;
    unlock(embedded);
    (void)pthread_cond_signal(&embedded->writer.work);
    (void)pthread_join(embedded->writer.thread, NULL);
    free(embedded->writer.merge.digests);
    embedded->writer.merge.digests = NULL;
}

uint64_t idem_writer_latest(const struct idem_embedded *embedded) {
    bool changed = idem_record_set_count(embedded->active.records) > 0;
    return changed ? embedded->active_no : embedded->active_no - 1;
}
