/* SPDX-License-Identifier: MIT
 * Ends of a bridge with one URL or several: which lists are taken, and what is said of the others. */
#include <idem/config.h>

#include "testing.h"

#include <stdio.h>
#include <string.h>

static enum idem_code parse(struct idem_config *config, const char *source,
                            const char *sink, struct idem_error *error) {
    char text[1024];
    *error = (struct idem_error)IDEM_ERROR_INIT;
    int length = snprintf(text, sizeof text,
                          "bridge:\n"
                          "  source: {url: %s, queue: in}\n"
                          "  sink: {url: %s, exchange: out}\n"
                          "  quarantine: {exchange: aside}\n",
                          source, sink);
    assert_in_range(length, 1, sizeof text - 1);
    return idem_config_parse(config, "f.yaml", text, (size_t)length, NULL, NULL, error);
}

static void assert_taken(const char *source, const char *sink,
                         struct idem_config *config) {
    struct idem_error error;
    if (parse(config, source, sink, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
}

static void assert_urls(const struct idem_endpoint_config *end,
                        const char *const *expected) {
    size_t i = 0;
    for (; expected[i] != NULL; i++) {
        assert_non_null(end->urls[i]);
        assert_string_equal(end->urls[i], expected[i]);
    }
    assert_null(end->urls[i]);
}

static void several_urls_keep_their_order(void **state) {
    static const char *const source[] = {"amqp://b", "amqps://a", "amqp://b:5673/%2f",
                                         NULL};
    static const char *const sink[] = {"amqp://only", NULL};
    struct idem_config config;
    (void)state;
    assert_taken("['amqp://b', 'amqps://a', 'amqp://b:5673/%2f']", "['amqp://only']",
                 &config);
    assert_urls(&config.bridge.source, source);
    assert_urls(&config.bridge.sink, sink);
    idem_config_fini(&config);
}

static void a_list_has_eight_urls_at_most(void **state) {
    struct idem_config config;
    (void)state;
    assert_taken("[amqp://1, amqp://2, amqp://3, amqp://4, amqp://5, amqp://6, amqp://7, "
                 "amqp://8]",
                 "amqp://h", &config);
    assert_string_equal(config.bridge.source.urls[IDEM_URLS_MAX - 1], "amqp://8");
    assert_null(config.bridge.source.urls[IDEM_URLS_MAX]);
    idem_config_fini(&config);
}

static void other_lists_are_refused_by_line_and_key(void **state) {
    static const struct {
        const char *url;
        const char *hint;
    } rows[] = {
        {"[amqp://1, amqp://2, amqp://3, amqp://4, amqp://5, amqp://6, amqp://7, "
         "amqp://8, amqp://9]",
         "write 1 to 8"},
        {"[]", "write 1 to 8"},
        {"{amqp: h}", "a mapping where a URL belongs"},
        {"[[amqp://h]]", ""},
        {"[amqp://h, {a: b}]", ""},
        {"[amqp://h, http://h]", ""},
        {"[amqp://h, '']", ""},
        {"[amqp://h, 'postgresql://h/d']", ""},
        {"['postgresql://h/d', 'postgresql://i/d']", ""},
    };
    (void)state;
    for (size_t end = 0; end < 2; end++) {
        const char *key = end == 0 ? "bridge.source.url" : "bridge.sink.url";
        const char *line = end == 0 ? "f.yaml:2: " : "f.yaml:3: ";
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct idem_config config;
            struct idem_error error;
            enum idem_code code = parse(&config, end == 0 ? rows[i].url : "amqp://h",
                                        end == 0 ? "amqp://h" : rows[i].url, &error);
            if (code != IDEM_ERR_CONFIG || strstr(error.text, rows[i].hint) == NULL ||
                strstr(error.text, key) == NULL || strstr(error.text, line) == NULL) {
                fail_msg("%s: %s: %s", key, rows[i].url, error.text);
            }
            idem_config_fini(&config);
        }
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_urls_keep_their_order),
        cmocka_unit_test(a_list_has_eight_urls_at_most),
        cmocka_unit_test(other_lists_are_refused_by_line_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
