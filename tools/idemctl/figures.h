/* SPDX-License-Identifier: MIT
 * Figures of a running program, by name: those of a broker below $SYS/broker/idem/, under their names there.
 * What a bridge tells over HTTP is brought into the same form. */
#ifndef IDEM_CTL_FIGURES_H
#define IDEM_CTL_FIGURES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIGURES_MAX 16384 /* names; further ones are left out */

struct figure {
    char *name;
    char *text; /* NULL: it is a number */
    uint64_t number;
};

struct figures {
    struct figure *items; /* sorted by name */
    size_t count;
    size_t capacity;
};

void figures_fini(struct figures *figures);

/* Takes over a value as it came: digits are a number. Hostile bytes are bounded and checked: what is no figure
 * is left out. */
void figures_set(struct figures *figures, const char *name, const void *value,
                 size_t size);
void figures_set_number(struct figures *figures, const char *name, uint64_t number);

const struct figure *figures_find(const struct figures *figures, const char *name);
uint64_t figures_number(const struct figures *figures, const char *name);
/* "" where there is none. */
const char *figures_text(const struct figures *figures, const char *name);

/* The name of the rule that a figure "rules/NAME/..." is of, and what follows it; false: it is of none. */
bool figures_rule(const struct figure *figure, char *name, size_t size,
                  const char **rest);

/* What metrics call messages that no rule matches; no rule can have that name. */
#define FIGURES_NO_RULE "(none)"

/* What /api/stats of a bridge says. False: it is nothing like that. */
bool figures_from_stats(struct figures *figures, struct json_object *stats);

#endif
