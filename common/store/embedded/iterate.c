/* SPDX-License-Identifier: MIT
 * Walking through all live records: first those in memory, then the rest of the file. */
#include "store/embedded/embedded.h"

#include "store/answer.h"
#include "store/step.h"

#include <stdlib.h>

#define SHARDS 64

static void lock(pthread_mutex_t *mutex) {
    if (mutex != NULL) {
        (void)pthread_mutex_lock(mutex);
    }
}

static void unlock(pthread_mutex_t *mutex) {
    if (mutex != NULL) {
        (void)pthread_mutex_unlock(mutex);
    }
}

/* Finds the next record and makes its result our own, since the view does not outlive
 * the mutex. */
static enum idem_disk_seek seek(const struct idem_walk *walk, struct idem_digest *digest,
                                struct idem_answer *answer, uint8_t **result) {
    enum idem_disk_seek step = IDEM_DISK_END;
    *result = NULL;
    *answer = (struct idem_answer){.code = IDEM_OK};
    lock(walk->mutex);
    answer->code = idem_disk_view_begin(walk->disk);
    if (answer->code == IDEM_OK) {
        answer->code =
            idem_disk_seek(walk->disk, walk->now_ms, digest, &answer->record, &step);
        *result = step == IDEM_DISK_FOUND ? idem_answer_own_result(answer) : NULL;
        idem_disk_view_end(walk->disk);
    }
    unlock(walk->mutex);
    return step;
}

static bool skipped(const struct idem_walk *walk, const struct idem_digest *digest) {
    struct idem_record record;
    return idem_record_set_find(walk->front, digest, &record);
}

static enum idem_code walk_disk(const struct idem_walk *walk, idem_store_visit *visit,
                                void *arg, struct idem_error *error) {
    struct idem_digest digest = {{0}};
    enum idem_disk_seek step = IDEM_DISK_MORE;
    while (step != IDEM_DISK_END) {
        struct idem_answer answer;
        uint8_t *result;
        step = seek(walk, &digest, &answer, &result);
        if (answer.code != IDEM_OK) {
            return idem_error_set(error, answer.code, 0,
                                  "store %s cannot be read through", walk->disk->path);
        }
        if (step != IDEM_DISK_FOUND) {
            continue;
        }
        bool more = skipped(walk, &digest) || visit(arg, &digest, &answer.record);
        free(result);
        if (!more || !idem_digest_step(&digest)) {
            break;
        }
    }
    return IDEM_OK;
}

/* A copy of the front, from old to new: the newer set's word counts. */
static enum idem_code copy_front(struct idem_embedded *embedded,
                                 struct idem_record_set *copy) {
    const struct idem_record_set *sets[IDEM_FRONT_SETS];
    enum idem_code code = IDEM_OK;
    (void)pthread_mutex_lock(&embedded->mutex);
    (void)pthread_mutex_lock(&embedded->joining);
    for (size_t i = idem_front_sets(embedded, sets); i-- > 0 && code == IDEM_OK;) {
        code = idem_record_set_merge(copy, sets[i]);
    }
    (void)pthread_mutex_unlock(&embedded->joining);
    (void)pthread_mutex_unlock(&embedded->mutex);
    return code;
}

/* Visits what is live in memory, and then on disk, but for what is known of in memory:
 * each record once, even if it arrives on disk meanwhile. */
enum idem_code idem_walk(const struct idem_walk *walk, idem_store_visit *visit, void *arg,
                         struct idem_error *error) {
    struct idem_table_cursor cursor = {0, 0};
    struct idem_digest digest;
    struct idem_record record;
    bool more = true;
    while (more && idem_record_set_next(walk->front, &cursor, &digest, &record)) {
        if (idem_record_live(&record, walk->now_ms)) {
            more = visit(arg, &digest, &record);
        }
    }
    return more ? walk_disk(walk, visit, arg, error) : IDEM_OK;
}

enum idem_code idem_embedded_iterate(struct idem_store *store, int64_t now_ms,
                                     idem_store_visit *visit, void *arg,
                                     struct idem_error *error) {
    struct idem_embedded *embedded = idem_embedded_of(store);
    struct idem_record_set copy;
    struct idem_walk walk = {&embedded->disk, &embedded->mutex, &copy, now_ms};
    enum idem_code code = idem_record_set_init(&copy, SHARDS) ? IDEM_OK : IDEM_ERR_NOMEM;
    if (code == IDEM_OK) {
        code = copy_front(embedded, &copy);
    }
    code = code == IDEM_OK
               ? idem_walk(&walk, visit, arg, error)
               : idem_error_set(error, code, 0, "no memory for a list of recent records");
    idem_record_set_fini(&copy);
    return code;
}
