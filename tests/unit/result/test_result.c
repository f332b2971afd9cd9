/* SPDX-License-Identifier: MIT
 * Stored responses as bytes: golden bytes, round trips, bytes that are none; and what becomes of a response. */
#include "testing.h"

#include <idem/result.h>

#include <stdlib.h>
#include <string.h>

/* Golden bytes of version 1. They never change: stores hold them. */
static const uint8_t golden_v1[] = {
    1,    0x01,                                                   /* version, text */
    0x10, 4,    0,   'j', 's', 'o', 'n',                          /* content type */
    0x12, 1,    0,   't',                                         /* type */
    0x20, 6,    0,   's', 't', 'a', 't', 'u', 's', 3,   0,        /* header, text ... */
    0,    0,    '2', '0', '0',                                    /* ... its value */
    0x21, 1,    0,   'n', 2,   0,   0,   0,   '-', '7',           /* header, number */
    0x22, 1,    0,   'b', 4,   0,   0,   0,   't', 'r', 'u', 'e', /* header, boolean */
    0x23, 1,    0,   'a', 2,   0,   0,   0,   't', 1, /* header, as AMQP has it */
    0x00, '{',  '}',                                  /* payload */
};

static const struct idem_result sample = {
    .payload = {(const uint8_t *)"{}", 2},
    .fields = {[IDEM_RESULT_CONTENT_TYPE] = {(const uint8_t *)"json", 4},
               [IDEM_RESULT_TYPE] = {(const uint8_t *)"t", 1}},
    .utf8 = true,
    .header_count = 4,
    .headers =
        {{IDEM_RESULT_TEXT, {(const uint8_t *)"status", 6}, {(const uint8_t *)"200", 3}},
         {IDEM_RESULT_INTEGER, {(const uint8_t *)"n", 1}, {(const uint8_t *)"-7", 2}},
         {IDEM_RESULT_BOOLEAN, {(const uint8_t *)"b", 1}, {(const uint8_t *)"true", 4}},
         {IDEM_RESULT_AMQP, {(const uint8_t *)"a", 1}, {(const uint8_t *)"t\001", 2}}},
};

static void encodes_to_the_golden_bytes(void **state) {
    uint8_t bytes[sizeof golden_v1];
    (void)state;
    assert_int_equal(idem_result_size(&sample), sizeof golden_v1);
    idem_result_encode(bytes, &sample);
    assert_memory_equal(bytes, golden_v1, sizeof golden_v1);
}

static void decodes_the_golden_bytes(void **state) {
    struct idem_result result;
    (void)state;
    assert_int_equal(
        idem_result_decode(&result, idem_span_of(golden_v1, sizeof golden_v1)), IDEM_OK);
    assert_true(result.utf8);
    assert_true(idem_span_equal(result.payload, sample.payload));
    for (size_t i = 0; i < IDEM_RESULT_FIELD_COUNT; i++) {
        assert_true(idem_span_equal(result.fields[i], sample.fields[i]));
    }
    assert_int_equal(result.header_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(result.headers[i].kind, sample.headers[i].kind);
        assert_true(idem_span_equal(result.headers[i].name, sample.headers[i].name));
        assert_true(idem_span_equal(result.headers[i].value, sample.headers[i].value));
    }
}

static void an_empty_response_is_a_result(void **state) {
    static const uint8_t bytes[] = {1, 0};
    const struct idem_result nothing = {.header_count = 0};
    struct idem_result result;
    uint8_t out[2];
    (void)state;
    assert_int_equal(idem_result_size(&nothing), 2);
    idem_result_encode(out, &nothing);
    assert_memory_equal(out, bytes, 2);
    assert_int_equal(idem_result_decode(&result, idem_span_of(bytes, 2)), IDEM_OK);
    assert_int_equal(result.payload.len, 0);
}

/* Exact allocations, so that a sanitizer sees a byte too far. */
static void no_beginning_of_it_is_a_result(void **state) {
    (void)state;
    for (size_t len = 0; len < sizeof golden_v1 - 2; len++) {
        uint8_t *cut = malloc(len + (len == 0));
        struct idem_result result;
        assert_non_null(cut);
        memcpy(cut, golden_v1, len);
        assert_int_equal(idem_result_decode(&result, idem_span_of(cut, len)),
                         IDEM_ERR_FORMAT);
        assert_int_equal(result.header_count, 0);
        assert_int_equal(result.payload.len, 0);
        free(cut);
    }
}

static void other_bytes_are_refused(void **state) {
    static const struct {
        uint8_t bytes[12];
        size_t len;
        enum idem_code code;
    } cases[] = {
        {{0, 0}, 2, IDEM_ERR_FORMAT},
        {{2, 0}, 2, IDEM_ERR_VERSION},
        {{1, 0x02, 0}, 3, IDEM_ERR_FORMAT},            /* no such tag */
        {{1, 0x1a, 1, 0, 'x', 0}, 6, IDEM_ERR_FORMAT}, /* no such field */
        {{1, 0x10, 0, 0, 0}, 5, IDEM_ERR_FORMAT},      /* an empty field */
        {{1, 0x01, 0x01, 0}, 4, IDEM_ERR_FORMAT},      /* twice */
        {{1, 0x11, 1, 0, 'x', 0x10, 1, 0, 'x', 0}, 10, IDEM_ERR_FORMAT}, /* order */
        {{1, 0x24, 0, 0, 0, 0, 0, 0, 0}, 9, IDEM_ERR_FORMAT}, /* no such kind */
        {{1, 0x20, 0, 0, 0xff, 0xff, 0xff, 0xff, 0}, 9, IDEM_ERR_FORMAT}, /* too long */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct idem_result result;
        assert_int_equal(
            idem_result_decode(&result, idem_span_of(cases[i].bytes, cases[i].len)),
            cases[i].code);
    }
}

static void what_is_beyond_the_limits_has_no_size(void **state) {
    static struct idem_result result;
    static uint8_t text[IDEM_RESULT_TEXT_MAX + 1];
    (void)state;
    result.header_count = IDEM_RESULT_HEADERS_MAX;
    assert_true(idem_result_size(&result) > 0);
    result.headers[3].name = idem_span_of(text, sizeof text);
    assert_int_equal(idem_result_size(&result), 0);
    result.header_count = IDEM_RESULT_HEADERS_MAX + 1;
    assert_int_equal(idem_result_size(&result), 0);
    result.header_count = 0;
    result.fields[IDEM_RESULT_TYPE] = idem_span_of(text, sizeof text);
    assert_int_equal(idem_result_size(&result), 0);
}

static void the_most_headers_come_back_and_one_more_does_not(void **state) {
    static struct idem_result result;
    static uint8_t bytes[8 * (IDEM_RESULT_HEADERS_MAX + 2)];
    (void)state;
    result.header_count = IDEM_RESULT_HEADERS_MAX;
    size_t size = idem_result_size(&result);
    idem_result_encode(bytes, &result);
    assert_int_equal(idem_result_decode(&result, idem_span_of(bytes, size)), IDEM_OK);
    assert_int_equal(result.header_count, IDEM_RESULT_HEADERS_MAX);
    memmove(bytes + size - 1 + 7, bytes + size - 1, 1); /* the payload's tag */
    memcpy(bytes + size - 1, bytes + 1, 7);             /* one more header */
    assert_int_equal(idem_result_decode(&result, idem_span_of(bytes, size + 7)),
                     IDEM_ERR_FORMAT);
}

static enum idem_result_fate fate_of(const struct idem_result_spec *spec,
                                     const char *name, const char *value) {
    const struct idem_result result = {
        .payload = idem_span_text("response"),
        .header_count = 1,
        .headers = {{IDEM_RESULT_TEXT, idem_span_text(name), idem_span_text(value)}}};
    return idem_result_judge(spec, &result);
}

static void responses_that_failed_are_told_by_a_header(void **state) {
    char status[] = "status";
    char conflict[] = "409";
    char server[] = "5*";
    struct idem_result_spec spec = {.max = 1000, .failed_header = status};
    (void)state;
    assert_int_equal(fate_of(&spec, "status", "anything"), IDEM_RESULT_FAILED);
    assert_int_equal(fate_of(&spec, "other", "500"), IDEM_RESULT_STORE);
    spec.failed_values[0] = conflict;
    spec.failed_values[1] = server;
    assert_int_equal(fate_of(&spec, "status", "409"), IDEM_RESULT_FAILED);
    assert_int_equal(fate_of(&spec, "status", "4090"), IDEM_RESULT_STORE);
    assert_int_equal(fate_of(&spec, "status", "503"), IDEM_RESULT_FAILED);
    assert_int_equal(fate_of(&spec, "status", "5"), IDEM_RESULT_FAILED);
    assert_int_equal(fate_of(&spec, "status", ""), IDEM_RESULT_STORE);
    assert_int_equal(fate_of(&spec, "status", "200"), IDEM_RESULT_STORE);
    spec.store_failed = true;
    assert_int_equal(fate_of(&spec, "status", "409"), IDEM_RESULT_STORE);
}

static void a_response_of_exactly_the_limit_is_stored(void **state) {
    struct idem_result_spec spec = {.max = (unsigned)sizeof golden_v1};
    (void)state;
    assert_int_equal(idem_result_judge(&spec, &sample), IDEM_RESULT_STORE);
    spec.max--;
    assert_int_equal(idem_result_judge(&spec, &sample), IDEM_RESULT_TOO_LARGE);
}

static void every_fate_has_a_name(void **state) {
    (void)state;
    for (int fate = 0; fate < IDEM_RESULT_FATE_COUNT; fate++) {
        assert_string_not_equal(idem_result_fate_name((enum idem_result_fate)fate),
                                "unknown");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_to_the_golden_bytes),
        cmocka_unit_test(decodes_the_golden_bytes),
        cmocka_unit_test(an_empty_response_is_a_result),
        cmocka_unit_test(no_beginning_of_it_is_a_result),
        cmocka_unit_test(other_bytes_are_refused),
        cmocka_unit_test(what_is_beyond_the_limits_has_no_size),
        cmocka_unit_test(the_most_headers_come_back_and_one_more_does_not),
        cmocka_unit_test(responses_that_failed_are_told_by_a_header),
        cmocka_unit_test(a_response_of_exactly_the_limit_is_stored),
        cmocka_unit_test(every_fate_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
