/* SPDX-License-Identifier: MIT
 * The plugin's figures as Prometheus metrics. */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    const char *metric;
    const char *figure;
    bool counter;
    const char *help;
} plain[] = {
    {"idem_uptime_seconds", "uptime", false, "Seconds since the plugin was started."},
    {"idem_unsettled_claims", "unsettled", false,
     "Claims whose delivery is not certain yet."},
    {"idem_parked_messages", "parked/messages", false,
     "Messages that wait for the answer of a store on the network."},
    {"idem_parked_bytes", "parked/bytes", false, "About what they take."},
    {"idem_claims_completed_total", "completed", true, "Claims that became records."},
    {"idem_claims_abandoned_total", "abandoned", true, "Claims that were given back."},
    {"idem_settle_failures_total", "settle_failures", true,
     "Claims that the store would not complete or give back."},
    {"idem_results_total", "replay/stored", true, "Results stored with a record."},
    {"idem_without_result_total", "without_result", true,
     "Repeats that there was no stored result for."},
    {"idem_store_keys", "store/keys", false,
     "Records in the store, as far as it knows without counting."},
    {"idem_store_bytes", "store/bytes", false, "What they take there."},
    {"idem_store_memory_entries", "store/memory_entries", false,
     "Keys that the plugin itself remembers in front of the store."},
    {"idem_store_memory_bytes", "store/memory_bytes", false,
     "What they take in its memory."},
    {"idem_store_commits_total", "store/commits", true,
     "Groups of records that were brought to disk."},
    {"idem_store_commit_failures_total", "store/commit_failures", true,
     "Attempts at it that failed."},
    {"idem_store_purged_total", "store/purged", true,
     "Expired records that were removed."},
    {"idem_store_map_growths_total", "store/map_growths", true,
     "Times that the store's file grew."},
    {"idem_store_servers", "store/servers", false,
     "Redis servers that are known to belong to the store."},
    {"idem_store_servers_connected", "store/connected", false,
     "Of these, those to which there is a connection that takes operations."},
    {"idem_store_breakers_open", "store/breakers_open", false,
     "Of these, those that have failed and are not asked at present."},
    {"idem_store_owed_keys", "store/owed", false,
     "Completed keys that a store that was away has yet to be told."},
    {"idem_control_requests_total", "control/requests", true,
     "Requests on the control topic."},
    {"idem_control_commands_total", "control/commands", true, "Commands in them."},
    {"idem_control_refused_total", "control/refused", true,
     "Commands that were answered with an error."},
};

static const struct {
    const char *name;
    const char *seconds;
} steps[] = {
    {"10us", "0.00001"}, {"100us", "0.0001"}, {"1ms", "0.001"}, {"5ms", "0.005"},
    {"20ms", "0.02"},    {"100ms", "0.1"},    {"500ms", "0.5"}, {"2s", "2"},
};

static void head(FILE *out, const char *name, const char *type, const char *help) {
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* As Prometheus wants it between quotes. */
static void put_label(FILE *out, const char *value) {
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"') {
            (void)fputc('\\', out);
        }
        (void)fputc(*value, out);
    }
}

static void put_row(FILE *out, const char *metric, const char *rule, const char *label,
                    const char *word, uint64_t value) {
    (void)fprintf(out, "%s{rule=\"", metric);
    put_label(out, rule);
    (void)fprintf(out, "\",%s=\"", label);
    put_label(out, word);
    (void)fprintf(out, "\"} %" PRIu64 "\n", value);
}

/* What no rule took is what is left of the totals. */
static void put_matrix(FILE *out, const struct figures *figures, const char *metric,
                       const char *branch, const char *label) {
    size_t length = strlen(branch);
    char rule[256];
    const char *rest = NULL;
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i];
        if (figure->text == NULL && figures_rule(figure, rule, sizeof rule, &rest) &&
            strncmp(rest, branch, length) == 0) {
            put_row(out, metric, rule, label, rest + length, figure->number);
        } else if (figure->text == NULL && strncmp(figure->name, branch, length) == 0) {
            uint64_t left = figure->number;
            for (size_t j = 0; j < figures->count; j++) {
                if (figures_rule(&figures->items[j], rule, sizeof rule, &rest) &&
                    strcmp(rest, figure->name) == 0) {
                    uint64_t part = figures->items[j].number;
                    left -= part < left ? part : left;
                }
            }
            put_row(out, metric, FIGURES_NO_RULE, label, figure->name + length, left);
        }
    }
}

static void put_rules(FILE *out, const struct figures *figures, const char *metric,
                      const char *leaf) {
    char rule[256];
    const char *rest = NULL;
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i];
        if (figure->text == NULL && figures_rule(figure, rule, sizeof rule, &rest) &&
            strcmp(rest, leaf) == 0) {
            (void)fprintf(out, "%s{rule=\"", metric);
            put_label(out, rule);
            (void)fprintf(out, "\"} %" PRIu64 "\n", figure->number);
        }
    }
}

static void put_decisions(FILE *out, const struct figures *figures) {
    static const char metric[] = "idem_decision_seconds";
    uint64_t sum = figures_number(figures, "decisions/sum_us");
    uint64_t count = figures_number(figures, "decisions/count");
    uint64_t most = 0;
    head(out, metric, "histogram",
         "From a message's arrival to its verdict, where the store was asked.");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "decisions/within/%s", steps[i].name);
        uint64_t within = figures_number(figures, name);
        most = within > most ? within : most; /* figures of one round may come apart */
        (void)fprintf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", metric, steps[i].seconds,
                      most);
    }
    count = count > most ? count : most;
    (void)fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", metric, count);
    (void)fprintf(out, "%s_sum %" PRIu64 ".%06" PRIu64 "\n", metric, sum / 1000000,
                  sum % 1000000);
    (void)fprintf(out, "%s_count %" PRIu64 "\n", metric, count);
}

static void put_all(FILE *out, const struct figures *figures) {
    head(out, "idem_build_info", "gauge",
         "Always 1; the label says which version this is.");
    (void)fprintf(out, "idem_build_info{version=\"");
    put_label(out, figures_text(figures, "version"));
    (void)fprintf(out, "\"} 1\n");
    head(out, "idem_messages_total", "counter", "Decisions by rule and verdict.");
    put_matrix(out, figures, "idem_messages_total", "verdicts/", "verdict");
    head(out, "idem_message_reasons_total", "counter",
         "The same decisions by rule and reason: what was known of the copy.");
    put_matrix(out, figures, "idem_message_reasons_total", "messages/", "reason");
    head(out, "idem_rule_enabled", "gauge",
         "0 while a rule is taken out on the control topic.");
    put_rules(out, figures, "idem_rule_enabled", "enabled");
    head(out, "idem_bypassed_total", "counter",
         "Messages that a rule would have taken, had it not been taken out.");
    put_rules(out, figures, "idem_bypassed_total", "bypassed");
    head(out, "idem_store_up", "gauge", "Whether the store works.");
    (void)fprintf(out, "idem_store_up %d\n",
                  figures_number(figures, "store/failing") == 0 ? 1 : 0);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (figures_find(figures, plain[i].figure) != NULL) {
            head(out, plain[i].metric, plain[i].counter ? "counter" : "gauge",
                 plain[i].help);
            (void)fprintf(out, "%s %" PRIu64 "\n", plain[i].metric,
                          figures_number(figures, plain[i].figure));
        }
    }
    put_decisions(out, figures);
}

void metrics_write(FILE *out, const struct figures *figures, bool connected) {
    head(out, "idem_exporter_connected", "gauge",
         "Whether the exporter is connected to the broker; without that nothing else is "
         "told.");
    (void)fprintf(out, "idem_exporter_connected %d\n", connected ? 1 : 0);
    if (connected && figures->count > 0) {
        put_all(out, figures);
    }
}
