/* SPDX-License-Identifier: MIT
 * Members of requests and responses. */
#include "control_own.h"

#include <stdio.h>
#include <time.h>

const char *idem_control_text(struct json_object *json, const char *name) {
    struct json_object *value = NULL;
    if (!json_object_is_type(json, json_type_object) ||
        !json_object_object_get_ex(json, name, &value) ||
        !json_object_is_type(value, json_type_string)) {
        return NULL;
    }
    const char *text = json_object_get_string(value);
    return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

void idem_control_add_text(struct json_object *object, const char *name,
                           const char *value) {
    (void)json_object_object_add(object, name, json_object_new_string(value));
}

void idem_control_add_number(struct json_object *object, const char *name,
                             uint64_t value) {
    (void)json_object_object_add(object, name, json_object_new_uint64(value));
}

/* In Universal Time, to the millisecond; nothing where it is not known. */
void idem_control_add_time(struct json_object *object, const char *name, int64_t ms) {
    char day[32];
    char text[48];
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    if (ms <= 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        return;
    }
    (void)snprintf(text, sizeof text, "%s.%03dZ", day, (int)(ms % 1000));
    idem_control_add_text(object, name, text);
}
