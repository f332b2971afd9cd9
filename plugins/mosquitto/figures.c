/* SPDX-License-Identifier: MIT
 * Figures for operators below $SYS/broker/idem/. The tree is documented in docs/reference/figures.md. */
#include "figures.h"

#include "compat.h"

#include <idem/version.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOT             "$SYS/broker/idem/"
#define FIGURE_TOPIC_MAX 256
#define ROWS_MAX         (IDEM_RULES_MAX + 1) /* and one for what no rule matched */
#define UNPUBLISHED      UINT64_MAX
#define FIGURE_QOS       2 /* as the broker's own figures: the subscriber's QoS decides */

/* Walks the tree in a fixed order, so that a position identifies a figure between two rounds. */
struct round {
    struct idem_figures *figures;
    size_t position;
};

static bool publish(const char *name, const char *value) {
    char topic[FIGURE_TOPIC_MAX];
    (void)snprintf(topic, sizeof topic, ROOT "%s", name);
    return idem_compat_publish(topic, idem_span_text(value), FIGURE_QOS, true, NULL) ==
           MOSQ_ERR_SUCCESS;
}

static bool has_place(struct idem_figures *figures, size_t position) {
    while (position >= figures->capacity) {
        size_t capacity = figures->capacity == 0 ? 64 : figures->capacity * 2;
        uint64_t *last = realloc(figures->last, capacity * sizeof *last);
        if (last == NULL) {
            return false;
        }
        for (size_t i = figures->capacity; i < capacity; i++) {
            last[i] = UNPUBLISHED;
        }
        figures->last = last;
        figures->capacity = capacity;
    }
    return true;
}

/* Out of memory: the next round tries again. */
static void put(struct round *round, const char *name, uint64_t value) {
    struct idem_figures *figures = round->figures;
    size_t position = round->position++;
    char text[24];
    if (!has_place(figures, position) || figures->last[position] == value) {
        return;
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    if (publish(name, text)) {
        figures->last[position] = value;
    }
}

static void put_counts(struct round *round, const char *prefix, const uint64_t *by_reason,
                       const uint64_t *by_verdict) {
    char name[FIGURE_TOPIC_MAX];
    for (unsigned i = 0; i < IDEM_REASON_COUNT; i++) {
        (void)snprintf(name, sizeof name, "%smessages/%s", prefix,
                       idem_reason_name((enum idem_reason)i));
        put(round, name, by_reason[i]);
    }
    for (unsigned i = 0; i < IDEM_VERDICT_COUNT; i++) {
        (void)snprintf(name, sizeof name, "%sverdicts/%s", prefix,
                       idem_verdict_name((enum idem_verdict)i));
        put(round, name, by_verdict[i]);
    }
}

static void put_totals(struct round *round, const struct idem_receiver_counts *total) {
    put_counts(round, "", total->by_reason, total->by_verdict);
    put(round, "completed", total->completed);
    put(round, "abandoned", total->abandoned);
    put(round, "settle_failures", total->settle_failures);
}

static void put_rules(struct round *round, const struct idem_rule_counts *rules,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        char prefix[IDEM_NAME_MAX + 16];
        if (rules[i].name[0] == '\0') {
            continue; /* what no rule matched is in the totals already */
        }
        (void)snprintf(prefix, sizeof prefix, "rules/%s/", rules[i].name);
        put_counts(round, prefix, rules[i].by_reason, rules[i].by_verdict);
    }
}

static void put_store(struct round *round, struct idem_store *store) {
    struct idem_store_stats stats;
    idem_store_read_stats(store, &stats);
    put(round, "store/keys", stats.keys);
    put(round, "store/bytes", stats.bytes);
    put(round, "store/memory_entries", stats.memory_entries);
    put(round, "store/memory_bytes", stats.memory_bytes);
    put(round, "store/commits", stats.commits);
    put(round, "store/commit_failures", stats.commit_failures);
    put(round, "store/purged", stats.purged);
    put(round, "store/map_growths", stats.map_growths);
    put(round, "store/failing", stats.failing ? 1 : 0);
}

static void put_replay(struct round *round, const struct idem_receiver_counts *total,
                       const struct idem_replay *replay) {
    char name[FIGURE_TOPIC_MAX];
    for (unsigned i = 0; i < IDEM_REPLAY_EVENT_COUNT; i++) {
        (void)snprintf(name, sizeof name, "replay/%s",
                       idem_replay_event_name((enum idem_replay_event)i));
        put(round, name, replay->counts[i]);
    }
    put(round, "replay/stored", total->results);
    put(round, "replay/evicted", replay->pairs.evicted);
    put(round, "replay/requests", replay->pairs.count);
}

void idem_figures_init(struct idem_figures *figures, int64_t interval_ms) {
    memset(figures, 0, sizeof *figures);
    figures->interval_ms = interval_ms;
    figures->rules = calloc(ROWS_MAX, sizeof *figures->rules);
    if (interval_ms > 0) {
        (void)publish("version", IDEM_VERSION);
    }
}

void idem_figures_fini(struct idem_figures *figures) {
    free(figures->last);
    free(figures->rules);
    memset(figures, 0, sizeof *figures);
}

void idem_figures_publish(struct idem_figures *figures,
                          const struct idem_receiver *receiver, struct idem_store *store,
                          const struct idem_replay *replay, int64_t now_ms) {
    if (figures->interval_ms <= 0) {
        return;
    }
    /* A clock that was set back must not silence the figures until it has caught up. */
    if (now_ms < figures->next_ms && figures->next_ms - now_ms <= figures->interval_ms) {
        return;
    }
    figures->next_ms = now_ms + figures->interval_ms;
    struct round round = {figures, 0};
    struct idem_receiver_counts total;
    const size_t most = figures->rules == NULL ? 0 : ROWS_MAX;
    size_t count = idem_receiver_read_counts(receiver, &total, figures->rules, most);
    put_totals(&round, &total);
    put_store(&round, store);
    put_replay(&round, &total, replay);
    /* Last, since a reload may add rules; those that it takes away keep their place. */
    put_rules(&round, figures->rules, count < most ? count : most);
}
