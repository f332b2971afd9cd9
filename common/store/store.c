/* SPDX-License-Identifier: MIT
 * The public face of all stores: which backend a URL names, and arguments checked in
 * one place. */
#include "base/options.h"
#include "store/answer.h"
#include "store/backend.h"
#include "store/recent/recent.h"
#include "store/record.h"

#include <idem/version.h>

struct backend {
    const char *scheme; /* what a URL of it begins with */
    idem_backend_open *open;
    idem_backend_check *check;
    bool remote; /* on the network */
};

static const struct backend backends[] = {
    {"memory:", idem_memory_open, idem_memory_check, false},
    {"embedded:", idem_embedded_open, idem_embedded_check, false},
    {"redis:", idem_redis_open, idem_redis_check, true},
    {"rediss:", idem_redis_open, idem_redis_check, true},
    {"unix:", idem_redis_open, idem_redis_check, true},
    {"redis+sentinel:", idem_redis_open, idem_redis_check, true},
    {"rediss+sentinel:", idem_redis_open, idem_redis_check, true},
    {"redis+cluster:", idem_redis_open, idem_redis_check, true},
    {"rediss+cluster:", idem_redis_open, idem_redis_check, true},
};

static const struct backend *backend_of(const char *url) {
    for (size_t i = 0; url != NULL && i < sizeof backends / sizeof backends[0]; i++) {
        if (strncmp(url, backends[i].scheme, strlen(backends[i].scheme)) == 0) {
            return &backends[i];
        }
    }
    return NULL;
}

static const struct backend *find_backend(const char *url, struct idem_error *error) {
    const struct backend *backend = backend_of(url);
    if (backend != NULL) {
        return backend;
    }
    (void)idem_error_set(error, IDEM_ERR_INVALID, 0,
                         "store URL '%.80s' is not of a known form: embedded:///PATH, "
                         "memory:, redis://HOST, unix:///PATH, "
                         "redis+sentinel://HOST/MASTER, redis+cluster://HOST",
                         url != NULL ? url : "");
    return NULL;
}

enum idem_code idem_store_url_check(const char *url, struct idem_error *error) {
    const struct backend *backend = find_backend(url, error);
    return backend != NULL ? backend->check(url, error) : IDEM_ERR_INVALID;
}

bool idem_store_url_is_remote(const char *url) {
    const struct backend *backend = backend_of(url);
    return backend != NULL && backend->remote;
}

/* The store, or one that remembers in front of it. */
static enum idem_code put_in_front(struct idem_store **store,
                                   const struct idem_store_options *options,
                                   struct idem_error *error) {
    if (options->recent_keys == 0 || options->read_only) {
        return IDEM_OK;
    }
    struct idem_store *behind = *store;
    enum idem_code code = idem_recent_open(store, behind, options, error);
    if (code != IDEM_OK) {
        *store = NULL;
        idem_store_close(behind);
    }
    return code;
}

enum idem_code idem_store_open_sized(struct idem_store **store,
                                     const struct idem_store_options *options,
                                     size_t options_size, struct idem_error *error) {
    struct idem_store_options own;
    *store = NULL;
    if (!idem_options_read(&own, sizeof own, options, options_size)) {
        return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                              "libidem %s does not know all of these store options",
                              idem_version());
    }
    const struct backend *backend = find_backend(own.url, error);
    if (backend == NULL) {
        return IDEM_ERR_INVALID;
    }
    enum idem_code code = backend->open(store, &own, error);
    return code == IDEM_OK ? put_in_front(store, &own, error) : code;
}

void idem_store_close(struct idem_store *store) {
    if (store != NULL) {
        store->ops->close(store);
    }
}

/* What the state of a sequence has room for. */
static bool number_fits(const struct idem_number *number) {
    bool counts = number->wrap == 0 ||
                  (number->wrap <= IDEM_WRAP_MAX && number->value >> number->wrap == 0);
    return !number->present || (counts && number->window <= IDEM_WINDOW_MAX);
}

/* A moment and a duration from it that a record can hold. */
static bool times_fit(int64_t now_ms, int64_t duration_ms) {
    return now_ms >= 0 && duration_ms > 0 && now_ms <= IDEM_TIME_MAX_MS &&
           duration_ms <= IDEM_TIME_MAX_MS - now_ms;
}

/* The terms as well; a gap is held from now on. */
static bool claim_fits(const struct idem_claim *claim) {
    const struct idem_sequence_terms *terms = &claim->terms;
    if (!times_fit(claim->now_ms, claim->lease_ms) || !number_fits(&claim->number) ||
        (claim->extend_ms != 0 && !times_fit(claim->now_ms, claim->extend_ms))) {
        return false;
    }
    return !claim->number.present ||
           (times_fit(claim->now_ms, terms->ttl_ms) &&
            (terms->on_gap != IDEM_GAP_HOLD || times_fit(claim->now_ms, terms->hold_ms)));
}

void idem_store_claim(struct idem_store *store, const struct idem_claim *claim,
                      idem_store_done *done, void *arg) {
    if (!claim_fits(claim)) {
        idem_answer_code(IDEM_ERR_INVALID, done, arg);
        return;
    }
    store->ops->claim(store, claim, done, arg);
}

void idem_store_complete(struct idem_store *store,
                         const struct idem_completion *completion, idem_store_done *done,
                         void *arg) {
    if (!times_fit(completion->now_ms, completion->ttl_ms) ||
        !number_fits(&completion->number) ||
        completion->result.len > (completion->number.present ? 0 : IDEM_RESULT_MAX)) {
        idem_answer_code(IDEM_ERR_INVALID, done, arg);
        return;
    }
    store->ops->complete(store, completion, done, arg);
}

void idem_store_abandon(struct idem_store *store,
                        const struct idem_abandonment *abandonment, idem_store_done *done,
                        void *arg) {
    if (!number_fits(&abandonment->number)) {
        idem_answer_code(IDEM_ERR_INVALID, done, arg);
        return;
    }
    store->ops->abandon(store, abandonment, done, arg);
}

void idem_store_lookup(struct idem_store *store, const struct idem_digest *digest,
                       int64_t now_ms, idem_store_done *done, void *arg) {
    store->ops->lookup(store, digest, now_ms, done, arg);
}

void idem_store_forget(struct idem_store *store, const struct idem_digest *digest,
                       idem_store_done *done, void *arg) {
    store->ops->forget(store, digest, done, arg);
}

static bool time_fits(int64_t ms) {
    return ms >= 0 && ms <= IDEM_TIME_MAX_MS;
}

void idem_store_restore(struct idem_store *store,
                        const struct idem_restoration *restoration, idem_store_done *done,
                        void *arg) {
    if (!time_fits(restoration->now_ms) || idem_record_size(&restoration->record) == 0) {
        idem_answer_code(IDEM_ERR_INVALID, done, arg);
        return;
    }
    store->ops->restore(store, restoration, done, arg);
}

enum idem_code idem_store_iterate(struct idem_store *store, int64_t now_ms,
                                  idem_store_visit *visit, void *arg,
                                  struct idem_error *error) {
    return store->ops->iterate(store, now_ms, visit, arg, error);
}

void idem_store_read_stats(struct idem_store *store, struct idem_store_stats *stats) {
    *stats = (struct idem_store_stats){.keys = 0};
    store->ops->stats(store, stats);
}

int idem_store_poll_fd(struct idem_store *store) {
    return store->ops->poll_fd != NULL ? store->ops->poll_fd(store) : -1;
}

void idem_store_dispatch(struct idem_store *store) {
    if (store->ops->dispatch != NULL) {
        store->ops->dispatch(store);
    }
}

enum idem_code idem_store_sync(struct idem_store *store, struct idem_error *error) {
    return store->ops->sync != NULL ? store->ops->sync(store, error) : IDEM_OK;
}
