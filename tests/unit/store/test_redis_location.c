/* SPDX-License-Identifier: MIT
 * URLs of the Redis store: what they mean, and what is refused with which hint. */
#include "testing.h"

#include "store/redis/location.h"

#include <idem/store.h>

#include <string.h>

static struct idem_redis_location locate(const char *url) {
    struct idem_redis_location location;
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_redis_locate(&location, url, &error) != IDEM_OK) {
        fail_msg("%s: %s", url, error.text);
    }
    return location;
}

static void a_host_alone_has_defaults(void **state) {
    (void)state;
    struct idem_redis_location location = locate("redis://cache");
    assert_int_equal(location.kind, IDEM_REDIS_SINGLE);
    assert_int_equal(location.endpoint_count, 1);
    assert_string_equal(location.endpoints[0].host, "cache");
    assert_int_equal(location.endpoints[0].port, 6379);
    assert_string_equal(location.user, "");
    assert_string_equal(location.password, "");
    assert_int_equal(location.database, 0);
    assert_int_equal(location.timeout_ms, 1000);
    assert_int_equal(location.connect_timeout_ms, 1000);
    assert_int_equal(location.wait_replicas, 0);
}

static void every_part_of_a_url_is_taken(void **state) {
    (void)state;
    struct idem_redis_location location =
        locate("redis://me:s%40cr%3Aet@[::1]:7000/12?timeout=50ms&connect_timeout=2s&"
               "idle=1m&wait_replicas=2");
    assert_string_equal(location.user, "me");
    assert_string_equal(location.password, "s@cr:et");
    assert_string_equal(location.endpoints[0].host, "::1");
    assert_int_equal(location.endpoints[0].port, 7000);
    assert_int_equal(location.database, 12);
    assert_int_equal(location.timeout_ms, 50);
    assert_int_equal(location.connect_timeout_ms, 2000);
    assert_int_equal(location.idle_ms, 60000);
    assert_int_equal(location.wait_replicas, 2);
}

static void a_password_needs_no_user(void **state) {
    (void)state;
    struct idem_redis_location location = locate("redis://:p@host:1/0");
    assert_string_equal(location.user, "");
    assert_string_equal(location.password, "p");
}

static void a_socket_is_a_path(void **state) {
    (void)state;
    struct idem_redis_location location = locate("unix://u:p@/run/my%20redis.sock?db=3");
    assert_string_equal(location.endpoints[0].path, "/run/my redis.sock");
    assert_string_equal(location.user, "u");
    assert_int_equal(location.database, 3);
}

static void sentinels_and_their_master_are_listed(void **state) {
    (void)state;
    struct idem_redis_location location =
        locate("redis+sentinel://:p@a:1,b,[::1]:3/mymaster/4");
    assert_int_equal(location.kind, IDEM_REDIS_SENTINEL);
    assert_int_equal(location.endpoint_count, 3);
    assert_int_equal(location.endpoints[1].port, 26379);
    assert_string_equal(location.endpoints[2].host, "::1");
    assert_string_equal(location.master, "mymaster");
    assert_int_equal(location.database, 4);
}

static void files_of_tls_are_paths(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_tls_available(&error) != IDEM_OK) {
        assert_non_null(strstr(error.text, "libssl-dev"));
        return;
    }
    struct idem_redis_location location =
        locate("rediss://h?ca=/a%20b.pem&cert=/c.pem&key=/k.pem&timeout=2s");
    assert_true(location.tls);
    assert_string_equal(location.tls_options.ca, "/a b.pem");
    assert_string_equal(location.tls_options.certificate, "/c.pem");
    assert_string_equal(location.tls_options.key, "/k.pem");
    assert_false(location.tls_options.insecure);
    assert_int_equal(location.timeout_ms, 2000);
    assert_true(locate("rediss://h?insecure=yes").tls_options.insecure);
}

static void endpoints_are_shown_as_they_are_written(void **state) {
    char text[IDEM_ENDPOINT_TEXT_MAX];
    (void)state;
    idem_endpoint_text(&locate("redis://[::1]:7").endpoints[0], text);
    assert_string_equal(text, "[::1]:7");
    idem_endpoint_text(&locate("redis://h").endpoints[0], text);
    assert_string_equal(text, "h:6379");
    idem_endpoint_text(&locate("unix:///s").endpoints[0], text);
    assert_string_equal(text, "/s");
}

static void malformed_urls_are_refused_with_a_hint(void **state) {
    static const char *const cases[][2] = {
        {"redis://", "HOST"},
        {"redis://:@host", "credentials"},
        {"redis://user@host", "credentials"},
        {"redis://u:%zz@host", "credentials"},
        {"redis://u:%0@host", "credentials"},
        {"redis://u:%00@host", "credentials"},
        {"redis://host:0", "HOST"},
        {"redis://host:65536", "HOST"},
        {"redis://host:12x", "HOST"},
        {"redis://host:", "HOST"},
        {"redis://[::1", "HOST"},
        {"redis://[::1]x", "HOST"},
        {"redis://a,b", "redis+sentinel"},
        {"redis://a,", "HOST"},
        {"redis://host/x", "database"},
        {"redis://host/1/2", "database"},
        {"redis://host/65536", "database"},
        {"redis://host?db=1", "unknown parameter"},
        {"redis://host?timeout=0ms", "timeout must be"},
        {"redis://host?timeout=5", "timeout must be"},
        {"redis://host?timeout=2m", "timeout must be"},
        {"redis://host?timeout=1s&timeout=1s", "twice"},
        {"redis://host?", "unknown parameter"},
        {"unix://run/x", "ABSOLUTE"},
        {"unix://", "ABSOLUTE"},
        {"redis+sentinel://a:1", "name of the master"},
        {"redis+sentinel://a:1/", "name of the master"},
        {"redis+cluster://a:1/2", "database 0"},
        {"redis:host", "known forms"},
        {"redis://host?ca=/x", "unknown parameter"},
        {"redis://host?insecure=yes", "unknown parameter"},
        {"rediss://host?insecure=1", "yes or no"},
        {"rediss://host?insecure=yes&ca=/x", "leave ca"},
        {"rediss://host?cert=/x", "belong together"},
        {"rediss://host?key=/x", "belong together"},
        {"rediss://host?ca=", "ca must be a path"},
        {"rediss://host?ca=%zz", "paths"},
        {"rediss://host?db=1", "unknown parameter"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct idem_error error = IDEM_ERROR_INIT;
        assert_int_equal(idem_store_url_check(cases[i][0], &error), IDEM_ERR_INVALID);
        if (strstr(error.text, cases[i][1]) == NULL) {
            fail_msg("%s: no '%s' in: %s", cases[i][0], cases[i][1], error.text);
        }
    }
}

static void what_is_too_long_is_refused(void **state) {
    char url[2048];
    (void)state;
    static const char *const prefixes[] = {"redis://", "redis://:", "unix:///",
                                           "redis+sentinel://h/"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        memset(url, 'x', sizeof url);
        memcpy(url, prefixes[i], strlen(prefixes[i]));
        memcpy(url + 1024, "@h", 3);
        if (i != 1) {
            url[1024] = '\0';
        }
        assert_int_equal(idem_store_url_check(url, NULL), IDEM_ERR_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_alone_has_defaults),
        cmocka_unit_test(every_part_of_a_url_is_taken),
        cmocka_unit_test(a_password_needs_no_user),
        cmocka_unit_test(a_socket_is_a_path),
        cmocka_unit_test(sentinels_and_their_master_are_listed),
        cmocka_unit_test(files_of_tls_are_paths),
        cmocka_unit_test(endpoints_are_shown_as_they_are_written),
        cmocka_unit_test(malformed_urls_are_refused_with_a_hint),
        cmocka_unit_test(what_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
