/* SPDX-License-Identifier: MIT
 * The reference and the examples against the schema. With --write FILE, writes the reference. */
#include "config/reader.h"
#include "config/reference.h"

#include "files.h"
#include "testing.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const char reference_path[] = "docs/reference/configuration.md";
static const char example_path[] = "examples/idem.yaml";

static void reference_says_what_the_schema_says(void **state) {
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);
    (void)state;
    assert_non_null(out);
    idem_config_reference(out);
    assert_int_equal(fclose(out), 0);
    char *committed = files_read(reference_path);
    if (strcmp(committed, made) != 0) {
        fail_msg("%s is not what the schema says; renew it by test_reference --write %s",
                 reference_path, reference_path);
    }
    free(committed);
    free(made);
}

/* Whether "key:" stands in a comment of the text, as a key that is an alternative to another does. */
static bool in_comment(const char *text, const char *key) {
    size_t length = strlen(key);
    bool comment = false;
    for (const char *at = text; *at != '\0'; at++) {
        comment = *at == '#' || (comment && *at != '\n');
        if (comment && at[0] == ' ' && strncmp(at + 1, key, length) == 0 &&
            at[1 + length] == ':') {
            return true;
        }
    }
    return false;
}

struct paths {
    yaml_document_t *document;
    bool seen[IDEM_SCHEMA_ROWS_MAX];
};

static void collect(struct paths *paths, int index, const char *prefix);

static void collect_mapping(struct paths *paths, const yaml_node_t *node,
                            const char *prefix) {
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(paths->document, pair->key);
        char path[256];
        (void)snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
                       (const char *)key->data.scalar.value);
        const struct idem_schema_row *row = idem_schema_find(path);
        if (row != NULL) {
            paths->seen[idem_schema_index(row)] = true;
        }
        collect(paths, pair->value, path);
    }
}

/* Marks the rows of the schema that the YAML text itself gives: no code of ours has a part in it. */
static void collect(struct paths *paths, int index, const char *prefix) {
    const yaml_node_t *node = yaml_document_get_node(paths->document, index);
    if (node->type == YAML_MAPPING_NODE) {
        collect_mapping(paths, node, prefix);
    } else if (node->type == YAML_SEQUENCE_NODE) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s[]", prefix);
        const yaml_node_item_t *item = node->data.sequence.items.start;
        for (; item < node->data.sequence.items.top; item++) {
            collect(paths, *item, path);
        }
    }
}

static void annotated_example_shows_every_key(void **state) {
    char *text = files_read(example_path);
    yaml_parser_t parser;
    yaml_document_t document;
    struct paths paths = {.document = &document};
    (void)state;
    assert_true(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    assert_true(yaml_parser_load(&parser, &document));
    collect(&paths, 1, "");
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const char *path = idem_schema_at(i)->path;
        const char *dot = strrchr(path, '.');
        if (!paths.seen[i] && !in_comment(text, dot != NULL ? dot + 1 : path)) {
            fail_msg("%s does not show %s", example_path, path);
        }
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    free(text);
}

/* Rows as such: what the walker and the reference rely on. */
static void every_row_is_documented_and_reachable(void **state) {
    (void)state;
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const struct idem_schema_row *row = idem_schema_at(i);
        const char *dot = strrchr(row->path, '.');
        char prefix[64] = "";
        if (dot != NULL) {
            (void)snprintf(prefix, sizeof prefix, "%.*s", (int)(dot - row->path),
                           row->path);
        }
        assert_ptr_equal(idem_schema_child(prefix, dot != NULL ? dot + 1 : row->path),
                         row);
        assert_true(strlen(row->meaning) > 10);
        assert_true(row->meaning[strlen(row->meaning) - 1] == '.');
        assert_null(strchr(row->meaning, '|')); /* it becomes a table's cell */
        bool mapping =
            row->type == IDEM_SCHEMA_SECTION || row->type == IDEM_SCHEMA_MAPPING;
        if (!mapping && !row->required && row->fallback == NULL) {
            assert_non_null(row->absent);
        }
    }
}

static int write_reference(const char *path) {
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return 1;
    }
    idem_config_reference(out);
    return fclose(out) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_documented_and_reachable),
        cmocka_unit_test(reference_says_what_the_schema_says),
        cmocka_unit_test(annotated_example_shows_every_key),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        return write_reference(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
