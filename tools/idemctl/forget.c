/* SPDX-License-Identifier: MIT
 * idemctl forget: removes one record, so that the next copy counts as new. */
#include "address.h"
#include "store.h"

#include <idem/clock.h>

#include <stdio.h>

static const char help[] =
    "usage: idemctl -c CONFIG forget [--yes] RULE KEY | DIGEST | -t TOPIC "
    "...\n\n" ADDRESS_USAGE "  -y, --yes                 do it without asking\n";

/* What is there now, read beside whatever program runs. A record that cannot be read can be forgotten all the
 * same. */
static enum ctl_exit look_up(const struct idem_config *config,
                             const struct address *address, struct store_found *found) {
    struct idem_store *store = NULL;
    enum ctl_exit result = store_open(config, false, &store);
    if (result != CTL_OK) {
        return result;
    }
    result = store_look_up(store, &address->digest, idem_clock_wall_ms(), found);
    idem_store_close(store);
    bool unreadable = found->code == IDEM_ERR_FORMAT || found->code == IDEM_ERR_VERSION;
    return result == CTL_STORE && unreadable ? CTL_OK : result;
}

static enum ctl_exit remove_record(const struct idem_config *config,
                                   const struct idem_digest *digest) {
    struct idem_store *store = NULL;
    struct store_found note = {.answered = false};
    enum ctl_exit result = store_open(config, true, &store);
    if (result != CTL_OK) {
        return result;
    }
    idem_store_forget(store, digest, store_note, &note);
    store_await(store, &note.answered);
    if (note.code == IDEM_ERR_NOT_FOUND) {
        ctl_complain("it has gone meanwhile");
        result = CTL_NOT_FOUND;
    } else {
        result = note.code == IDEM_OK ? store_sync(store) : store_complain(note.code);
    }
    idem_store_close(store);
    return result;
}

static void warn_of_memories(const struct idem_config *config) {
    if (idem_store_url_is_remote(config->store.url)) {
        ctl_complain("note: a running program that has dealt with this key lately may "
                     "remember it (recent_keys) until it is restarted or the ttl ends");
    }
}

struct forget {
    struct address address;
    bool yes;
};

/* A broker that holds the store can do it itself. */
static void name_command(const char *hex) {
    ctl_complain("or let the broker forget it, where it has mqtt.control: full: "
                 "mosquitto_rr -q 1 -t '$CONTROL/idem/v1' -e '$CONTROL/idem/v1/response' "
                 "-m '{\"commands\":[{\"command\":\"forgetKey\",\"digest\":\"%s\"}]}'",
                 hex);
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct forget *forget = arg;
    struct address *address = &forget->address;
    struct store_found found = {.answered = false};
    char hex[IDEM_DIGEST_HEX_SIZE];
    enum ctl_exit result = address_resolve(address, config);
    if (result == CTL_OK) {
        result = look_up(config, address, &found);
    }
    if (result != CTL_OK) {
        return result;
    }
    idem_digest_hex(&address->digest, hex);
    if (found.code == IDEM_ERR_NOT_FOUND) {
        ctl_complain("%s: nothing is recorded", hex);
        return CTL_NOT_FOUND;
    }
    result = store_try_to_write(config);
    if (result == CTL_BUSY) {
        name_command(hex);
    }
    if (result != CTL_OK) {
        return result;
    }
    const char *state = store_state_text(&found.record, idem_clock_wall_ms());
    if (!ctl_confirm(forget->yes,
                     "forget %s (%s); the next copy of it is delivered as new", hex,
                     found.code == IDEM_OK ? state : "unreadable")) {
        return CTL_DECLINED;
    }
    result = remove_record(config, &address->digest);
    if (result == CTL_OK) {
        struct json_object *report = json_object_new_object();
        address_describe(address, report);
        ctl_add(report, "forgotten", found.code == IDEM_OK ? state : "unreadable");
        ctl_print(ctl, report);
        warn_of_memories(config);
    }
    return result;
}

static bool take(void *arg, int option, const char *value) {
    struct forget *forget = arg;
    forget->yes |= option == 'y';
    return option == 'y' || address_take(&forget->address, option, value);
}

static bool settle(void *arg, int count, char **words) {
    struct forget *forget = arg;
    return address_settle(&forget->address, "forget", count, words);
}

enum ctl_exit ctl_forget(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {
        ADDRESS_OPTIONS, {"yes", no_argument, NULL, 'y'}, CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = SAMPLE_SHORT_OPTIONS "y",
                                         .options = options,
                                         .take = take,
                                         .settle = settle,
                                         .run = run};
    struct forget forget = {.yes = false};
    address_init(&forget.address);
    enum ctl_exit result = ctl_run(ctl, &line, &forget, argc, argv);
    address_fini(&forget.address);
    return result;
}
