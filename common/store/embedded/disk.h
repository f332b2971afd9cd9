/* SPDX-License-Identifier: MIT
 * The LMDB environment behind the embedded store: one file of records, and one record
 * about itself.
 *
 * Threads: write transactions belong to the writer thread. Everything else changes or
 * uses the mapping and is called with the store's mutex held. */
#ifndef IDEM_STORE_EMBEDDED_DISK_H
#define IDEM_STORE_EMBEDDED_DISK_H

#include "store/embedded/file.h"
#include "store/embedded/filter.h"
#include "store/record_set.h"

#include <idem/store.h>

#include <lmdb.h>

struct idem_disk_options {
    const char *path;
    size_t map_size;
    bool read_only;
    const struct idem_secret *secret; /* NULL: not checked */
};

struct idem_disk {
    char *path;
    struct idem_file file;
    bool read_only;
    size_t map_size;
    size_t page_size;
    MDB_env *env;  /* NULL after a failed reopening: nothing can be read or written */
    MDB_txn *view; /* the one read transaction, reset between uses */
    MDB_dbi dbi;   /* the records */
    MDB_dbi journal;
    bool has_journal;
    bool viewing;
};

/* Blocks on disk. On error nothing is left open. */
IDEM_MUST_USE enum idem_code idem_disk_open(struct idem_disk *disk,
                                            const struct idem_disk_options *options,
                                            struct idem_error *error);
void idem_disk_close(struct idem_disk *disk);

/* LMDB's and the system's codes in our words. */
enum idem_code idem_disk_code(int rc);

/* A consistent view of what is committed; records read in it are borrowed until it
 * ends. Beginning takes no lock. Ending one that has not begun does nothing. */
IDEM_MUST_USE enum idem_code idem_disk_view_begin(struct idem_disk *disk);
void idem_disk_view_end(struct idem_disk *disk);

/* Within a view. State NONE: nothing there. IDEM_ERR_FORMAT, _VERSION: there, but not
 * readable. */
IDEM_MUST_USE enum idem_code idem_disk_read(struct idem_disk *disk,
                                            const struct idem_digest *digest,
                                            struct idem_record *record);

/* Within a view: looks at some records from *digest on for one that is live. *digest is
 * the record's with FOUND, and where to go on with MORE. Unreadable records are passed
 * over. */
enum idem_disk_seek {
    IDEM_DISK_FOUND,
    IDEM_DISK_MORE,
    IDEM_DISK_END,
};
IDEM_MUST_USE enum idem_code idem_disk_seek(struct idem_disk *disk, int64_t now_ms,
                                            struct idem_digest *digest,
                                            struct idem_record *record,
                                            enum idem_disk_seek *result);

/* The digest after this one; false: there is none. */
bool idem_digest_step(struct idem_digest *digest);

/* For the meta record: opens the journal's database within a transaction, or makes it. */
int idem_disk_open_journal(struct idem_disk *disk, MDB_txn *txn, bool create);

/* Within a view: the records, those in the journal aside; 0 where that cannot be told. */
uint64_t idem_disk_count(struct idem_disk *disk);

/* The same without a view, as it is now; and the bytes of the file in use. */
void idem_disk_size(struct idem_disk *disk, uint64_t *records, uint64_t *bytes);

/* Doubles the map, or frees what dead readers pin. Outside any view. Returns an LMDB
 * code; on failure the environment is reopened or gone. */
int idem_disk_grow(struct idem_disk *disk);

/* Reopens an environment that LMDB has given up (MDB_PANIC), or that is gone. Outside
 * any view. */
int idem_disk_heal(struct idem_disk *disk);

/* A write transaction. end commits it, or gives it up where rc is a failure, and
 * returns the code that counts. */
int idem_disk_begin(struct idem_disk *disk, MDB_txn **txn);
int idem_disk_end(struct idem_disk *disk, MDB_txn *txn, int rc);

/* A piece of a merge: digests in ascending order, what became of each is in records. */
struct idem_disk_batch {
    const struct idem_record_set *records;
    const struct idem_digest *digests;
    size_t count;
};

/* A stroll round the file in bounded pieces that deletes what has expired. */
struct idem_sweep {
    struct idem_digest from; /* where to go on; moves only with a commit */
    int64_t now_ms;
    size_t budget; /* records to look at */
    uint64_t dropped;
    bool round_ended;
    struct idem_filter *seen; /* learns what stays */
    /* When the first of what the round has seen, or what was written meanwhile, expires; and the first of
     * all: until then, rounds end where they begin. 0: not known, no round has ended yet. */
    int64_t soonest_ms;
    int64_t due_ms;
};

/* Writes the batch among the records, sweeps, and syncs: one transaction. Returns an
 * LMDB code. */
int idem_disk_merge(struct idem_disk *disk, const struct idem_disk_batch *batch,
                    struct idem_sweep *sweep);

#endif
