/* SPDX-License-Identifier: MIT
 * Values that may be a word, a list or a mapping: keys, scopes, fingerprints, headers, parameters. */
#include "config/value.h"

#include <idem/parameter.h>

#include <stdlib.h>

static enum idem_code parse_extractor(struct idem_config_reader *reader,
                                      struct idem_extractor *extractor,
                                      const char *text) {
    struct idem_error inner = IDEM_ERROR_INIT;
    enum idem_code code = idem_extractor_parse(extractor, text, &inner);
    if (code == IDEM_ERR_NOMEM) {
        return idem_config_nomem(reader);
    }
    return code == IDEM_OK ? IDEM_OK : idem_config_refuse(reader, "%s", inner.text);
}

/* Makes room for count extractors. What the spec held before, a default, is given up. */
static enum idem_code renew(struct idem_config_reader *reader, struct idem_key_spec *spec,
                            size_t count, bool joined) {
    idem_key_spec_fini(spec);
    spec->joined = joined;
    spec->items = calloc(count, sizeof *spec->items);
    return spec->items != NULL ? IDEM_OK : idem_config_nomem(reader);
}

static enum idem_code add(struct idem_config_reader *reader, struct idem_key_spec *spec,
                          const char *text) {
    enum idem_code code = parse_extractor(reader, &spec->items[spec->count], text);
    spec->count += code == IDEM_OK;
    return code;
}

static enum idem_code one_extractor(struct idem_config_reader *reader,
                                    struct idem_key_spec *spec, bool joined,
                                    const char *text) {
    enum idem_code code = renew(reader, spec, 1, joined);
    return code != IDEM_OK ? code : add(reader, spec, text);
}

static yaml_node_t *node_at(struct idem_config_reader *reader, int index) {
    return yaml_document_get_node(&reader->document, index);
}

static enum idem_code list_length(struct idem_config_reader *reader,
                                  const yaml_node_t *node, size_t *count) {
    *count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    reader->line = idem_config_line(node);
    if (*count == 0) {
        return idem_config_refuse(reader, "the list is empty; give it an extractor, or "
                                          "remove the key");
    }
    if (*count > IDEM_EXTRACTORS_MAX) {
        return idem_config_refuse(reader, "the list has %zu items; at most %d are taken",
                                  *count, IDEM_EXTRACTORS_MAX);
    }
    return IDEM_OK;
}

static enum idem_code extractor_list(struct idem_config_reader *reader,
                                     struct idem_key_spec *spec, bool joined,
                                     yaml_node_t *node) {
    size_t count = 0;
    enum idem_code code = list_length(reader, node, &count);
    if (code == IDEM_OK) {
        code = renew(reader, spec, count, joined);
    }
    for (size_t i = 0; i < count && code == IDEM_OK; i++) {
        const char *text = "";
        code = idem_config_scalar(
            reader, node_at(reader, node->data.sequence.items.start[i]), &text);
        if (code == IDEM_OK) {
            code = add(reader, spec, text);
        }
    }
    return code;
}

/* A scalar is a list of one. */
static enum idem_code extractors(struct idem_config_reader *reader,
                                 struct idem_key_spec *spec, bool joined,
                                 yaml_node_t *node) {
    const char *text = "";
    if (node->type == YAML_SEQUENCE_NODE) {
        return extractor_list(reader, spec, joined, node);
    }
    enum idem_code code = idem_config_scalar(reader, node, &text);
    return code != IDEM_OK ? code : one_extractor(reader, spec, joined, text);
}

/* The value of the only pair of a mapping, or NULL: refused. form tells what would be right. */
static yaml_node_t *lone_pair(struct idem_config_reader *reader, const yaml_node_t *node,
                              const char *form, const char **key) {
    reader->line = idem_config_line(node);
    if (node->type != YAML_MAPPING_NODE ||
        node->data.mapping.pairs.top - node->data.mapping.pairs.start != 1) {
        (void)idem_config_refuse(reader, "not of the form that is needed; write %s",
                                 form);
        return NULL;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    if (idem_config_scalar(reader, node_at(reader, pair->key), key) != IDEM_OK) {
        return NULL;
    }
    return node_at(reader, pair->value);
}

static yaml_node_t *value_of(struct idem_config_reader *reader, const yaml_node_t *node,
                             const char *name, const char *form) {
    struct idem_config_quote shown;
    const char *key = "";
    yaml_node_t *value = lone_pair(reader, node, form, &key);
    if (value != NULL && strcmp(key, name) != 0) {
        (void)idem_config_refuse(reader, "%s is not known here; write %s",
                                 idem_config_quoted(&shown, key), form);
        return NULL;
    }
    return value;
}

enum idem_code idem_config_key_text(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *field,
                                    const char *text) {
    (void)row;
    return one_extractor(reader, field, false, text);
}

enum idem_code idem_config_key_node(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *field,
                                    yaml_node_t *node) {
    static const char form[] = "an extractor, a list of them, or {all: [EXTRACTOR, ...]}";
    (void)row;
    if (node->type != YAML_MAPPING_NODE) {
        return extractors(reader, field, false, node);
    }
    yaml_node_t *all = value_of(reader, node, "all", form);
    return all != NULL ? extractors(reader, field, true, all) : IDEM_ERR_CONFIG;
}

enum idem_code idem_config_scope_node(struct idem_config_reader *reader,
                                      const struct idem_schema_row *row, void *field,
                                      yaml_node_t *node) {
    static const char form[] = "global, rule, principal or {by: EXTRACTOR}";
    struct idem_scope *scope = field;
    yaml_node_t *by = value_of(reader, node, "by", form);
    if (by == NULL) {
        return IDEM_ERR_CONFIG;
    }
    scope->kind = IDEM_SCOPE_BY;
    return idem_config_key_node(reader, row, &scope->by, by);
}

enum idem_code idem_config_fingerprint_text(struct idem_config_reader *reader,
                                            const struct idem_schema_row *row,
                                            void *field, const char *text) {
    (void)row;
    if (strcmp(text, "none") == 0) {
        idem_key_spec_fini(field);
        return IDEM_OK;
    }
    return one_extractor(reader, field, true, text);
}

enum idem_code idem_config_fingerprint_node(struct idem_config_reader *reader,
                                            const struct idem_schema_row *row,
                                            void *field, yaml_node_t *node) {
    (void)row;
    if (node->type == YAML_MAPPING_NODE) {
        reader->line = idem_config_line(node);
        return idem_config_refuse(reader, "a mapping where none belongs; write none, "
                                          "payload or a list of extractors");
    }
    return extractors(reader, field, true, node);
}

enum idem_code idem_config_header_text(struct idem_config_reader *reader,
                                       const struct idem_schema_row *row, void *field,
                                       const char *text) {
    struct idem_match *match = field;
    (void)row;
    if (text[0] == '\0' || strlen(text) > IDEM_NAME_MAX) {
        return idem_config_refuse(reader,
                                  "a header's name has 1 to %d bytes; write NAME "
                                  "or {NAME: VALUE}",
                                  IDEM_NAME_MAX);
    }
    return idem_config_replace(reader, &match->header_name, text);
}

enum idem_code idem_config_header_node(struct idem_config_reader *reader,
                                       const struct idem_schema_row *row, void *field,
                                       yaml_node_t *node) {
    struct idem_match *match = field;
    const char *name = "";
    const char *text = "";
    yaml_node_t *value = lone_pair(reader, node, "NAME or {NAME: VALUE}", &name);
    if (value == NULL) {
        return IDEM_ERR_CONFIG;
    }
    enum idem_code code = idem_config_header_text(reader, row, match, name);
    if (code == IDEM_OK) {
        code = idem_config_scalar(reader, value, &text);
    }
    return code != IDEM_OK ? code
                           : idem_config_replace(reader, &match->header_value, text);
}

static enum idem_code check_parameter(struct idem_config_reader *reader,
                                      const char *text) {
    struct idem_parameter parameter;
    struct idem_error inner = IDEM_ERROR_INIT;
    enum idem_code code = idem_parameter_parse(&parameter, text, &inner);
    idem_parameter_fini(&parameter);
    if (code == IDEM_ERR_NOMEM) {
        return idem_config_nomem(reader);
    }
    return code == IDEM_OK ? IDEM_OK : idem_config_refuse(reader, "%s", inner.text);
}

enum idem_code idem_config_parameters_node(struct idem_config_reader *reader,
                                           const struct idem_schema_row *row, void *field,
                                           yaml_node_t *node) {
    struct idem_endpoint_config *sink = field;
    size_t count = 0;
    enum idem_code code = IDEM_OK;
    (void)row;
    reader->line = idem_config_line(node);
    if (node->type != YAML_SEQUENCE_NODE) {
        return idem_config_refuse(reader, "a mapping where a list belongs; write "
                                          "[key, payload, ...]");
    }
    code = list_length(reader, node, &count);
    for (size_t i = 0; i < count && code == IDEM_OK; i++) {
        const char *text = "";
        code = idem_config_scalar(
            reader, node_at(reader, node->data.sequence.items.start[i]), &text);
        if (code == IDEM_OK) {
            code = check_parameter(reader, text);
        }
        if (code == IDEM_OK) {
            code = idem_config_replace(reader, &sink->parameters[i], text);
            sink->parameter_count += code == IDEM_OK;
        }
    }
    return code;
}

/* A list of 1 to most texts, each put into a field of its own. */
static enum idem_code few_texts(struct idem_config_reader *reader,
                                const struct idem_schema_row *row, char **fields,
                                size_t most, idem_config_setter *set, yaml_node_t *node) {
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    if (count == 0 || count > most) {
        return idem_config_refuse(reader, "a list of %zu; write 1 to %zu", count, most);
    }
    enum idem_code code = IDEM_OK;
    for (size_t i = 0; i < count && code == IDEM_OK; i++) {
        const char *text = "";
        code = idem_config_scalar(reader, node_at(reader, item[i]), &text);
        if (code == IDEM_OK) {
            code = set(reader, row, &fields[i], text);
        }
    }
    return code;
}

/* Several URLs are several brokers of one cluster: a list has no place for a database. */
enum idem_code idem_config_amqp_urls(struct idem_config_reader *reader,
                                     const struct idem_schema_row *row, void *field,
                                     yaml_node_t *node) {
    const struct idem_schema_row *amqp = idem_schema_find("bridge.source.url");
    (void)row;
    reader->line = idem_config_line(node);
    if (node->type != YAML_SEQUENCE_NODE) {
        return idem_config_refuse(reader, "a mapping where a URL belongs; write "
                                          "amqp://HOST or [amqp://HOST, ...]");
    }
    return few_texts(reader, amqp, field, IDEM_URLS_MAX, idem_config_amqp_url, node);
}

static enum idem_code property_name(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *field,
                                    const char *text) {
    (void)row;
    if (text[0] == '\0' || strlen(text) > IDEM_NAME_MAX) {
        return idem_config_refuse(reader, "a property's name has 1 to %d bytes",
                                  IDEM_NAME_MAX);
    }
    return idem_config_replace(reader, field, text);
}

static size_t names_max(const struct idem_schema_row *row) {
    return row->max > 0 ? (size_t)row->max : IDEM_PROPAGATED_MAX;
}

/* What a default had put there goes. */
static void forget_names(const struct idem_schema_row *row, char **names) {
    for (size_t i = 0; i < names_max(row); i++) {
        free(names[i]);
        names[i] = NULL;
    }
}

enum idem_code idem_config_names_text(struct idem_config_reader *reader,
                                      const struct idem_schema_row *row, void *field,
                                      const char *text) {
    forget_names(row, field);
    return property_name(reader, row, field, text);
}

enum idem_code idem_config_names_node(struct idem_config_reader *reader,
                                      const struct idem_schema_row *row, void *field,
                                      yaml_node_t *node) {
    reader->line = idem_config_line(node);
    if (node->type != YAML_SEQUENCE_NODE) {
        return idem_config_refuse(reader, "a mapping where a name belongs; write NAME or "
                                          "[NAME, ...]");
    }
    forget_names(row, field);
    return few_texts(reader, row, field, names_max(row), property_name, node);
}
