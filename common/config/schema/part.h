/* SPDX-License-Identifier: MIT
 * What the parts of the schema are written with: one file of rows for each group of keys. */
#ifndef CONFIG_SCHEMA_PART_H
#define CONFIG_SCHEMA_PART_H

#include "config/schema.h"
#include "config/words.h"

#define CONFIG(member) offsetof(struct idem_config, member)
#define DRAFT(member)  offsetof(struct idem_rule_draft, member)
#define RULE(member)   offsetof(struct idem_rule_draft, rule.member)

#define SECOND_MS INT64_C(1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)

#define KEYED    IDEM_SCHEMA_FOR(IDEM_STRATEGY_KEY)
#define NUMBERED IDEM_SCHEMA_FOR(IDEM_STRATEGY_SEQUENCE)

/* Fields of enumerations are written as int. */
_Static_assert(sizeof(enum idem_action) == sizeof(int), "enumerations have int's size");

struct idem_schema_part {
    const struct idem_schema_row *rows;
    size_t count;
};

/* In the order of the reference; lookup.c puts them together. */
extern const struct idem_schema_part idem_schema_general;
extern const struct idem_schema_part idem_schema_rules;
extern const struct idem_schema_part idem_schema_sequence;
extern const struct idem_schema_part idem_schema_bridge;
extern const struct idem_schema_part idem_schema_programs;

/* Ends a part's file: makes its array `rows` known by the part's name. */
#define IDEM_SCHEMA_PART(name)                                                           \
    _Static_assert(sizeof rows / sizeof rows[0] <= IDEM_SCHEMA_PART_MAX,                 \
                   "raise IDEM_SCHEMA_PART_MAX");                                        \
    const struct idem_schema_part idem_schema_##name = {rows,                            \
                                                        sizeof rows / sizeof rows[0]};

#endif
