/* SPDX-License-Identifier: MIT
 * The Redis store: operations become requests of a session; one epoll descriptor tells of the socket and
 * of the time alike. */
#include "store/redis/redis.h"
#include "store/answer.h"
#include "store/backend.h"

#include <idem/clock.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_MAX    16
#define SYNC_TIMEOUTS 4 /* of an operation: how long sync and close wait */

struct idem_redis *idem_redis_of(struct idem_store *store) {
    return (struct idem_redis *)store;
}

int64_t idem_redis_clock_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

/* The timer is set when it is needed earlier than it would go off; going off too early is harmless, so
 * a later need costs no system call. */
static void arm_timer(struct idem_redis *redis) {
    int64_t due_ms = idem_nodes_due_ms(&redis->nodes);
    if (due_ms >= redis->timer_ms) {
        return;
    }
    int64_t at_ms = due_ms > 1 ? due_ms : 1; /* 0 would disarm it */
    struct itimerspec when = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};
    if (timerfd_settime(redis->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0) {
        redis->timer_ms = due_ms;
    }
}

void idem_redis_send(struct idem_redis *redis, struct idem_request *request) {
    idem_nodes_submit(&redis->nodes, request, idem_operation_digest(request),
                      idem_redis_clock_ms());
    if (!redis->dispatching) {
        arm_timer(redis);
    }
}

void idem_redis_submit(struct idem_redis *redis, struct idem_request *request) {
    idem_batch_give_way(redis, idem_operation_digest(request));
    idem_redis_send(redis, request);
}

static void submit(struct idem_redis *redis, struct idem_request *request,
                   idem_store_done *done, void *arg) {
    if (request == NULL) {
        idem_answer_code(IDEM_ERR_NOMEM, done, arg);
        return;
    }
    idem_redis_submit(redis, request);
}

static void redis_claim(struct idem_store *store, const struct idem_claim *claim,
                        idem_store_done *done, void *arg) {
    struct idem_redis *redis = idem_redis_of(store);
    if (redis->session_options.read_only) {
        idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
        return;
    }
    if (claim->number.present) {
        idem_producers_claim(&redis->producers, claim, done, arg);
        return;
    }
    submit(redis, idem_operation_claim(&redis->operations, claim, done, arg), done, arg);
}

static void redis_complete(struct idem_store *store,
                           const struct idem_completion *completion,
                           idem_store_done *done, void *arg) {
    struct idem_redis *redis = idem_redis_of(store);
    if (redis->session_options.read_only) {
        idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
        return;
    }
    if (completion->number.present) {
        idem_producers_complete(&redis->producers, completion, done, arg);
        return;
    }
    struct idem_request *request =
        idem_operation_complete(&redis->operations, completion, done, arg);
    if (request != NULL && idem_batch_take(redis, completion, request)) {
        return;
    }
    submit(redis, request, done, arg);
}

static void redis_abandon(struct idem_store *store,
                          const struct idem_abandonment *abandonment,
                          idem_store_done *done, void *arg) {
    struct idem_redis *redis = idem_redis_of(store);
    if (redis->session_options.read_only) {
        idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
        return;
    }
    if (abandonment->number.present) {
        idem_producers_abandon(&redis->producers, abandonment, done, arg);
        return;
    }
    submit(redis, idem_operation_abandon(abandonment, done, arg), done, arg);
}

static void redis_lookup(struct idem_store *store, const struct idem_digest *digest,
                         int64_t now_ms, idem_store_done *done, void *arg) {
    struct idem_redis *redis = idem_redis_of(store);
    submit(redis, idem_operation_lookup(digest, now_ms, done, arg), done, arg);
}

static void redis_forget(struct idem_store *store, const struct idem_digest *digest,
                         idem_store_done *done, void *arg) {
    struct idem_redis *redis = idem_redis_of(store);
    if (redis->session_options.read_only) {
        idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
        return;
    }
    submit(redis, idem_operation_forget(digest, done, arg), done, arg);
}

static void redis_restore(struct idem_store *store,
                          const struct idem_restoration *restoration,
                          idem_store_done *done, void *arg) {
    struct idem_redis *redis = idem_redis_of(store);
    if (redis->session_options.read_only) {
        idem_answer_code(IDEM_ERR_UNSUPPORTED, done, arg);
        return;
    }
    enum idem_code code = IDEM_OK;
    struct idem_request *request = idem_operation_restore(restoration, done, arg, &code);
    if (request == NULL) {
        idem_answer_code(code, done, arg);
        return;
    }
    idem_redis_submit(redis, request);
}

/* What the servers counted last, and what has changed since by our own doing. */
static void redis_stats(struct idem_store *store, struct idem_store_stats *stats) {
    const struct idem_redis *redis = idem_redis_of(store);
    const struct idem_session *session = NULL;
    int64_t keys = 0;
    size_t place = 0;
    stats->failing = redis->nodes.cluster && !redis->nodes.whole;
    while ((session = idem_nodes_next(&redis->nodes, &place)) != NULL) {
        keys += (int64_t)session->keys + session->keys_changed;
        stats->bytes += session->bytes;
        stats->servers++;
        stats->connected += session->state == IDEM_SESSION_UP ? 1 : 0;
        stats->breakers_open += session->breaker.state != IDEM_BREAKER_CLOSED ? 1 : 0;
        stats->failing |= session->breaker.state != IDEM_BREAKER_CLOSED;
    }
    stats->keys = keys > 0 ? (uint64_t)keys : 0;
}

static bool redis_refuses(const struct idem_store *store,
                          const struct idem_digest *digest) {
    const struct idem_redis *redis = (const struct idem_redis *)store;
    return idem_nodes_refuse(&redis->nodes, digest);
}

static int redis_poll_fd(struct idem_store *store) {
    return idem_redis_of(store)->epoll_fd;
}

static void take_timer(struct idem_redis *redis) {
    uint64_t expirations = 0;
    (void)!read(redis->timer_fd, &expirations, sizeof expirations); /* clears it */
    redis->timer_ms = INT64_MAX;
}

void idem_redis_dispatch(struct idem_redis *redis) {
    struct epoll_event events[EVENTS_MAX];
    if (redis->dispatching) {
        return; /* called from a callback: the caller's own turn is not over */
    }
    redis->dispatching = true;
    int count = epoll_wait(redis->epoll_fd, events, EVENTS_MAX, 0);
    int64_t now_ms = idem_redis_clock_ms();
    redis->nodes.now_ms = now_ms;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) {
            take_timer(redis);
        } else {
            idem_session_ready(events[i].data.ptr, events[i].events, now_ms);
        }
    }
    idem_batch_submit(redis);
    idem_nodes_tick(&redis->nodes, now_ms);
    redis->dispatching = false;
    arm_timer(redis);
}

static void redis_dispatch(struct idem_store *store) {
    idem_redis_dispatch(idem_redis_of(store));
}

void idem_redis_wait(struct idem_redis *redis, int64_t until_ms) {
    int64_t left_ms = until_ms - idem_redis_clock_ms();
    struct pollfd descriptor = {.fd = redis->epoll_fd, .events = POLLIN};
    (void)poll(&descriptor, 1, left_ms > 0 ? (int)left_ms : 0);
    idem_redis_dispatch(redis);
}

/* Each request has a deadline, but one that is redirected, or sent again, has a new one each time, and
 * callbacks may submit more. */
static enum idem_code redis_sync(struct idem_store *store, struct idem_error *error) {
    struct idem_redis *redis = idem_redis_of(store);
    int64_t now_ms = idem_redis_clock_ms();
    int64_t until_ms = now_ms + SYNC_TIMEOUTS * redis->location.timeout_ms;
    idem_batch_submit(redis);
    while ((redis->batch != NULL || idem_nodes_open_count(&redis->nodes) > 0) &&
           now_ms < until_ms) {
        idem_redis_wait(redis, until_ms);
        now_ms = idem_redis_clock_ms();
    }
    size_t open = idem_nodes_open_count(&redis->nodes);
    return open == 0 ? IDEM_OK
                     : idem_error_set(error, IDEM_ERR_TIMEOUT, 0,
                                      "Redis has not answered %zu operations", open);
}

/* What is open after that is answered by the end of its session. */
static void redis_close(struct idem_store *store) {
    struct idem_redis *redis = idem_redis_of(store);
    (void)redis_sync(store, NULL);
    idem_batch_submit(redis);
    idem_nodes_fini(&redis->nodes);
    idem_producers_fini(&redis->producers);
    idem_pool_fini(&redis->operations);
    idem_tls_context_close(redis->session_options.tls);
    if (redis->timer_fd >= 0) {
        (void)close(redis->timer_fd);
    }
    if (redis->epoll_fd >= 0) {
        (void)close(redis->epoll_fd);
    }
    free(redis);
}

static const struct idem_store_ops redis_ops = {
    .name = "redis",
    .claim = redis_claim,
    .complete = redis_complete,
    .abandon = redis_abandon,
    .lookup = redis_lookup,
    .forget = redis_forget,
    .restore = redis_restore,
    .iterate = idem_redis_iterate,
    .stats = redis_stats,
    .poll_fd = redis_poll_fd,
    .dispatch = redis_dispatch,
    .sync = redis_sync,
    .close = redis_close,
    .refuses = redis_refuses,
};

static bool open_descriptors(struct idem_redis *redis) {
    redis->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    redis->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return redis->epoll_fd >= 0 && redis->timer_fd >= 0 &&
           epoll_ctl(redis->epoll_fd, EPOLL_CTL_ADD, redis->timer_fd, &event) == 0;
}

static void take_options(struct idem_redis *redis,
                         const struct idem_store_options *options) {
    struct idem_session_options *own = &redis->session_options;
    if (options->deadline_ms > 0 && !redis->location.timeout_given) {
        redis->location.timeout_ms = options->deadline_ms;
    }
    redis->log = options->log;
    own->location = &redis->location;
    own->log = &redis->log;
    own->nodes = &redis->nodes;
    own->epoll_fd = redis->epoll_fd;
    own->read_only = options->read_only;
    own->has_check = options->secret != NULL;
    if (own->has_check) {
        idem_digest_of(&own->check, options->secret, IDEM_DOMAIN_SECRET_CHECK, NULL, 0);
    }
}

/* Whether every server that is known has been heard, or cannot be for now. */
static bool settled(const struct idem_nodes *nodes) {
    bool any = false;
    for (size_t i = 0; i < IDEM_NODES_MAX; i++) {
        const struct idem_session *session = nodes->sessions[i];
        bool closed = session != NULL && session->breaker.state == IDEM_BREAKER_CLOSED;
        if (closed && !session->counted) {
            return false;
        }
        any |= closed;
    }
    return !nodes->cluster || nodes->whole || !any;
}

/* A server that cannot be reached may be there later; one that refuses us will go on refusing. */
static enum idem_code first_contact(struct idem_redis *redis, struct idem_error *error) {
    int64_t until_ms = idem_redis_clock_ms() + redis->location.connect_timeout_ms +
                       redis->location.timeout_ms;
    idem_redis_dispatch(redis);
    while (!settled(&redis->nodes) && idem_redis_clock_ms() < until_ms) {
        idem_redis_wait(redis, until_ms);
    }
    for (size_t i = 0; i < IDEM_NODES_MAX; i++) {
        const struct idem_session *session = redis->nodes.sessions[i];
        enum idem_code code = session != NULL ? session->refusal.code : IDEM_OK;
        if (code != IDEM_OK && code != IDEM_ERR_UNAVAILABLE && code != IDEM_ERR_TIMEOUT) {
            char where[IDEM_ENDPOINT_TEXT_MAX];
            idem_endpoint_text(&session->endpoint, where);
            return idem_error_set(error, code, 0, "Redis %s: %s", where,
                                  session->refusal.text);
        }
    }
    return IDEM_OK;
}

enum idem_code idem_redis_check(const char *url, struct idem_error *error) {
    struct idem_redis_location location;
    return idem_redis_locate(&location, url, error);
}

enum idem_code idem_redis_open(struct idem_store **store,
                               const struct idem_store_options *options,
                               struct idem_error *error) {
    struct idem_redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    enum idem_code code = idem_redis_locate(&redis->location, options->url, error);
    if (code != IDEM_OK) {
        free(redis);
        return code;
    }
    redis->base.ops = &redis_ops;
    redis->producers.redis = redis;
    idem_pool_init(&redis->operations, idem_operation_size());
    redis->timer_ms = INT64_MAX;
    bool opened = open_descriptors(redis);
    int number = errno;
    take_options(redis, options);
    uint64_t seed = (uint64_t)idem_clock_monotonic_ns() ^ (uint64_t)(uintptr_t)redis;
    code = idem_nodes_init(&redis->nodes, &redis->session_options, seed);
    if (code != IDEM_OK) {
        (void)idem_error_set(error, code, 0, "no memory for a store");
    } else if (!opened) {
        code = idem_error_set(error, IDEM_ERR_IO, number, "epoll, timerfd: %s",
                              strerror(number));
    }
    if (code == IDEM_OK && redis->location.tls) {
        code = idem_tls_context_open(&redis->session_options.tls,
                                     &redis->location.tls_options, error);
    }
    if (code == IDEM_OK) {
        code = first_contact(redis, error);
    }
    if (code != IDEM_OK) {
        redis_close(&redis->base);
        return code;
    }
    *store = &redis->base;
    return IDEM_OK;
}
