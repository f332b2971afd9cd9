/* SPDX-License-Identifier: MIT
 * One reading of one file: the YAML document, the place in it, and how findings are reported. */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "config/schema.h"

#include <yaml.h>

#define IDEM_CONFIG_FILE_MAX  (1u << 20) /* bytes */
#define IDEM_CONFIG_DEPTH_MAX 16         /* mappings and lists inside each other */
#define IDEM_CONFIG_NODES_MAX 65536      /* keys, values, mappings and lists */
#define IDEM_CONFIG_PATH_MAX  128

struct idem_config_reader {
    const char *name; /* borrowed: stands for the file in messages */
    struct idem_config *config;
    idem_config_warn *warn;
    void *warn_arg;
    struct idem_error *error;
    yaml_document_t document; /* valid between idem_config_document and its deletion */
    size_t rule;              /* index of the rule being read, for paths */
    int line;                 /* where findings are reported ... */
    char path[IDEM_CONFIG_PATH_MAX]; /* ... and for which key: "rules[2].ttl" */
    /* The line of each schema row that the file gives, 0 for the others; what is below rules[]
     * is about the rule being read. */
    int given[IDEM_SCHEMA_ROWS_MAX];
};

/* report.c: every finding is told about reader->line and reader->path. */

/* Sets the place. Where key is not NULL, it is appended to the path after a dot. */
void idem_config_locate(struct idem_config_reader *reader, int line, const char *path,
                        const char *key);

/* Refuses the file: "FILE:LINE: path: text". Returns IDEM_ERR_CONFIG. The text says what is wrong and,
 * after a semicolon, what would be right. */
enum idem_code idem_config_refuse(struct idem_config_reader *reader, const char *format,
                                  ...) IDEM_PRINTF(2, 3);

/* Tells the caller of the library, who may go on. */
void idem_config_remark(struct idem_config_reader *reader, const char *format, ...)
    IDEM_PRINTF(2, 3);

enum idem_code idem_config_nomem(struct idem_config_reader *reader);

/* A value as messages show it: quoted, printable, cut to a bearable length, passwords masked. */
struct idem_config_quote {
    char text[96];
};
const char *idem_config_quoted(struct idem_config_quote *quote, const char *text);

/* Copies text without the passwords of URLs: what stands between the first ':' of user:password@ and
 * the last '@', and the value of a parameter called password. Cut to size. */
void idem_config_mask(char *out, size_t size, const char *text);

/* Which of the words (ended by NULL) is nearest to text, or NULL where none is near. */
const char *idem_config_nearest(const char *text, const char *const *words);

/* document.c */

/* Parses the text into reader->document, within the limits above. On IDEM_OK the caller deletes it. */
IDEM_MUST_USE enum idem_code idem_config_document(struct idem_config_reader *reader,
                                                  const char *text, size_t length);

/* walk.c */

/* Applies the schema to reader->document: defaults first, then what the file says. */
IDEM_MUST_USE enum idem_code idem_config_walk(struct idem_config_reader *reader);

/* value.c: one value into the field that its row names in base. */

IDEM_MUST_USE enum idem_code idem_config_set_text(struct idem_config_reader *reader,
                                                  const struct idem_schema_row *row,
                                                  void *base, const char *text);
IDEM_MUST_USE enum idem_code idem_config_set_node(struct idem_config_reader *reader,
                                                  const struct idem_schema_row *row,
                                                  void *base, yaml_node_t *node);

/* The text of a scalar node. Refuses what is not one, is empty without quotes (YAML's null), or holds
 * a NUL byte. Moves the place to the node's line. */
IDEM_MUST_USE enum idem_code idem_config_scalar(struct idem_config_reader *reader,
                                                yaml_node_t *node, const char **text);

/* Whether there is nothing where a value could be: `key:`, `key: ~`, `key: null`. */
bool idem_config_is_null(const yaml_node_t *node);

/* Milliseconds as a file would say them, in the largest whole unit. */
void idem_config_duration_text(char *out, size_t size, int64_t ms);

/* check.c, check_rule.c, check_sequence.c, check_reach.c: what one row alone cannot know. */

/* Makes path the place, in the line where the file gives it, else in the line of the rule. Returns
 * whether the file gives it. */
bool idem_config_place(struct idem_config_reader *reader, const char *path, int line);

IDEM_MUST_USE enum idem_code idem_config_check_rule(struct idem_config_reader *reader,
                                                    const struct idem_rule_draft *draft);
IDEM_MUST_USE enum idem_code idem_config_check_sequence(struct idem_config_reader *reader,
                                                        const struct idem_rule *rule);
IDEM_MUST_USE enum idem_code idem_config_check_reach(struct idem_config_reader *reader,
                                                     const struct idem_rule *rule);
IDEM_MUST_USE enum idem_code idem_config_check(struct idem_config_reader *reader);

static inline int idem_config_line(const yaml_node_t *node) {
    return (int)node->start_mark.line + 1;
}

static inline int *idem_config_given(struct idem_config_reader *reader,
                                     const struct idem_schema_row *row) {
    return &reader->given[idem_schema_index(row)];
}

#endif
