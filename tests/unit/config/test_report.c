/* SPDX-License-Identifier: MIT
 * Passwords stay out of messages, long values are cut, typing errors are recognised. */
#include "config/reader.h"

#include "testing.h"

static void passwords_are_masked(void **state) {
    static const struct {
        const char *expected;
        const char *text;
    } cases[] = {
        {"amqp://me:*@host/v", "amqp://me:secret@host/v"},
        {"redis://:*@host", "redis://:secret@host"},
        {"redis://me:*@host", "redis://me:p@ss/w:rd@host"},
        {"amqp://host:5672/v", "amqp://host:5672/v"},
        {"redis://me@host:1", "redis://me@host:1"},
        {"postgresql://h/d?user=a&password=*", "postgresql://h/d?user=a&password=b"},
        {"postgresql://u:*@h/?password=*&x=y", "postgresql://u:a@h/?password=b&x=y"},
        {"host=h password=* user=u", "host=h password=b user=u"},
        {"a:b@c", "a:b@c"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char masked[128];
        idem_config_mask(masked, sizeof masked, cases[i].text);
        assert_string_equal(masked, cases[i].expected);
    }
}

/* The password's end lies beyond what is shown: cutting first would tell its beginning. */
static void long_passwords_are_masked_before_the_value_is_cut(void **state) {
    struct idem_config_quote quote;
    char url[512] = "amqp://me:";
    (void)state;
    memset(url + 10, 's', 400);
    strcpy(url + 410, "@host");
    assert_string_equal(idem_config_quoted(&quote, url), "'amqp://me:*@host'");
}

static void long_values_are_cut_between_characters(void **state) {
    char text[201] = "x";
    (void)state;
    for (size_t i = 0; i < 99; i++) {
        strcat(text, "\xc3\xa4");
    }
    for (size_t skip = 0; skip < 2; skip++) { /* wherever the cut falls */
        struct idem_config_quote quote;
        const char *shown = idem_config_quoted(&quote, text + skip);
        size_t length = strlen(shown);
        assert_true(length > 80 && length < sizeof quote.text);
        assert_string_equal(shown + length - 6, "\xc3\xa4...'");
        assert_int_equal((length - 5 - (1 - skip)) % 2, 0);
    }
}

static void what_is_cut_to_a_size_ends_with_a_whole_character(void **state) {
    static const struct {
        const char *expected;
        const char *text;
        size_t size;
    } cases[] = {
        {"a\xc3\xa4",
         "a\xc3\xa4"
         "b",
         4},
        {"a",
         "a\xc3\xa4"
         "b",
         3},
        {"", "\xe2\x82\xac", 3},
        {"\xe2\x82\xac", "\xe2\x82\xac", 4},
        {"", "\xf0\x9f\x90\x98", 4},
        {"\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98", 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[16];
        idem_config_mask(out, cases[i].size, cases[i].text);
        assert_string_equal(out, cases[i].expected);
    }
}

/* A finding that does not fit, in a reader of its own. */
static void findings_are_one_printable_line_of_whole_characters(void **state) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config_reader reader = {.name = "f", .error = &error};
    char text[IDEM_ERROR_TEXT_MAX * 2] = "\x7f\x1f";
    (void)state;
    while (strlen(text) + 2 < sizeof text) {
        strcat(text, "\xc3\xa4");
    }
    for (size_t skip = 1; skip < 3; skip++) {
        struct idem_error fresh = IDEM_ERROR_INIT;
        error = fresh;
        assert_int_equal(idem_config_refuse(&reader, "%s", text + 2 - skip),
                         IDEM_ERR_CONFIG);
        size_t length = strlen(error.text);
        assert_in_range(length, sizeof error.text - 3, sizeof error.text - 1);
        assert_string_equal(error.text + length - 2, "\xc3\xa4");
        assert_int_equal(error.text[strlen("f:0: : ")], '?');
    }
    assert_memory_equal(error.text, "f:0: : ??\xc3", 10);
}

static void typing_errors_are_recognised(void **state) {
    static const char *const words[] = {"topic",  "queue", "routing_key",
                                        "header", "as",    NULL};
    static const struct {
        const char *expected;
        const char *text;
    } cases[] = {
        {"topic", "topik"},  {"topic", "tpoic"}, {"routing_key", "routingkey"},

        {"header", "heder"}, {"as", "sa"},       {"queue", "queues"},
        {NULL, "colour"},    {NULL, "x"},        {NULL, ""},
        {NULL, "xyzzy"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *nearest = idem_config_nearest(cases[i].text, words);
        assert_string_equal(nearest != NULL ? nearest : "-",
                            cases[i].expected != NULL ? cases[i].expected : "-");
    }
    assert_null(
        idem_config_nearest("an_unreasonably_long_key_that_nobody_mistyped", words));
    static const char *const long_words[] = {"a_word_of_thirty_two_characters_",
                                             "a_word_of_thirty_three_characters", NULL};
    assert_string_equal(
        idem_config_nearest("a_word_of_thirty_two_characters", long_words),
        long_words[0]);
    assert_null(idem_config_nearest("a_word_of_thirty_two_characters_x", long_words));
    assert_null(idem_config_nearest("a_word_of_thirty_three_character", long_words + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(long_passwords_are_masked_before_the_value_is_cut),
        cmocka_unit_test(long_values_are_cut_between_characters),
        cmocka_unit_test(what_is_cut_to_a_size_ends_with_a_whole_character),
        cmocka_unit_test(findings_are_one_printable_line_of_whole_characters),
        cmocka_unit_test(typing_errors_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
