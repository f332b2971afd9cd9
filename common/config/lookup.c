/* SPDX-License-Identifier: MIT
 * How to find a row of the schema, and what its type is called. */
#include "config/schema/part.h"

static const char *const type_texts[IDEM_SCHEMA_TYPE_COUNT] = {
    [IDEM_SCHEMA_SECTION] = "mapping",
    [IDEM_SCHEMA_MAPPING] = "mapping",
    [IDEM_SCHEMA_RULES] = "list of rules",
    [IDEM_SCHEMA_TEXT] = "text",
    [IDEM_SCHEMA_NAME] = "name",
    [IDEM_SCHEMA_WORD] = "word",
    [IDEM_SCHEMA_BOOL] = "true or false",
    [IDEM_SCHEMA_UNSIGNED] = "number",
    [IDEM_SCHEMA_DURATION] = "duration",
    [IDEM_SCHEMA_STORE_URL] = "store URL",
    [IDEM_SCHEMA_SOURCE_URL] = "AMQP URL, or list of them",
    [IDEM_SCHEMA_SINK_URL] = "AMQP URL, list of them, or PostgreSQL URL",
    [IDEM_SCHEMA_LISTEN] = "address and port",
    [IDEM_SCHEMA_TOPIC_FILTER] = "MQTT topic filter",
    [IDEM_SCHEMA_PATTERN] = "AMQP topic pattern",
    [IDEM_SCHEMA_HEADER] = "name, or {NAME: VALUE}",
    [IDEM_SCHEMA_KEY] = "extractor, list of them, or {all: [...]}",
    [IDEM_SCHEMA_SCOPE] = "word, or {by: extractors}",
    [IDEM_SCHEMA_FINGERPRINT] = "none, extractor, or list of them",
    [IDEM_SCHEMA_PARAMETERS] = "list",
    [IDEM_SCHEMA_NAMES] = "name of a property, or list of them",
};

static const struct idem_schema_part *const parts[IDEM_SCHEMA_PARTS] = {
    &idem_schema_general, &idem_schema_rules,    &idem_schema_sequence,
    &idem_schema_bridge,  &idem_schema_programs,
};

size_t idem_schema_count(void) {
    size_t count = 0;
    for (size_t i = 0; i < IDEM_SCHEMA_PARTS; i++) {
        count += parts[i]->count;
    }
    return count;
}

const struct idem_schema_row *idem_schema_at(size_t index) {
    size_t part = 0;
    while (index >= parts[part]->count) {
        index -= parts[part++]->count;
    }
    return &parts[part]->rows[index];
}

size_t idem_schema_index(const struct idem_schema_row *row) {
    size_t index = 0;
    while (idem_schema_at(index) != row) {
        index++;
    }
    return index;
}

const char *idem_schema_type_text(enum idem_schema_type type) {
    return type_texts[type];
}

const char *idem_schema_key(const struct idem_schema_row *row, const char *prefix) {
    size_t length = strlen(prefix);
    const char *key = row->path;
    if (length > 0) {
        if (strncmp(key, prefix, length) != 0 || key[length] != '.') {
            return NULL;
        }
        key += length + 1;
    }
    return strpbrk(key, ".[") == NULL ? key : NULL;
}

const struct idem_schema_row *idem_schema_child(const char *prefix, const char *key) {
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const char *known = idem_schema_key(idem_schema_at(i), prefix);
        if (known != NULL && strcmp(known, key) == 0) {
            return idem_schema_at(i);
        }
    }
    return NULL;
}

const struct idem_schema_row *idem_schema_find(const char *path) {
    for (size_t i = 0; i < idem_schema_count(); i++) {
        if (strcmp(idem_schema_at(i)->path, path) == 0) {
            return idem_schema_at(i);
        }
    }
    return NULL;
}

const char *idem_schema_prefix(const struct idem_schema_row *row) {
    return row->type == IDEM_SCHEMA_RULES ? "rules[]" : row->path;
}
