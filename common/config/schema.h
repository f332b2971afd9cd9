/* SPDX-License-Identifier: MIT
 * The schema: one table from which parsing, defaults, checks and the reference are made. Its rows are
 * in schema/, a file for each group of keys. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <idem/config.h>

enum idem_schema_type {
    IDEM_SCHEMA_SECTION, /* mapping that is always there: absent means all defaults */
    IDEM_SCHEMA_MAPPING, /* mapping that may be absent */
    IDEM_SCHEMA_RULES,   /* the list of rules; its elements' keys are below "rules[]" */
    IDEM_SCHEMA_TEXT,
    IDEM_SCHEMA_NAME,
    IDEM_SCHEMA_WORD,
    IDEM_SCHEMA_BOOL,
    IDEM_SCHEMA_UNSIGNED,
    IDEM_SCHEMA_DURATION,
    IDEM_SCHEMA_STORE_URL,
    IDEM_SCHEMA_SOURCE_URL,
    IDEM_SCHEMA_SINK_URL,
    IDEM_SCHEMA_LISTEN,
    IDEM_SCHEMA_TOPIC_FILTER,
    IDEM_SCHEMA_PATTERN,
    IDEM_SCHEMA_HEADER,
    IDEM_SCHEMA_KEY,
    IDEM_SCHEMA_SCOPE,
    IDEM_SCHEMA_FINGERPRINT,
    IDEM_SCHEMA_PARAMETERS,
    IDEM_SCHEMA_NAMES,
    IDEM_SCHEMA_TYPE_COUNT
};

struct idem_schema_word {
    const char *name; /* NULL ends the list */
    int value;        /* of the enumeration that the field has */
};

struct idem_schema_row {
    const char *path; /* "rules[].on_conflict"; [] stands for every element of a list */
    enum idem_schema_type type;
    bool required;        /* in the mapping that holds it */
    const char *fallback; /* the default, as a file would say it; NULL: none */
    const char *absent;   /* for people, where fallback is NULL: what holds then */
    /* MAPPING: the key that a word instead of a mapping stands for. */
    const char *lone_key;
    const struct idem_schema_word *words; /* WORD, SCOPE */
    int64_t min;                          /* UNSIGNED; DURATION in ms; TEXT in bytes */
    int64_t max;                          /* the same */
    /* Bits of IDEM_SCHEMA_FOR: where a rule may say it; 0: anywhere. */
    unsigned strategies;
    size_t offset; /* in struct idem_config; below rules[] in struct idem_rule_draft */
    const char *meaning; /* one sentence of documentation */
};

#define IDEM_SCHEMA_FOR(strategy) (1u << (strategy))
#define IDEM_SCHEMA_PARTS         5
#define IDEM_SCHEMA_PART_MAX      48 /* rows of one part */
#define IDEM_SCHEMA_ROWS_MAX      (IDEM_SCHEMA_PARTS * IDEM_SCHEMA_PART_MAX)

/* A rule while it is read: with what only the checks need to know. */
struct idem_rule_draft {
    struct idem_rule rule;
    bool short_ttl;
};

/* All rows, in the order of the reference: index is below idem_schema_count(). */
size_t idem_schema_count(void);
const struct idem_schema_row *idem_schema_at(size_t index);

/* The inverse of idem_schema_at, for a row of the table. */
size_t idem_schema_index(const struct idem_schema_row *row);

/* The key of a row directly below prefix ("" is the root), or NULL where it is not below it. */
const char *idem_schema_key(const struct idem_schema_row *row, const char *prefix);

/* The row of a key directly below prefix, or NULL. */
const struct idem_schema_row *idem_schema_child(const char *prefix, const char *key);

/* The row of a whole path, or NULL. */
const struct idem_schema_row *idem_schema_find(const char *path);

/* What the paths of a row's children begin with: "rules[]" for the rules, else the row's path. */
const char *idem_schema_prefix(const struct idem_schema_row *row);

/* "a list of extractors", "a duration", ...: static. */
const char *idem_schema_type_text(enum idem_schema_type type);

#endif
