/* SPDX-License-Identifier: MIT
 * Members of a report, and the forms of times. */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)

void ctl_add(struct json_object *report, const char *name, const char *value) {
    (void)json_object_object_add(report, name, json_object_new_string(value));
}

void ctl_add_count(struct json_object *report, const char *name, uint64_t value) {
    (void)json_object_object_add(report, name, json_object_new_uint64(value));
}

void ctl_time_text(char out[CTL_TIME_SIZE], int64_t ms) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    out[0] = '\0';
    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(out, CTL_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

void ctl_add_time(struct json_object *report, const char *name, int64_t ms) {
    char text[CTL_TIME_SIZE];
    ctl_time_text(text, ms);
    ctl_add(report, name, text);
}

void ctl_duration_text(char out[CTL_TIME_SIZE], int64_t ms) {
    if (ms < SECOND_MS) {
        (void)snprintf(out, CTL_TIME_SIZE, "%" PRId64 " ms", ms);
    } else if (ms < MINUTE_MS) {
        (void)snprintf(out, CTL_TIME_SIZE, "%" PRId64 " s", ms / SECOND_MS);
    } else if (ms < HOUR_MS) {
        (void)snprintf(out, CTL_TIME_SIZE, "%" PRId64 " m %" PRId64 " s", ms / MINUTE_MS,
                       ms % MINUTE_MS / SECOND_MS);
    } else {
        (void)snprintf(out, CTL_TIME_SIZE, "%" PRId64 " h %" PRId64 " m", ms / HOUR_MS,
                       ms % HOUR_MS / MINUTE_MS);
    }
}

void ctl_add_left(struct json_object *report, const char *name, int64_t ms) {
    char duration[CTL_TIME_SIZE];
    char text[CTL_TIME_SIZE + 16];
    ctl_duration_text(duration, ms < 0 ? -ms : ms);
    (void)snprintf(text, sizeof text, ms < 0 ? "over since %s" : "%s", duration);
    ctl_add(report, name, text);
}

static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    {"ms", 1}, {"s", SECOND_MS}, {"m", MINUTE_MS}, {"h", HOUR_MS}, {"d", 24 * HOUR_MS}};

bool ctl_parse_duration(const char *text, int64_t *ms) {
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || number == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) == 0 &&
            number <= (unsigned long long)(INT64_MAX / 16 / units[i].ms)) {
            *ms = (int64_t)number * units[i].ms;
            return true;
        }
    }
    return false;
}

bool ctl_parse_count(const char *option, const char *text, uint64_t least, uint64_t most,
                     uint64_t *value) {
    char *end = NULL;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *value < least ||
        *value > most) {
        ctl_complain("%s %s: a whole number from %" PRIu64 " to %" PRIu64 " is wanted",
                     option, text, least, most);
        return false;
    }
    return true;
}
