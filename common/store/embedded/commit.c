/* SPDX-License-Identifier: MIT
 * Write transactions on the records: a piece of a merge, and a slice of purging. */
#include "store/embedded/disk.h"

#include "store/record.h"
#include "store/step.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPIRED_MAX 256 /* collected before they are deleted */
#define FETCH_AHEAD 8   /* records: so long takes a miss in the cache */

static int delete_one(MDB_txn *txn, MDB_dbi dbi, struct idem_digest digest) {
    MDB_val key = {sizeof digest.bytes, digest.bytes};
    int rc = mdb_del(txn, dbi, &key, NULL);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* A cursor that stands near: neighbours share its page. */
static int put_one(MDB_cursor *cursor, struct idem_digest digest,
                   const struct idem_record *record) {
    MDB_val key = {sizeof digest.bytes, digest.bytes};
    MDB_val data = {idem_record_size(record), NULL};
    if (data.mv_size == 0) {
        return EINVAL;
    }
    int rc = mdb_cursor_put(cursor, &key, &data, MDB_RESERVE);
    if (rc == MDB_SUCCESS) {
        idem_record_encode(data.mv_data, record);
    }
    return rc;
}

/* Before that, no round finds anything to delete. */
static void note_expiry(struct idem_sweep *sweep, const struct idem_record *record) {
    int64_t expiry_ms = idem_record_expiry(record->state, record->until_ms);
    sweep->soonest_ms = expiry_ms < sweep->soonest_ms ? expiry_ms : sweep->soonest_ms;
    sweep->due_ms = expiry_ms < sweep->due_ms ? expiry_ms : sweep->due_ms;
}

static int write_batch(MDB_txn *txn, MDB_dbi dbi, const struct idem_disk_batch *batch,
                       struct idem_sweep *sweep) {
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    for (size_t i = 0; i < batch->count && rc == MDB_SUCCESS; i++) {
        struct idem_record record;
        if (i + FETCH_AHEAD < batch->count) {
            idem_record_set_fetch(batch->records, &batch->digests[i + FETCH_AHEAD]);
        }
        if (!idem_record_set_find(batch->records, &batch->digests[i], &record)) {
            continue;
        }
        if (record.state == IDEM_RECORD_NONE) {
            rc = delete_one(txn, dbi, batch->digests[i]);
        } else {
            rc = put_one(cursor, batch->digests[i], &record);
            note_expiry(sweep, &record);
        }
    }
    mdb_cursor_close(cursor);
    return rc;
}

struct collected {
    struct idem_digest digests[EXPIRED_MAX];
    size_t count;
};

/* Reads on from sweep->from until the budget, the room or the file ends. What cannot
 * be decoded stays: it may be a newer version's. */
static int collect(MDB_cursor *cursor, struct idem_sweep *sweep,
                   struct collected *expired) {
    MDB_val key = {sizeof sweep->from.bytes, sweep->from.bytes};
    MDB_val data;
    expired->count = 0;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        struct idem_record record;
        if (key.mv_size != IDEM_DIGEST_SIZE) {
            continue;
        }
        memcpy(sweep->from.bytes, key.mv_data, IDEM_DIGEST_SIZE);
        if (sweep->budget == 0 || expired->count == EXPIRED_MAX) {
            return MDB_SUCCESS;
        }
        sweep->budget--;
        struct idem_span bytes = idem_span_of(data.mv_data, data.mv_size);
        bool readable = idem_record_decode(&record, bytes) == IDEM_OK;
        if (readable &&
            idem_record_expired(record.state, record.until_ms, sweep->now_ms)) {
            expired->digests[expired->count++] = sweep->from;
            continue;
        }
        if (readable) {
            note_expiry(sweep, &record);
        }
        idem_filter_add(sweep->seen, &sweep->from);
    }
    if (rc == MDB_NOTFOUND) {
        sweep->round_ended = true;
        sweep->due_ms = sweep->soonest_ms;
        memset(&sweep->from, 0, sizeof sweep->from);
        return MDB_SUCCESS;
    }
    return rc;
}

/* False: a round would find nothing, and no filter wants to be filled. */
static bool begin_round(struct idem_sweep *sweep) {
    static const struct idem_digest first = {{0}};
    if (!idem_digest_equal(&sweep->from, &first)) {
        return true; /* it is under way */
    }
    bool fills = sweep->seen != NULL && sweep->seen->blocks != NULL;
    if (sweep->now_ms < sweep->due_ms && !fills) {
        sweep->round_ended = true;
        return false;
    }
    sweep->soonest_ms = INT64_MAX;
    return true;
}

/* Collecting and deleting take turns, so that no cursor stands where records vanish. */
static int sweep_some(MDB_txn *txn, MDB_dbi dbi, struct idem_sweep *sweep) {
    struct collected expired;
    if (!begin_round(sweep)) {
        return MDB_SUCCESS;
    }
    int rc = MDB_SUCCESS;
    while (rc == MDB_SUCCESS && sweep->budget > 0 && !sweep->round_ended) {
        MDB_cursor *cursor = NULL;
        rc = mdb_cursor_open(txn, dbi, &cursor);
        if (rc != MDB_SUCCESS) {
            return rc;
        }
        rc = collect(cursor, sweep, &expired);
        mdb_cursor_close(cursor);
        for (size_t i = 0; i < expired.count && rc == MDB_SUCCESS; i++) {
            rc = delete_one(txn, dbi, expired.digests[i]);
        }
        sweep->dropped += expired.count;
    }
    return rc;
}

/* Gives the file the length that LMDB believes it has (see freelist.c):
 * readers rely on it. Not being able to is no failure: the next writer's opening sees
 * to it. */
static void fill_tail(const struct idem_disk *disk) {
    MDB_envinfo info;
    struct stat status;
    if (mdb_env_info(disk->env, &info) == MDB_SUCCESS &&
        fstat(disk->file.fd, &status) == 0) {
        off_t used = (off_t)((info.me_last_pgno + 1) * disk->page_size);
        if (status.st_size < used) {
            (void)!ftruncate(disk->file.fd, used);
        }
    }
}

/* LMDB calls a write that came out short an input/output error. Where the disk is full,
 * one more byte at the end of the file tells. */
static int explain(const struct idem_disk *disk, int rc) {
    struct stat status;
    if (rc != EIO || fstat(disk->file.fd, &status) != 0) {
        return rc;
    }
    if (pwrite(disk->file.fd, "", 1, status.st_size) < 0) {
        return errno;
    }
    (void)!ftruncate(disk->file.fd, status.st_size); /* else it is a byte too long */
    return rc;
}

int idem_disk_begin(struct idem_disk *disk, MDB_txn **txn) {
    return disk->env == NULL ? MDB_PANIC : mdb_txn_begin(disk->env, NULL, 0, txn);
}

int idem_disk_end(struct idem_disk *disk, MDB_txn *txn, int rc) {
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc == MDB_SUCCESS) {
        fill_tail(disk);
    }
    return explain(disk, rc);
}

int idem_disk_merge(struct idem_disk *disk, const struct idem_disk_batch *batch,
                    struct idem_sweep *sweep) {
    MDB_txn *txn = NULL;
    struct idem_sweep next = *sweep;
    int rc = idem_disk_begin(disk, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = write_batch(txn, disk->dbi, batch, &next);
    if (rc == MDB_SUCCESS) {
        rc = sweep_some(txn, disk->dbi, &next);
    }
    rc = idem_disk_end(disk, txn, rc);
    if (rc == MDB_SUCCESS) {
        *sweep = next;
    }
    return rc;
}
