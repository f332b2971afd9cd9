/* SPDX-License-Identifier: MIT
 * One worker: its loop, its connections coming and going, its end. */
#include "worker.h"

#include "worker_state.h"

#include <idem/clock.h>

#include <event2/util.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 15000
/* The library sends heartbeats, every half of what was agreed on, and notices their absence, only when
 * it is called. */
#define LOOKS_A_HEARTBEAT 4

/* Grows with each failure, and differs between the bridges that lost the same broker. */
static struct timeval backoff(size_t failures) {
    uint32_t random = 0;
    int64_t most_ms = failures < 8 ? BACKOFF_MIN_MS << failures : BACKOFF_MAX_MS;
    most_ms = most_ms < BACKOFF_MAX_MS ? most_ms : BACKOFF_MAX_MS;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    int64_t delay_ms = most_ms / 2 + random % (most_ms / 2);
    struct timeval delay = {delay_ms / 1000, (delay_ms % 1000) * 1000};
    return delay;
}

static void on_nothing(evutil_socket_t fd, short what, void *arg) {
    (void)fd; /* the loop has turned: that is all that is wanted */
    (void)what;
    (void)arg;
}

static void on_store(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    idem_store_dispatch(((struct idem_worker *)arg)->store);
}

static void end_up(struct idem_worker *worker, struct idem_end *end) {
    int64_t often_ms =
        (int64_t)amqp_get_heartbeat(end->link.connection) * 1000 / LOOKS_A_HEARTBEAT;
    const struct timeval often = {often_ms / 1000, (often_ms % 1000) * 1000};
    end->readable = event_new(worker->base, idem_link_fd(&end->link),
                              EV_READ | EV_PERSIST, on_nothing, worker);
    if (end->readable == NULL ||
        event_add(end->readable, often_ms > 0 ? &often : NULL) != 0) {
        end->failed = true; /* the turn takes it down again */
    }
    end->up = true;
    end->failures = 0;
    idem_log_write(&worker->log, IDEM_LOG_NOTICE, "link.up", "%s: connected to %s:%d",
                   end->link.name, end->address->host, end->address->port);
}

/* The one that failed comes last now. */
static void next_address(struct idem_end *end) {
    if (++end->address == end->addresses->list + end->addresses->count) {
        end->address = end->addresses->list;
    }
}

static void end_down(struct idem_worker *worker, struct idem_end *end) {
    const struct timeval delay = backoff(end->failures++ / end->addresses->count);
    if (end->readable != NULL) {
        event_free(end->readable);
        end->readable = NULL;
    }
    idem_link_close(&end->link, false);
    end->up = false;
    end->failed = false;
    next_address(end);
    if (!worker->leaving && !(worker->draining && end == &worker->source)) {
        (void)event_add(end->retry, &delay);
    }
}

static enum idem_code connect_source(struct idem_worker *worker,
                                     struct idem_error *error) {
    enum idem_code code = idem_source_start(worker, error);
    if (code == IDEM_OK) {
        end_up(worker, &worker->source);
    }
    return code;
}

static enum idem_code connect_sink(struct idem_worker *worker, struct idem_error *error) {
    enum idem_code code = idem_sink_start(worker, error);
    if (code == IDEM_OK) {
        end_up(worker, &worker->sink);
        worker->writable = event_new(worker->base, idem_link_fd(&worker->sink.link),
                                     EV_WRITE, on_nothing, worker);
        worker->sink.failed = worker->sink.failed || worker->writable == NULL;
    }
    return code;
}

static void log_unreached(struct idem_worker *worker, const struct idem_error *error) {
    idem_log_write(&worker->log, IDEM_LOG_WARNING, "link.unreached", "%s; trying again",
                   error->text);
}

static void retry_source(evutil_socket_t fd, short what, void *arg) {
    struct idem_worker *worker = arg;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)fd;
    (void)what;
    if (connect_source(worker, &error) != IDEM_OK) {
        log_unreached(worker, &error);
        end_down(worker, &worker->source);
    }
}

static void retry_sink(evutil_socket_t fd, short what, void *arg) {
    struct idem_worker *worker = arg;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)fd;
    (void)what;
    if (connect_sink(worker, &error) != IDEM_OK) {
        log_unreached(worker, &error);
        end_down(worker, &worker->sink);
    }
}

/* Losses are dealt with here, between two turns, and not where they are noticed: in the middle of
 * something that goes through parcels. */
static void take_down_failed(struct idem_worker *worker) {
    if (worker->sink.failed) {
        event_free(worker->writable);
        worker->writable = NULL;
        idem_sink_lost(worker);
        end_down(worker, &worker->sink);
    }
    if (worker->source.failed) {
        idem_source_lost(worker);
        end_down(worker, &worker->source);
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
    idem_source_cancel(worker);
    (void)event_del(worker->source.retry);
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
    worker->new_config = NULL;
    (void)pthread_mutex_unlock(&worker->mailbox);
    if (config != NULL) {
        use_rules(worker, config);
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

/* One turn: read, decide, publish, acknowledge. */
static bool turn(struct idem_worker *worker) {
    bool more = idem_sink_read(worker);
    more = idem_source_read(worker) || more;
    idem_sink_publish(worker);
    idem_source_flush(worker);
    take_down_failed(worker);
    return more || idem_link_buffered(&worker->source.link) ||
           idem_link_buffered(&worker->sink.link);
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
    }
    /* What is left belongs to the source again; its claims are given back. */
    worker->leaving = true;
    idem_source_lost(worker);
    idem_link_close(&worker->source.link, worker->source.up);
    idem_link_close(&worker->sink.link, worker->sink.up);
}

static enum idem_code open_store(struct idem_worker *worker, struct idem_error *error) {
    const struct idem_config *config = worker->options->config;
    struct idem_store_options options = {
        .url = config->store.url,
        .secret = &config->rules.secret,
        .log = worker->log,
        .deadline_ms = config->store.deadline_ms,
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
    worker->source.retry = evtimer_new(worker->base, retry_source, worker);
    worker->sink.retry = evtimer_new(worker->base, retry_sink, worker);
    if (worker->noticed == NULL || worker->deadline == NULL ||
        worker->source.retry == NULL || worker->sink.retry == NULL ||
        event_add(worker->noticed, NULL) != 0) {
        return IDEM_ERR_NOMEM;
    }
    return IDEM_OK;
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

/* A broker that is not there yet will be; one that refuses has to be told apart, while somebody looks. */
static enum idem_code first_try(struct idem_worker *worker, struct idem_end *end,
                                enum idem_code connect(struct idem_worker *,
                                                       struct idem_error *),
                                struct idem_error *error) {
    struct idem_error cause = IDEM_ERROR_INIT;
    enum idem_code code = connect(worker, &cause);
    if (code == IDEM_ERR_UNAVAILABLE) {
        log_unreached(worker, &cause);
        end_down(worker, end);
        return IDEM_OK;
    }
    return code == IDEM_OK
               ? IDEM_OK
               : idem_error_set(error, code, cause.sys_errno, "%s", cause.text);
}

static enum idem_code start(struct idem_worker *worker, uint64_t incarnation,
                            struct idem_error *error) {
    if (make_events(worker) != IDEM_OK ||
        idem_confirms_init(&worker->confirms) != IDEM_OK) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    enum idem_code code = open_store(worker, error);
    if (code == IDEM_OK) {
        code = open_receiver(worker, incarnation, error);
    }
    if (code == IDEM_OK && watch_store(worker) != IDEM_OK) {
        code = idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    /* The sink first: what is consumed before it is there could only wait. */
    if (code == IDEM_OK) {
        code = first_try(worker, &worker->sink, connect_sink, error);
    }
    if (code == IDEM_OK) {
        code = first_try(worker, &worker->source, connect_source, error);
    }
    return code;
}

enum idem_code idem_worker_open(struct idem_worker **worker,
                                const struct idem_bridge_options *options,
                                const struct idem_log *log, uint64_t incarnation,
                                struct idem_error *error) {
    struct idem_worker *opened = calloc(1, sizeof *opened);
    *worker = NULL;
    if (opened == NULL || pthread_mutex_init(&opened->mailbox, NULL) != 0) {
        free(opened);
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    opened->options = options;
    opened->log = *log;
    opened->notice_fd = -1;
    opened->source.link.name = "source";
    opened->source.link.log = &opened->log;
    opened->source.addresses = &options->source;
    opened->source.address = options->source.list;
    opened->sink.link.name = "sink";
    opened->sink.link.log = &opened->log;
    opened->sink.addresses = &options->sink;
    opened->sink.address = options->sink.list;
    TAILQ_INIT(&opened->line);
    TAILQ_INIT(&opened->live);
    TAILQ_INIT(&opened->resting);
    idem_acks_init(&opened->acks);
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
    struct idem_receiver_counts seen;
    const struct idem_transfer_counts *counts = &worker->counts;
    (void)idem_receiver_counts(worker->receiver, &seen, NULL, 0);
    idem_log_write(
        &worker->log, IDEM_LOG_NOTICE, "bridge.figures",
        "arrived %" PRIu64 ", delivered %" PRIu64 ", quarantined %" PRIu64
        ", acknowledged or rejected %" PRIu64 ", duplicates %" PRIu64
        ", in doubt %" PRIu64 ", unprotected %" PRIu64 ", returned %" PRIu64
        ", nacked %" PRIu64 ", unexpected %" PRIu64,
        counts->on[IDEM_ON_ARRIVED], counts->delivered, counts->quarantined,
        counts->on[IDEM_ON_TOLD], seen.by_reason[IDEM_REASON_DUPLICATE],
        counts->in_doubt + seen.by_reason[IDEM_REASON_IN_DOUBT],
        seen.by_reason[IDEM_REASON_STORE_FAILURE] - seen.by_verdict[IDEM_VERDICT_REFUSE],
        counts->on[IDEM_ON_RETURNED], counts->on[IDEM_ON_NACKED], counts->unexpected);
}

static void free_event(struct event *event) {
    if (event != NULL) {
        event_free(event);
    }
}

static void free_events(struct idem_worker *worker) {
    free_event(worker->store_ready);
    free_event(worker->noticed);
    free_event(worker->writable);
    free_event(worker->deadline);
    free_event(worker->source.readable);
    free_event(worker->source.retry);
    free_event(worker->sink.readable);
    free_event(worker->sink.retry);
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
    idem_link_close(&worker->source.link, false);
    idem_link_close(&worker->sink.link, false);
    close_store(worker);
    idem_parcels_free(worker);
    free_events(worker);
    idem_confirms_fini(&worker->confirms);
    idem_letter_fini(&worker->returned);
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
    free(worker);
}
