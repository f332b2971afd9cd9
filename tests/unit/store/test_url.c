/* SPDX-License-Identifier: MIT
 * Store URLs: what is taken, and what is said of the rest. */
#include "store/record.h"

#include "testing.h"

#include <string.h>

struct row {
    const char *url;
    enum idem_code code;
    const char *text; /* what the message contains */
};

static const struct row rows[] = {
    {"memory:", IDEM_OK, ""},
    {"embedded:///var/lib/idem/store", IDEM_OK, ""},
    {"embedded:///s?map=1MiB", IDEM_OK, ""},
    {"embedded:///s?map=1024GiB&commit=1ms&front=64", IDEM_OK, ""},
    {"embedded:///s?commit=10s", IDEM_OK, ""},
    {"embedded:///a%20b", IDEM_OK, ""},

    {NULL, IDEM_ERR_INVALID, "not of a known form"},
    {"", IDEM_ERR_INVALID, "not of a known form"},
    {"/var/lib/idem/store", IDEM_ERR_INVALID, "embedded:///PATH"},
    {"sqlite:///x", IDEM_ERR_INVALID, "not of a known form"},
    {"memory", IDEM_ERR_INVALID, "not of a known form"},
    {"memory:x", IDEM_ERR_INVALID, "nothing may follow"},
    {"memory:?map=1MiB", IDEM_ERR_INVALID, "nothing may follow"},
    {"redis://localhost", IDEM_OK, ""},
    {"unix:///run/redis.sock", IDEM_OK, ""},
    {"redis+tls://localhost", IDEM_ERR_INVALID, "not of a known form"},

    {"embedded:", IDEM_ERR_INVALID, "absolute path"},
    {"embedded:/s", IDEM_ERR_INVALID, "absolute path"},
    {"embedded://", IDEM_ERR_INVALID, "absolute path"},
    {"embedded://s", IDEM_ERR_INVALID, "absolute path"},
    {"embedded:///", IDEM_ERR_INVALID, "name a file"},
    {"embedded:///var/", IDEM_ERR_INVALID, "name a file"},
    {"embedded:///var/?map=1MiB", IDEM_ERR_INVALID, "name a file"},
    {"embedded:///s?", IDEM_ERR_INVALID, "unknown parameter ''"},
    {"embedded:///s?size=1MiB", IDEM_ERR_INVALID, "unknown parameter 'size'"},
    {"embedded:///s?map=1MiB&", IDEM_ERR_INVALID, "unknown parameter ''"},
    {"embedded:///s?map=1MiB&map=1MiB", IDEM_ERR_INVALID, "map is given twice"},
    {"embedded:///s?map", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=64", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=MiB", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=-1MiB", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=1MB", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=1023KiB", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=1025GiB", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?map=18446744073709551617MiB", IDEM_ERR_INVALID, "map must be a size"},
    {"embedded:///s?commit=10", IDEM_ERR_INVALID, "commit must be a duration"},
    {"embedded:///s?commit=0ms", IDEM_ERR_INVALID, "commit must be a duration"},
    {"embedded:///s?commit=11s", IDEM_ERR_INVALID, "commit must be a duration"},
    {"embedded:///s?front=63", IDEM_ERR_INVALID, "front must be a number"},
    {"embedded:///s?front=64k", IDEM_ERR_INVALID, "front must be a number"},
};

static void each_url_is_taken_or_refused_with_a_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct idem_error error = IDEM_ERROR_INIT;
        enum idem_code code = idem_store_url_check(rows[i].url, &error);
        if (code != rows[i].code || strstr(error.text, rows[i].text) == NULL) {
            fail_msg("'%s': %d %s", rows[i].url, code, error.text);
        }
    }
}

static void stores_on_the_network_are_told_from_others(void **state) {
    static const char *const here[] = {"memory:", "embedded:///a", "http://a", "", NULL};
    static const char *const away[] = {"redis://a",          "rediss://a",
                                       "unix:///a",          "redis+sentinel://a/m",
                                       "rediss+cluster://a", NULL};
    (void)state;
    assert_false(idem_store_url_is_remote(NULL));
    for (size_t i = 0; here[i] != NULL; i++) {
        assert_false(idem_store_url_is_remote(here[i]));
    }
    for (size_t i = 0; away[i] != NULL; i++) {
        assert_true(idem_store_url_is_remote(away[i]));
    }
}

static void opening_refuses_what_checking_refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct idem_error error = IDEM_ERROR_INIT;
        struct idem_store_options options = {.url = rows[i].url};
        struct idem_store *store = (struct idem_store *)&options;
        if (rows[i].code != IDEM_OK) {
            assert_int_equal(idem_store_open(&store, &options, &error), rows[i].code);
            assert_null(store);
            assert_non_null(strstr(error.text, rows[i].text));
        }
    }
}

static void a_memory_store_cannot_be_looked_at_from_outside(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store_options options = {.url = "memory:", .read_only = true};
    struct idem_store *store = NULL;
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_ERR_UNSUPPORTED);
    assert_null(store);
}

static void closing_nothing_is_allowed(void **state) {
    (void)state;
    idem_store_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_url_is_taken_or_refused_with_a_reason),
        cmocka_unit_test(stores_on_the_network_are_told_from_others),
        cmocka_unit_test(opening_refuses_what_checking_refuses),
        cmocka_unit_test(a_memory_store_cannot_be_looked_at_from_outside),
        cmocka_unit_test(closing_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
