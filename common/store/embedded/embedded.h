/* SPDX-License-Identifier: MIT
 * The embedded store's own header: what its files share. The design is told in
 * embedded.c. */
#ifndef IDEM_STORE_EMBEDDED_EMBEDDED_H
#define IDEM_STORE_EMBEDDED_EMBEDDED_H

#include "store/embedded/disk.h"
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
    int64_t delta; /* records that it adds to those on disk, less those that it removes */
};

/* The writer thread's state. Times are of the monotonic clock, in ns. */
struct idem_writer {
    pthread_t thread;
    pthread_cond_t work;    /* something to write, to sync, or to stop for */
    pthread_cond_t settled; /* an attempt has ended */
    bool stop;
    uint64_t asked;       /* groups up to this one are to be written at once */
    int64_t group_due_ns; /* 0: the clock of the active group is not running yet */
    int64_t retry_due_ns;
    int64_t retry_wait_ns;
    int64_t sweep_due_ns;
    int sweep_rounds; /* how often the idle sweep still goes round */
    struct idem_sweep sweep;
    int64_t logged_ns; /* when a failure was last logged */
    int failed_rc;     /* of the last failure; LMDB's or the system's code */
};

struct idem_embedded {
    struct idem_store base;
    struct idem_log log;
    size_t front_max;
    int64_t interval_ns;
    int event_fd;                  /* readable when answered is not empty */
    struct idem_record_set *spare; /* the writer's alone, between two groups */

    pthread_mutex_t mutex; /* guards all that follows; held for microseconds only */
    struct idem_disk disk;
    struct idem_record_set sets[2];
    struct idem_group active; /* what changes now */
    struct idem_group frozen; /* what is being written: never changed, only read */
    uint64_t active_no;       /* groups are numbered from 1 */
    uint64_t committed_no;
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

/* Entries of both groups. */
size_t idem_front_count(const struct idem_embedded *embedded);

void idem_waiters_append(struct idem_waiters *queue, struct idem_waiter *waiter);
/* Moves all of from to the end of to. */
void idem_waiters_splice(struct idem_waiters *to, struct idem_waiters *from);

/* The operations (operations.c). */
void idem_embedded_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg);
void idem_embedded_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg);
void idem_embedded_abandon(struct idem_store *store, const struct idem_digest *digest,
                           const struct idem_owner *owner, idem_store_done *done,
                           void *arg);
void idem_embedded_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg);
void idem_embedded_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg);

/* Visits what is live on disk, but for what skip knows (NULL: nothing). Takes the
 * mutex (NULL: none) for one record at a time, never during a visit (iterate.c). */
struct idem_disk_walk {
    struct idem_disk *disk;
    pthread_mutex_t *mutex;
    const struct idem_record_set *skip;
    int64_t now_ms;
};
IDEM_MUST_USE enum idem_code idem_disk_walk(const struct idem_disk_walk *walk,
                                            idem_store_visit *visit, void *arg,
                                            struct idem_error *error);
IDEM_MUST_USE enum idem_code idem_embedded_iterate(struct idem_store *store,
                                                   int64_t now_ms,
                                                   idem_store_visit *visit, void *arg,
                                                   struct idem_error *error);

/* The writer thread (writer.c). start: errno, or 0. stop: a last attempt to write,
 * then the end. */
IDEM_MUST_USE int idem_writer_start(struct idem_embedded *embedded);
void idem_writer_stop(struct idem_embedded *embedded);
/* With the mutex held: the group that the latest change is in; what was committed if
 * there is none. */
uint64_t idem_writer_latest(const struct idem_embedded *embedded);

/* A store opened for reading only (viewer.c). */
IDEM_MUST_USE enum idem_code idem_viewer_open(struct idem_store **store,
                                              const struct idem_disk_options *options,
                                              struct idem_error *error);

#endif
