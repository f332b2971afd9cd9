/* SPDX-License-Identifier: MIT
 * idemctl stats: the figures of the store, and what its records are. */
#include "program.h"
#include "progress.h"
#include "store.h"

#include <idem/clock.h>

#include <stdio.h>

static const char help[] = "usage: idemctl -c CONFIG stats [--quick] [options]\n\n"
                           "      --quick               only what the store knows "
                           "without reading every record\n\n"
                           "The figures of running programs:\n\n" LIVE_HELP;

struct counts {
    struct progress progress;
    int64_t now_ms;
    uint64_t seen;
    uint64_t pending;
    uint64_t in_doubt;
    uint64_t done;
    uint64_t sequences;
    uint64_t result_bytes;
    int64_t oldest_ms; /* 0: there is none */
};

static bool count_record(void *arg, const struct idem_digest *digest,
                         const struct idem_record *record) {
    struct counts *counts = arg;
    (void)digest;
    progress_at(&counts->progress, ++counts->seen);
    if (counts->oldest_ms == 0 || record->first_seen_ms < counts->oldest_ms) {
        counts->oldest_ms = record->first_seen_ms;
    }
    switch (record->state) {
    case IDEM_RECORD_PENDING:
        counts->pending += counts->now_ms < record->until_ms ? 1 : 0;
        counts->in_doubt += counts->now_ms < record->until_ms ? 0 : 1;
        break;
    case IDEM_RECORD_DONE:
        counts->done++;
        counts->result_bytes += record->result.len;
        break;
    case IDEM_RECORD_SEQUENCE:
        counts->sequences++;
        break;
    case IDEM_RECORD_NONE:
        break;
    }
    return true;
}

static void add_counts(struct json_object *report, const struct counts *counts) {
    ctl_add_count(report, "live", counts->seen);
    ctl_add_count(report, "pending", counts->pending);
    ctl_add_count(report, "in_doubt", counts->in_doubt);
    ctl_add_count(report, "done", counts->done);
    ctl_add_count(report, "sequences", counts->sequences);
    ctl_add_count(report, "result_bytes", counts->result_bytes);
    if (counts->oldest_ms > 0) {
        ctl_add_time(report, "oldest", counts->oldest_ms);
    }
}

struct stats {
    bool quick;
    struct live_source programs;
};

static enum ctl_exit read_store(const struct stats *wanted,
                                const struct idem_config *config,
                                struct json_object *report) {
    struct counts counts = {.now_ms = idem_clock_wall_ms()};
    struct idem_store *store = NULL;
    struct idem_store_stats stats;
    enum ctl_exit result = store_open(config, false, &store);
    if (result != CTL_OK) {
        return result;
    }
    idem_store_read_stats(store, &stats);
    if (idem_store_url_is_remote(config->store.url) && stats.failing) {
        result = store_complain(IDEM_ERR_UNAVAILABLE);
    }
    if (result == CTL_OK && !wanted->quick) {
        progress_start(&counts.progress, "counting", stats.keys);
        result = store_visit_all(store, counts.now_ms, count_record, &counts);
        progress_end(&counts.progress);
    }
    idem_store_close(store);
    if (result == CTL_OK) {
        ctl_add_count(report, "keys", stats.keys);
        ctl_add_count(report, "bytes", stats.bytes);
    }
    if (result == CTL_OK && !wanted->quick) {
        add_counts(report, &counts);
    }
    return result;
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    const struct stats *wanted = arg;
    struct json_object *report = json_object_new_object();
    enum ctl_exit result = CTL_OK;
    char name[256];
    store_name(config, name, sizeof name);
    ctl_add(report, "store", name);
    if (!store_is_memory(config) || !program_named(&wanted->programs)) {
        result = read_store(wanted, config, report);
    }
    enum ctl_exit told = program_stats(&wanted->programs, report);
    if (result != CTL_OK) {
        (void)json_object_put(report);
        return result;
    }
    program_hint(ctl, &wanted->programs, report, "messages");
    ctl_print(ctl, report);
    return told;
}

static bool take(void *arg, int option, const char *value) {
    struct stats *wanted = arg;
    wanted->quick |= option == 'q';
    return option == 'q' || live_option(&wanted->programs, option, value);
}

enum ctl_exit ctl_stats(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            LIVE_OPTIONS,
                                            BROKER_USER_OPTION,
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {
        .help = help, .letters = "V:h", .options = options, .take = take, .run = run};
    struct stats wanted = {.quick = false};
    live_source_init(&wanted.programs);
    enum ctl_exit result = ctl_run(ctl, &line, &wanted, argc, argv);
    live_source_fini(&wanted.programs);
    return result;
}
