/* SPDX-License-Identifier: MIT
 * One worker: its loop, its connections coming and going, its end. */
#include "worker.h"

#include "replies.h"

#include <idem/clock.h>

#include <event2/util.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_store(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    idem_store_dispatch(((struct idem_worker *)arg)->store);
}

const struct idem_ruleset *idem_worker_rules(const struct idem_worker *worker) {
    return worker->config != NULL ? &worker->config->rules
                                  : &worker->options->config->rules;
}

const struct idem_rule *idem_worker_rule(const struct idem_worker *worker,
                                         const char *name) {
    const struct idem_ruleset *rules = idem_worker_rules(worker);
    for (size_t i = 0; i < rules->count; i++) {
        if (strcmp(rules->rules[i].name, name) == 0) {
            return &rules->rules[i];
        }
    }
    return NULL;
}

/* Losses are dealt with here, between two turns, and not where they are noticed: in the middle of
 * something that goes through parcels. */
static void take_down_failed(struct idem_worker *worker) {
    for (size_t i = 0; i < worker->sink_count; i++) {
        worker->sinks[i]->ops->mend(worker->sinks[i]);
    }
    if (worker->replies != NULL) {
        idem_replies_mend(worker->replies);
    }
    if (worker->source.end.failed) {
        idem_source_lost(worker);
        idem_end_down(&worker->source.end);
    }
}

static void deadline_passed(evutil_socket_t fd, short what, void *arg) {
    struct idem_worker *worker = arg;
    (void)fd;
    (void)what;
    idem_log_write(&worker->log, IDEM_LOG_WARNING, "bridge.deadline",
                   "%zu messages are not through; the source keeps them",
                   worker->live_count);
    worker->leaving = true;
}

static void start_draining(struct idem_worker *worker) {
    int64_t drain_ms = worker->options->config->bridge.drain_ms;
    const struct timeval limit = {drain_ms / 1000, (drain_ms % 1000) * 1000};
    worker->draining = true;
    idem_log_write(&worker->log, IDEM_LOG_NOTICE, "bridge.draining",
                   "%zu messages are under way", worker->live_count);
    idem_consumer_cancel(&worker->source);
    worker->source.end.last = true;
    (void)event_del(worker->source.end.retry);
    if (event_add(worker->deadline, &limit) != 0) {
        worker->leaving = true;
    }
}

static void use_rules(struct idem_worker *worker, struct idem_config *config) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_receiver_set_rules(worker->receiver, &config->rules, &error) != IDEM_OK) {
        idem_log_write(&worker->log, IDEM_LOG_ERROR, "config.kept",
                       "the old rules stay: %s", error.text);
    } else {
        struct idem_config *old = worker->config;
        worker->config = config;
        config = old;
        idem_log_write(&worker->log, IDEM_LOG_NOTICE, "config.reloaded", "%zu rules",
                       worker->config->rules.count);
    }
    if (config != NULL) {
        idem_config_fini(config);
        free(config);
    }
}

static void on_notice(evutil_socket_t fd, short what, void *arg) {
    struct idem_worker *worker = arg;
    eventfd_t count;
    (void)what;
    (void)eventfd_read(fd, &count);
    (void)pthread_mutex_lock(&worker->mailbox);
    struct idem_config *config = worker->new_config;
    bool stop = worker->stop_wanted && !worker->draining;
    bool report = worker->report_wanted;
    worker->new_config = NULL;
    worker->report_wanted = false;
    (void)pthread_mutex_unlock(&worker->mailbox);
    if (config != NULL) {
        use_rules(worker, config);
    }
    if (report) {
        idem_standing_report(worker);
    }
    if (stop) {
        start_draining(worker);
    }
}

void idem_worker_stop(struct idem_worker *worker) {
    (void)pthread_mutex_lock(&worker->mailbox);
    worker->stop_wanted = true;
    (void)pthread_mutex_unlock(&worker->mailbox);
    (void)eventfd_write(worker->notice_fd, 1);
}

void idem_worker_report(struct idem_worker *worker) {
    (void)pthread_mutex_lock(&worker->mailbox);
    worker->report_wanted = true;
    (void)pthread_mutex_unlock(&worker->mailbox);
    (void)eventfd_write(worker->notice_fd, 1);
}

void idem_worker_reload(struct idem_worker *worker, struct idem_config *config) {
    (void)pthread_mutex_lock(&worker->mailbox);
    struct idem_config *unread = worker->new_config;
    worker->new_config = config;
    (void)pthread_mutex_unlock(&worker->mailbox);
    (void)eventfd_write(worker->notice_fd, 1);
    if (unread != NULL) {
        idem_config_fini(unread);
        free(unread);
    }
}

/* One turn: read, decide, hand on, acknowledge. */
static bool turn(struct idem_worker *worker) {
    bool more = false;
    for (size_t i = 0; i < worker->sink_count; i++) {
        more = worker->sinks[i]->ops->read(worker->sinks[i]) || more;
    }
    if (worker->replies != NULL) {
        more = idem_replies_read(worker->replies) || more;
    }
    more = idem_consumer_read(&worker->source) || more;
    for (size_t i = 0; i < worker->sink_count; i++) {
        worker->sinks[i]->ops->deliver(worker->sinks[i]);
    }
    idem_source_flush(worker);
    if (worker->replies != NULL) {
        idem_replies_flush(worker->replies);
        more = idem_replies_pending(worker->replies) || more;
    }
    take_down_failed(worker);
    for (size_t i = 0; i < worker->sink_count; i++) {
        more = worker->sinks[i]->ops->pending(worker->sinks[i]) || more;
    }
    return more || idem_link_buffered(&worker->source.end.link);
}

static bool finished(const struct idem_worker *worker) {
    return worker->leaving ||
           (worker->draining && worker->live_count == worker->idle_count);
}

void idem_worker_run(struct idem_worker *worker) {
    bool more = true;
    while (!finished(worker)) {
        (void)event_base_loop(worker->base,
                              more ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
        more = turn(worker);
        atomic_store_explicit(&worker->turned, true, memory_order_relaxed);
    }
    /* What is left belongs to the source again; its claims are given back. */
    worker->leaving = true;
    idem_source_lost(worker);
    idem_link_close(&worker->source.end.link, worker->source.end.up);
    for (size_t i = 0; i < worker->sink_count; i++) {
        worker->sinks[i]->ops->leave(worker->sinks[i]);
    }
    if (worker->replies != NULL) {
        idem_replies_leave(worker->replies);
    }
    atomic_store(&worker->ended, true);
}

enum idem_code idem_worker_pulse(struct idem_worker *worker, int64_t every_ms) {
    const struct timeval every = {every_ms / 1000, (every_ms % 1000) * 1000};
    worker->pulse =
        event_new(worker->base, -1, EV_TIMEOUT | EV_PERSIST, idem_end_woken, NULL);
    return worker->pulse != NULL && event_add(worker->pulse, &every) == 0
               ? IDEM_OK
               : IDEM_ERR_NOMEM;
}

bool idem_worker_turned(struct idem_worker *worker) {
    bool turned = atomic_exchange_explicit(&worker->turned, false, memory_order_relaxed);
    return turned || atomic_load(&worker->ended);
}

/* Whether what was delivered while the store did not answer is known here, and written to it later. Not in
 * mode rpc: what has no record has no result either, and what others complete must be seen at once. */
static bool remembers(const struct idem_worker *worker) {
    return worker->sinks[0]->store == NULL && worker->replies == NULL &&
           idem_store_url_is_remote(worker->options->config->store.url);
}

static enum idem_code open_store(struct idem_worker *worker, struct idem_error *error) {
    const struct idem_config *config = worker->options->config;
    if (worker->sinks[0]->store != NULL) {
        worker->store = worker->sinks[0]->store;
        return IDEM_OK;
    }
    struct idem_store_options options = {
        .url = config->store.url,
        .secret = &config->rules.secret,
        .log = worker->log,
        .deadline_ms = config->store.deadline_ms,
        .recent_keys = remembers(worker) ? config->store.recent_keys : 0,
    };
    return idem_store_open(&worker->store, &options, error);
}

static enum idem_code open_receiver(struct idem_worker *worker, uint64_t incarnation,
                                    struct idem_error *error) {
    struct idem_receiver_options options = {
        .store = worker->store,
        .rules = &worker->options->config->rules,
        .instance = worker->options->config->instance,
        .incarnation = incarnation,
        .durable = true,
        .can_hold = true,
        .completes_unprotected = remembers(worker),
        .keeps_keys = worker->sinks[0]->wants_keys,
        .log = worker->log,
    };
    return idem_receiver_open(&worker->receiver, &options, error);
}

static enum idem_code make_events(struct idem_worker *worker) {
    worker->base = event_base_new();
    worker->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->base == NULL || worker->notice_fd < 0) {
        return IDEM_ERR_NOMEM;
    }
    worker->noticed = event_new(worker->base, worker->notice_fd, EV_READ | EV_PERSIST,
                                on_notice, worker);
    worker->deadline = evtimer_new(worker->base, deadline_passed, worker);
    if (worker->noticed == NULL || worker->deadline == NULL ||
        event_add(worker->noticed, NULL) != 0) {
        return IDEM_ERR_NOMEM;
    }
    return idem_standing_watch(worker);
}

static enum idem_code watch_store(struct idem_worker *worker) {
    int fd = idem_store_poll_fd(worker->store);
    if (fd < 0) {
        return IDEM_OK;
    }
    worker->store_ready =
        event_new(worker->base, fd, EV_READ | EV_PERSIST, on_store, worker);
    return worker->store_ready != NULL && event_add(worker->store_ready, NULL) == 0
               ? IDEM_OK
               : IDEM_ERR_NOMEM;
}

static enum idem_code open_exchange(struct idem_worker *worker, const char *name,
                                    const struct idem_addresses *addresses, bool bare) {
    return idem_exchange_open(&worker->sinks[worker->sink_count++], worker, name,
                              addresses, bare);
}

static enum idem_code open_database(struct idem_worker *worker) {
    const struct idem_bridge_options *options = worker->options;
    enum idem_code code =
        idem_postgres_open(&worker->sinks[worker->sink_count++], worker);
    if (code == IDEM_OK && options->policy.quarantine) {
        code = open_exchange(worker, "quarantine", &options->source, false);
    }
    return code;
}

/* What is delivered, what is set aside, and what is answered, where that needs a way of its own: those who ask
 * are where the requests come from. */
static enum idem_code open_sinks(struct idem_worker *worker) {
    const struct idem_bridge_options *options = worker->options;
    enum idem_code code = options->database.present
                              ? open_database(worker)
                              : open_exchange(worker, "sink", &options->sink, false);
    struct idem_sink *last = worker->sinks[worker->sink_count - 1];
    worker->routes[IDEM_ROUTE_SINK] = worker->sinks[0];
    worker->routes[IDEM_ROUTE_QUARANTINE] = last;
    worker->routes[IDEM_ROUTE_ANSWER] = last;
    if (code == IDEM_OK && options->rpc) {
        code = open_exchange(worker, "answers", &options->source, true);
        worker->routes[IDEM_ROUTE_ANSWER] = worker->sinks[worker->sink_count - 1];
    }
    return code;
}

static enum idem_code open_ends(struct idem_worker *worker) {
    enum idem_code code = idem_source_init(worker);
    if (code == IDEM_OK && worker->options->rpc) {
        code = idem_replies_open(&worker->replies, worker);
    }
    return code == IDEM_OK ? open_sinks(worker) : code;
}

/* The sinks first: what is consumed before they are there could only wait. */
static enum idem_code start_ends(struct idem_worker *worker, struct idem_error *error) {
    enum idem_code code = IDEM_OK;
    for (size_t i = 0; i < worker->sink_count && code == IDEM_OK; i++) {
        code = worker->sinks[i]->ops->start(worker->sinks[i], error);
    }
    if (code == IDEM_OK && worker->replies != NULL) {
        code = idem_replies_start(worker->replies, error);
    }
    return code == IDEM_OK ? idem_end_start(&worker->source.end, error) : code;
}

static enum idem_code start(struct idem_worker *worker, uint64_t incarnation,
                            struct idem_error *error) {
    if (make_events(worker) != IDEM_OK || open_ends(worker) != IDEM_OK) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    enum idem_code code = open_store(worker, error);
    if (code == IDEM_OK) {
        code = open_receiver(worker, incarnation, error);
    }
    if (code == IDEM_OK &&
        (watch_store(worker) != IDEM_OK || idem_glancing_init(worker) != IDEM_OK)) {
        code = idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    if (code == IDEM_OK) {
        code = start_ends(worker, error);
    }
    idem_glancing_look(worker);
    return code;
}

enum idem_code idem_worker_open(struct idem_worker **worker,
                                const struct idem_bridge_options *options,
                                const struct idem_log *log, uint64_t incarnation,
                                struct idem_error *error) {
    struct idem_worker *opened = calloc(1, sizeof *opened);
    *worker = NULL;
    if (opened == NULL || pthread_mutex_init(&opened->mailbox, NULL) != 0 ||
        pthread_mutex_init(&opened->glancing.lock, NULL) != 0) {
        free(opened);
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    opened->options = options;
    opened->log = *log;
    opened->notice_fd = -1;
    TAILQ_INIT(&opened->live);
    TAILQ_INIT(&opened->resting);
    for (size_t i = 0; i < IDEM_WAITING_LISTS; i++) {
        TAILQ_INIT(&opened->waiting[i]);
    }
    init_amqp_pool(&opened->scratch, 16 * 1024);
    enum idem_code code = start(opened, incarnation, error);
    if (code != IDEM_OK) {
        idem_worker_close(opened);
        return code;
    }
    *worker = opened;
    return IDEM_OK;
}

static void log_figures(struct idem_worker *worker) {
    struct idem_reply_figures replies = {0};
    struct idem_receiver_counts seen;
    const struct idem_transfer_counts *counts = &worker->counts;
    (void)idem_receiver_read_counts(worker->receiver, &seen, NULL, 0);
    if (worker->replies != NULL) {
        idem_replies_figures(worker->replies, &replies);
    }
    uint64_t stored = replies.ended[IDEM_RESULT_STORE];
    uint64_t unstored =
        replies.ended[IDEM_RESULT_FAILED] + replies.ended[IDEM_RESULT_TOO_LARGE];
    idem_log_write(
        &worker->log, IDEM_LOG_NOTICE, "bridge.figures",
        "arrived %" PRIu64 ", delivered %" PRIu64 ", quarantined %" PRIu64
        ", acknowledged or rejected %" PRIu64 ", duplicates %" PRIu64
        ", in doubt %" PRIu64 ", unprotected %" PRIu64 ", returned %" PRIu64
        ", nacked %" PRIu64 ", replies %" PRIu64 ", not stored %" PRIu64
        ", stray replies %" PRIu64 ", alien replies %" PRIu64 ", answered %" PRIu64
        ", refused %" PRIu64 ", unanswerable %" PRIu64 ", unexpected %" PRIu64,
        counts->on[IDEM_ON_ARRIVED], counts->delivered, counts->quarantined,
        counts->on[IDEM_ON_TOLD], seen.by_reason[IDEM_REASON_DUPLICATE],
        counts->in_doubt + seen.by_reason[IDEM_REASON_IN_DOUBT],
        seen.by_reason[IDEM_REASON_STORE_FAILURE] - seen.by_verdict[IDEM_VERDICT_REFUSE],
        counts->on[IDEM_ON_RETURNED], counts->on[IDEM_ON_NACKED], stored + unstored,
        unstored, replies.stray, replies.alien, counts->answered, counts->refused,
        counts->unanswerable, counts->unexpected + replies.unexpected);
}

static void free_event(struct event *event) {
    if (event != NULL) {
        event_free(event);
    }
}

static void free_events(struct idem_worker *worker) {
    free_event(worker->store_ready);
    free_event(worker->noticed);
    free_event(worker->deadline);
    free_event(worker->watch);
    free_event(worker->pulse);
    idem_glancing_fini(worker);
    if (worker->notice_fd >= 0) {
        (void)close(worker->notice_fd);
    }
}

static void close_store(struct idem_worker *worker) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (worker->store != NULL && idem_store_sync(worker->store, &error) != IDEM_OK) {
        idem_log_write(&worker->log, IDEM_LOG_WARNING, "store.sync", "%s", error.text);
    }
    if (worker->receiver != NULL) {
        log_figures(worker);
    }
    idem_receiver_close(worker->receiver);
    idem_store_close(worker->store);
}

void idem_worker_close(struct idem_worker *worker) {
    if (worker == NULL) {
        return;
    }
    idem_consumer_fini(&worker->source);
    close_store(worker);
    idem_replies_free(worker->replies);
    idem_parcels_free(worker);
    for (size_t i = 0; i < worker->sink_count; i++) {
        if (worker->sinks[i] != NULL) {
            worker->sinks[i]->ops->free(worker->sinks[i]);
        }
    }
    free_events(worker);
    empty_amqp_pool(&worker->scratch);
    if (worker->base != NULL) {
        event_base_free(worker->base);
    }
    if (worker->config != NULL) {
        idem_config_fini(worker->config);
        free(worker->config);
    }
    if (worker->new_config != NULL) {
        idem_config_fini(worker->new_config);
        free(worker->new_config);
    }
    (void)pthread_mutex_destroy(&worker->mailbox);
    (void)pthread_mutex_destroy(&worker->glancing.lock);
    free(worker);
}
