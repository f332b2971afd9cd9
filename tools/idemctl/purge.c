/* SPDX-License-Identifier: MIT
 * idemctl purge: removes what has expired, or everything. */
#include "progress.h"
#include "store.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <stdio.h>

static const char help[] =
    "usage: idemctl -c CONFIG purge [--all [--yes]]\n\n"
    "Removes expired records. Stores do this by themselves; a whole round at once makes "
    "the count of keys exact.\n\n"
    "      --all                 remove every record: all that was delivered is new "
    "again\n"
    "  -y, --yes                 do it without asking\n";

struct purge {
    bool all;
    bool yes;
    struct idem_store *store;
    struct progress progress;
    int64_t now_ms;
    uint64_t seen;
    uint64_t removed;
    enum ctl_exit result;
};

/* The front of an embedded store is full: what is in it goes to disk first. */
static enum idem_code forget(struct purge *purge, const struct idem_digest *digest) {
    enum idem_code code = IDEM_ERR_FULL;
    for (int attempt = 0; code == IDEM_ERR_FULL && attempt < 2; attempt++) {
        struct store_found note = {.answered = false};
        if (attempt > 0 && store_sync(purge->store) != CTL_OK) {
            break;
        }
        idem_store_forget(purge->store, digest, store_note, &note);
        store_await(purge->store, &note.answered);
        code = note.code;
    }
    return code;
}

static bool remove_visited(void *arg, const struct idem_digest *digest,
                           const struct idem_record *record) {
    struct purge *purge = arg;
    progress_at(&purge->progress, ++purge->seen);
    if (!purge->all &&
        !idem_record_expired(record->state, record->until_ms, purge->now_ms)) {
        return true;
    }
    enum idem_code code = forget(purge, digest);
    purge->removed += code == IDEM_OK ? 1 : 0;
    if (code != IDEM_OK && code != IDEM_ERR_NOT_FOUND) {
        purge->result = store_complain(code);
    }
    return purge->result == CTL_OK;
}

/* At the beginning of time all records are live, so that expired ones are visited, too. */
static enum ctl_exit purge_store(struct purge *purge) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store_stats stats;
    idem_store_read_stats(purge->store, &stats);
    progress_start(&purge->progress, "purging", stats.keys);
    enum idem_code code =
        idem_store_iterate(purge->store, 0, remove_visited, purge, &error);
    progress_end(&purge->progress);
    if (code != IDEM_OK) {
        ctl_complain("%s", error.text);
        return CTL_STORE;
    }
    return purge->result == CTL_OK ? store_sync(purge->store) : purge->result;
}

static void report(const struct ctl *ctl, const struct purge *purge) {
    struct json_object *object = json_object_new_object();
    ctl_add_count(object, "removed", purge->removed);
    ctl_add_count(object, "kept", purge->seen - purge->removed);
    ctl_print(ctl, object);
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct purge *purge = arg;
    char name[256];
    store_name(config, name, sizeof name);
    if (!purge->all && idem_store_url_is_remote(config->store.url)) {
        ctl_complain("Redis removes expired records by itself: there is nothing to do");
        return CTL_OK;
    }
    enum ctl_exit result = store_try_to_write(config);
    if (result != CTL_OK) {
        return result;
    }
    if (purge->all &&
        !ctl_confirm(purge->yes,
                     "remove every record of %s; whatever was delivered is delivered "
                     "once more when it comes again",
                     name)) {
        return CTL_DECLINED;
    }
    result = store_open(config, true, &purge->store);
    if (result == CTL_OK) {
        purge->now_ms = idem_clock_wall_ms();
        result = purge_store(purge);
        report(ctl, purge);
    }
    idem_store_close(purge->store);
    return result;
}

static bool take(void *arg, int option, const char *value) {
    struct purge *purge = arg;
    (void)value;
    purge->all |= option == 'a';
    purge->yes |= option == 'y';
    return true;
}

enum ctl_exit ctl_purge(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {{"all", no_argument, NULL, 'a'},
                                            {"yes", no_argument, NULL, 'y'},
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = "yh",
                                         .options = options,
                                         .take = take,
                                         .stray = "forget removes one key",
                                         .run = run};
    struct purge purge = {.result = CTL_OK};
    return ctl_run(ctl, &line, &purge, argc, argv);
}
