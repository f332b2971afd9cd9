/* SPDX-License-Identifier: MIT
 * The walk of a document along the schema: defaults, unknown, repeated and missing keys, rules. */
#include "config/reader.h"

#include <stdio.h>
#include <stdlib.h>

static enum idem_code walk_mapping(struct idem_config_reader *reader, yaml_node_t *node,
                                   const char *prefix, void *base);

/* Defaults go the way that values of the file go. */
static enum idem_code set_defaults(struct idem_config_reader *reader, const char *prefix,
                                   void *base) {
    enum idem_code code = IDEM_OK;
    for (size_t i = 0; i < idem_schema_count() && code == IDEM_OK; i++) {
        const struct idem_schema_row *row = idem_schema_at(i);
        if (idem_schema_key(row, prefix) == NULL) {
            continue;
        }
        if (row->type == IDEM_SCHEMA_SECTION) {
            code = set_defaults(reader, row->path, base);
        } else if (row->fallback != NULL) {
            idem_config_locate(reader, 0, row->path, NULL);
            code = idem_config_set_text(reader, row, base, row->fallback);
        }
    }
    return code;
}

/* Where a key that is unknown here would be right, or NULL. */
static const char *known_elsewhere(const char *key) {
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const char *path = idem_schema_at(i)->path;
        const char *dot = strrchr(path, '.');
        if (dot != NULL && strcmp(dot + 1, key) == 0) {
            return path;
        }
    }
    return NULL;
}

static void append(char *text, size_t size, const char *joint, const char *more) {
    size_t used = strlen(text);
    (void)snprintf(text + used, size - used, "%s%s", used > 0 ? joint : "", more);
}

static enum idem_code refuse_unknown(struct idem_config_reader *reader,
                                     const char *prefix, const char *key) {
    const char *known[IDEM_SCHEMA_ROWS_MAX + 1] = {NULL};
    char list[320] = "";
    size_t count = 0;
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const char *name = idem_schema_key(idem_schema_at(i), prefix);
        if (name != NULL) {
            known[count++] = name;
            append(list, sizeof list, ", ", name);
        }
    }
    const char *near = idem_config_nearest(key, known);
    const char *elsewhere = near == NULL ? known_elsewhere(key) : NULL;
    if (near != NULL) {
        return idem_config_refuse(reader, "unknown key; did you mean '%s'?", near);
    }
    if (elsewhere != NULL) {
        return idem_config_refuse(reader, "unknown key here; it belongs at %s",
                                  elsewhere);
    }
    return idem_config_refuse(reader, "unknown key; known here are %s", list);
}

static enum idem_code walk_rules(struct idem_config_reader *reader, yaml_node_t *node);

static enum idem_code walk_value(struct idem_config_reader *reader, yaml_node_t *node,
                                 const struct idem_schema_row *row, void *base) {
    if (row->type == IDEM_SCHEMA_RULES) {
        return walk_rules(reader, node);
    }
    if (row->type != IDEM_SCHEMA_SECTION && row->type != IDEM_SCHEMA_MAPPING) {
        return idem_config_set_node(reader, row, base, node);
    }
    if (row->lone_key != NULL && node->type == YAML_SCALAR_NODE) {
        row = idem_schema_child(row->path, row->lone_key);
        return idem_config_set_node(reader, row, base, node);
    }
    return walk_mapping(reader, node, row->path, base);
}

static enum idem_code walk_pair(struct idem_config_reader *reader,
                                const yaml_node_pair_t *pair, const char *prefix,
                                void *base) {
    yaml_node_t *key_node = yaml_document_get_node(&reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
    const char *key = "";
    int line = idem_config_line(key_node);
    idem_config_locate(reader, line, prefix[0] != '\0' ? prefix : "document", NULL);
    enum idem_code code = idem_config_scalar(reader, key_node, &key);
    if (code != IDEM_OK) {
        return code;
    }
    idem_config_locate(reader, line, prefix, key);
    const struct idem_schema_row *row = idem_schema_child(prefix, key);
    if (row == NULL) {
        return refuse_unknown(reader, prefix, key);
    }
    int *given = idem_config_given(reader, row);
    if (*given != 0) {
        return idem_config_refuse(reader, "given twice, first in line %d; keep one",
                                  *given);
    }
    *given = line;
    return walk_value(reader, value, row, base);
}

static enum idem_code check_required(struct idem_config_reader *reader,
                                     const char *prefix, int line) {
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const struct idem_schema_row *row = idem_schema_at(i);
        const char *key = idem_schema_key(row, prefix);
        if (key != NULL && row->required && *idem_config_given(reader, row) == 0) {
            idem_config_locate(reader, line, prefix, key);
            return idem_config_refuse(reader, "is missing; add it (%s)",
                                      idem_schema_type_text(row->type));
        }
    }
    return IDEM_OK;
}

static enum idem_code walk_mapping(struct idem_config_reader *reader, yaml_node_t *node,
                                   const char *prefix, void *base) {
    int line = idem_config_line(node);
    enum idem_code code = set_defaults(reader, prefix, base);
    if (code == IDEM_OK && idem_config_is_null(node)) {
        return check_required(reader, prefix, line);
    }
    if (code == IDEM_OK && node->type != YAML_MAPPING_NODE) {
        idem_config_locate(reader, line, prefix[0] != '\0' ? prefix : "document", NULL);
        return idem_config_refuse(reader,
                                  "a %s where a mapping belongs; write KEY: VALUE",
                                  node->type == YAML_SCALAR_NODE ? "value" : "list");
    }
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top && code == IDEM_OK; pair++) {
        code = walk_pair(reader, pair, prefix, base);
    }
    return code != IDEM_OK ? code : check_required(reader, prefix, line);
}

static void forget_rule(struct idem_config_reader *reader) {
    for (size_t i = 0; i < idem_schema_count(); i++) {
        if (strncmp(idem_schema_at(i)->path, "rules[]", strlen("rules[]")) == 0) {
            reader->given[i] = 0;
        }
    }
}

/* What was read of a rule belongs to the configuration even where it is refused: one owner. */
static enum idem_code walk_rule(struct idem_config_reader *reader, yaml_node_t *node) {
    struct idem_ruleset *set = &reader->config->rules;
    struct idem_rule_draft draft = {0};
    reader->rule = set->count;
    draft.rule.line = idem_config_line(node);
    forget_rule(reader);
    enum idem_code code = walk_mapping(reader, node, "rules[]", &draft);
    if (code == IDEM_OK) {
        code = idem_config_check_rule(reader, &draft);
    }
    set->rules[set->count++] = draft.rule;
    return code;
}

static enum idem_code walk_rules(struct idem_config_reader *reader, yaml_node_t *node) {
    struct idem_ruleset *set = &reader->config->rules;
    if (idem_config_is_null(node)) {
        return IDEM_OK;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        return idem_config_refuse(reader, "not a list; begin each rule with '- name:'");
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    if (count > IDEM_RULES_MAX) {
        return idem_config_refuse(reader, "%zu rules; at most %d are possible", count,
                                  IDEM_RULES_MAX);
    }
    set->rules = count > 0 ? calloc(count, sizeof *set->rules) : NULL;
    if (count > 0 && set->rules == NULL) {
        return idem_config_nomem(reader);
    }
    enum idem_code code = IDEM_OK;
    for (size_t i = 0; i < count && code == IDEM_OK; i++) {
        code = walk_rule(reader, yaml_document_get_node(&reader->document, item[i]));
    }
    return code;
}

enum idem_code idem_config_walk(struct idem_config_reader *reader) {
    yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    if (root == NULL) {
        return set_defaults(reader, "", reader->config);
    }
    return walk_mapping(reader, root, "", reader->config);
}
