/* SPDX-License-Identifier: MIT
 * The embedded store opened read only, beside the program that writes it: lookup,
 * iterate, stats. */
#include "store/embedded/embedded.h"

#include "store/answer.h"
#include "store/step.h"

#include <stdlib.h>

#define SHARDS 64

struct viewer {
    struct idem_store base;
    struct idem_disk disk;
    struct idem_record_set journal; /* what it held at the transaction */
    size_t transaction;             /* 0: none yet */
};

static struct viewer *viewer_of(struct idem_store *store) {
    return (struct viewer *)store;
}

static void viewer_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg) {
    (void)store;
    (void)claim;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void viewer_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg) {
    (void)store;
    (void)completion;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void viewer_abandon(struct idem_store *store,
                           const struct idem_abandonment *abandonment,
                           idem_store_done *done, void *arg) {
    (void)store;
    (void)abandonment;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void viewer_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg) {
    (void)store;
    (void)digest;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void viewer_restore(struct idem_store *store,
                           const struct idem_restoration *restoration,
                           idem_store_done *done, void *arg) {
    (void)store;
    (void)restoration;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

/* A view, with the journal as it is in it. Reading that again whenever the writer has
 * moved on takes some milliseconds. */
static enum idem_code begin_view(struct viewer *viewer) {
    struct idem_disk *disk = &viewer->disk;
    uint64_t last;
    enum idem_code code = idem_disk_view_begin(disk);
    if (code != IDEM_OK || mdb_txn_id(disk->view) == viewer->transaction) {
        return code;
    }
    idem_record_set_clear(&viewer->journal);
    code = idem_journal_read(disk, SIZE_MAX, &viewer->journal, &last);
    viewer->transaction = code == IDEM_OK ? mdb_txn_id(disk->view) : 0;
    return code;
}

static void viewer_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg) {
    struct viewer *viewer = viewer_of(store);
    struct idem_answer answer = {.code = begin_view(viewer)};
    if (answer.code == IDEM_OK &&
        !idem_record_set_find(&viewer->journal, digest, &answer.record)) {
        answer.code = idem_disk_read(&viewer->disk, digest, &answer.record);
    }
    if (answer.code == IDEM_OK && !idem_record_live(&answer.record, now_ms)) {
        answer.code = IDEM_ERR_NOT_FOUND;
    }
    uint8_t *result = idem_answer_own_result(&answer);
    idem_disk_view_end(&viewer->disk);
    done(arg, &answer);
    free(result);
}

/* What the visitor looks up may make the viewer read the journal anew: the walk has a
 * copy. */
static enum idem_code viewer_iterate(struct idem_store *store, int64_t now_ms,
                                     idem_store_visit *visit, void *arg,
                                     struct idem_error *error) {
    struct viewer *viewer = viewer_of(store);
    struct idem_record_set copy;
    struct idem_walk walk = {&viewer->disk, NULL, &copy, now_ms};
    enum idem_code code = idem_record_set_init(&copy, SHARDS) ? IDEM_OK : IDEM_ERR_NOMEM;
    if (code == IDEM_OK) {
        code = begin_view(viewer);
        idem_disk_view_end(&viewer->disk);
    }
    code = code == IDEM_OK ? idem_record_set_merge(&copy, &viewer->journal) : code;
    code = code == IDEM_OK
               ? idem_walk(&walk, visit, arg, error)
               : idem_error_set(error, code, 0, "store %s: its journal cannot be read",
                                viewer->disk.path);
    idem_record_set_fini(&copy);
    return code;
}

/* Within a view: what the journal adds to the records, less what it removes. */
static int64_t journal_delta(struct viewer *viewer) {
    struct idem_table_cursor cursor = {0, 0};
    struct idem_digest digest;
    struct idem_record record;
    struct idem_record found;
    int64_t delta = 0;
    while (idem_record_set_next(&viewer->journal, &cursor, &digest, &record)) {
        bool there = idem_disk_read(&viewer->disk, &digest, &found) != IDEM_OK ||
                     found.state != IDEM_RECORD_NONE;
        delta += (record.state != IDEM_RECORD_NONE) - there;
    }
    return delta;
}

static void viewer_stats(struct idem_store *store, struct idem_store_stats *stats) {
    struct viewer *viewer = viewer_of(store);
    idem_disk_size(&viewer->disk, &stats->keys, &stats->bytes);
    if (begin_view(viewer) == IDEM_OK) {
        stats->keys = idem_disk_count(&viewer->disk) + (uint64_t)journal_delta(viewer);
    }
    idem_disk_view_end(&viewer->disk);
}

static void viewer_close(struct idem_store *store) {
    struct viewer *viewer = viewer_of(store);
    idem_disk_close(&viewer->disk);
    idem_record_set_fini(&viewer->journal);
    free(viewer);
}

static const struct idem_store_ops viewer_ops = {
    .name = "embedded",
    .claim = viewer_claim,
    .complete = viewer_complete,
    .abandon = viewer_abandon,
    .lookup = viewer_lookup,
    .forget = viewer_forget,
    .restore = viewer_restore,
    .iterate = viewer_iterate,
    .stats = viewer_stats,
    .close = viewer_close,
};

enum idem_code idem_viewer_open(struct idem_store **store,
                                const struct idem_disk_options *options,
                                struct idem_error *error) {
    struct viewer *viewer = calloc(1, sizeof *viewer);
    if (viewer == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    viewer->base.ops = &viewer_ops;
    viewer->disk.file.fd = -1;
    enum idem_code code =
        idem_record_set_init(&viewer->journal, SHARDS)
            ? idem_disk_open(&viewer->disk, options, error)
            : idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    if (code == IDEM_OK) {
        uint64_t last;
        code =
            idem_journal_replay(&viewer->disk, SIZE_MAX, &viewer->journal, &last, error);
        idem_record_set_clear(&viewer->journal); /* read again with the first view */
    }
    if (code != IDEM_OK) {
        viewer_close(&viewer->base);
        return code;
    }
    *store = &viewer->base;
    return IDEM_OK;
}
