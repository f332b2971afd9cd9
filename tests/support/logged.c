/* SPDX-License-Identifier: MIT
 * What a part of the library has logged to its test. */
#include "logged.h"

#include <stdio.h>
#include <string.h>

static char lines[8192];

static void note(void *context, enum idem_log_level level, const char *event,
                 const char *text) {
    size_t used = strlen(lines);
    (void)context;
    (void)level;
    (void)snprintf(lines + used, sizeof lines - used, "%s: %s\n", event, text);
}

struct idem_log logged_open(void) {
    lines[0] = '\0';
    return (struct idem_log){.sink = note, .level = IDEM_LOG_NOTICE};
}

const char *logged_lines(void) {
    return lines;
}

bool logged_has(const char *text) {
    return strstr(lines, text) != NULL;
}
