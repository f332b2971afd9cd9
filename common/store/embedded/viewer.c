/* SPDX-License-Identifier: MIT
 * The embedded store opened read only, beside the program that writes it: lookup,
 * iterate, stats. */
#include "store/embedded/embedded.h"

#include "store/answer.h"
#include "store/step.h"

#include <stdlib.h>

struct viewer {
    struct idem_store base;
    struct idem_disk disk;
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

static void viewer_abandon(struct idem_store *store, const struct idem_digest *digest,
                           const struct idem_owner *owner, idem_store_done *done,
                           void *arg) {
    (void)store;
    (void)digest;
    (void)owner;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void viewer_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg) {
    (void)store;
    (void)digest;
    idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
}

static void viewer_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg) {
    struct viewer *viewer = viewer_of(store);
    struct idem_answer answer = {.code = idem_disk_view_begin(&viewer->disk)};
    if (answer.code == IDEM_OK) {
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

static enum idem_code viewer_iterate(struct idem_store *store, int64_t now_ms,
                                     idem_store_visit *visit, void *arg,
                                     struct idem_error *error) {
    struct idem_disk_walk walk = {&viewer_of(store)->disk, NULL, NULL, now_ms};
    return idem_disk_walk(&walk, visit, arg, error);
}

static void viewer_stats(struct idem_store *store, struct idem_store_stats *stats) {
    idem_disk_size(&viewer_of(store)->disk, &stats->keys, &stats->bytes);
}

static int viewer_poll_fd(struct idem_store *store) {
    (void)store;
    return -1;
}

static void viewer_dispatch(struct idem_store *store) {
    (void)store;
}

static enum idem_code viewer_sync(struct idem_store *store, struct idem_error *error) {
    (void)store;
    (void)error;
    return IDEM_OK;
}

static void viewer_close(struct idem_store *store) {
    struct viewer *viewer = viewer_of(store);
    idem_disk_close(&viewer->disk);
    free(viewer);
}

static const struct idem_store_ops viewer_ops = {
    .name = "embedded",
    .claim = viewer_claim,
    .complete = viewer_complete,
    .abandon = viewer_abandon,
    .lookup = viewer_lookup,
    .forget = viewer_forget,
    .iterate = viewer_iterate,
    .stats = viewer_stats,
    .poll_fd = viewer_poll_fd,
    .dispatch = viewer_dispatch,
    .sync = viewer_sync,
    .close = viewer_close,
};

enum idem_code idem_viewer_open(struct idem_store **store,
                                const struct idem_disk_options *options,
                                struct idem_error *error) {
    struct viewer *viewer = calloc(1, sizeof *viewer);
    if (viewer == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    enum idem_code code = idem_disk_open(&viewer->disk, options, error);
    if (code != IDEM_OK) {
        free(viewer);
        return code;
    }
    viewer->base.ops = &viewer_ops;
    *store = &viewer->base;
    return IDEM_OK;
}
