/* SPDX-License-Identifier: MIT
 * One AMQP connection of a worker, and how it comes back. */
#include "end.h"

#include "worker_state.h"

#include <event2/util.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 15000
/* The library sends heartbeats, every half of what was agreed on, and notices their absence, only when
 * it is called. */
#define LOOKS_A_HEARTBEAT 4

struct timeval idem_end_backoff(unsigned failures) {
    uint32_t random = 0;
    int64_t most_ms = failures < 8 ? BACKOFF_MIN_MS << failures : BACKOFF_MAX_MS;
    most_ms = most_ms < BACKOFF_MAX_MS ? most_ms : BACKOFF_MAX_MS;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    int64_t delay_ms = most_ms / 2 + random % (most_ms / 2);
    struct timeval delay = {delay_ms / 1000, (delay_ms % 1000) * 1000};
    return delay;
}

void idem_end_woken(evutil_socket_t fd, short what, void *arg) {
    (void)fd; /* the loop has turned: that is all that is wanted */
    (void)what;
    (void)arg;
}

static void end_up(struct idem_end *end) {
    int64_t often_ms =
        (int64_t)amqp_get_heartbeat(end->link.connection) * 1000 / LOOKS_A_HEARTBEAT;
    const struct timeval often = {often_ms / 1000, (often_ms % 1000) * 1000};
    end->readable = event_new(end->worker->base, idem_link_fd(&end->link),
                              EV_READ | EV_PERSIST, idem_end_woken, NULL);
    if (end->readable == NULL ||
        event_add(end->readable, often_ms > 0 ? &often : NULL) != 0) {
        end->failed = true; /* the turn takes it down again */
    }
    end->up = true;
    end->failures = 0;
    end->connections++;
    idem_log_write(&end->worker->log, IDEM_LOG_NOTICE, "link.up",
                   "%s: connected to %s:%d", end->link.name, end->address->host,
                   end->address->port);
}

struct idem_observed_end idem_end_observed(const struct idem_end *end) {
    return (struct idem_observed_end){
        .name = end->link.name,
        .up = end->up && !end->failed,
        .blocked = end->up && end->link.blocked,
        .connections = end->connections,
    };
}

/* The one that failed comes last now. */
static void next_address(struct idem_end *end) {
    if (++end->address == end->addresses->list + end->addresses->count) {
        end->address = end->addresses->list;
    }
}

void idem_end_down(struct idem_end *end) {
    unsigned rounds = end->failures++ / (unsigned)end->addresses->count;
    const struct timeval delay = idem_end_backoff(rounds);
    if (end->readable != NULL) {
        event_free(end->readable);
        end->readable = NULL;
    }
    idem_link_close(&end->link, false);
    end->up = false;
    end->failed = false;
    next_address(end);
    if (!end->worker->leaving && !end->last) {
        (void)event_add(end->retry, &delay);
    }
    idem_glancing_look(end->worker); /* the next try can block */
}

static enum idem_code try_once(struct idem_end *end, struct idem_error *error) {
    enum idem_code code = end->connect(end, error);
    if (code == IDEM_OK) {
        end_up(end);
    }
    return code;
}

static void put_off(struct idem_end *end, const struct idem_error *error) {
    idem_log_write(&end->worker->log, IDEM_LOG_WARNING, "link.unreached",
                   "%s; trying again", error->text);
    idem_end_down(end);
}

static void retry(evutil_socket_t fd, short what, void *arg) {
    struct idem_end *end = arg;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)fd;
    (void)what;
    if (try_once(end, &error) != IDEM_OK) {
        put_off(end, &error);
    }
}

enum idem_code idem_end_start(struct idem_end *end, struct idem_error *error) {
    struct idem_error cause = IDEM_ERROR_INIT;
    enum idem_code code = try_once(end, &cause);
    if (code == IDEM_ERR_UNAVAILABLE) {
        put_off(end, &cause);
        return IDEM_OK;
    }
    return code == IDEM_OK
               ? IDEM_OK
               : idem_error_set(error, code, cause.sys_errno, "%s", cause.text);
}

enum idem_code idem_end_init(struct idem_end *end, struct idem_worker *worker,
                             const char *name, const struct idem_addresses *addresses) {
    end->worker = worker;
    end->link.name = name;
    end->link.log = &worker->log;
    end->addresses = addresses;
    end->address = addresses->list;
    end->retry = evtimer_new(worker->base, retry, end);
    return end->retry != NULL ? IDEM_OK : IDEM_ERR_NOMEM;
}

void idem_end_fini(struct idem_end *end) {
    idem_link_close(&end->link, false);
    if (end->readable != NULL) {
        event_free(end->readable);
    }
    if (end->retry != NULL) {
        event_free(end->retry);
    }
}
