/* SPDX-License-Identifier: MIT
 * JSON pointers against well-formed, ambiguous, malformed and hostile texts. */
#include "key/json.h"
#include "testing.h"

#include <idem/rule.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct finding {
    const char *document;
    const char *pointer;
    const char *expected; /* NULL: nothing */
};

static void check(const struct finding *row) {
    uint8_t buffer[64];
    struct idem_span value = {NULL, 0};
    bool found = idem_json_find(idem_span_text(row->document), row->pointer, buffer,
                                sizeof buffer, &value);
    if (found != (row->expected != NULL) ||
        (found && !idem_span_equal(value, idem_span_text(row->expected)))) {
        fail_msg("%s at \"%s\": %.*s instead of %s", row->document, row->pointer,
                 found ? (int)value.len : 7, found ? (const char *)value.data : "nothing",
                 row->expected != NULL ? row->expected : "nothing");
    }
}

static void check_all(const struct finding *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        check(&rows[i]);
    }
}

static void pointers_lead_to_scalars(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"{\"order\":{\"id\":\"A-1\"}}", "/order/id", "A-1"},
        {" { \"a\" : [ 10 , 20 , 30 ] } ", "/a/1", "20"},
        {"[[1,2],[3,4]]", "/1/0", "3"},
        {"\"whole\"", "", "whole"},
        {"42", "", "42"},
        {"{\"a\":true,\"b\":false}", "/b", "false"},
        {"{\"a\":true,\"b\":false}", "/a", "true"},
        {"{\"a\":null}", "/a", NULL},
        {"{\"a\":{}}", "/a", NULL},
        {"{\"a\":[1]}", "/a", NULL},
        {"{\"a\":1}", "/b", NULL},
        {"{\"a\":1}", "/a/b", NULL},
        {"{\"a\":1}", "/A", NULL},
        {"{\"a\":1}", "", NULL},
        {"{\"a\":\"\"}", "/a", ""},
        {"{\"ab\":1,\"a\":2}", "/a", "2"},
        {"{\"a\":1,\"ab\":2}", "/ab", "2"},
        {"[{\"a\":1},{\"a\":2}]", "/1/a", "2"},
        {"{\"x\":{\"a\":9},\"a\":1}", "/a", "1"},
    };
    check_all(rows, COUNT(rows));
}

/* The example document of RFC 6901, section 5. */
static void the_examples_of_rfc_6901_hold(void **state) {
    (void)state;
    static const char document[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
        "\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
    static const struct finding rows[] = {
        {document, "/foo/0", "bar"}, {document, "/", "0"},      {document, "/a~1b", "1"},
        {document, "/c%d", "2"},     {document, "/e^f", "3"},   {document, "/g|h", "4"},
        {document, "/i\\j", "5"},    {document, "/k\"l", "6"},  {document, "/ ", "7"},
        {document, "/m~0n", "8"},    {document, "/foo", NULL},  {document, "", NULL},
        {document, "/m~1n", NULL},   {document, "/a/b", NULL},  {document, "/m~", NULL},
        {document, "/m~2n", NULL},   {document, "foo/0", NULL},
    };
    check_all(rows, COUNT(rows));
}

static void array_indices_have_one_spelling(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"[5,6]", "/0", "5"},
        {"[5,6]", "/00", NULL},
        {"[5,6]", "/01", NULL},
        {"[5,6]", "/-", NULL},
        {"[5,6]", "/2", NULL},
        {"[5,6]", "/", NULL},
        {"[5,6]", "/+1", NULL},
        {"[5,6]", "/1 ", NULL},
        {"[5,6]", "/0x1", NULL},
        {"[5,6]", "/4294967296", NULL},
        {"[5,6]", "/18446744073709551617", NULL},
        {"{\"00\":1}", "/00", "1"},
        {"{\"-\":1}", "/-", "1"},
        {"[]", "/0", NULL},
    };
    check_all(rows, COUNT(rows));
}

static void numbers_keep_their_source_text(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"[9223372036854775807]", "/0", "9223372036854775807"},
        {"[9223372036854775808]", "/0", "9223372036854775808"},
        {"[18446744073709551616]", "/0", "18446744073709551616"},
        {"[99999999999999999999999]", "/0", "99999999999999999999999"},
        {"[1.50]", "/0", "1.50"},
        {"[1.5]", "/0", "1.5"},
        {"[1e400]", "/0", "1e400"},
        {"[-0]", "/0", "-0"},
        {"[1E+05]", "/0", "1E+05"},
        {"[0]", "/0", "0"},
    };
    check_all(rows, COUNT(rows));
}

static void escapes_in_values_are_resolved(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"[\"a\\\"b\\\\c\\/d\"]", "/0", "a\"b\\c/d"},
        {"[\"\\b\\f\\n\\r\\t\"]", "/0", "\b\f\n\r\t"},
        {"[\"\\u0041\\u00e9\\u20AC\"]", "/0", "A\xC3\xA9\xE2\x82\xAC"},
        {"[\"\\ud83d\\ude00\"]", "/0", "\xF0\x9F\x98\x80"},
        {"[\"\xF0\x9F\x98\x80\"]", "/0", "\xF0\x9F\x98\x80"},
        {"[\"\\uFFFF\"]", "/0", "\xEF\xBF\xBF"},
    };
    check_all(rows, COUNT(rows));
}

static void a_nul_in_a_string_does_not_end_it(void **state) {
    (void)state;
    uint8_t buffer[16];
    struct idem_span value;
    assert_true(idem_json_find(idem_span_text("[\"a\\u0000b\"]"), "/0", buffer,
                               sizeof buffer, &value));
    assert_true(idem_span_equal(value, idem_span_of("a\0b", 3)));
}

static void names_are_compared_after_their_escapes(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"{\"\\u0069d\":1}", "/id", "1"},
        {"{\"\\ud83d\\ude00\":1}", "/\xF0\x9F\x98\x80", "1"},
        {"{\"a\\/b\":1}", "/a~1b", "1"},
        {"{\"id\\u0000\":1}", "/id", NULL},
    };
    check_all(rows, COUNT(rows));
}

static void of_equal_names_the_last_counts(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"{\"a\":1,\"a\":2}", "/a", "2"},
        {"{\"a\":1,\"\\u0061\":2}", "/a", "2"},
        {"{\"a\":{\"b\":1},\"a\":{}}", "/a/b", NULL},
        {"{\"a\":{\"b\":1},\"a\":3}", "/a/b", NULL},
        {"{\"a\":1,\"a\":null}", "/a", NULL},
        {"{\"a\":1,\"b\":2}", "/a", "1"},
    };
    check_all(rows, COUNT(rows));
}

static const char *const malformed[] = {
    "",
    " ",
    "[1",
    "[1]]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1]x",
    "[1] []",
    "{\"a\":1,}",
    "{a:1}",
    "{'a':1}",
    "[1] ,",
    "{\"a\" 1}",
    "{\"a\":}",
    "{1:2}",
    "[1]/*c*/",
    "[1]//",
    "[01]",
    "[-01]",
    "[-]",
    "[1.]",
    "[.5]",
    "[1e]",
    "[+1]",
    "[1e+]",
    "[NaN]",
    "[Infinity]",
    "[-Infinity]",
    "[True]",
    "[tru]",
    "[nul]",
    "[0x1]",
    "[\"a]",
    "[\"a\tb\"]",
    "[\"\\x\"]",
    "[\"\\u12\"]",
    "[\"\\u12G4\"]",
    "[\"\\ud800\"]",
    "[\"\\ud800\\u0041\"]",
    "[\"\\udc00\"]",
    "[\"\\udc00\\udc00\"]",
    "[\"\\\"]",
    "[\"\xFF\"]",
    "[\"\xC0\x80\"]",
    "[\"\xED\xA0\x80\"]",
    "[\"\xF4\x90\x80\x80\"]",
    "[\"\xE2\x82\"]",
    "\xEF\xBB\xBF[1]",
    "[1]\v",
    "{\"a\":1",
};

static void malformed_texts_yield_nothing(void **state) {
    (void)state;
    uint8_t buffer[16];
    struct idem_span value;
    for (size_t i = 0; i < COUNT(malformed); i++) {
        if (idem_json_find(idem_span_text(malformed[i]), "/0", buffer, sizeof buffer,
                           &value)) {
            fail_msg("%s was accepted", malformed[i]);
        }
    }
}

static void what_is_wrong_after_the_value_counts_too(void **state) {
    (void)state;
    static const struct finding rows[] = {
        {"{\"id\":1,\"x\":[1,2}", "/id", NULL},
        {"{\"id\":1}}", "/id", NULL},
        {"1 2", "", NULL},
        {"{\"id\":1,\"x\":\"\xFF\"}", "/id", NULL},
    };
    uint8_t buffer[16];
    struct idem_span value;
    check_all(rows, COUNT(rows));
    assert_false(
        idem_json_find(idem_span_of("[1]\0", 4), "/0", buffer, sizeof buffer, &value));
    assert_false(
        idem_json_find(idem_span_of("[1\0]", 4), "/0", buffer, sizeof buffer, &value));
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    char document[2 * (IDEM_JSON_DEPTH_MAX + 1) + 2];
    char pointer[2 * (IDEM_JSON_DEPTH_MAX + 1) + 1] = "";
    uint8_t buffer[16];
    struct idem_span value;
    for (unsigned depth = IDEM_JSON_DEPTH_MAX; depth <= IDEM_JSON_DEPTH_MAX + 1;
         depth++) {
        memset(document, '[', depth);
        document[depth] = '1';
        memset(document + depth + 1, ']', depth);
        for (unsigned i = 0; i < depth; i++) {
            memcpy(pointer + 2 * (size_t)i, "/0", 3);
        }
        assert_int_equal(idem_json_find(idem_span_of(document, 2 * depth + 1), pointer,
                                        buffer, sizeof buffer, &value),
                         depth <= IDEM_JSON_DEPTH_MAX);
    }
}

static void a_text_above_the_size_limit_is_not_read(void **state) {
    (void)state;
    uint8_t buffer[16];
    struct idem_span value;
    char *document = malloc(IDEM_JSON_MAX + 1);
    assert_non_null(document);
    memset(document, ' ', IDEM_JSON_MAX + 1);
    document[0] = '1';
    assert_true(idem_json_find(idem_span_of(document, IDEM_JSON_MAX), "", buffer,
                               sizeof buffer, &value));
    assert_false(idem_json_find(idem_span_of(document, IDEM_JSON_MAX + 1), "", buffer,
                                sizeof buffer, &value));
    free(document);
}

static void a_value_longer_than_the_buffer_yields_nothing(void **state) {
    (void)state;
    uint8_t buffer[4];
    struct idem_span value;
    struct finding fits[] = {
        {"[\"abcd\"]", "/0", ""}, {"[\"abc\\n\"]", "/0", ""}, {"[1234]", "/0", ""}};
    struct finding too_long[] = {{"[\"abcde\"]", "/0", ""},
                                 {"[\"abcd\\n\"]", "/0", ""},
                                 {"[\"ab\\u20ac\"]", "/0", ""},
                                 {"[12345]", "/0", ""}};
    for (size_t i = 0; i < COUNT(fits); i++) {
        assert_true(idem_json_find(idem_span_text(fits[i].document), fits[i].pointer,
                                   buffer, sizeof buffer, &value));
        assert_int_equal(value.len, 4);
    }
    for (size_t i = 0; i < COUNT(too_long); i++) {
        assert_false(idem_json_find(idem_span_text(too_long[i].document),
                                    too_long[i].pointer, buffer, sizeof buffer, &value));
    }
}

/* Every prefix of a text ends too early: the reader must stop there, which the sanitizer watches. */
static void no_prefix_of_a_text_is_read_beyond_its_end(void **state) {
    (void)state;
    static const char document[] =
        "{\"a\\u0041\\ud83d\\ude00\":[1.5e+3,true,false,null,\"\xF0\x9F\x98\x80\\n\"]}";
    for (size_t len = 0; len < sizeof document - 1; len++) {
        uint8_t buffer[16];
        struct idem_span value;
        uint8_t *exact = malloc(len > 0 ? len : 1);
        assert_non_null(exact);
        memcpy(exact, document, len);
        assert_false(idem_json_find(idem_span_of(exact, len), "/aA", buffer,
                                    sizeof buffer, &value));
        free(exact);
    }
}

/* Strings are read eight bytes at a time where they can be: each byte that cannot, at each place. */
static void bytes_that_mean_something_are_seen_at_every_place(void **state) {
    (void)state;
    static const uint8_t refused[] = {0x00, 0x1F, 0x80, 0xFF, '\\'};
    static const uint8_t taken[] = {0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F};
    uint8_t document[] = "{\"a\":\"0123456789abcdefghijklmn\"}";
    for (size_t at = 6; at < 6 + 24; at++) {
        uint8_t buffer[64];
        struct idem_span value;
        const struct idem_span whole = idem_span_of(document, sizeof document - 1);
        uint8_t before = document[at];
        for (size_t i = 0; i < sizeof refused; i++) {
            document[at] =
                refused[i]; /* no letter makes an escape with '\\' but b, f, n */
            bool escape = refused[i] == '\\' && strchr("bfn", document[at + 1]) != NULL;
            assert_int_equal(idem_json_find(whole, "/a", buffer, sizeof buffer, &value),
                             escape);
        }
        for (size_t i = 0; i < sizeof taken; i++) {
            document[at] = taken[i];
            assert_true(idem_json_find(whole, "/a", buffer, sizeof buffer, &value));
            assert_int_equal(value.len, 24);
        }
        document[at] = '"'; /* ends the string: what follows makes no sense */
        assert_false(idem_json_find(whole, "/a", buffer, sizeof buffer, &value));
        document[at] = before;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointers_lead_to_scalars),
        cmocka_unit_test(the_examples_of_rfc_6901_hold),
        cmocka_unit_test(array_indices_have_one_spelling),
        cmocka_unit_test(numbers_keep_their_source_text),
        cmocka_unit_test(escapes_in_values_are_resolved),
        cmocka_unit_test(a_nul_in_a_string_does_not_end_it),
        cmocka_unit_test(names_are_compared_after_their_escapes),
        cmocka_unit_test(of_equal_names_the_last_counts),
        cmocka_unit_test(malformed_texts_yield_nothing),
        cmocka_unit_test(what_is_wrong_after_the_value_counts_too),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(a_text_above_the_size_limit_is_not_read),
        cmocka_unit_test(a_value_longer_than_the_buffer_yields_nothing),
        cmocka_unit_test(bytes_that_mean_something_are_seen_at_every_place),
        cmocka_unit_test(no_prefix_of_a_text_is_read_beyond_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
