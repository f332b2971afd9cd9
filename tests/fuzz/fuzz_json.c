/* SPDX-License-Identifier: MIT
 * Fuzz target: a pointer, a NUL, any bytes as JSON. What Idem's reader finds, json-c has to find as well: its
 * strict mode accepts more, but must not give another value. */
#include "key/json.h"

#include <idem/rule.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static struct json_object *parse(struct idem_span document) {
    struct json_tokener *tokener = json_tokener_new_ex(IDEM_JSON_DEPTH_MAX + 1);
    require(tokener != NULL, "out of memory");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *parsed =
        json_tokener_parse_ex(tokener, (const char *)document.data, (int)document.len);
    if (json_tokener_get_error(tokener) == json_tokener_continue) {
        parsed = json_tokener_parse_ex(tokener, " ", 1); /* ends a bare number */
    }
    require(json_tokener_get_error(tokener) == json_tokener_success,
            "json-c refuses what was accepted");
    json_tokener_free(tokener);
    return parsed;
}

/* json-c 0.16 takes some surrogate pairs (\ud836\ude00) for halves, and puts U+FFFD in their place. */
static bool has_replacement(struct idem_span text) {
    for (size_t i = 0; i + 3 <= text.len; i++) {
        if (memcmp(text.data + i, "\xEF\xBF\xBD", 3) == 0) {
            return true;
        }
    }
    return false;
}

static void compare(struct json_object *theirs, struct idem_span ours) {
    enum json_type type = json_object_get_type(theirs);
    if (type == json_type_string) {
        struct idem_span text = idem_span_of(json_object_get_string(theirs),
                                             (size_t)json_object_get_string_len(theirs));
        require(idem_span_equal(text, ours) || has_replacement(text), "another string");
    } else if (type == json_type_double) {
        struct idem_span text = idem_span_text(json_object_to_json_string(theirs));
        require(idem_span_equal(text, ours), "another number");
    } else { /* integers: beyond 64 bits json-c has another value */
        require(type == json_type_int || type == json_type_boolean, "no scalar");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    uint8_t buffer[IDEM_KEY_MAX];
    struct idem_span value = {NULL, 0};
    if (nul == NULL) {
        return 0;
    }
    const char *pointer = (const char *)data;
    struct idem_span document = idem_span_of(nul + 1, size - (size_t)(nul + 1 - data));
    if (!idem_json_find(document, pointer, buffer, sizeof buffer, &value)) {
        return 0;
    }
    require(value.len <= sizeof buffer, "too long");
    char *text = strndup((const char *)document.data, document.len);
    require(text != NULL, "out of memory");
    if (strstr(text, "\\u0000") == NULL) { /* ends a name in json-c */
        struct json_object *root = parse(document);
        struct json_object *found = NULL;
        require(json_pointer_get(root, pointer, &found) == 0, "json-c does not find it");
        compare(found, value);
        (void)json_object_put(root);
    }
    free(text);
    return 0;
}
