/* SPDX-License-Identifier: MIT
 * Values that are quantities: whole numbers and durations. */
#include "config/value.h"

#include <stdio.h>

struct unit {
    const char *name;
    int64_t ms;
};

static const struct unit units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
enum { UNITS = sizeof units / sizeof units[0] };

void idem_config_duration_text(char *out, size_t size, int64_t ms) {
    const struct unit *unit = &units[0];
    while (unit->ms > 1 && (ms % unit->ms != 0 || ms < unit->ms)) {
        unit++;
    }
    if (ms == 0) {
        unit = &units[UNITS - 2];
    }
    (void)snprintf(out, size, "%lld%s", (long long)(ms / unit->ms), unit->name);
}

const char *idem_config_digits(const char *text, int64_t *number) {
    const char *at = text;
    *number = 0;
    while (*at >= '0' && *at <= '9' && at - text < 15) {
        *number = *number * 10 + (*at++ - '0');
    }
    return at;
}

enum idem_code idem_config_unsigned(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *field,
                                    const char *text) {
    struct idem_config_quote shown;
    int64_t number = 0;
    const char *rest = idem_config_digits(text, &number);
    if (rest == text || *rest != '\0' || number < row->min || number > row->max) {
        return idem_config_refuse(
            reader, "%s is not possible; write a whole number from %lld to %lld",
            idem_config_quoted(&shown, text), (long long)row->min, (long long)row->max);
    }
    *(unsigned *)field = (unsigned)number;
    return IDEM_OK;
}

static const struct unit *find_unit(const char *name) {
    for (size_t i = 0; i < UNITS; i++) {
        if (strcmp(units[i].name, name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

enum idem_code idem_config_duration(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *field,
                                    const char *text) {
    struct idem_config_quote shown;
    int64_t number = 0;
    const char *rest = idem_config_digits(text, &number);
    const struct unit *unit = find_unit(rest);
    if (rest == text || unit == NULL) {
        return idem_config_refuse(reader,
                                  "%s is not a duration; write a whole number and its "
                                  "unit (ms, s, m, h or d), as in 500ms, 30s or 72h",
                                  idem_config_quoted(&shown, text));
    }
    if (number > row->max / unit->ms || number * unit->ms < row->min) {
        char least[32];
        char most[32];
        idem_config_duration_text(least, sizeof least, row->min);
        idem_config_duration_text(most, sizeof most, row->max);
        return idem_config_refuse(reader, "%s is not possible; from %s to %s are",
                                  idem_config_quoted(&shown, text), least, most);
    }
    *(int64_t *)field = number * unit->ms;
    return IDEM_OK;
}
