/* SPDX-License-Identifier: MIT
 * idemctl tail: what is dropped or set aside, as it happens. */
#include "live.h"

#include <idem/clock.h>
#include <idem/sightings.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURN_MS 100
#define POLL_MS 1000

static const char help[] =
    "usage: idemctl [--json] tail --mqtt HOST[:PORT] | --http URL [options]\n\n"
    "Prints duplicates, conflicts and what is set aside, until it is interrupted. From "
    "a\n"
    "bridge: what its sample shows, once a second.\n\n" LIVE_HELP
    "      --payload             print payloads too (--mqtt)\n";

struct tail {
    const struct ctl *ctl;
    struct live_source source;
    struct broker broker;
    bool payload;
    bool closed; /* nobody reads any more */
    bool primed; /* --http: what was there at the start is known */
    bool told;   /* of the trouble there is */
    struct idem_sighting known[IDEM_SIGHTINGS_MAX];
    size_t known_count;
};

/* What is not printable becomes \xNN. */
static void put_bytes(const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x20 || byte == 0x7f || byte == '\\') {
            (void)printf("\\x%02x", byte);
        } else {
            (void)putchar(byte);
        }
    }
}

static void flush(struct tail *tail) {
    if (fflush(stdout) != 0) {
        tail->closed = true;
    }
}

static void print_json(struct tail *tail, struct json_object *object) {
    if (object != NULL) {
        (void)printf(
            "%s\n", json_object_to_json_string_ext(
                        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        (void)json_object_put(object);
    }
    flush(tail);
}

static void now_text(char text[32]) {
    time_t seconds = (time_t)(idem_clock_wall_ms() / 1000);
    struct tm parts;
    text[0] = '\0';
    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

static void add(struct json_object *object, const char *name, const char *value) {
    if (value != NULL) {
        (void)json_object_object_add(object, name, json_object_new_string(value));
    }
}

/* ---- a broker ---- */

/* The value of a user property; free it. NULL: it is not there. */
static char *property(const mosquitto_property *properties, const char *wanted) {
    char *name = NULL;
    char *value = NULL;
    bool skip = false;
    for (;;) {
        properties = mosquitto_property_read_string_pair(
            properties, 38 /* user property */, &name, &value, skip);
        if (properties == NULL) {
            return NULL;
        }
        bool found = name != NULL && strcmp(name, wanted) == 0;
        free(name);
        if (found) {
            return value;
        }
        free(value);
        skip = true;
    }
}

static void print_message(struct tail *tail, const char *kind, const char *topic,
                          const struct mosquitto_message *message, const char *reason,
                          const char *key) {
    char time[32];
    size_t size = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;
    now_text(time);
    if (tail->ctl->json) {
        struct json_object *object = json_object_new_object();
        add(object, "time", time);
        add(object, "kind", kind);
        add(object, "topic", topic);
        add(object, "reason", reason);
        add(object, "key", key);
        (void)json_object_object_add(object, "bytes",
                                     json_object_new_int64((int64_t)size));
        if (tail->payload) {
            (void)json_object_object_add(
                object, "payload",
                json_object_new_string_len(size > 0 ? message->payload : "", (int)size));
        }
        print_json(tail, object);
        return;
    }
    (void)printf("%s %s%s%s ", time, kind, reason != NULL ? "/" : "",
                 reason != NULL ? reason : "");
    put_bytes(topic, strlen(topic));
    if (key != NULL) {
        (void)printf(" key=");
        put_bytes(key, strlen(key));
    }
    (void)printf(" %zu bytes", size);
    if (tail->payload && size > 0) {
        (void)putchar(' ');
        put_bytes(message->payload, size);
    }
    (void)putchar('\n');
    flush(tail);
}

/* $idem/KIND/TOPIC */
static void take_message(void *arg, const struct mosquitto_message *message,
                         const mosquitto_property *properties) {
    struct tail *tail = arg;
    char kind[32];
    const char *start = message->topic + strlen("$idem/");
    size_t length = strcspn(start, "/");
    if (strncmp(message->topic, "$idem/", strlen("$idem/")) != 0 ||
        length >= sizeof kind) {
        return;
    }
    memcpy(kind, start, length);
    kind[length] = '\0';
    char *reason = property(properties, "idem-reason");
    char *key = property(properties, "idempotency-key");
    print_message(tail, kind, start[length] == '/' ? start + length + 1 : "", message,
                  reason, key);
    free(reason);
    free(key);
}

static void complain_once(struct tail *tail, const char *where, const char *trouble) {
    if (trouble[0] == '\0') {
        tail->told = false;
    } else if (!tail->told) {
        tail->told = true;
        ctl_complain("%s: %s; trying again", where, trouble);
    }
}

static enum ctl_exit follow_broker(struct tail *tail) {
    static const char *const filters[] = {"$idem/duplicate/#", "$idem/quarantine/#",
                                          "$idem/rejected/#", NULL};
    bool open =
        broker_open(&tail->broker, &tail->source.broker, filters, take_message, tail);
    while (open && !tail->closed && !broker_interrupted()) {
        broker_turn(&tail->broker, TURN_MS);
        complain_once(tail, tail->source.broker.host, tail->broker.trouble);
    }
    broker_close(&tail->broker);
    return open ? CTL_OK : CTL_REFUSED;
}

/* ---- a bridge ---- */

static uint64_t count_of(struct json_object *object) {
    struct json_object *value = NULL;
    int64_t count = json_object_object_get_ex(object, "count", &value)
                        ? json_object_get_int64(value)
                        : 0;
    return count > 0 ? (uint64_t)count : 0;
}

/* How many of these were known; 0: none. */
static uint64_t known_count(const struct tail *tail, const struct idem_digest *digest,
                            const char *rule, const char *reason) {
    for (size_t i = 0; i < tail->known_count; i++) {
        const struct idem_sighting *known = &tail->known[i];
        if (idem_digest_equal(&known->digest, digest) && strcmp(known->rule, rule) == 0 &&
            strcmp(idem_reason_name(known->reason), reason) == 0) {
            return known->count;
        }
    }
    return 0;
}

static void print_sighting(struct tail *tail, struct json_object *sighting,
                           uint64_t more) {
    char time[32];
    const char *reason = live_text(sighting, "reason");
    const char *rule = live_text(sighting, "rule");
    const char *key = live_text(sighting, "key");
    now_text(time);
    if (tail->ctl->json) {
        struct json_object *object = json_object_new_object();
        add(object, "time", time);
        add(object, "kind", reason);
        add(object, "rule", rule);
        add(object, "digest", key);
        (void)json_object_object_add(object, "count",
                                     json_object_new_int64((int64_t)more));
        print_json(tail, object);
        return;
    }
    (void)printf("%s ", time);
    put_bytes(reason, strlen(reason));
    (void)printf(" rule=");
    put_bytes(rule, strlen(rule));
    (void)printf(" digest=");
    put_bytes(key, strlen(key));
    (void)printf(" %llu more\n", (unsigned long long)more);
    flush(tail);
}

static bool reason_named(const char *name, enum idem_reason *reason) {
    for (unsigned i = 0; i < IDEM_REASON_COUNT; i++) {
        if (strcmp(idem_reason_name((enum idem_reason)i), name) == 0) {
            *reason = (enum idem_reason)i;
            return true;
        }
    }
    return false;
}

static void take_sample(struct tail *tail, struct json_object *list) {
    struct idem_sighting *now = calloc(IDEM_SIGHTINGS_MAX, sizeof *now);
    size_t count = 0;
    size_t length = json_object_array_length(list);
    for (size_t i = length; now != NULL && i > 0; i--) { /* the latest come first */
        struct json_object *each = json_object_array_get_idx(list, i - 1);
        struct idem_sighting *sighting = &now[count];
        if (count == IDEM_SIGHTINGS_MAX || !json_object_is_type(each, json_type_object) ||
            !idem_digest_parse(&sighting->digest, live_text(each, "key")) ||
            !reason_named(live_text(each, "reason"), &sighting->reason)) {
            continue;
        }
        (void)snprintf(sighting->rule, sizeof sighting->rule, "%s",
                       live_text(each, "rule"));
        sighting->count = count_of(each);
        uint64_t before = known_count(tail, &sighting->digest, sighting->rule,
                                      idem_reason_name(sighting->reason));
        if (tail->primed && sighting->count != before) {
            print_sighting(tail, each,
                           sighting->count > before ? sighting->count - before
                                                    : sighting->count);
        }
        count++;
    }
    if (now != NULL) {
        memcpy(tail->known, now, count * sizeof *now);
        tail->known_count = count;
        tail->primed = true;
    }
    free(now);
}

static enum ctl_exit follow_bridge(struct tail *tail) {
    char trouble[256];
    while (!tail->closed && !broker_interrupted()) {
        struct json_object *list = NULL;
        struct json_object *stats =
            live_get(&tail->source, "/api/stats", trouble, sizeof trouble);
        if (json_object_is_type(stats, json_type_object) &&
            json_object_object_get_ex(stats, "sightings", &list) &&
            json_object_is_type(list, json_type_array)) {
            take_sample(tail, list);
        }
        (void)json_object_put(stats);
        complain_once(tail, tail->source.url, trouble);
        broker_pause(POLL_MS);
    }
    return CTL_OK;
}

static bool take(void *arg, int option, const char *value) {
    struct tail *tail = arg;
    tail->payload |= option == 'p';
    return option == 'p' || live_option(&tail->source, option, value);
}

static bool settle(void *arg, int count, char **words) {
    const struct tail *tail = arg;
    return live_source_settle(&tail->source, "tail", count, words);
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct tail *tail = arg;
    (void)config;
    tail->ctl = ctl;
    broker_catch_signals();
    return tail->source.url != NULL ? follow_bridge(tail) : follow_broker(tail);
}

enum ctl_exit ctl_tail(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {LIVE_OPTIONS,
                                            BROKER_USER_OPTION,
                                            {"payload", no_argument, NULL, 'p'},
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = "V:h",
                                         .options = options,
                                         .take = take,
                                         .settle = settle,
                                         .unconfigured = true,
                                         .run = run};
    struct tail *tail = calloc(1, sizeof *tail);
    if (tail == NULL) {
        ctl_complain("out of memory");
        return CTL_REFUSED;
    }
    live_source_init(&tail->source);
    enum ctl_exit result = ctl_run(ctl, &line, tail, argc, argv);
    live_source_fini(&tail->source);
    free(tail);
    return result;
}
