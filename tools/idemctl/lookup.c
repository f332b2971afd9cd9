/* SPDX-License-Identifier: MIT
 * idemctl lookup: what is recorded for one key. */
#include "address.h"
#include "program.h"
#include "record.h"
#include "store.h"

#include <idem/clock.h>

#include <stdio.h>

#define INSTANCES_MAX 32
enum { INSTANCE = ADDRESS_OPTIONS_END };

static const char help[] =
    "usage: idemctl -c CONFIG lookup RULE KEY | DIGEST | -t TOPIC ... "
    "[options]\n\n" ADDRESS_USAGE
    "      --instance NAME       another instance whose records are to be called by "
    "name\n\n"
    "How often the key came, of running programs:\n\n" LIVE_HELP_WITH(
        BROKER_HELP_WITH("--mqtt-user NAME      "));

struct lookup {
    struct address address;
    const char *instances[INSTANCES_MAX]; /* names that the user knows */
    size_t instance_count;
    struct live_source programs;
};

static enum ctl_exit read_store(const struct lookup *lookup,
                                const struct idem_config *config,
                                struct json_object *report) {
    struct record_names names = {config->instance, lookup->instances,
                                 lookup->instance_count};
    int64_t now_ms = idem_clock_wall_ms();
    struct idem_store *store = NULL;
    struct store_found found;
    enum ctl_exit result = store_open(config, false, &store);
    if (result == CTL_OK) {
        result = store_look_up(store, &lookup->address.digest, now_ms, &found);
    }
    idem_store_close(store);
    if (result == CTL_OK) {
        record_describe(&found, &names, now_ms, report);
        result = found.record.state == IDEM_RECORD_NONE ? CTL_NOT_FOUND : CTL_OK;
    }
    return result;
}

static bool is_shown(enum ctl_exit result) {
    return result == CTL_OK || result == CTL_NOT_FOUND;
}

/* A store in a program's memory is known to that program alone. */
static enum ctl_exit look_up(const struct ctl *ctl, const struct idem_config *config,
                             void *arg) {
    struct lookup *lookup = arg;
    enum ctl_exit result = address_resolve(&lookup->address, config);
    if (result != CTL_OK) {
        return result;
    }
    struct json_object *report = json_object_new_object();
    address_describe(&lookup->address, report);
    if (!store_is_memory(config) || !program_named(&lookup->programs)) {
        result = read_store(lookup, config, report);
    }
    enum ctl_exit told =
        program_look_up(&lookup->programs, &lookup->address.digest, report);
    if (result == CTL_OK) {
        program_hint(ctl, &lookup->programs, report, "duplicates");
    }
    if (is_shown(result)) {
        ctl_print(ctl, report);
    } else {
        (void)json_object_put(report);
    }
    return is_shown(result) && told != CTL_OK ? told : result;
}

static bool take(void *arg, int option, const char *value) {
    struct lookup *lookup = arg;
    if (option == INSTANCE) {
        return address_add(lookup->instances, &lookup->instance_count, INSTANCES_MAX,
                           "--instance", value);
    }
    return live_is_option(option) ? live_option(&lookup->programs, option, value)
                                  : address_take(&lookup->address, option, value);
}

static bool settle(void *arg, int count, char **words) {
    struct lookup *lookup = arg;
    return address_settle(&lookup->address, "lookup", count, words);
}

enum ctl_exit ctl_lookup(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {
        ADDRESS_OPTIONS,
        LIVE_OPTIONS,
        {"instance", required_argument, NULL, INSTANCE},
        CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = SAMPLE_SHORT_OPTIONS "V:",
                                         .options = options,
                                         .take = take,
                                         .settle = settle,
                                         .run = look_up};
    struct lookup lookup = {.instance_count = 0};
    address_init(&lookup.address);
    live_source_init(&lookup.programs);
    enum ctl_exit result = ctl_run(ctl, &line, &lookup, argc, argv);
    live_source_fini(&lookup.programs);
    address_fini(&lookup.address);
    return result;
}
