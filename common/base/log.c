/* SPDX-License-Identifier: MIT
 * Formatting of log lines, and the sink that writes them to standard error. */
#include <idem/log.h>

#include "base/utf8.h"

#include <idem/clock.h>

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 1024

static const char *const level_names[IDEM_LOG_LEVEL_COUNT] = {
    [IDEM_LOG_ERROR] = "error",   [IDEM_LOG_WARNING] = "warning",
    [IDEM_LOG_NOTICE] = "notice", [IDEM_LOG_INFO] = "info",
    [IDEM_LOG_DEBUG] = "debug",
};

const char *idem_log_level_name(enum idem_log_level level) {
    return (unsigned)level < IDEM_LOG_LEVEL_COUNT ? level_names[level] : "unknown";
}

/* One event, one line of text, whatever a client put into a name: no line breaks, no terminal controls, no
 * bytes that are not UTF-8. */
static void make_one_line(char *text) {
    uint8_t *at = (uint8_t *)text;
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t code_point = 0;
        size_t len = idem_utf8_decode(at, left, &code_point);
        if (len == 0 || !idem_utf8_printable(code_point)) {
            len = len > 0 ? len : 1;
            memset(at, at[0] < 0x80 ? ' ' : '?', len);
        }
        at += len;
        left -= len;
    }
}

void idem_log_write(const struct idem_log *log, enum idem_log_level level,
                    const char *event, const char *format, ...) {
    if (log == NULL || log->sink == NULL || level > log->level) {
        return;
    }
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (written < 0) {
        return;
    }
    if ((size_t)written >= sizeof text) {
        memcpy(text + sizeof text - 4, "...", 4);
    }
    make_one_line(text);
    log->sink(log->context, level, event, text);
}

static void stamp(char *out, size_t size) {
    time_t now = (time_t)(idem_clock_wall_ms() / 1000);
    struct tm parts;
    if (gmtime_r(&now, &parts) == NULL ||
        strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        out[0] = '\0';
    }
}

static struct json_object *json_line(const char *when, enum idem_log_level level,
                                     const char *event, const char *text) {
    struct json_object *line = json_object_new_object();
    if (line != NULL) {
        (void)json_object_object_add(line, "time", json_object_new_string(when));
        (void)json_object_object_add(line, "level",
                                     json_object_new_string(idem_log_level_name(level)));
        (void)json_object_object_add(line, "event", json_object_new_string(event));
        (void)json_object_object_add(line, "text", json_object_new_string(text));
    }
    return line;
}

/* One call of stdio for each line, which its lock and the missing buffer of standard error make one write:
 * lines of several threads do not mix. */
void idem_log_stderr(void *context, enum idem_log_level level, const char *event,
                     const char *text) {
    const enum idem_log_format *format = context;
    char when[32];
    stamp(when, sizeof when);
    if (format == NULL || *format != IDEM_LOG_JSON) {
        (void)fprintf(stderr, "%s %s %s: %s\n", when, idem_log_level_name(level), event,
                      text);
        return;
    }
    struct json_object *line = json_line(when, level, event, text);
    if (line != NULL) {
        (void)fprintf(stderr, "%s\n",
                      json_object_to_json_string_ext(
                          line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    (void)json_object_put(line);
}
