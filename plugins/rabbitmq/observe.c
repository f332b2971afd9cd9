/* SPDX-License-Identifier: MIT
 * What any thread makes of the looks and counters of all workers: one observation. */
#include "replies.h"

#include <idem/clock.h>

#include <stdlib.h>

#define STUCK_NS (INT64_C(30) * 1000 * 1000 * 1000) /* connecting can take half of it */

static void add_rule(struct idem_observation *observation,
                     const struct idem_rule_counts *row) {
    struct idem_rule_counts *sum = observation->rules;
    size_t at = 0;
    while (at < observation->rule_count && strcmp(sum[at].name, row->name) != 0) {
        at++;
    }
    if (at == IDEM_OBSERVED_RULES_MAX) {
        return;
    }
    if (at == observation->rule_count) {
        observation->rule_count++;
        sum[at] = *row;
        return;
    }
    for (size_t i = 0; i < IDEM_REASON_COUNT; i++) {
        sum[at].by_reason[i] += row->by_reason[i];
    }
    for (size_t i = 0; i < IDEM_VERDICT_COUNT; i++) {
        sum[at].by_verdict[i] += row->by_verdict[i];
    }
}

static void add_totals(struct idem_receiver_counts *sum,
                       const struct idem_receiver_counts *counts) {
    for (size_t i = 0; i < IDEM_REASON_COUNT; i++) {
        sum->by_reason[i] += counts->by_reason[i];
    }
    for (size_t i = 0; i < IDEM_VERDICT_COUNT; i++) {
        sum->by_verdict[i] += counts->by_verdict[i];
    }
    sum->completed += counts->completed;
    sum->abandoned += counts->abandoned;
    sum->settle_failures += counts->settle_failures;
}

static void add_receiver(struct idem_observation *observation,
                         const struct idem_receiver *receiver) {
    struct idem_receiver_counts total;
    struct idem_rule_counts *rows = calloc(IDEM_OBSERVED_RULES_MAX, sizeof *rows);
    size_t most = rows != NULL ? IDEM_OBSERVED_RULES_MAX : 0;
    size_t count = idem_receiver_read_counts(receiver, &total, rows, most);
    add_totals(&observation->receiver, &total);
    for (size_t i = 0; i < count && i < most; i++) {
        add_rule(observation, &rows[i]);
    }
    free(rows);
}

static void add_transfers(struct idem_observation *observation,
                          const struct idem_transfer_counts *counts) {
    observation->arrived += counts->on[IDEM_ON_ARRIVED];
    observation->told += counts->on[IDEM_ON_TOLD];
    observation->returned += counts->on[IDEM_ON_RETURNED];
    observation->nacked += counts->on[IDEM_ON_NACKED];
    observation->delivered += counts->delivered;
    observation->quarantined += counts->quarantined;
    observation->lost_sight += counts->in_doubt;
    observation->poisoned += counts->poisoned;
    observation->unexpected += counts->unexpected;
}

static void add_rpc(struct idem_observed_rpc *sum, const struct idem_worker *worker) {
    const struct idem_transfer_counts *counts = &worker->counts;
    struct idem_reply_figures replies;
    if (worker->replies == NULL) {
        return;
    }
    idem_replies_figures(worker->replies, &replies);
    sum->on = true;
    sum->asked += counts->asked;
    sum->answered += counts->answered;
    sum->replayed += counts->replayed;
    sum->refused += counts->refused;
    sum->unanswerable += counts->unanswerable;
    sum->stored += replies.ended[IDEM_RESULT_STORE];
    sum->failed += replies.ended[IDEM_RESULT_FAILED];
    sum->too_large += replies.ended[IDEM_RESULT_TOO_LARGE];
    sum->stray += replies.stray;
    sum->alien += replies.alien;
}

/* Each worker has a handle of its own to one store: what is in the store is not to be added up. */
static void add_store(struct idem_store_stats *sum,
                      const struct idem_store_stats *stats) {
    sum->keys = stats->keys > sum->keys ? stats->keys : sum->keys;
    sum->bytes = stats->bytes > sum->bytes ? stats->bytes : sum->bytes;
    sum->memory_entries += stats->memory_entries;
    sum->memory_bytes += stats->memory_bytes;
    sum->commits += stats->commits;
    sum->commit_failures += stats->commit_failures;
    sum->purged += stats->purged;
    sum->map_growths += stats->map_growths;
    sum->failing = sum->failing || stats->failing;
    sum->servers += stats->servers;
    sum->connected += stats->connected;
    sum->owed += stats->owed;
    sum->breakers_open += stats->breakers_open;
}

static void add_end(struct idem_observation *observation, size_t index,
                    const struct idem_observed_end *end) {
    struct idem_observed_end *sum = &observation->ends[index];
    bool first = index >= observation->end_count;
    sum->name = end->name;
    sum->up = end->up && (first || sum->up);
    sum->blocked = end->blocked || sum->blocked;
    sum->connections += end->connections;
    sum->reconnections += end->connections > 0 ? end->connections - 1 : 0;
    observation->end_count = first ? index + 1 : observation->end_count;
}

static void add_glance(struct idem_observation *observation,
                       const struct idem_glance *glance) {
    int64_t age_ns = idem_clock_monotonic_ns() - glance->taken_ns;
    int64_t oldest_ms =
        glance->oldest_ms > 0 ? observation->now_ms - glance->oldest_ms : 0;
    observation->stuck = observation->stuck || age_ns > STUCK_NS;
    observation->stalled = observation->stalled || glance->stalled;
    observation->draining = observation->draining || glance->draining;
    if (age_ns > (int64_t)observation->age_ns) {
        observation->age_ns = (uint64_t)age_ns;
    }
    if (glance->lag_ns > (int64_t)observation->lag_ns) {
        observation->lag_ns = (uint64_t)glance->lag_ns;
    }
    if (oldest_ms > (int64_t)observation->oldest_ms) {
        observation->oldest_ms = (uint64_t)oldest_ms;
    }
    if (glance->queue_known) {
        observation->queue_known = true;
        observation->queue_messages = glance->queue_messages;
        observation->queue_consumers = glance->queue_consumers;
    }
    for (size_t i = 0; i < glance->end_count; i++) {
        add_end(observation, i, &glance->ends[i]);
    }
    for (size_t i = 0; i < IDEM_TRANSFER_STATE_COUNT; i++) {
        observation->in_flight[i].name =
            idem_transfer_state_name((enum idem_transfer_state)i);
        observation->in_flight[i].messages += glance->in_flight[i];
    }
    observation->state_count = IDEM_TRANSFER_STATE_COUNT;
    add_store(&observation->store, &glance->store);
}

static void add_operations(struct idem_observation *observation,
                           const struct idem_glancing *glancing) {
    static const char *const names[IDEM_OPERATION_COUNT] = {"claim", "complete",
                                                            "abandon"};
    _Static_assert(IDEM_OPERATION_COUNT == IDEM_OBSERVED_OPERATIONS, "one for each");
    for (size_t i = 0; i < IDEM_OPERATION_COUNT; i++) {
        struct idem_observed_operation *operation = &observation->operations[i];
        operation->name = names[i];
        idem_histogram_collect(&glancing->seconds[i], &operation->seconds);
        operation->failures +=
            atomic_load_explicit(&glancing->failures[i], memory_order_relaxed);
    }
}

/* Where one key is asked for, what is of others is taken out. Returns how many are left. */
static size_t keep_wanted(const struct idem_observation *observation,
                          struct idem_sighting *sightings, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!observation->one_key ||
            idem_digest_equal(&sightings[i].digest, &observation->key)) {
            sightings[kept++] = sightings[i];
        }
    }
    return kept;
}

/* Both lists are in order, and so is what comes of them. */
static void add_sightings(struct idem_observation *observation,
                          const struct idem_receiver *receiver) {
    struct idem_sighting *merged = calloc(IDEM_SIGHTINGS_MAX, 2 * sizeof *merged);
    if (merged == NULL) {
        return;
    }
    struct idem_sighting *own = merged + IDEM_SIGHTINGS_MAX;
    size_t own_count = keep_wanted(
        observation, own, idem_receiver_sightings(receiver, own, IDEM_SIGHTINGS_MAX));
    size_t a = 0;
    size_t b = 0;
    size_t count = 0;
    while (count < IDEM_SIGHTINGS_MAX &&
           (a < observation->sighting_count || b < own_count)) {
        bool from_own = a == observation->sighting_count ||
                        (b < own_count &&
                         own[b].last_seen_ms > observation->sightings[a].last_seen_ms);
        merged[count++] = from_own ? own[b++] : observation->sightings[a++];
    }
    memcpy(observation->sightings, merged, count * sizeof *merged);
    observation->sighting_count = count;
    free(merged);
}

void idem_worker_observe(struct idem_worker *worker,
                         struct idem_observation *observation) {
    struct idem_glancing *glancing = &worker->glancing;
    (void)pthread_mutex_lock(&glancing->lock);
    const struct idem_glance glance = glancing->glance;
    (void)pthread_mutex_unlock(&glancing->lock);
    observation->workers++;
    add_receiver(observation, worker->receiver);
    add_transfers(observation, &worker->counts);
    add_rpc(&observation->rpc, worker);
    add_glance(observation, &glance);
    add_operations(observation, glancing);
    add_sightings(observation, worker->receiver);
}
