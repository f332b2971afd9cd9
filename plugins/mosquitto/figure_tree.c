/* SPDX-License-Identifier: MIT
 * The tree of figures. */
#include "figure_tree.h"

#include <idem/version.h>

#include <stdio.h>

/* A row of the tree, below a branch ("", "rules/NAME/"). */
static void put(const struct idem_figure_visitor *visitor, const char *branch,
                const char *twig, const char *leaf, uint64_t value) {
    char name[IDEM_FIGURE_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s%s%s", branch, twig, leaf);
    visitor->number(visitor->arg, name, value);
}

static void put_counts(const struct idem_figure_visitor *visitor, const char *branch,
                       const uint64_t *by_reason, const uint64_t *by_verdict) {
    for (unsigned i = 0; i < IDEM_REASON_COUNT; i++) {
        put(visitor, branch, "messages/", idem_reason_name((enum idem_reason)i),
            by_reason[i]);
    }
    for (unsigned i = 0; i < IDEM_VERDICT_COUNT; i++) {
        put(visitor, branch, "verdicts/", idem_verdict_name((enum idem_verdict)i),
            by_verdict[i]);
    }
}

struct leaf {
    const char *name;
    uint64_t value;
};

static void put_leaves(const struct idem_figure_visitor *visitor, const char *branch,
                       const struct leaf *leaves, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put(visitor, branch, "", leaves[i].name, leaves[i].value);
    }
}
#define PUT_LEAVES(visitor, branch, leaves)                                              \
    put_leaves(visitor, branch, leaves, sizeof(leaves) / sizeof(leaves)[0])

static void put_totals(const struct idem_figure_visitor *visitor,
                       const struct idem_receiver_counts *total) {
    const struct leaf leaves[] = {
        {"completed", total->completed},
        {"abandoned", total->abandoned},
        {"settle_failures", total->settle_failures},
        {"without_result", total->without_result},
    };
    put_counts(visitor, "", total->by_reason, total->by_verdict);
    PUT_LEAVES(visitor, "", leaves);
}

static void put_store(const struct idem_figure_visitor *visitor,
                      struct idem_store *store) {
    struct idem_store_stats stats;
    idem_store_read_stats(store, &stats);
    const struct leaf leaves[] = {
        {"keys", stats.keys},
        {"bytes", stats.bytes},
        {"memory_entries", stats.memory_entries},
        {"memory_bytes", stats.memory_bytes},
        {"commits", stats.commits},
        {"commit_failures", stats.commit_failures},
        {"purged", stats.purged},
        {"map_growths", stats.map_growths},
        {"failing", stats.failing ? 1 : 0},
        {"servers", stats.servers},
        {"connected", stats.connected},
        {"breakers_open", stats.breakers_open},
        {"owed", stats.owed},
    };
    PUT_LEAVES(visitor, "store/", leaves);
}

static void put_process(const struct idem_figure_visitor *visitor,
                        const struct idem_figure_sources *sources) {
    const struct leaf leaves[] = {
        {"uptime", sources->uptime_s},
        {"unsettled", sources->unsettled},
        {"parked/messages", sources->parked_messages},
        {"parked/bytes", sources->parked_bytes},
        {"control/requests", sources->control->requests},
        {"control/commands", sources->control->commands},
        {"control/refused", sources->control->refused},
        {"decisions/count", sources->latency->count},
        {"decisions/sum_us", sources->latency->sum_us},
    };
    PUT_LEAVES(visitor, "", leaves);
    for (size_t i = 0; i < IDEM_LATENCY_STEPS; i++) {
        put(visitor, "decisions/within/", idem_latency_steps[i].name, "",
            sources->latency->within[i]);
    }
}

static void put_replay(const struct idem_figure_visitor *visitor,
                       const struct idem_receiver_counts *total,
                       const struct idem_replay *replay) {
    const struct leaf leaves[] = {
        {"stored", total->results},
        {"evicted", replay->pairs.evicted},
        {"requests", replay->pairs.count},
    };
    for (unsigned i = 0; i < IDEM_REPLAY_EVENT_COUNT; i++) {
        put(visitor, "replay/", "", idem_replay_event_name((enum idem_replay_event)i),
            replay->counts[i]);
    }
    PUT_LEAVES(visitor, "replay/", leaves);
}

/* Those that a reload has taken away are in, with what they had counted. */
static void put_rule(const struct idem_figure_visitor *visitor,
                     const struct idem_rule_counts *rule) {
    char branch[IDEM_NAME_MAX + 16];
    const struct leaf leaves[] = {
        {"enabled", rule->disabled ? 0 : 1},
        {"bypassed", rule->bypassed},
        {"without_result", rule->without_result},
    };
    if (rule->name[0] == '\0') {
        return; /* what no rule matched is in the totals already */
    }
    (void)snprintf(branch, sizeof branch, "rules/%s/", rule->name);
    put_counts(visitor, branch, rule->by_reason, rule->by_verdict);
    PUT_LEAVES(visitor, branch, leaves);
}

void idem_figure_tree_texts(const struct idem_figure_sources *sources,
                            const struct idem_figure_visitor *visitor) {
    visitor->text(visitor->arg, "version", IDEM_VERSION);
    visitor->text(visitor->arg, "instance", sources->instance);
    visitor->text(visitor->arg, "store/name", sources->store->ops->name);
}

void idem_figure_tree_numbers(const struct idem_figure_sources *sources,
                              struct idem_rule_counts *rows,
                              const struct idem_figure_visitor *visitor) {
    struct idem_receiver_counts total;
    const size_t most = rows == NULL ? 0 : IDEM_FIGURE_ROWS;
    size_t count = idem_receiver_read_counts(sources->receiver, &total, rows, most);
    put_totals(visitor, &total);
    put_store(visitor, sources->store);
    put_process(visitor, sources);
    put_replay(visitor, &total, sources->replay);
    for (size_t i = 0; i < count && i < most; i++) {
        put_rule(visitor, &rows[i]);
    }
}
