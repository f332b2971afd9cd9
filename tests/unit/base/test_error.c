/* SPDX-License-Identifier: MIT
 * The error channel: every code has a text, the first cause wins. */
#include "files.h"
#include "testing.h"

#include <idem/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void every_code_has_a_text_of_its_own(void **state) {
    (void)state;
    for (unsigned i = 0; i < IDEM_CODE_COUNT; i++) {
        const char *text = idem_code_text((enum idem_code)i);
        assert_non_null(text);
        assert_true(text[0] != '\0');
        assert_string_not_equal(text, "unknown error");
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(text, idem_code_text((enum idem_code)j));
        }
    }
}

static void every_code_is_in_the_reference_with_its_text(void **state) {
    (void)state;
    char *page = files_read("docs/reference/errors.md");
    assert_true(page[0] != '\0');
    for (unsigned i = 0; i < IDEM_CODE_COUNT; i++) {
        char cell[128];
        (void)snprintf(cell, sizeof cell, "` | %s |", idem_code_text((enum idem_code)i));
        if (strstr(page, cell) == NULL) {
            fail_msg("docs/reference/errors.md has no row with the text: %s",
                     idem_code_text((enum idem_code)i));
        }
    }
    free(page);
}

static void codes_outside_the_enumeration_are_unknown(void **state) {
    (void)state;
    assert_string_equal(idem_code_text(IDEM_CODE_COUNT), "unknown error");
    assert_string_equal(idem_code_text((enum idem_code)(IDEM_CODE_COUNT + 100)),
                        "unknown error");
    int negative = -1;
    assert_string_equal(idem_code_text((enum idem_code)negative), "unknown error");
}

static void an_error_is_recorded_and_its_code_returned(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(idem_error_set(&error, IDEM_ERR_IO, ENOENT, "file %s", "x"),
                     IDEM_ERR_IO);
    assert_int_equal(error.code, IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, ENOENT);
    assert_string_equal(error.text, "file x");
}

static void the_first_cause_wins(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)idem_error_set(&error, IDEM_ERR_IO, EIO, "first");
    assert_int_equal(idem_error_set(&error, IDEM_ERR_FORMAT, 0, "second"),
                     IDEM_ERR_FORMAT);
    assert_int_equal(error.code, IDEM_ERR_IO);
    assert_int_equal(error.sys_errno, EIO);
    assert_string_equal(error.text, "first");
}

static void no_struct_is_needed(void **state) {
    (void)state;
    assert_int_equal(idem_error_set(NULL, IDEM_ERR_BUSY, 0, "unheard"), IDEM_ERR_BUSY);
}

static void a_long_text_is_cut_and_terminated(void **state) {
    (void)state;
    char text[2 * IDEM_ERROR_TEXT_MAX];
    struct idem_error error = IDEM_ERROR_INIT;
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)idem_error_set(&error, IDEM_ERR_INVALID, 0, "%s", text);
    assert_int_equal(strlen(error.text), IDEM_ERROR_TEXT_MAX - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_text_of_its_own),
        cmocka_unit_test(every_code_is_in_the_reference_with_its_text),
        cmocka_unit_test(codes_outside_the_enumeration_are_unknown),
        cmocka_unit_test(an_error_is_recorded_and_its_code_returned),
        cmocka_unit_test(the_first_cause_wins),
        cmocka_unit_test(no_struct_is_needed),
        cmocka_unit_test(a_long_text_is_cut_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
