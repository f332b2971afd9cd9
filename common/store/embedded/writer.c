/* SPDX-License-Identifier: MIT
 * The writer thread: takes the changes group by group, makes them durable, and merges
 * them. It alone waits for disks.
 *
 * States, by the sets of the front, and what a crash in them loses:
 *   active      waits until the group is due; the active group is lost
 *   frozen      being journalled, or failed and waiting for its retry; what of it is not
 *               committed is lost, and the active group
 *   journalled  on disk; waits until a merge is due; nothing is lost
 *   merging     on disk, and step by step among the records, too; nothing is lost */
#include "store/embedded/embedded.h"

#include <idem/clock.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MS           INT64_C(1000000)
#define LOG_EVERY_NS (60 * 1000 * MS)
#define STEP_MOST    1024 /* changes in one step of a merge; see work.c */
#define STEP_HURRIED 4096 /* when the front is half full: the disk is slow */

static void lock(struct idem_embedded *embedded) {
    (void)pthread_mutex_lock(&embedded->mutex);
}

static void unlock(struct idem_embedded *embedded) {
    (void)pthread_mutex_unlock(&embedded->mutex);
}

/* Freezes the active group if none is frozen. From here on to settle the frozen records
 * do not change, and are read by both threads without a lock on our side. */
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

static struct idem_attempt begin(struct idem_embedded *embedded, enum idem_work work) {
    struct idem_writer *writer = &embedded->writer;
    if (work == IDEM_WORK_JOURNAL) {
        freeze_group(embedded);
    } else if (work == IDEM_WORK_MERGE) {
        freeze_backlog(embedded);
    }
    /* The round that fills the first filter comes at the busiest time, and drops nothing: what is dropped
     * on disk while a newer word on it stands in memory is counted wrongly until the next merge. */
    bool only_looks = work == IDEM_WORK_SWEEP && embedded->known.blocks == NULL;
    writer->sweep.now_ms = only_looks ? 0 : embedded->now_ms;
    writer->sweep.round_ended = false;
    writer->sweep.dropped = 0;
    return (struct idem_attempt){
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

/* The work is tried again. Whoever waits for a group is told that it MAY become
 * durable: the operation has taken effect in memory, and only a crash before the disk
 * recovers would undo it. Those in the active group are told so too, as it cannot be
 * written before the frozen one. */
static void settle_failed(struct idem_embedded *embedded, struct idem_attempt *attempt) {
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
static void settle_journalled(struct idem_embedded *embedded,
                              struct idem_attempt *attempt) {
    struct idem_backlog *journalled = &embedded->journalled;
    answer(embedded, &embedded->frozen.waiters, IDEM_OK);
    journalled->delta += embedded->frozen.delta;
    journalled->entries += embedded->writer.group.entries;
    journalled->last = embedded->writer.group.last;
    journalled->no = embedded->active_no - 1;
    journalled->count = idem_record_set_count(journalled->records);
    journalled->result_bytes = journalled->records->result_bytes;
    attempt->group_to_clear = embedded->frozen.records;
    embedded->frozen = (struct idem_group){.records = NULL};
    embedded->committed_no = embedded->active_no - 1;
    embedded->stats.commits++;
}

/* With each step, what the records have gained is not the front's to add any more. */
static void settle_merged(struct idem_embedded *embedded, struct idem_attempt *attempt) {
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

static void settle_done(struct idem_embedded *embedded, struct idem_attempt *attempt) {
    if (attempt->work == IDEM_WORK_JOURNAL) {
        settle_journalled(embedded, attempt);
    } else if (attempt->work == IDEM_WORK_MERGE) {
        settle_merged(embedded, attempt);
    }
    embedded->stats.keys = attempt->disk_records;
    embedded->stats.bytes = attempt->disk_bytes;
    embedded->stats.purged += embedded->writer.sweep.dropped;
    if (embedded->writer.sweep.round_ended) {
        idem_known_end(embedded);
    }
    idem_pace_done(embedded, attempt->work, attempt->cost_ns);
}

static void settle(struct idem_embedded *embedded, struct idem_attempt *attempt) {
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
static void report(const struct idem_embedded *embedded,
                   const struct idem_attempt *attempt) {
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
static void clear_sets(struct idem_embedded *embedded,
                       const struct idem_attempt *attempt) {
    if (attempt->group_to_clear != NULL) {
        idem_record_set_clear(attempt->group_to_clear);
        embedded->spare_group = attempt->group_to_clear;
    }
    if (attempt->backlog_to_clear != NULL) {
        idem_record_set_clear(attempt->backlog_to_clear);
        embedded->spare_backlog = attempt->backlog_to_clear;
    }
    if (embedded->writer.sweep.round_ended) {
        idem_filter_fini(&embedded->writer.next_known); /* the old one: known.c */
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
        struct idem_attempt attempt = begin(embedded, work);
        unlock(embedded);
        idem_work_run(embedded, &attempt);
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

/* Signals are the program's business, and one in this thread could interrupt a write:
 * all are blocked. That includes SIGXFSZ, so that a file size limit is an error code
 * like a full disk. */
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
