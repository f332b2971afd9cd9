/* SPDX-License-Identifier: MIT
 * All that is told of a bridge, at one moment: what the figures, the health checks and the page are made
 * of. Plain data, the sum over all workers; each figure is right, the whole is not of one instant. */
#ifndef IDEM_RABBITMQ_HTTP_OBSERVATION_H
#define IDEM_RABBITMQ_HTTP_OBSERVATION_H

#include "../histogram.h"

#include <idem/receiver.h>
#include <idem/sightings.h>

#define IDEM_OBSERVED_ENDS_MAX   4
#define IDEM_OBSERVED_STATES_MAX 16
#define IDEM_OBSERVED_RULES_MAX  (2 * IDEM_RULES_MAX) /* reloads can add some */
#define IDEM_OBSERVED_OPERATIONS 3

/* One connection of each worker. */
struct idem_observed_end {
    const char *name;       /* "source", "sink", "quarantine": static */
    bool up;                /* of all workers */
    bool blocked;           /* of any: the broker takes nothing now */
    uint64_t connections;   /* that were made so far, of all */
    uint64_t reconnections; /* of these, those that were not the first */
};

struct idem_observed_operation {
    const char *name; /* static */
    struct idem_histogram_values seconds;
    uint64_t failures;
};

struct idem_observed_state {
    const char *name; /* static */
    uint64_t messages;
};

/* Mode rpc. */
struct idem_observed_rpc {
    bool on;
    uint64_t asked;        /* of a worker */
    uint64_t answered;     /* all answers that were confirmed, ... */
    uint64_t replayed;     /* ... of these, without asking */
    uint64_t refused;      /* answers that tell that there will be no reply */
    uint64_t unanswerable; /* there was nobody any more to give it to */
    uint64_t stored;       /* replies, by what became of them */
    uint64_t failed;
    uint64_t too_large;
    uint64_t stray;
    uint64_t alien;
};

struct idem_observation {
    const char *instance; /* borrowed until the server is closed, as queue is */
    const char *queue;
    int64_t now_ms;     /* wall clock */
    int64_t started_ms; /* the same */
    uint64_t workers;
    bool starting; /* not all workers are there yet */
    bool draining;
    bool stuck;   /* a worker has not turned for a long time */
    bool stalled; /* nothing has moved in one for bridge.stalled_after */

    struct idem_rule_counts rules[IDEM_OBSERVED_RULES_MAX];
    size_t rule_count;
    struct idem_receiver_counts receiver;

    uint64_t arrived; /* from the source */
    uint64_t told;    /* to the source: acknowledged or rejected */
    uint64_t delivered;
    uint64_t quarantined;
    uint64_t returned;
    uint64_t nacked;
    uint64_t poisoned;
    uint64_t lost_sight; /* in doubt since a sink was lost before it confirmed */
    uint64_t unexpected;

    struct idem_observed_rpc rpc;

    struct idem_observed_state in_flight[IDEM_OBSERVED_STATES_MAX];
    size_t state_count;
    uint64_t
        oldest_ms; /* how long the oldest unacknowledged message has been here; 0: none is */

    struct idem_observed_end ends[IDEM_OBSERVED_ENDS_MAX];
    size_t end_count;
    struct idem_observed_operation operations[IDEM_OBSERVED_OPERATIONS];
    struct idem_store_stats store;

    bool queue_known;
    uint64_t queue_messages; /* ready, not yet delivered to anybody */
    uint64_t queue_consumers;

    uint64_t lag_ns; /* of the slowest worker */
    uint64_t age_ns; /* of the oldest look that the gauges above come from */

    /* Those seen last come first: all, or those of the one key that is asked for. */
    bool one_key;
    struct idem_digest key;
    struct idem_sighting sightings[IDEM_SIGHTINGS_MAX];
    size_t sighting_count;
};

#endif
