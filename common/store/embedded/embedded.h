/* SPDX-License-Identifier: MIT
 * The embedded store's own header: what its files share. The design is told in
 * embedded.c. */
#ifndef IDEM_STORE_EMBEDDED_EMBEDDED_H
#define IDEM_STORE_EMBEDDED_EMBEDDED_H

#include "store/embedded/filter.h"
#include "store/embedded/journal.h"
#include "store/record_set.h"

#include <idem/log.h>
#include <idem/store.h>

#include <pthread.h>

/* An operation that waits for the disk, with its answer to be. */
struct idem_waiter {
    struct idem_waiter *next;
    idem_store_done *done;
    void *arg;
    struct idem_answer answer;
    uint8_t *result; /* owned; what answer.record.result points to, or NULL */
};

struct idem_waiters {
    struct idem_waiter *first;
    struct idem_waiter *last;
};

/* One generation of changes. */
struct idem_group {
    struct idem_record_set *records; /* NULL: no such group */
    struct idem_waiters waiters;
    /* Records that it adds to those before it, less those that it removes. */
    int64_t delta;
};

/* What waits in the journal to be merged: journalled, not changed by operations. */
struct idem_backlog {
    struct idem_record_set *records; /* NULL: none such */
    int64_t delta;
    size_t entries; /* in the journal; more than records where some changed again */
    uint64_t last;  /* the last blob of the journal that is in here */
    uint64_t no;    /* the last group that is in here */
    /* Records, and bytes of their results, but for those that are joining. */
    size_t count;
    size_t result_bytes;
};

/* What the writer thread may have to do, in the order of precedence. */
enum idem_work {
    IDEM_WORK_JOURNAL, /* append a group to the journal */
    IDEM_WORK_MERGE,   /* take the next step of a merge */
    IDEM_WORK_KINDS,   /* the ones above can fail and are tried again */
    IDEM_WORK_SWEEP = IDEM_WORK_KINDS,
    IDEM_WORK_NONE,
};

/* Of one kind of work that has failed. */
struct idem_retry {
    bool failing;
    int64_t due_ns;
    int64_t wait_ns;
};

/* The steps of a merge: its digests in ascending order, and how many of them are
 * written. */
struct idem_merge {
    struct idem_digest *digests; /* NULL: not listed yet */
    size_t count;
    size_t written;
};

/* The writer thread's state. Times are of the monotonic clock, in ns. */
struct idem_writer {
    pthread_t thread;
    pthread_cond_t work;    /* something to write, to sync, or to stop for */
    pthread_cond_t settled; /* an attempt has ended */
    bool stop;
    uint64_t journal_asked; /* groups up to this one are to be journalled at once, */
    uint64_t merge_asked;   /* or merged */
    struct idem_retry retries[IDEM_WORK_KINDS];
    int64_t group_due_ns;    /* 0: the clock of the active group is not running yet */
    int64_t awaited_due_ns;  /* 0: nobody waits for it yet */
    int64_t group_rest_ns;   /* no group before this, unless someone waits for it, */
    int64_t awaited_rest_ns; /* and none before this even then, unless it is due */
    int64_t merge_due_ns; /* if no bound is reached before; 0: its clock is not running */
    int64_t merge_rest_ns; /* no step before this, unless there is need for haste */
    int64_t sweep_due_ns;
    int sweep_rounds; /* how often the idle sweep still goes round */
    struct idem_sweep sweep;
    int64_t logged_ns; /* when a failure was last logged */
    int failed_rc;     /* of the last failure; LMDB's or the system's code */
    struct idem_journal_group group; /* the writer's alone: how far the frozen group is */
    struct idem_merge merge;         /* the writer's alone */
    /* The writer's alone: filled by a round of the sweep. */
    struct idem_filter next_known;
};

struct idem_embedded {
    struct idem_store base;
    struct idem_log log;
    size_t front_max;
    int64_t interval_ns;
    int event_fd;                          /* readable when answered is not empty */
    struct idem_record_set *spare_group;   /* the writer's alone: an empty set that */
    struct idem_record_set *spare_backlog; /* takes the place of one to be cleared */

    /* Guards what journalled.records holds. Taken alone, or after the mutex. */
    pthread_mutex_t joining;
    pthread_mutex_t mutex; /* guards all that follows; held for microseconds only */
    struct idem_disk disk;
    struct idem_record_set sets[4];
    struct idem_group active; /* what changes now */
    struct idem_group frozen; /* what is being journalled: never changed, only read */
    /* Gains each frozen group; its records are never NULL. */
    struct idem_backlog journalled;
    struct idem_backlog merging; /* never changed, only read */
    struct idem_filter known;    /* digests that are journalled, merging, or on disk */
    uint64_t active_no;          /* groups are numbered from 1 */
    uint64_t committed_no;
    uint64_t merged_no;
    struct idem_waiters answered; /* for dispatch */
    int64_t now_ms;               /* the latest that an operation was told */
    bool closing;
    bool sync_ready;               /* mutex and conditions exist */
    struct idem_store_stats stats; /* keys and bytes: of the file, at the last commit */
    struct idem_writer writer;
};

static inline struct idem_embedded *idem_embedded_of(struct idem_store *store) {
    return (struct idem_embedded *)store;
}

/* The sets of the front that exist now, from new to old. Returns their number. With the
 * mutex held; to look into them, joining as well. */
#define IDEM_FRONT_SETS 4
size_t idem_front_sets(const struct idem_embedded *embedded,
                       const struct idem_record_set *sets[IDEM_FRONT_SETS]);
/* With the mutex held: entries of all of them, bytes of their results, and entries that
 * are not on disk. */
size_t idem_front_count(const struct idem_embedded *embedded);
size_t idem_front_result_bytes(const struct idem_embedded *embedded);
size_t idem_front_unsaved(const struct idem_embedded *embedded);

void idem_waiters_append(struct idem_waiters *queue, struct idem_waiter *waiter);
/* Moves all of from to the end of to. */
void idem_waiters_splice(struct idem_waiters *to, struct idem_waiters *from);

/* The operations (operations.c). */
void idem_embedded_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg);
void idem_embedded_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg);
void idem_embedded_abandon(struct idem_store *store,
                           const struct idem_abandonment *abandonment,
                           idem_store_done *done, void *arg);
void idem_embedded_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg);
void idem_embedded_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg);
void idem_embedded_restore(struct idem_store *store,
                           const struct idem_restoration *restoration,
                           idem_store_done *done, void *arg);

/* Visits each live record once: those in front, which must not change, then those on
 * disk of which front knows nothing. Takes the mutex (NULL: none) for one record at a
 * time, never during a visit (iterate.c). */
struct idem_walk {
    struct idem_disk *disk;
    pthread_mutex_t *mutex;
    const struct idem_record_set *front;
    int64_t now_ms;
};
IDEM_MUST_USE enum idem_code idem_walk(const struct idem_walk *walk,
                                       idem_store_visit *visit, void *arg,
                                       struct idem_error *error);
IDEM_MUST_USE enum idem_code idem_embedded_iterate(struct idem_store *store,
                                                   int64_t now_ms,
                                                   idem_store_visit *visit, void *arg,
                                                   struct idem_error *error);

/* One piece of the writer's work, so that it can run without the mutex: what it is, what
 * has come of it, and what is left to do about it. */
struct idem_attempt {
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

/* The part of an attempt that waits for the disk (work.c). */
void idem_work_run(struct idem_embedded *embedded, struct idem_attempt *attempt);

/* The writer thread (writer.c). start: errno, or 0. stop: a last attempt to write, then
 * the end. */
IDEM_MUST_USE int idem_writer_start(struct idem_embedded *embedded);
void idem_writer_stop(struct idem_embedded *embedded);
/* With the mutex held: the group that the latest change is in; what was committed if
 * there is none. */
uint64_t idem_writer_latest(const struct idem_embedded *embedded);

/* With the mutex held: what is to be done next, and when (pace.c). 0: at once;
 * INT64_MAX: never. */
enum idem_work idem_pace_next(struct idem_embedded *embedded, int64_t *due_ns);
/* It was done, at the cost of so much processor time; or it failed. */
void idem_pace_done(struct idem_embedded *embedded, enum idem_work work, int64_t cost_ns);
void idem_pace_failed(struct idem_embedded *embedded, enum idem_work work);
/* The front is half full. */
bool idem_pace_hurried(const struct idem_embedded *embedded);
/* A group has been frozen; the first change of the next one may come any moment. */
void idem_pace_frozen(struct idem_embedded *embedded);

/* What is known of all but the active and the frozen group (known.c). A round of the
 * sweep sees every record on disk, and what comes there meanwhile is learnt on its way:
 * so it can fill a filter, where there is none or the one there is has become too full. */
/* At the opening: an empty store has its filter at once, another after a first round. */
void idem_known_start(struct idem_embedded *embedded);
/* The writer begins a round. Takes milliseconds for each hundred thousand records that
 * are not merged yet. */
void idem_known_begin(struct idem_embedded *embedded);
/* A digest joins those journalled. */
void idem_known_learn(struct idem_embedded *embedded, const struct idem_digest *digest);
/* With the mutex held: the round has ended. */
void idem_known_end(struct idem_embedded *embedded);

/* A store opened for reading only (viewer.c). */
IDEM_MUST_USE enum idem_code idem_viewer_open(struct idem_store **store,
                                              const struct idem_disk_options *options,
                                              struct idem_error *error);

#endif
