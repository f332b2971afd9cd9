/* SPDX-License-Identifier: MIT
 * What running programs know and no store does. Their answers may be anything: texts are short and printable, or
 * left out. */
#include "program.h"

#include "control.h"

#include <idem/sightings.h>

#include <stdio.h>
#include <string.h>

#define TEXT_MAX    128
#define TROUBLE_MAX 256

bool program_named(const struct live_source *source) {
    return source->broker.port != 0 || source->url != NULL;
}

void program_hint(const struct ctl *ctl, const struct live_source *source,
                  struct json_object *report, const char *name) {
    if (!ctl->json && !program_named(source)) {
        ctl_add(report, name,
                "no store has them: --mqtt HOST or --http URL asks a running program");
    }
}

static bool is_plain(const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return length <= TEXT_MAX;
}

/* A text or a number of an answer, under the name that it has here. */
static void copy(struct json_object *report, const char *as, struct json_object *from,
                 const char *name) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(from, name, &value)) {
        return;
    }
    if (json_object_is_type(value, json_type_int)) {
        ctl_add_count(report, as, json_object_get_uint64(value));
    } else if (json_object_is_type(value, json_type_string) &&
               is_plain(json_object_get_string(value))) {
        ctl_add(report, as, json_object_get_string(value));
    }
}

/* ---- how often a key came ---- */

struct tally {
    uint64_t counts[IDEM_REASON_COUNT];
    int64_t last_seen_ms; /* 0: not known */
};

/* What a sample tells apart, and what it is called here. */
static const struct {
    enum idem_reason reason;
    const char *name;
} kinds[] = {{IDEM_REASON_DUPLICATE, "duplicates"},
             {IDEM_REASON_CONFLICT, "conflicts"},
             {IDEM_REASON_IN_DOUBT, "in_doubt"},
             {IDEM_REASON_FENCED, "fenced"}};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

/* A sample is bounded: where the key is not in it, nobody knows how often it came. */
static void add_tally(struct json_object *report, const struct tally *tally) {
    bool any = false;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        any |= tally->counts[kinds[i].reason] > 0;
    }
    if (!any) {
        ctl_add(report, "sample", "this key is not in it");
        return;
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (i == 0 || tally->counts[kinds[i].reason] > 0) {
            ctl_add_count(report, kinds[i].name, tally->counts[kinds[i].reason]);
        }
    }
    if (tally->last_seen_ms > 0) {
        ctl_add_time(report, "last_seen", tally->last_seen_ms);
    }
}

/* ---- a broker ---- */

static const struct {
    const char *name;
    const char *as;
} members[] = {
    {"state", "state"},
    {"firstSeen", "first_seen"},
    {"owner", "by"},
    {"until", "until"},
    {"epoch", "epoch"},
    {"mark", "mark"},
    {"claimed", "in_flight"},
    {"givenBack", "given_back"},
    {"fingerprint", "fingerprint"},
    {"resultBytes", "result_size"},
};

static void describe_key(struct json_object *report, struct json_object *data) {
    struct tally tally = {.last_seen_ms = 0};
    struct json_object *count = NULL;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        copy(report, members[i].as, data, members[i].name);
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (json_object_object_get_ex(data, idem_reason_name(kinds[i].reason), &count)) {
            tally.counts[kinds[i].reason] = json_object_get_uint64(count);
        }
    }
    add_tally(report, &tally);
    copy(report, "last_seen", data, "lastSeen");
}

/* The tree of getStats, by the names of its leaves; its depth is bounded where it is read. */
static void flatten(struct figures *figures, struct json_object *tree, const char *path) {
    json_object_object_foreach(tree, leaf, value) {
        char name[512];
        (void)snprintf(name, sizeof name, "%s%s%s", path, path[0] != '\0' ? "/" : "",
                       leaf);
        if (json_object_is_type(value, json_type_object)) {
            flatten(figures, value, name);
        } else if (json_object_is_type(value, json_type_int)) {
            figures_set_number(figures, name, json_object_get_uint64(value));
        } else if (json_object_is_type(value, json_type_string)) {
            const char *text = json_object_get_string(value);
            figures_set(figures, name, text, strlen(text));
        }
    }
}

static void add_figures(struct json_object *report, struct figures *figures) {
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *figure = &figures->items[i];
        if (figure->text != NULL) {
            ctl_add(report, figure->name, figure->text);
        } else {
            ctl_add_count(report, figure->name, figure->number);
        }
    }
    figures_fini(figures);
}

/* digest: NULL: its figures. */
static enum ctl_exit ask_broker(const struct broker_options *options, const char *digest,
                                struct json_object *report) {
    char at[sizeof options->host + 8];
    char trouble[TROUBLE_MAX];
    (void)snprintf(at, sizeof at, "%s:%d", options->host, options->port);
    struct json_object *data =
        control_ask(options, digest != NULL ? "lookupKey" : "getStats", digest, trouble,
                    sizeof trouble);
    if (data == NULL) {
        ctl_complain("%s: %s", at, trouble);
        return CTL_SILENT;
    }
    struct json_object *broker = json_object_new_object();
    ctl_add(broker, "at", at);
    if (digest != NULL) {
        describe_key(broker, data);
    } else {
        struct figures figures = {.count = 0};
        flatten(&figures, data, "");
        add_figures(broker, &figures);
    }
    (void)json_object_object_add(report, "broker", broker);
    (void)json_object_put(data);
    return CTL_OK;
}

/* ---- a bridge ---- */

/* Each worker has a sample of its own. */
static void count_sighting(struct tally *tally, struct json_object *sighting,
                           const char *digest) {
    struct json_object *count = NULL;
    struct json_object *seen = NULL;
    if (!json_object_is_type(sighting, json_type_object) ||
        strcmp(live_text(sighting, "key"), digest) != 0) {
        return;
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        enum idem_reason reason = kinds[i].reason;
        if (strcmp(live_text(sighting, "reason"), idem_reason_name(reason)) == 0 &&
            json_object_object_get_ex(sighting, "count", &count)) {
            tally->counts[reason] += json_object_get_uint64(count);
        }
    }
    if (json_object_object_get_ex(sighting, "last_seen_ms", &seen) &&
        json_object_get_int64(seen) > tally->last_seen_ms) {
        tally->last_seen_ms = json_object_get_int64(seen);
    }
}

static void describe_sample(struct json_object *report, struct json_object *stats,
                            const char *digest) {
    struct tally tally = {.last_seen_ms = 0};
    struct json_object *list = NULL;
    if (json_object_object_get_ex(stats, "sightings", &list) &&
        json_object_is_type(list, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            count_sighting(&tally, json_object_array_get_idx(list, i), digest);
        }
    }
    copy(report, "instance", stats, "instance");
    add_tally(report, &tally);
}

static enum ctl_exit ask_bridge(const struct live_source *source, const char *digest,
                                struct json_object *report) {
    char path[64];
    char trouble[TROUBLE_MAX];
    struct figures figures = {.count = 0};
    (void)snprintf(path, sizeof path, "/api/stats%s%s", digest != NULL ? "?key=" : "",
                   digest != NULL ? digest : "");
    struct json_object *stats = live_get(source, path, trouble, sizeof trouble);
    if (!figures_from_stats(&figures, stats)) {
        ctl_complain("%s: %s", source->url,
                     trouble[0] != '\0' ? trouble : "it tells no figures");
        (void)json_object_put(stats);
        return CTL_SILENT;
    }
    struct json_object *bridge = json_object_new_object();
    ctl_add(bridge, "at", source->url);
    if (digest != NULL) {
        describe_sample(bridge, stats, digest);
        figures_fini(&figures);
    } else {
        add_figures(bridge, &figures);
    }
    (void)json_object_object_add(report, "bridge", bridge);
    (void)json_object_put(stats);
    return CTL_OK;
}

static enum ctl_exit ask(const struct live_source *source, const char *digest,
                         struct json_object *report) {
    enum ctl_exit broker =
        source->broker.port != 0 ? ask_broker(&source->broker, digest, report) : CTL_OK;
    enum ctl_exit bridge =
        source->url != NULL ? ask_bridge(source, digest, report) : CTL_OK;
    return broker != CTL_OK ? broker : bridge;
}

enum ctl_exit program_look_up(const struct live_source *source,
                              const struct idem_digest *digest,
                              struct json_object *report) {
    char hex[IDEM_DIGEST_HEX_SIZE];
    idem_digest_hex(digest, hex);
    return ask(source, hex, report);
}

enum ctl_exit program_stats(const struct live_source *source,
                            struct json_object *report) {
    return ask(source, NULL, report);
}
