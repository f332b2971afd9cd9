/* SPDX-License-Identifier: MIT
 * The table of figures. */
#include "figures.h"

#include <idem/version.h>

#include <inttypes.h>

#define UNMATCHED "(none)" /* no rule can have that name */

#define ONE(figure, samples, number) one(figure, samples, NULL, NULL, number)

static void one(const struct idem_figure *figure, const struct idem_samples *samples,
                const char *first, const char *second, uint64_t value) {
    const char *const labels[IDEM_FIGURE_LABELS_MAX] = {first, second};
    samples->value(samples->arg, figure, labels, value);
}

static const char *rule_label(const struct idem_rule_counts *row) {
    return row->name[0] != '\0' ? row->name : UNMATCHED;
}

static void build(const struct idem_figure *figure, const struct idem_observation *seen,
                  const struct idem_samples *samples) {
    (void)seen;
    one(figure, samples, IDEM_VERSION, NULL, 1);
}

static void verdicts(const struct idem_figure *figure,
                     const struct idem_observation *seen,
                     const struct idem_samples *samples) {
    for (size_t rule = 0; rule < seen->rule_count; rule++) {
        for (size_t i = 0; i < IDEM_VERDICT_COUNT; i++) {
            one(figure, samples, rule_label(&seen->rules[rule]),
                idem_verdict_name((enum idem_verdict)i), seen->rules[rule].by_verdict[i]);
        }
    }
}

static void reasons(const struct idem_figure *figure, const struct idem_observation *seen,
                    const struct idem_samples *samples) {
    for (size_t rule = 0; rule < seen->rule_count; rule++) {
        for (size_t i = 0; i < IDEM_REASON_COUNT; i++) {
            one(figure, samples, rule_label(&seen->rules[rule]),
                idem_reason_name((enum idem_reason)i), seen->rules[rule].by_reason[i]);
        }
    }
}

static void in_doubt(const struct idem_figure *figure,
                     const struct idem_observation *seen,
                     const struct idem_samples *samples) {
    one(figure, samples, "taken_over", NULL,
        seen->receiver.by_reason[IDEM_REASON_IN_DOUBT]);
    one(figure, samples, "sink_lost", NULL, seen->lost_sight);
}

static void unprotected(const struct idem_figure *figure,
                        const struct idem_observation *seen,
                        const struct idem_samples *samples) {
    uint64_t failures = seen->receiver.by_reason[IDEM_REASON_STORE_FAILURE];
    uint64_t refused = seen->receiver.by_verdict[IDEM_VERDICT_REFUSE];
    ONE(figure, samples, failures > refused ? failures - refused : 0);
}

static void rpc_requests(const struct idem_figure *figure,
                         const struct idem_observation *seen,
                         const struct idem_samples *samples) {
    if (seen->rpc.on) {
        ONE(figure, samples, seen->rpc.asked);
    }
}

/* Both are read while they rise, one after the other. */
static void rpc_answers(const struct idem_figure *figure,
                        const struct idem_observation *seen,
                        const struct idem_samples *samples) {
    const struct idem_observed_rpc *rpc = &seen->rpc;
    if (rpc->on) {
        one(figure, samples, "reply", NULL,
            rpc->answered > rpc->replayed ? rpc->answered - rpc->replayed : 0);
        one(figure, samples, "replay", NULL, rpc->replayed);
        one(figure, samples, "refusal", NULL, rpc->refused);
    }
}

static void rpc_unanswerable(const struct idem_figure *figure,
                             const struct idem_observation *seen,
                             const struct idem_samples *samples) {
    if (seen->rpc.on) {
        ONE(figure, samples, seen->rpc.unanswerable);
    }
}

static void rpc_replies(const struct idem_figure *figure,
                        const struct idem_observation *seen,
                        const struct idem_samples *samples) {
    const struct idem_observed_rpc *rpc = &seen->rpc;
    if (rpc->on) {
        one(figure, samples, "stored", NULL, rpc->stored);
        one(figure, samples, "failed", NULL, rpc->failed);
        one(figure, samples, "too_large", NULL, rpc->too_large);
        one(figure, samples, "stray", NULL, rpc->stray);
        one(figure, samples, "alien", NULL, rpc->alien);
    }
}

static void in_flight(const struct idem_figure *figure,
                      const struct idem_observation *seen,
                      const struct idem_samples *samples) {
    for (size_t i = 0; i < seen->state_count; i++) {
        one(figure, samples, seen->in_flight[i].name, NULL, seen->in_flight[i].messages);
    }
}

static void queue_messages(const struct idem_figure *figure,
                           const struct idem_observation *seen,
                           const struct idem_samples *samples) {
    if (seen->queue_known) {
        ONE(figure, samples, seen->queue_messages);
    }
}

static void queue_consumers(const struct idem_figure *figure,
                            const struct idem_observation *seen,
                            const struct idem_samples *samples) {
    if (seen->queue_known) {
        ONE(figure, samples, seen->queue_consumers);
    }
}

static void ends_up(const struct idem_figure *figure, const struct idem_observation *seen,
                    const struct idem_samples *samples) {
    for (size_t i = 0; i < seen->end_count; i++) {
        one(figure, samples, seen->ends[i].name, NULL, seen->ends[i].up);
    }
}

static void ends_blocked(const struct idem_figure *figure,
                         const struct idem_observation *seen,
                         const struct idem_samples *samples) {
    for (size_t i = 0; i < seen->end_count; i++) {
        one(figure, samples, seen->ends[i].name, NULL, seen->ends[i].blocked);
    }
}

static void ends_reconnected(const struct idem_figure *figure,
                             const struct idem_observation *seen,
                             const struct idem_samples *samples) {
    for (size_t i = 0; i < seen->end_count; i++) {
        one(figure, samples, seen->ends[i].name, NULL, seen->ends[i].reconnections);
    }
}

static void store_seconds(const struct idem_figure *figure,
                          const struct idem_observation *seen,
                          const struct idem_samples *samples) {
    for (size_t i = 0; i < IDEM_OBSERVED_OPERATIONS; i++) {
        if (seen->operations[i].name != NULL) {
            const char *const labels[] = {seen->operations[i].name, NULL};
            samples->histogram(samples->arg, figure, labels,
                               &seen->operations[i].seconds);
        }
    }
}

static void store_failures(const struct idem_figure *figure,
                           const struct idem_observation *seen,
                           const struct idem_samples *samples) {
    for (size_t i = 0; i < IDEM_OBSERVED_OPERATIONS; i++) {
        if (seen->operations[i].name != NULL) {
            one(figure, samples, seen->operations[i].name, NULL,
                seen->operations[i].failures);
        }
    }
}

static void store_up(const struct idem_figure *figure,
                     const struct idem_observation *seen,
                     const struct idem_samples *samples) {
    ONE(figure, samples, seen->workers > 0 && !seen->store.failing);
}

static void draining(const struct idem_figure *figure,
                     const struct idem_observation *seen,
                     const struct idem_samples *samples) {
    ONE(figure, samples, seen->draining);
}

static void stalled(const struct idem_figure *figure, const struct idem_observation *seen,
                    const struct idem_samples *samples) {
    ONE(figure, samples, seen->stalled);
}

#define AT(member)  .offset = offsetof(struct idem_observation, member)
#define COUNTER(n)  .name = (n), .kind = IDEM_FIGURE_COUNTER
#define GAUGE(n)    .name = (n), .kind = IDEM_FIGURE_GAUGE
#define LABELS(...) .labels = {__VA_ARGS__}

static const struct idem_figure figures[] = {
    {GAUGE("idem_build_info"), LABELS("version"), .collect = build,
     .help = "Always 1; the label says which version this is."},
    {GAUGE("process_start_time_seconds"), .unit = IDEM_UNIT_MS, AT(started_ms),
     .help = "When the process started, since 1970-01-01 UTC."},

    {COUNTER("idem_messages_total"), LABELS("rule", "verdict"), .collect = verdicts,
     .help = "Decisions by rule and verdict; a copy that is held is decided again."},
    {COUNTER("idem_message_reasons_total"), LABELS("rule", "reason"), .collect = reasons,
     .help = "The same decisions by rule and reason: what was known of the copy."},
    {COUNTER("idem_source_messages_total"), AT(arrived),
     .help = "Messages that the source queue delivered."},
    {COUNTER("idem_source_settled_total"), AT(told),
     .help = "Messages that were acknowledged or rejected at the source."},
    {COUNTER("idem_delivered_total"), AT(delivered),
     .help = "Messages that the sink has confirmed."},
    {COUNTER("idem_quarantined_total"), AT(quarantined),
     .help = "Messages that the quarantine has confirmed."},

    {COUNTER("idem_in_doubt_total"), LABELS("cause"), .collect = in_doubt,
     .help = "Copies whose earlier delivery may or may not have happened, since a claim "
             "was taken over or the sink was lost before it confirmed."},
    {COUNTER("idem_lease_takeovers_total"), AT(receiver.by_reason[IDEM_REASON_IN_DOUBT]),
     .help = "Claims taken over from a holder that died or whose lease ran out."},
    {COUNTER("idem_unprotected_total"), .collect = unprotected,
     .help = "Messages that went on although the store could not answer for them."},
    {COUNTER("idem_unroutable_total"), AT(returned),
     .help = "Publications that the sink returned: no queue took them."},
    {COUNTER("idem_nacked_total"), AT(nacked),
     .help = "Publications that the sink refused for now."},
    {COUNTER("idem_poisoned_total"), AT(poisoned),
     .help = "Messages that were given up and sent to the quarantine."},
    {COUNTER("idem_unexpected_events_total"), AT(unexpected),
     .help = "Events that the delivery machine does not know; anything but 0 is a bug."},

    {COUNTER("idem_rpc_requests_total"), .collect = rpc_requests,
     .help = "Requests that a worker has been given, or may have been."},
    {COUNTER("idem_rpc_answers_total"), LABELS("kind"), .collect = rpc_answers,
     .help =
         "Answers that a requester's queue has confirmed: the reply that was waited "
         "for, a replay without asking a worker, or the word that there will be none."},
    {COUNTER("idem_rpc_unanswerable_total"), .collect = rpc_unanswerable,
     .help = "Answers that could be given to nobody any more."},
    {COUNTER("idem_rpc_replies_total"), LABELS("outcome"), .collect = rpc_replies,
     .help = "What workers replied, by what became of it: stored says that its key is "
             "done, with "
             "it or with an earlier one; stray, that its key is another's or nobody's by "
             "now; "
             "alien, that it answers nothing that was asked."},

    {GAUGE("idem_in_flight_messages"), LABELS("state"), .collect = in_flight,
     .help = "Messages inside the bridge, by state."},
    {GAUGE("idem_oldest_unacknowledged_seconds"), .unit = IDEM_UNIT_MS, AT(oldest_ms),
     .help = "How long the oldest message inside the bridge has been there."},
    {GAUGE("idem_source_queue_messages"), .collect = queue_messages,
     .help = "Messages that wait in the source queue, as the broker said lately."},
    {GAUGE("idem_source_queue_consumers"), .collect = queue_consumers,
     .help = "Consumers of the source queue, this bridge included."},

    {GAUGE("idem_connection_up"), LABELS("end"), .collect = ends_up,
     .help = "Whether all workers are connected there."},
    {GAUGE("idem_connection_blocked"), LABELS("end"), .collect = ends_blocked,
     .help = "Whether the broker there takes no messages now."},
    {COUNTER("idem_reconnections_total"), LABELS("end"), .collect = ends_reconnected,
     .help = "Connections that were made again."},

    {GAUGE("idem_store_up"), .collect = store_up,
     .help = "Whether the store works; 0 while the circuit breaker of a Redis store is "
             "not closed, or the embedded store cannot write."},
    {GAUGE("idem_store_servers"), AT(store.servers),
     .help = "Redis servers that are known to belong to the store, of each worker."},
    {GAUGE("idem_store_servers_connected"), AT(store.connected),
     .help = "Of these, those to which there is a connection that takes operations."},
    {GAUGE("idem_store_breakers_open"), AT(store.breakers_open),
     .help = "Of these, those that have failed and are not asked at present."},
    {GAUGE("idem_store_owed_keys"), AT(store.owed),
     .help = "Completed keys that a store that was away has yet to be told."},
    {.name = "idem_store_operation_seconds",
     .kind = IDEM_FIGURE_HISTOGRAM,
     .unit = IDEM_UNIT_NS,
     LABELS("operation"),
     .collect = store_seconds,
     .help = "How long the store took to answer."},
    {COUNTER("idem_store_operation_failures_total"), LABELS("operation"),
     .collect = store_failures, .help = "Operations that the store did not carry out."},
    {COUNTER("idem_claims_completed_total"), AT(receiver.completed),
     .help = "Claims that became records."},
    {COUNTER("idem_claims_abandoned_total"), AT(receiver.abandoned),
     .help = "Claims that were given back."},
    {COUNTER("idem_settle_failures_total"), AT(receiver.settle_failures),
     .help = "Claims that the store would not complete or give back."},
    {GAUGE("idem_store_keys"), AT(store.keys),
     .help = "Records in the store, as far as it knows without counting."},
    {GAUGE("idem_store_bytes"), AT(store.bytes), .help = "What they take there."},
    {GAUGE("idem_store_memory_entries"), AT(store.memory_entries),
     .help = "Keys that the bridge itself remembers in front of the store."},
    {GAUGE("idem_store_memory_bytes"), AT(store.memory_bytes),
     .help = "What they take in its memory."},
    {COUNTER("idem_store_commits_total"), AT(store.commits),
     .help = "Groups of records that were brought to disk."},
    {COUNTER("idem_store_commit_failures_total"), AT(store.commit_failures),
     .help = "Attempts at it that failed."},
    {COUNTER("idem_store_purged_total"), AT(store.purged),
     .help = "Expired records that were removed."},
    {COUNTER("idem_store_map_growths_total"), AT(store.map_growths),
     .help = "Times that the store's file grew."},

    {GAUGE("idem_workers"), AT(workers), .help = "Workers of the bridge."},
    {GAUGE("idem_draining"), .collect = draining,
     .help = "Whether the bridge is on its way out."},
    {GAUGE("idem_stalled"), .collect = stalled,
     .help = "Whether messages are under way and nothing has moved for "
             "bridge.stalled_after; the log says what they wait for."},
    {GAUGE("idem_event_loop_lag_seconds"), .unit = IDEM_UNIT_NS, AT(lag_ns),
     .help = "How late the slowest worker was when it last looked at the clock."},
    {GAUGE("idem_observation_age_seconds"), .unit = IDEM_UNIT_NS, AT(age_ns),
     .help = "How old the gauges are; more than a second: a worker waits for something."},
};

size_t idem_figure_count(void) {
    return sizeof figures / sizeof figures[0];
}

const struct idem_figure *idem_figure_at(size_t index) {
    return &figures[index];
}

void idem_figure_collect(const struct idem_figure *figure,
                         const struct idem_observation *observation,
                         const struct idem_samples *samples) {
    if (figure->collect != NULL) {
        figure->collect(figure, observation, samples);
        return;
    }
    uint64_t value = 0;
    memcpy(&value, (const char *)observation + figure->offset, sizeof value);
    ONE(figure, samples, value);
}

const char *idem_figure_kind_name(enum idem_figure_kind kind) {
    static const char *const names[] = {"counter", "gauge", "histogram"};
    return names[kind];
}

const char *idem_figure_value(struct idem_figure_text *buffer, enum idem_figure_unit unit,
                              uint64_t value) {
    switch (unit) {
    case IDEM_UNIT_ONE:
        (void)snprintf(buffer->text, sizeof buffer->text, "%" PRIu64, value);
        break;
    case IDEM_UNIT_MS:
        (void)snprintf(buffer->text, sizeof buffer->text, "%" PRIu64 ".%03" PRIu64,
                       value / 1000, value % 1000);
        break;
    case IDEM_UNIT_NS:
        (void)snprintf(buffer->text, sizeof buffer->text, "%" PRIu64 ".%09" PRIu64,
                       value / 1000000000, value % 1000000000);
        break;
    }
    return buffer->text;
}

const char *idem_figure_bound(struct idem_figure_text *buffer, int64_t ns) {
    (void)idem_figure_value(buffer, IDEM_UNIT_NS, (uint64_t)ns);
    size_t length = strlen(buffer->text);
    while (buffer->text[length - 1] == '0') {
        buffer->text[--length] = '\0';
    }
    if (buffer->text[length - 1] == '.') {
        buffer->text[length - 1] = '\0';
    }
    return buffer->text;
}
