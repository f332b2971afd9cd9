/* SPDX-License-Identifier: MIT
 * The embedded store: LMDB under a front in memory, and one thread that writes.
 *
 * Why. A broker's thread may not wait for a disk, and LMDB's write transactions do
 * nothing else. So the caller's thread only ever changes tables in memory and reads
 * LMDB's map; a writer thread makes the changes durable behind it, many at a time. And
 * a B-tree is the wrong place for them to be durable in: digests are random, so each
 * change copies and writes a page of its own. So a group of changes is first appended
 * to a journal, a second database in the same file, where it takes a few pages; and a
 * hundred thousand changes later all of them are merged among the records in ascending
 * order, where neighbours share pages. LMDB makes both atomic; there is no log of our
 * own.
 *
 * How. The front is four tables from digests to records, where a removal is a record of
 * state NONE. They are looked at from new to old, and then LMDB:
 *
 *   active      what changes now
 *   frozen      being journalled: the active group of a moment ago. When its time has
 *               come (commit= after its first change, or soon where someone waits for
 *               it) the writer swaps it for an empty one. Nobody changes it now, so the
 *               writer reads it without the mutex
 *   journalled  on disk, in the journal: each frozen group is copied into it when it is
 *               committed, some records at a time
 *   merging     the journalled table of a moment ago, swapped in the same way. The
 *               writer takes it to the records in steps, with the groups that fall due
 *               in between, and then removes its part of the journal
 *
 * The mutex is held for microseconds, never across anything that waits for a disk,
 * except when the map is grown or reopened. While a group joins the journalled table
 * the writer holds a mutex of that table's own instead: nearly all claims are told by
 * the filter that they need not look in there, and on a busy machine a writer that loses
 * its core while it holds what they do need would stop the broker for milliseconds.
 * pace.c says when each of this is due.
 *
 * A claim that is completed or abandoned before its group is frozen never reaches the
 * disk as pending; one that is not, does, so that the next incarnation finds it.
 *
 * Durable operations are answered by idem_store_dispatch() when their group is
 * journalled (event_fd becomes readable), or with IDEM_ERR_TIMEOUT when it could not be:
 * the change stands in memory, is tried again, and may become durable later. They wait
 * for one step of a merge at most, and for their group. All others are answered at once.
 *
 * A crash (kill -9, power loss) ...     leaves on disk
 *   before a claim's group is committed nothing: the next copy is new, and delivered
 *   before its completion's group is    pending, of a dead incarnation: the next copy
 *                                       takes it over at once, and is in doubt
 *   after that                          done: the next copy is a duplicate
 *   during a commit                     all of a transaction, or nothing of it: LMDB
 *                                       writes to free pages, syncs, and then moves one
 *                                       meta page, synchronously. Groups of more than
 *                                       8 MiB take several transactions
 *   between commit and dispatch         the record; the operation was never answered
 *   between two steps of a merge        the whole journal, some of it among the records
 *                                       as well: opening replays the journal into the
 *                                       front, and merging it again changes nothing
 *   while the journal is trimmed        all of it among the records, and its newer part:
 *                                       the oldest goes first, so what is left holds the
 *                                       newest word on each digest that it mentions
 *
 * So without durable, a crash forgets at most the last commit= interval and the time
 * that the disk needs for one group and one step; kill -9 and power loss cost the same.
 * Closing merges everything.
 *
 * A disk that does not take a group (full, read only, failing): the group stays frozen
 * and is tried again, from every 100 ms to every second; the active group fills up; all
 * keep recognising. The same with the steps of a merge, while the journal goes on. When
 * the front holds front= entries, new claims get IDEM_ERR_FULL: what is known is still
 * recognised, what is new is not claimed. Completions and removals may use as much
 * again, so that claims can end. */
#include "store/embedded/embedded.h"

#include "store/backend.h"
#include "store/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SCHEME       "embedded://"
#define FRONT_SHARDS 64
#define KIB          UINT64_C(1024)
#define MIB          (1024 * KIB)
#define GIB          (1024 * MIB)

enum { MAP, COMMIT, FRONT, PARAMETERS };

static const struct idem_url_unit sizes[] = {
    {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {NULL, 0}};
static const struct idem_url_unit durations[] = {{"ms", 1}, {"s", 1000}, {NULL, 0}};
static const struct idem_url_unit counts[] = {{"", 1}, {NULL, 0}};

static const struct idem_url_parameter defaults[PARAMETERS] = {
    [MAP] = {.name = "map",
             .units = sizes,
             .least = MIB,
             .most = 1024 * GIB,
             .form = "a size from 1MiB to 1024GiB, such as 64MiB",
             .value = 64 * MIB},
    [COMMIT] = {.name = "commit",
                .units = durations,
                .least = 1,
                .most = 10000,
                .form = "a duration from 1ms to 10s, such as 10ms",
                .value = 10},
    [FRONT] = {.name = "front",
               .units = counts,
               .least = 64,
               .most = 16 * MIB,
               .form = "a number of records from 64 to 16777216, such as 262144",
               .value = 256 * KIB},
};

/* path (owned) and parameters out of embedded:///PATH?NAME=VALUE&... */
static enum idem_code parse_url(const char *url, char **path,
                                struct idem_url_parameter parameters[PARAMETERS],
                                struct idem_error *error) {
    memcpy(parameters, defaults, sizeof defaults);
    *path = NULL;
    if (strncmp(url, SCHEME "/", strlen(SCHEME "/")) != 0) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "store URL: after embedded:// comes an absolute path: "
                              "embedded:///var/lib/idem/store");
    }
    const char *from = url + strlen(SCHEME);
    size_t length = strcspn(from, "?");
    if (from[length - 1] == '/') {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "store URL: %.*s names a directory; name a file in it",
                              (int)(length > 200 ? 200 : length), from);
    }
    const char *query = from[length] == '?' ? from + length + 1 : NULL;
    enum idem_code code = idem_url_parameters(query, parameters, PARAMETERS, error);
    if (code == IDEM_OK) {
        *path = strndup(from, length);
        code = *path != NULL
                   ? IDEM_OK
                   : idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    return code;
}

enum idem_code idem_embedded_check(const char *url, struct idem_error *error) {
    struct idem_url_parameter parameters[PARAMETERS];
    char *path = NULL;
    enum idem_code code = parse_url(url, &path, parameters, error);
    free(path);
    return code;
}

void idem_waiters_append(struct idem_waiters *queue, struct idem_waiter *waiter) {
    waiter->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = waiter;
    } else {
        queue->first = waiter;
    }
    queue->last = waiter;
}

void idem_waiters_splice(struct idem_waiters *to, struct idem_waiters *from) {
    if (from->first == NULL) {
        return;
    }
    if (to->last != NULL) {
        to->last->next = from->first;
    } else {
        to->first = from->first;
    }
    to->last = from->last;
    *from = (struct idem_waiters){NULL, NULL};
}

/* What is on disk, and what memory adds to it. It may be wrong by what was purged on
 * disk while a newer word on it stood in memory, and after a crash by what the journal
 * and the records both hold: until the next merge ends. */
static uint64_t count_keys(const struct idem_embedded *embedded) {
    int64_t keys = (int64_t)embedded->stats.keys + embedded->active.delta +
                   embedded->frozen.delta + embedded->journalled.delta +
                   embedded->merging.delta;
    return keys > 0 ? (uint64_t)keys : 0;
}

static void embedded_stats(struct idem_store *store, struct idem_store_stats *stats) {
    struct idem_embedded *embedded = idem_embedded_of(store);
    const struct idem_record_set *sets[IDEM_FRONT_SETS];
    (void)pthread_mutex_lock(&embedded->mutex);
    *stats = embedded->stats;
    stats->keys = count_keys(embedded);
    stats->memory_entries = idem_front_count(embedded);
    stats->memory_bytes = idem_filter_bytes(&embedded->known);
    (void)pthread_mutex_lock(&embedded->joining);
    for (size_t i = idem_front_sets(embedded, sets); i-- > 0;) {
        stats->memory_bytes += idem_record_set_bytes(sets[i]);
    }
    (void)pthread_mutex_unlock(&embedded->joining);
    (void)pthread_mutex_unlock(&embedded->mutex);
}

static int embedded_poll_fd(struct idem_store *store) {
    return idem_embedded_of(store)->event_fd;
}

static void embedded_dispatch(struct idem_store *store) {
    struct idem_embedded *embedded = idem_embedded_of(store);
    struct idem_waiters due = {NULL, NULL};
    uint64_t drained;
    ssize_t length = read(embedded->event_fd, &drained, sizeof drained);
    (void)length; /* nothing to read is as good */
    (void)pthread_mutex_lock(&embedded->mutex);
    idem_waiters_splice(&due, &embedded->answered);
    (void)pthread_mutex_unlock(&embedded->mutex);
    while (due.first != NULL) {
        struct idem_waiter *waiter = due.first;
        due.first = waiter->next;
        waiter->done(waiter->arg, &waiter->answer);
        free(waiter->result);
        free(waiter);
    }
}

/* Waits for the merge as well, so that whoever fills a store and syncs now and then
 * finds room in the front. A merge that fails takes nothing from durability. */
static enum idem_code embedded_sync(struct idem_store *store, struct idem_error *error) {
    struct idem_embedded *embedded = idem_embedded_of(store);
    struct idem_writer *writer = &embedded->writer;
    (void)pthread_mutex_lock(&embedded->mutex);
    uint64_t target = idem_writer_latest(embedded);
    uint64_t failures = embedded->stats.commit_failures;
    writer->journal_asked = target;
    writer->merge_asked = target;
    (void)pthread_cond_signal(&writer->work);
    while (embedded->merged_no < target && embedded->stats.commit_failures == failures) {
        (void)pthread_cond_wait(&writer->settled, &embedded->mutex);
    }
    enum idem_code code =
        embedded->committed_no < target ? idem_disk_code(writer->failed_rc) : IDEM_OK;
    if (code != IDEM_OK) {
        (void)idem_error_set(error, code, writer->failed_rc > 0 ? writer->failed_rc : 0,
                             "store %s: %zu records are not on disk yet: %s",
                             embedded->disk.path, idem_front_unsaved(embedded),
                             mdb_strerror(writer->failed_rc));
    }
    (void)pthread_mutex_unlock(&embedded->mutex);
    return code;
}

static void free_parts(struct idem_embedded *embedded) {
    if (embedded->sync_ready) {
        (void)pthread_cond_destroy(&embedded->writer.settled);
        (void)pthread_cond_destroy(&embedded->writer.work);
        (void)pthread_mutex_destroy(&embedded->joining);
        (void)pthread_mutex_destroy(&embedded->mutex);
    }
    idem_disk_close(&embedded->disk);
    for (size_t i = 0; i < IDEM_FRONT_SETS; i++) {
        idem_record_set_fini(&embedded->sets[i]);
    }
    idem_filter_fini(&embedded->known);
    idem_filter_fini(&embedded->writer.next_known);
    if (embedded->event_fd >= 0) {
        (void)close(embedded->event_fd);
    }
    free(embedded);
}

/* From here on the operations that callbacks submit are refused, so that all this comes
 * to an end. */
static void embedded_close(struct idem_store *store) {
    struct idem_embedded *embedded = idem_embedded_of(store);
    (void)pthread_mutex_lock(&embedded->mutex);
    embedded->closing = true;
    (void)pthread_mutex_unlock(&embedded->mutex);
    idem_writer_stop(embedded);
    embedded_dispatch(store);
    if (idem_front_unsaved(embedded) > 0) {
        idem_log_write(&embedded->log, IDEM_LOG_ERROR, "store.lost",
                       "store %s: closed while it could not be written; %zu records are "
                       "lost",
                       embedded->disk.path, idem_front_unsaved(embedded));
    }
    free_parts(embedded);
}

static const struct idem_store_ops embedded_ops = {
    .name = "embedded",
    .claim = idem_embedded_claim,
    .complete = idem_embedded_complete,
    .abandon = idem_embedded_abandon,
    .lookup = idem_embedded_lookup,
    .forget = idem_embedded_forget,
    .restore = idem_embedded_restore,
    .iterate = idem_embedded_iterate,
    .stats = embedded_stats,
    .poll_fd = embedded_poll_fd,
    .dispatch = embedded_dispatch,
    .sync = embedded_sync,
    .close = embedded_close,
};

/* The writer's deadlines are of the monotonic clock: a stepped wall clock must not stop
 * the commits. */
static int init_sync(struct idem_embedded *embedded) {
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);
    if (rc != 0) {
        return rc;
    }
    rc = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc = rc == 0 ? pthread_mutex_init(&embedded->joining, NULL) : rc;
    rc = rc == 0 ? pthread_mutex_init(&embedded->mutex, NULL) : rc;
    rc = rc == 0 ? pthread_cond_init(&embedded->writer.work, &attributes) : rc;
    rc = rc == 0 ? pthread_cond_init(&embedded->writer.settled, NULL) : rc;
    (void)pthread_condattr_destroy(&attributes);
    embedded->sync_ready = rc == 0;
    return rc;
}

static enum idem_code make_front(struct idem_embedded *embedded) {
    for (size_t i = 0; i < IDEM_FRONT_SETS; i++) {
        if (!idem_record_set_init(&embedded->sets[i], FRONT_SHARDS)) {
            return IDEM_ERR_NOMEM;
        }
    }
    embedded->active.records = &embedded->sets[0];
    embedded->spare_group = &embedded->sets[1];
    embedded->journalled.records = &embedded->sets[2];
    embedded->spare_backlog = &embedded->sets[3];
    return IDEM_OK;
}

/* What is in the journal counts as group 1, which is to be merged at once. */
static enum idem_code replay(struct idem_embedded *embedded, struct idem_error *error) {
    struct idem_backlog *journalled = &embedded->journalled;
    struct idem_table_cursor cursor = {0, 0};
    struct idem_digest digest;
    struct idem_record record;
    enum idem_code code =
        idem_journal_replay(&embedded->disk, 2 * embedded->front_max, journalled->records,
                            &journalled->last, error);
    if (code != IDEM_OK) {
        return code;
    }
    while (idem_record_set_next(journalled->records, &cursor, &digest, &record)) {
        journalled->entries++;
        journalled->delta += record.state != IDEM_RECORD_NONE; /* at most: count_keys */
    }
    journalled->count = journalled->entries;
    journalled->result_bytes = journalled->records->result_bytes;
    journalled->no = 1;
    embedded->writer.merge_due_ns = 1; /* long ago */
    embedded->merged_no = journalled->entries == 0 ? 1 : 0;
    embedded->committed_no = 1;
    embedded->active_no = 2;
    return IDEM_OK;
}

static enum idem_code open_parts(struct idem_embedded *embedded,
                                 const struct idem_disk_options *options,
                                 struct idem_error *error) {
    enum idem_code code = idem_disk_open(&embedded->disk, options, error);
    if (code != IDEM_OK) {
        return code;
    }
    code = make_front(embedded);
    code = code == IDEM_OK ? replay(embedded, error)
                           : idem_error_set(error, code, 0, "no memory for a store");
    if (code != IDEM_OK) {
        return code;
    }
    idem_disk_size(&embedded->disk, &embedded->stats.keys, &embedded->stats.bytes);
    embedded->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    idem_known_start(embedded);
    int rc = embedded->event_fd < 0 ? errno : init_sync(embedded);
    rc = rc == 0 ? idem_writer_start(embedded) : rc;
    if (rc != 0) {
        return idem_error_set(error, IDEM_ERR_IO, rc,
                              "store %s: no writer thread could be started: %s",
                              options->path, strerror(rc));
    }
    return IDEM_OK;
}

static enum idem_code open_writer(struct idem_store **store,
                                  const struct idem_store_options *options,
                                  const struct idem_disk_options *disk,
                                  const struct idem_url_parameter *parameters,
                                  struct idem_error *error) {
    struct idem_embedded *embedded = calloc(1, sizeof *embedded);
    if (embedded == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    embedded->base.ops = &embedded_ops;
    embedded->log = options->log;
    embedded->front_max = (size_t)parameters[FRONT].value;
    embedded->interval_ns = (int64_t)parameters[COMMIT].value * 1000000;
    embedded->event_fd = -1;
    embedded->disk.file.fd = -1;
    enum idem_code code = open_parts(embedded, disk, error);
    if (code != IDEM_OK) {
        free_parts(embedded);
        return code;
    }
    *store = &embedded->base;
    return IDEM_OK;
}

enum idem_code idem_embedded_open(struct idem_store **store,
                                  const struct idem_store_options *options,
                                  struct idem_error *error) {
    struct idem_url_parameter parameters[PARAMETERS];
    char *path = NULL;
    enum idem_code code = parse_url(options->url, &path, parameters, error);
    if (code == IDEM_OK) {
        struct idem_disk_options disk = {
            .path = path,
            .map_size = (size_t)parameters[MAP].value,
            .read_only = options->read_only,
            .secret = options->secret,
        };
        code = options->read_only ? idem_viewer_open(store, &disk, error)
                                  : open_writer(store, options, &disk, parameters, error);
    }
    free(path);
    return code;
}
