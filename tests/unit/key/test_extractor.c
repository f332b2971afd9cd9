/* SPDX-License-Identifier: MIT
 * Extractors as the configuration writes them: every form, and what is refused. */
#include "testing.h"

#include <idem/rule.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void every_form_is_parsed(void **state) {
    (void)state;
    static const struct {
        const char *written;
        const char *text;
        enum idem_extractor_kind kind;
        unsigned level;
    } rows[] = {
        {"property:idempotency-key", "idempotency-key", IDEM_EXTRACT_PROPERTY, 0},
        {"property:a:b", "a:b", IDEM_EXTRACT_PROPERTY, 0},
        {"message-id", NULL, IDEM_EXTRACT_MESSAGE_ID, 0},
        {"correlation-id", NULL, IDEM_EXTRACT_CORRELATION_ID, 0},
        {"topic:1", NULL, IDEM_EXTRACT_TOPIC_LEVEL, 1},
        {"topic:65535", NULL, IDEM_EXTRACT_TOPIC_LEVEL, 65535},
        {"topic", NULL, IDEM_EXTRACT_ROUTING_KEY, 0},
        {"routing-key", NULL, IDEM_EXTRACT_ROUTING_KEY, 0},
        {"json:/order/id", "/order/id", IDEM_EXTRACT_JSON, 0},
        {"json:", "", IDEM_EXTRACT_JSON, 0},
        {"json:/a~0b~1c", "/a~0b~1c", IDEM_EXTRACT_JSON, 0},
        {"client", NULL, IDEM_EXTRACT_CLIENT, 0},
        {"user", NULL, IDEM_EXTRACT_USER, 0},
        {"payload", NULL, IDEM_EXTRACT_PAYLOAD, 0},
        {"payload-sha256", NULL, IDEM_EXTRACT_PAYLOAD_SHA256, 0},
        {"text:v1", "v1", IDEM_EXTRACT_TEXT, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct idem_extractor extractor;
        assert_int_equal(idem_extractor_parse(&extractor, rows[i].written, NULL),
                         IDEM_OK);
        assert_int_equal(extractor.kind, rows[i].kind);
        assert_int_equal(extractor.level, rows[i].level);
        if (rows[i].text == NULL) {
            assert_null(extractor.text);
        } else {
            assert_string_equal(extractor.text, rows[i].text);
        }
        free(extractor.text);
    }
}

static void anything_else_is_refused_with_the_known_forms(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",         "property",         "property:", "properties:x", "Property:x",
        "topic:",   "topic:0",          "topic:01",  "topic:-1",     "topic:1x",
        "topic: 1", "topic:65536",      "client:x",  "payload:1",    "json",
        "json:a/b", "json:/a~",         "json:/~2",  "text",         "text:",
        " client",  "topic:4294967297",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct idem_extractor extractor;
        struct idem_error error = IDEM_ERROR_INIT;
        if (idem_extractor_parse(&extractor, rows[i], &error) != IDEM_ERR_INVALID) {
            fail_msg("\"%s\" was accepted", rows[i]);
        }
        assert_null(extractor.text);
        assert_non_null(strstr(error.text, "json:/POINTER"));
        assert_non_null(strstr(error.text, rows[i]));
    }
}

static void check_longest(const char *word, size_t longest) {
    struct idem_extractor extractor;
    size_t before = strlen(word);
    char *text = malloc(before + longest + 2);
    assert_non_null(text);
    memcpy(text, word, before);
    memset(text + before, 'n', longest + 1);
    text[before + longest + 1] = '\0';
    assert_int_equal(idem_extractor_parse(&extractor, text, NULL), IDEM_ERR_INVALID);
    text[before + longest] = '\0';
    assert_int_equal(idem_extractor_parse(&extractor, text, NULL), IDEM_OK);
    free(extractor.text);
    free(text);
}

static void arguments_have_a_longest_length(void **state) {
    (void)state;
    check_longest("property:", IDEM_NAME_MAX);
    check_longest("text:", IDEM_KEY_MAX);
    check_longest("json:/", IDEM_KEY_MAX - 1);
}

static void fini_of_an_empty_spec_and_twice_is_harmless(void **state) {
    (void)state;
    struct idem_key_spec spec = {.count = 0};
    idem_key_spec_fini(&spec);
    spec.items = calloc(1, sizeof *spec.items);
    assert_non_null(spec.items);
    assert_int_equal(idem_extractor_parse(&spec.items[0], "text:x", NULL), IDEM_OK);
    spec.count = 1;
    idem_key_spec_fini(&spec);
    idem_key_spec_fini(&spec);
    assert_int_equal(spec.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_parsed),
        cmocka_unit_test(anything_else_is_refused_with_the_known_forms),
        cmocka_unit_test(arguments_have_a_longest_length),
        cmocka_unit_test(fini_of_an_empty_spec_and_twice_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
