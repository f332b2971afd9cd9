/* SPDX-License-Identifier: MIT
 * MQTT filters and AMQP patterns against the examples of their standards and against bad intent. */
#include "testing.h"

#include <idem/rule.h>

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct matching {
    const char *pattern;
    const char *name;
    bool expected;
};

static void mqtt_filters_match_as_the_standard_says(void **state) {
    (void)state;
    static const struct matching rows[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player2", false},
        {"sport/#", "sport", true},
        {"#", "a/b/c", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"+/b", "a/b", true},
        {"a/+/c", "a//c", true},
        {"a/b", "a/b/", false},
        {"a/b", "a/b", true},
        {"a/b", "A/b", false},
        {"a//b", "a/b", false},
        {"/", "/", true},
        {"a", "", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (idem_topic_matches(idem_span_text(rows[i].pattern),
                               idem_span_text(rows[i].name)) != rows[i].expected) {
            fail_msg("%s against %s", rows[i].pattern, rows[i].name);
        }
    }
}

static void leading_wildcards_do_not_match_dollar_topics(void **state) {
    (void)state;
    struct idem_span topic = idem_span_text("$SYS/monitor/clients");
    assert_false(idem_topic_matches(idem_span_text("#"), topic));
    assert_false(idem_topic_matches(idem_span_text("+/monitor/clients"), topic));
    assert_true(idem_topic_matches(idem_span_text("$SYS/#"), topic));
    assert_true(idem_topic_matches(idem_span_text("$SYS/monitor/+"), topic));
    assert_true(idem_topic_matches(idem_span_text("a/+"), idem_span_text("a/$b")));
}

static void topics_are_bytes_and_may_hold_nul(void **state) {
    (void)state;
    struct idem_span topic = idem_span_of("a\0b/c", 5);
    assert_true(idem_topic_matches(idem_span_text("+/c"), topic));
    assert_false(idem_topic_matches(idem_span_text("a/c"), topic));
    assert_false(idem_topic_matches(idem_span_text("a"), topic));
    assert_true(idem_pattern_matches(idem_span_text("*"), idem_span_of("a\0b", 3)));
    assert_false(idem_pattern_matches(idem_span_text("a"), idem_span_of("a\0b", 3)));
}

static void filter_validity_follows_the_standard(void **state) {
    (void)state;
    static const char *const valid[] = {"#",   "+",     "a",    "/",
                                        "a/#", "+/b/#", "a//b", "$SYS/#"};
    static const char *const invalid[] = {"",   "a#",   "#/a",   "a/b#",
                                          "a+", "+a/b", "a/#/b", "##"};
    for (size_t i = 0; i < COUNT(valid); i++) {
        assert_true(idem_topic_filter_valid(idem_span_text(valid[i])));
    }
    for (size_t i = 0; i < COUNT(invalid); i++) {
        assert_false(idem_topic_filter_valid(idem_span_text(invalid[i])));
    }
    assert_false(idem_topic_filter_valid(idem_span_of("a\0", 2)));
}

static void a_filter_longer_than_any_topic_is_invalid(void **state) {
    (void)state;
    char *text = malloc(UINT16_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', UINT16_MAX + 1);
    assert_true(idem_topic_filter_valid(idem_span_of(text, UINT16_MAX)));
    assert_false(idem_topic_filter_valid(idem_span_of(text, UINT16_MAX + 1)));
    free(text);
}

static void amqp_patterns_match_words(void **state) {
    (void)state;
    static const struct matching rows[] = {
        {"a.b", "a.b", true},
        {"a.b", "a.b.c", false},
        {"a.*", "a.b", true},
        {"a.*", "a", false},
        {"a.*", "a.b.c", false},
        {"*.b", "a.b", true},
        {"a.#", "a", true},
        {"a.#", "a.b.c", true},
        {"#.b", "b", true},
        {"#.b", "a.b.b", true},
        {"#.b", "a.b.c", false},
        {"#", "", true},
        {"*", "", false},
        {"", "", true},
        {"", "a", false},
        {"#.#", "", true},
        {"#.*", "", false},
        {"#.*", "a", true},
        {"a.#.b.#.c", "a.b.c", true},
        {"a.#.b.#.c", "a.x.b.b.y.c", true},
        {"a.#.b.#.c", "a.c.b", false},
        {"*.#.*", "a", false},
        {"*.#.*", "a.b", true},
        {"a.", "a.", true},
        {"a.*", "a.", true},
        {"a.#", "a.", true},
        {"a", "a.", false},
        {"#.a.b", "a.a.b", true},
        {"*.*", ".", true},
        {"##", "a", false},
        {"a*", "ab", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (idem_pattern_matches(idem_span_text(rows[i].pattern),
                                 idem_span_text(rows[i].name)) != rows[i].expected) {
            fail_msg("%s against %s", rows[i].pattern, rows[i].name);
        }
    }
}

/* The plain definition, exponential: what the iterative matcher must agree with. */
static bool matches_by_definition(const char *const *pattern, size_t patterns,
                                  const char *const *words, size_t count) {
    if (patterns == 0) {
        return count == 0;
    }
    if (strcmp(pattern[0], "#") == 0) {
        return matches_by_definition(pattern + 1, patterns - 1, words, count) ||
               (count > 0 &&
                matches_by_definition(pattern, patterns, words + 1, count - 1));
    }
    return count > 0 &&
           (strcmp(pattern[0], "*") == 0 || strcmp(pattern[0], words[0]) == 0) &&
           matches_by_definition(pattern + 1, patterns - 1, words + 1, count - 1);
}

static size_t join(char *out, const char *const *parts, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += (size_t)sprintf(out + len, "%s%s", i > 0 ? "." : "", parts[i]);
    }
    out[len] = '\0';
    return len;
}

static size_t choose(const char **parts, const char *const *from, unsigned kinds,
                     unsigned number) {
    size_t count = 0;
    for (; number > 0; number /= kinds + 1) {
        unsigned digit = number % (kinds + 1);
        if (digit > 0) {
            parts[count++] = from[digit - 1];
        }
    }
    return count;
}

static void amqp_patterns_agree_with_the_definition_on_all_short_ones(void **state) {
    (void)state;
    static const char *const atoms[] = {"a", "b", "*", "#"};
    for (unsigned p = 0; p < 3125; p++) {    /* up to five of four pattern words */
        for (unsigned w = 0; w < 243; w++) { /* up to five of two words */
            const char *pattern[8];
            const char *words[8];
            char pattern_text[32];
            char words_text[32];
            size_t patterns = choose(pattern, atoms, 4, p);
            size_t count = choose(words, atoms, 2, w);
            (void)join(pattern_text, pattern, patterns);
            (void)join(words_text, words, count);
            if (idem_pattern_matches(idem_span_text(pattern_text),
                                     idem_span_text(words_text)) !=
                matches_by_definition(pattern, patterns, words, count)) {
                fail_msg("\"%s\" against \"%s\"", pattern_text, words_text);
            }
        }
    }
}

static void many_hashes_do_not_take_exponential_time(void **state) {
    (void)state;
    char pattern[4 * 30 + 2];
    char words[6 * 30 + 2];
    for (size_t i = 0; i < 30; i++) {
        memcpy(pattern + 4 * i, "#.a.", 4);
        memcpy(words + 6 * i, "a.a.a.", 6);
    }
    memcpy(pattern + 4 * 30, "b", 2);
    memcpy(words + 6 * 30, "a", 2);
    assert_false(idem_pattern_matches(idem_span_text(pattern), idem_span_text(words)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mqtt_filters_match_as_the_standard_says),
        cmocka_unit_test(leading_wildcards_do_not_match_dollar_topics),
        cmocka_unit_test(topics_are_bytes_and_may_hold_nul),
        cmocka_unit_test(filter_validity_follows_the_standard),
        cmocka_unit_test(a_filter_longer_than_any_topic_is_invalid),
        cmocka_unit_test(amqp_patterns_match_words),
        cmocka_unit_test(amqp_patterns_agree_with_the_definition_on_all_short_ones),
        cmocka_unit_test(many_hashes_do_not_take_exponential_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
