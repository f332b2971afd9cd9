/* SPDX-License-Identifier: MIT
 * UTF-8: every code point there and back, and everything that only looks like it. */
#include "base/utf8.h"
#include "testing.h"

static void every_code_point_goes_both_ways(void **state) {
    (void)state;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        uint8_t bytes[IDEM_UTF8_MAX];
        uint32_t back = 0;
        size_t len = idem_utf8_encode(point, bytes);
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        size_t decoded = idem_utf8_decode(bytes, len, &back);
        if (decoded != (surrogate ? 0 : len) || (!surrogate && back != point)) {
            fail_msg("U+%04X: %zu of %zu bytes", point, decoded, len);
        }
    }
}

static void a_sequence_that_ends_early_is_none(void **state) {
    (void)state;
    const uint8_t bytes[] = {0xF0, 0x9F, 0x98, 0x80};
    uint32_t point = 0;
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_int_equal(idem_utf8_decode(bytes, len, &point), 0);
    }
    assert_int_equal(idem_utf8_decode(bytes, sizeof bytes, &point), 4);
    assert_int_equal(point, 0x1F600);
}

static void overlong_and_foreign_bytes_are_refused(void **state) {
    (void)state;
    static const uint8_t rows[][4] = {
        {0xC0, 0x80, 0, 0},       {0xC1, 0xBF, 0, 0},       {0xE0, 0x9F, 0xBF, 0},
        {0xF0, 0x8F, 0xBF, 0xBF}, {0xF4, 0x90, 0x80, 0x80}, {0xF8, 0x88, 0x80, 0x80},
        {0xFF, 0, 0, 0},          {0x80, 0, 0, 0},          {0xC3, 0xC3, 0, 0},
        {0xE2, 0x82, 0x28, 0},    {0xED, 0xA0, 0x80, 0},
    };
    uint32_t point = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(idem_utf8_decode(rows[i], sizeof rows[i], &point), 0);
    }
}

static void controls_and_noncharacters_are_not_printable(void **state) {
    (void)state;
    static const uint32_t hidden[] = {0,      0x1F,   0x7F,   0x80,    0x9F,    0xFDD0,
                                      0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF};
    static const uint32_t shown[] = {0x20, 0x7E, 0xA0, 0xFDCF, 0xFDF0, 0xFFFD, 0x1F600};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        assert_false(idem_utf8_printable(hidden[i]));
    }
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        assert_true(idem_utf8_printable(shown[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_goes_both_ways),
        cmocka_unit_test(a_sequence_that_ends_early_is_none),
        cmocka_unit_test(overlong_and_foreign_bytes_are_refused),
        cmocka_unit_test(controls_and_noncharacters_are_not_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
