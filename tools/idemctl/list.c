/* SPDX-License-Identifier: MIT
 * idemctl list: what a store holds, one record a line, as it is read. */
#include "record.h"

#include <idem/clock.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: idemctl -c CONFIG list [options]\n\n"
    "      --state STATE         only these: pending, in-doubt, done, sequence\n"
    "      --expiring-within T   only what ends within 10s, 5m, 72h, 7d ...\n"
    "      --limit N             at most so many\n\n"
    "Columns: digest, state, first seen, end, instance, bytes of the result. In no "
    "particular order.\n"
    "With --json one object a line.\n";

struct list {
    const struct ctl *ctl;
    const char *state; /* as store_state_text has it; NULL: any */
    int64_t within_ms; /* 0: any */
    uint64_t limit;    /* 0: none */
    int64_t now_ms;
    uint64_t printed;
    bool failed; /* to write */
};

static bool is_wanted(const struct list *list, const struct idem_record *record) {
    return (list->state == NULL ||
            strcmp(store_state_text(record, list->now_ms), list->state) == 0) &&
           (list->within_ms == 0 || record->until_ms - list->now_ms <= list->within_ms);
}

static bool print_json(const struct list *list, const char *hex,
                       const struct idem_record *record) {
    const struct record_names none = {.own = NULL};
    struct json_object *object = json_object_new_object();
    struct store_found found = {
        .code = IDEM_OK, .record = *record, .result_size = record->result.len};
    ctl_add(object, "digest", hex);
    record_describe(&found, &none, list->now_ms, object);
    return ctl_print_json_line(object);
}

static bool print_columns(const struct list *list, const char *hex,
                          const struct idem_record *record) {
    char first[CTL_TIME_SIZE];
    char until[CTL_TIME_SIZE];
    ctl_time_text(first, record->first_seen_ms);
    ctl_time_text(until, record->until_ms);
    return printf("%s  %-8s  %s  %s  %016" PRIx64 "  %zu\n", hex,
                  store_state_text(record, list->now_ms), first, until,
                  record->owner.instance, record->result.len) > 0;
}

static bool print_record(void *arg, const struct idem_digest *digest,
                         const struct idem_record *record) {
    struct list *list = arg;
    char hex[IDEM_DIGEST_HEX_SIZE];
    if (!is_wanted(list, record)) {
        return true;
    }
    idem_digest_hex(digest, hex);
    list->failed = !(list->ctl->json ? print_json(list, hex, record)
                                     : print_columns(list, hex, record));
    list->printed++;
    return !list->failed && list->printed != list->limit;
}

static bool take_state(struct list *list, const char *value) {
    static const char *const names[][2] = {{"pending", "pending"},
                                           {"in-doubt", "in doubt"},
                                           {"done", "done"},
                                           {"sequence", "sequence"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(value, names[i][0]) == 0) {
            list->state = names[i][1];
            return true;
        }
    }
    ctl_complain("--state %s: pending, in-doubt, done or sequence is wanted", value);
    return false;
}

static bool take(void *arg, int option, const char *value) {
    struct list *list = arg;
    switch (option) {
    case 's':
        return take_state(list, value);
    case 'n':
        return ctl_parse_count("--limit", value, 1, UINT32_MAX, &list->limit);
    case 'w':
        if (!ctl_parse_duration(value, &list->within_ms)) {
            ctl_complain("--expiring-within %s: a duration is wanted, such as 90s, 5m, "
                         "72h",
                         value);
            return false;
        }
        return true;
    default:
        return false;
    }
}

static enum ctl_exit list_all(const struct ctl *ctl, const struct idem_config *config,
                              void *arg) {
    struct list *list = arg;
    struct idem_store *store = NULL;
    list->ctl = ctl;
    list->now_ms = idem_clock_wall_ms();
    enum ctl_exit result = store_open(config, false, &store);
    if (result == CTL_OK) {
        result = store_visit_all(store, list->now_ms, print_record, list);
    }
    idem_store_close(store);
    return result;
}

enum ctl_exit ctl_list(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {
        {"state", required_argument, NULL, 's'},
        {"limit", required_argument, NULL, 'n'},
        {"expiring-within", required_argument, NULL, 'w'},
        CTL_OPTIONS_END};
    static const struct ctl_line line = {
        .help = help,
        .letters = "h",
        .options = options,
        .take = take,
        .stray = "a store knows no keys, only their digests: lookup finds one",
        .run = list_all};
    struct list list = {.limit = 0};
    return ctl_run(ctl, &line, &list, argc, argv);
}
