/* SPDX-License-Identifier: MIT
 * A worker's look at itself. */
#include "glance.h"

#include "replies.h"

#include <idem/clock.h>

#define LOOK_MS      500
#define LOOKS_AN_ASK 10 /* the broker is asked about the queue every five seconds */

static void look_at_ends(struct idem_worker *worker, struct idem_glance *glance) {
    struct idem_end *source = &worker->source.end;
    glance->ends[0] = idem_end_observed(source);
    glance->end_count = 1;
    for (size_t i = 0; i < worker->sink_count; i++) {
        worker->sinks[i]->ops->observe(worker->sinks[i],
                                       &glance->ends[glance->end_count++]);
    }
    if (worker->replies != NULL) {
        glance->ends[glance->end_count++] = idem_replies_observe(worker->replies);
    }
}

static void look_at_messages(struct idem_worker *worker, struct idem_glance *glance) {
    idem_parcels_count(worker, glance->in_flight);
    if (worker->source.acks.first != NULL) {
        glance->oldest_ms = idem_parcel_of_ack(worker->source.acks.first)->arrived_ms;
    }
}

/* A reader has the lock for a copy's time; then the look is left for the next time. */
void idem_glancing_look(struct idem_worker *worker) {
    struct idem_glancing *glancing = &worker->glancing;
    if (worker->store == NULL || pthread_mutex_trylock(&glancing->lock) != 0) {
        return;
    }
    struct idem_glance *glance = &glancing->glance;
    int64_t lag_ns = glance->lag_ns;
    memset(glance, 0, sizeof *glance);
    glance->lag_ns = lag_ns;
    glance->taken_ns = idem_clock_monotonic_ns();
    glance->draining = worker->draining;
    glance->stalled = worker->stalled;
    glance->queue_known = glancing->queue_known;
    glance->queue_messages = glancing->queue_messages;
    glance->queue_consumers = glancing->queue_consumers;
    look_at_ends(worker, glance);
    look_at_messages(worker, glance);
    idem_store_read_stats(worker->store, &glance->store);
    (void)pthread_mutex_unlock(&glancing->lock);
}

static void schedule(struct idem_glancing *glancing) {
    const struct timeval interval = {0, LOOK_MS * 1000};
    glancing->due_ns = idem_clock_monotonic_ns() + LOOK_MS * INT64_C(1000000);
    (void)event_add(glancing->timer, &interval);
}

static void note_lag(struct idem_glancing *glancing) {
    int64_t lag_ns = idem_clock_monotonic_ns() - glancing->due_ns;
    if (pthread_mutex_trylock(&glancing->lock) == 0) {
        glancing->glance.lag_ns = lag_ns > 0 ? lag_ns : 0;
        (void)pthread_mutex_unlock(&glancing->lock);
    }
}

static void due(evutil_socket_t fd, short what, void *arg) {
    struct idem_worker *worker = arg;
    struct idem_glancing *glancing = &worker->glancing;
    (void)fd;
    (void)what;
    note_lag(glancing);
    if (glancing->looks++ % LOOKS_AN_ASK == 0) {
        idem_source_ask(worker);
    }
    idem_glancing_look(worker);
    schedule(glancing);
}

enum idem_code idem_glancing_init(struct idem_worker *worker) {
    struct idem_glancing *glancing = &worker->glancing;
    glancing->timer = evtimer_new(worker->base, due, worker);
    if (glancing->timer == NULL) {
        return IDEM_ERR_NOMEM;
    }
    schedule(glancing);
    return IDEM_OK;
}

void idem_glancing_fini(struct idem_worker *worker) {
    if (worker->glancing.timer != NULL) {
        event_free(worker->glancing.timer);
    }
}

void idem_glancing_answered(struct idem_worker *worker, enum idem_operation operation,
                            int64_t asked_ns, enum idem_code code) {
    struct idem_glancing *glancing = &worker->glancing;
    idem_histogram_add(&glancing->seconds[operation],
                       idem_clock_monotonic_ns() - asked_ns);
    if (code != IDEM_OK) {
        (void)atomic_fetch_add_explicit(&glancing->failures[operation], 1,
                                        memory_order_relaxed);
    }
}

void idem_glancing_queue(struct idem_worker *worker, uint32_t messages,
                         uint32_t consumers) {
    worker->glancing.queue_known = true;
    worker->glancing.queue_messages = messages;
    worker->glancing.queue_consumers = consumers;
}
