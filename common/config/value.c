/* SPDX-License-Identifier: MIT
 * From a YAML node to a field: which setter a type has, and the setters of plain words. */
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>

bool idem_config_is_null(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE ||
        node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    const char *text = (const char *)node->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

enum idem_code idem_config_scalar(struct idem_config_reader *reader, yaml_node_t *node,
                                  const char **text) {
    reader->line = idem_config_line(node);
    if (node->type != YAML_SCALAR_NODE) {
        return idem_config_refuse(reader,
                                  "a %s where one value belongs; write the value alone",
                                  node->type == YAML_MAPPING_NODE ? "mapping" : "list");
    }
    if (idem_config_is_null(node)) {
        return idem_config_refuse(reader, "has no value; give one, or remove the key");
    }
    *text = (const char *)node->data.scalar.value;
    if (strlen(*text) != node->data.scalar.length) {
        return idem_config_refuse(reader, "holds a NUL byte; no value may");
    }
    return IDEM_OK;
}

enum idem_code idem_config_replace(struct idem_config_reader *reader, char **field,
                                   const char *text) {
    char *copy = strdup(text);
    if (copy == NULL) {
        return idem_config_nomem(reader);
    }
    free(*field);
    *field = copy;
    return IDEM_OK;
}

static enum idem_code set_text(struct idem_config_reader *reader,
                               const struct idem_schema_row *row, void *field,
                               const char *text) {
    size_t most = row->max > 0 ? (size_t)row->max : IDEM_CONFIG_TEXT_MAX;
    if (strlen(text) > most) {
        return idem_config_refuse(reader, "%zu bytes long; at most %zu are possible",
                                  strlen(text), most);
    }
    if (text[0] == '\0' && row->min > 0) {
        return idem_config_refuse(reader, "is empty; give a value, or remove the key");
    }
    return idem_config_replace(reader, field, text);
}

static enum idem_code set_name(struct idem_config_reader *reader,
                               const struct idem_schema_row *row, void *field,
                               const char *text) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    struct idem_config_quote shown;
    size_t len = strspn(text, allowed);
    (void)row;
    if (len == 0 || len > IDEM_NAME_MAX || text[len] != '\0') {
        return idem_config_refuse(reader,
                                  "%s is not a name; write 1 to %d of A-Z a-z 0-9 _ . -",
                                  idem_config_quoted(&shown, text), IDEM_NAME_MAX);
    }
    return idem_config_replace(reader, field, text);
}

static enum idem_code set_bool(struct idem_config_reader *reader,
                               const struct idem_schema_row *row, void *field,
                               const char *text) {
    struct idem_config_quote shown;
    bool yes = strcmp(text, "true") == 0;
    (void)row;
    if (!yes && strcmp(text, "false") != 0) {
        return idem_config_refuse(reader, "%s is neither; write true or false",
                                  idem_config_quoted(&shown, text));
    }
    *(bool *)field = yes;
    return IDEM_OK;
}

/* "drop, deliver or reject", and which of them may have been meant. */
static enum idem_code refuse_word(struct idem_config_reader *reader,
                                  const struct idem_schema_row *row, const char *text) {
    enum { WORDS = 16 };
    struct idem_config_quote shown;
    const char *names[WORDS] = {NULL};
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; row->words[i].name != NULL && i + 1 < WORDS; i++) {
        names[i] = row->words[i].name;
        const char *joint = row->words[i + 1].name != NULL ? ", " : " or ";
        int more = snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? joint : "",
                            names[i]);
        used += more > 0 ? (size_t)more : 0;
    }
    const char *near = idem_config_nearest(text, names);
    return idem_config_refuse(
        reader, "%s is not known%s%s%s; write %s%s", idem_config_quoted(&shown, text),
        near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
        near != NULL ? "'?" : "", list,
        row->type == IDEM_SCHEMA_SCOPE ? ", or {by: EXTRACTOR}" : "");
}

enum idem_code idem_config_word(struct idem_config_reader *reader,
                                const struct idem_schema_row *row, void *field,
                                const char *text) {
    for (const struct idem_schema_word *word = row->words; word->name != NULL; word++) {
        if (strcmp(word->name, text) == 0) {
            memcpy(field, &word->value, sizeof word->value);
            return IDEM_OK;
        }
    }
    return refuse_word(reader, row, text);
}

/* NULL where a value of the type is never one word, or never a list or mapping. The scope's kind is
 * its first member. */
static const struct {
    idem_config_setter *text;
    idem_config_shaper *node;
} setters[IDEM_SCHEMA_TYPE_COUNT] = {
    [IDEM_SCHEMA_TEXT] = {set_text, NULL},
    [IDEM_SCHEMA_NAME] = {set_name, NULL},
    [IDEM_SCHEMA_WORD] = {idem_config_word, NULL},
    [IDEM_SCHEMA_BOOL] = {set_bool, NULL},
    [IDEM_SCHEMA_UNSIGNED] = {idem_config_unsigned, NULL},
    [IDEM_SCHEMA_DURATION] = {idem_config_duration, NULL},
    [IDEM_SCHEMA_STORE_URL] = {idem_config_store_url, NULL},
    [IDEM_SCHEMA_SOURCE_URL] = {idem_config_amqp_url, idem_config_amqp_urls},
    [IDEM_SCHEMA_SINK_URL] = {idem_config_amqp_url, idem_config_amqp_urls},
    [IDEM_SCHEMA_LISTEN] = {idem_config_listen, NULL},
    [IDEM_SCHEMA_TOPIC_FILTER] = {idem_config_topic_filter, NULL},
    [IDEM_SCHEMA_PATTERN] = {idem_config_pattern, NULL},
    [IDEM_SCHEMA_HEADER] = {idem_config_header_text, idem_config_header_node},
    [IDEM_SCHEMA_KEY] = {idem_config_key_text, idem_config_key_node},
    [IDEM_SCHEMA_SCOPE] = {idem_config_word, idem_config_scope_node},
    [IDEM_SCHEMA_FINGERPRINT] = {idem_config_fingerprint_text,
                                 idem_config_fingerprint_node},
    [IDEM_SCHEMA_PARAMETERS] = {NULL, idem_config_parameters_node},
    [IDEM_SCHEMA_NAMES] = {idem_config_names_text, idem_config_names_node},
};

enum idem_code idem_config_set_text(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *base,
                                    const char *text) {
    if (setters[row->type].text == NULL) {
        return idem_config_refuse(reader, "one value where a %s belongs",
                                  idem_schema_type_text(row->type));
    }
    return setters[row->type].text(reader, row, (char *)base + row->offset, text);
}

enum idem_code idem_config_set_node(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *base,
                                    yaml_node_t *node) {
    const char *text = "";
    if (setters[row->type].node != NULL && node->type != YAML_SCALAR_NODE) {
        return setters[row->type].node(reader, row, (char *)base + row->offset, node);
    }
    enum idem_code code = idem_config_scalar(reader, node, &text);
    return code != IDEM_OK ? code : idem_config_set_text(reader, row, base, text);
}
