/* SPDX-License-Identifier: MIT
 * What others may know of a worker. Its own struct belongs to its thread; so the worker itself takes a look
 * at it, twice a second, and leaves what it saw where any thread can read it. Counters need no such look:
 * they are atomic. */
#ifndef IDEM_RABBITMQ_GLANCE_H
#define IDEM_RABBITMQ_GLANCE_H

#include "histogram.h"
#include "http/observation.h"
#include "transfer.h"

#include <event2/event.h>
#include <pthread.h>

struct idem_worker;

enum idem_operation {
    IDEM_OPERATION_CLAIM,
    IDEM_OPERATION_COMPLETE,
    IDEM_OPERATION_ABANDON,
    IDEM_OPERATION_COUNT
};

/* What the worker saw when it looked last. */
struct idem_glance {
    int64_t taken_ns; /* monotonic; 0: never yet */
    int64_t lag_ns; /* by how much the look was late: how long others wait for the loop */
    int64_t
        oldest_ms; /* wall clock: when the oldest unacknowledged message came; 0: none */
    uint64_t in_flight[IDEM_TRANSFER_STATE_COUNT];
    struct idem_store_stats store;
    struct idem_observed_end ends[IDEM_OBSERVED_ENDS_MAX];
    size_t end_count;
    bool queue_known; /* what the broker said lately of the source queue: */
    uint32_t queue_messages;
    uint32_t queue_consumers;
    bool draining;
    bool stalled;
};

/* The worker's part. */
struct idem_glancing {
    struct event *timer;
    int64_t due_ns;
    unsigned looks;
    bool queue_known;
    uint32_t queue_messages;
    uint32_t queue_consumers;
    struct idem_histogram seconds[IDEM_OPERATION_COUNT]; /* of the store */
    _Atomic uint64_t failures[IDEM_OPERATION_COUNT];
    pthread_mutex_t lock; /* guards the glance; the worker never waits for it */
    struct idem_glance glance;
};

/* All on the worker's thread; idem_worker_observe is for the others. IDEM_ERR_NOMEM; fini it in any case. */
IDEM_MUST_USE enum idem_code idem_glancing_init(struct idem_worker *worker);
void idem_glancing_fini(struct idem_worker *worker);

/* Looks now. */
void idem_glancing_look(struct idem_worker *worker);

/* The store has answered what it was asked at asked_ns. */
void idem_glancing_answered(struct idem_worker *worker, enum idem_operation operation,
                            int64_t asked_ns, enum idem_code code);

/* The broker's answer about the source queue. */
void idem_glancing_queue(struct idem_worker *worker, uint32_t messages,
                         uint32_t consumers);

#endif
