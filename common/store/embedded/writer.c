/* SPDX-License-Identifier: MIT
 * The writer thread: takes the changes group by group and makes them durable. It alone
 * waits for disks.
 *
 * States, by the two groups:
 *   active empty, no frozen   nothing to do: sleeps, or sweeps once a second for a while
 *   active filled, no frozen  waits until the group is due; a crash loses this group
 *   frozen                    being written, or failed and waiting for its next try; a
 *                             crash loses what is not committed of it, and the active
 *                             group */
#include "store/embedded/embedded.h"

#include <idem/clock.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MS             INT64_C(1000000)
#define RETRY_FIRST_NS (100 * MS)
#define RETRY_LAST_NS  (1000 * MS)
#define LOG_EVERY_NS   (60 * 1000 * MS)
#define SWEEP_EVERY_NS (1000 * MS)
#define SWEEP_IDLE     16384 /* records a second while nothing else is to do */
#define SWEEP_EACH     8     /* records looked at for each change */
#define SWEEP_LEAST    256
#define SWEEP_ROUNDS                                                                     \
    2 /* after the last change: the round that was under way, and a whole one */
#define TRANSACTION_LEAST 1024 /* changes; see transaction_size */
#define TRANSACTIONS_MOST 16   /* for one group */
#define GROWTHS_MOST      32

/* What one attempt is about, so that it can run without the mutex. */
struct attempt {
    const struct idem_record_set *records; /* NULL: sweeping only */
    struct idem_digest *digests;
    size_t count;
    int rc;
    uint64_t growths;
    uint64_t disk_records;
    uint64_t disk_bytes;
    size_t kept; /* records in memory afterwards */
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

/* Ascending order, so that neighbours share pages: fewer of them are copied and
 * written. */
static bool list_digests(struct attempt *attempt) {
    size_t most = idem_record_set_count(attempt->records);
    struct idem_table_cursor cursor = {0, 0};
    struct idem_record record;
    attempt->digests = malloc(most * sizeof *attempt->digests);
    if (attempt->digests == NULL) {
        return false;
    }
    while (attempt->count < most &&
           idem_record_set_next(attempt->records, &cursor,
                                &attempt->digests[attempt->count], &record)) {
        attempt->count++;
    }
    qsort(attempt->digests, attempt->count, sizeof *attempt->digests, compare_digests);
    return true;
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

static int commit(struct idem_embedded *embedded, struct attempt *attempt,
                  const struct idem_disk_batch *batch, size_t sweep_budget) {
    struct idem_sweep *sweep = &embedded->writer.sweep;
    sweep->budget = sweep_budget;
    int rc = idem_disk_commit(&embedded->disk, batch, sweep);
    for (int i = 0; rc == MDB_MAP_FULL && i < GROWTHS_MOST; i++) {
        rc = grow(embedded, attempt);
        if (rc == MDB_SUCCESS) {
            rc = idem_disk_commit(&embedded->disk, batch, sweep);
        }
    }
    return rc;
}

/* A large group takes several transactions: each change copies a page, and the pages
 * of the last two transactions cannot be reused. At a million keys, 16384 changes a
 * transaction make a file of 160 bytes a key, 1024 one of 104. A very large group
 * means that the disk is slow, and then syncs count more than the size. Records are
 * independent of each other, so nothing needs the whole group at once. */
static size_t transaction_size(size_t group) {
    size_t share = group / TRANSACTIONS_MOST;
    return share > TRANSACTION_LEAST ? share : TRANSACTION_LEAST;
}

static void write_group(struct idem_embedded *embedded, struct attempt *attempt) {
    if (!list_digests(attempt)) {
        attempt->rc = ENOMEM;
        return;
    }
    size_t most = transaction_size(attempt->count);
    for (size_t from = 0; attempt->rc == MDB_SUCCESS && from < attempt->count;) {
        size_t left = attempt->count - from;
        struct idem_disk_batch batch = {
            .records = attempt->records,
            .digests = attempt->digests + from,
            .count = left < most ? left : most,
        };
        size_t budget = batch.count * SWEEP_EACH + SWEEP_LEAST;
        attempt->rc = commit(embedded, attempt, &batch, budget);
        from += batch.count;
    }
    free(attempt->digests);
}

/* The part of an attempt that waits for the disk. */
static void run(struct idem_embedded *embedded, struct attempt *attempt) {
    static const struct idem_disk_batch nothing = {.count = 0};
    if (embedded->disk.env == NULL) {
        attempt->rc = heal(embedded);
    }
    if (attempt->rc == MDB_SUCCESS && attempt->records != NULL) {
        write_group(embedded, attempt);
    } else if (attempt->rc == MDB_SUCCESS) {
        attempt->rc = commit(embedded, attempt, &nothing, SWEEP_IDLE);
    }
    if (attempt->rc != MDB_SUCCESS) {
        (void)heal(embedded); /* so that lookups work until the next attempt */
    }
    idem_disk_size(&embedded->disk, &attempt->disk_records, &attempt->disk_bytes);
}

/* Freezes the active group if none is frozen. From here on to settle the frozen
 * records do not change, and are read by both threads without a lock on our side. */
static struct attempt begin(struct idem_embedded *embedded) {
    struct idem_writer *writer = &embedded->writer;
    if (embedded->frozen.records == NULL &&
        idem_record_set_count(embedded->active.records) > 0) {
        embedded->frozen = embedded->active;
        embedded->active = (struct idem_group){.records = embedded->spare};
        embedded->spare = NULL;
        embedded->active_no++;
        /* The first change of the next group may come any moment from now on. */
        writer->group_due_ns = idem_clock_monotonic_ns() + embedded->interval_ns;
    }
    writer->sweep.now_ms = embedded->now_ms;
    writer->sweep.round_ended = false;
    writer->sweep.dropped = 0;
    return (struct attempt){.records = embedded->frozen.records};
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

/* The group stays frozen and is tried again. Whoever waits is told that it MAY become
 * durable: the operation has taken effect in memory, and only a crash before the disk
 * recovers would undo it. Those in the active group are told so too, as it cannot be
 * written before the frozen one. */
static void settle_failed(struct idem_embedded *embedded, struct attempt *attempt) {
    struct idem_writer *writer = &embedded->writer;
    attempt->report_failure = worth_logging(writer, embedded->stats.failing, attempt->rc);
    writer->failed_rc = attempt->rc;
    embedded->stats.failing = true;
    embedded->stats.commit_failures++;
    writer->asked = 0;
    writer->retry_due_ns = idem_clock_monotonic_ns() + writer->retry_wait_ns;
    writer->retry_wait_ns = writer->retry_wait_ns * 2 < RETRY_LAST_NS
                                ? writer->retry_wait_ns * 2
                                : RETRY_LAST_NS;
    answer(embedded, &embedded->frozen.waiters, IDEM_ERR_TIMEOUT);
    answer(embedded, &embedded->active.waiters, IDEM_ERR_TIMEOUT);
}

/* The frozen group is on disk: from now on it is found there. Returns its set, to be
 * cleared. */
static struct idem_record_set *settle_committed(struct idem_embedded *embedded,
                                                struct attempt *attempt) {
    struct idem_writer *writer = &embedded->writer;
    struct idem_record_set *records = embedded->frozen.records;
    answer(embedded, &embedded->frozen.waiters, IDEM_OK);
    embedded->frozen = (struct idem_group){.records = NULL};
    embedded->committed_no = embedded->active_no - 1;
    embedded->stats.commits++;
    attempt->report_recovery = embedded->stats.failing;
    embedded->stats.failing = false;
    writer->retry_wait_ns = RETRY_FIRST_NS;
    writer->sweep_rounds = SWEEP_ROUNDS;
    return records;
}

static struct idem_record_set *settle(struct idem_embedded *embedded,
                                      struct attempt *attempt) {
    struct idem_writer *writer = &embedded->writer;
    struct idem_record_set *cleared = NULL;
    embedded->stats.map_growths += attempt->growths;
    embedded->stats.purged += writer->sweep.dropped;
    if (attempt->rc == MDB_SUCCESS) {
        embedded->stats.keys = attempt->disk_records;
        embedded->stats.bytes = attempt->disk_bytes;
    }
    writer->sweep_due_ns = idem_clock_monotonic_ns() + SWEEP_EVERY_NS;
    writer->sweep_rounds -= writer->sweep.round_ended && writer->sweep_rounds > 0;
    if (attempt->records != NULL && attempt->rc == MDB_SUCCESS) {
        cleared = settle_committed(embedded, attempt);
    } else if (attempt->records != NULL) {
        settle_failed(embedded, attempt);
    }
    attempt->kept = idem_front_count(embedded);
    (void)pthread_cond_broadcast(&writer->settled);
    return cleared;
}

/* Without the mutex: the program's log may take its time. */
static void report(const struct idem_embedded *embedded, const struct attempt *attempt) {
    if (attempt->report_failure) {
        bool full = idem_disk_code(attempt->rc) == IDEM_ERR_FULL;
        idem_log_write(&embedded->log, IDEM_LOG_ERROR,
                       full ? "store.full" : "store.write_failed",
                       "store %s: %zu records cannot be written: %s; they are kept in "
                       "memory and tried again",
                       embedded->disk.path, attempt->kept, mdb_strerror(attempt->rc));
    }
    if (attempt->report_recovery) {
        idem_log_write(&embedded->log, IDEM_LOG_NOTICE, "store.recovered",
                       "store %s: records are written again", embedded->disk.path);
    }
}

/* When the next attempt is due: 0 at once, INT64_MAX never. */
static int64_t next_due(struct idem_embedded *embedded) {
    struct idem_writer *writer = &embedded->writer;
    bool frozen = embedded->frozen.records != NULL;
    if (!frozen && idem_record_set_count(embedded->active.records) == 0) {
        writer->group_due_ns = 0;
        return writer->sweep_rounds > 0 && !writer->stop ? writer->sweep_due_ns
                                                         : INT64_MAX;
    }
    if (writer->asked > embedded->committed_no) {
        return 0;
    }
    if (frozen) {
        return writer->retry_due_ns;
    }
    if (writer->group_due_ns == 0) {
        writer->group_due_ns = idem_clock_monotonic_ns() + embedded->interval_ns;
    }
    return writer->group_due_ns;
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

/* False: told to stop, and nothing is left that could be written. */
static bool await_work(struct idem_embedded *embedded) {
    for (;;) {
        int64_t due_ns = next_due(embedded);
        if (due_ns <= idem_clock_monotonic_ns()) {
            return true;
        }
        if (embedded->writer.stop) {
            return false;
        }
        sleep_until(embedded, due_ns);
    }
}

static void *writer_main(void *arg) {
    struct idem_embedded *embedded = arg;
    (void)prctl(PR_SET_NAME, "idem-writer", 0, 0, 0);
    lock(embedded);
    while (await_work(embedded)) {
        struct attempt attempt = begin(embedded);
        unlock(embedded);
        run(embedded, &attempt);
        lock(embedded);
        struct idem_record_set *written = settle(embedded, &attempt);
        unlock(embedded);
        report(embedded, &attempt);
        if (written != NULL) {
            idem_record_set_clear(written); /* takes its time, and nobody else sees it */
            embedded->spare = written;
        }
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
    embedded->writer.retry_wait_ns = RETRY_FIRST_NS;
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
    embedded->writer.asked = UINT64_MAX;
    unlock(embedded);
    (void)pthread_cond_signal(&embedded->writer.work);
    (void)pthread_join(embedded->writer.thread, NULL);
}

uint64_t idem_writer_latest(const struct idem_embedded *embedded) {
    bool changed = idem_record_set_count(embedded->active.records) > 0;
    return changed ? embedded->active_no : embedded->active_no - 1;
}
