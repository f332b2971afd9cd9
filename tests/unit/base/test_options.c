/* SPDX-License-Identifier: MIT
 * Options of programs that were built with older or newer headers. */
#include "base/options.h"
#include "testing.h"

#include <idem/receiver.h>
#include <idem/store.h>

#include <string.h>

struct options {
    int first;
    int second;
};

struct newer_options {
    struct options before;
    int third;
};

static void what_an_older_caller_does_not_know_is_zero(void **state) {
    struct options given = {1, 2};
    struct newer_options own;
    (void)state;
    memset(&own, 0xFF, sizeof own);
    assert_true(idem_options_read(&own, sizeof own, &given, sizeof given));
    assert_int_equal(own.before.first, 1);
    assert_int_equal(own.before.second, 2);
    assert_int_equal(own.third, 0);
    assert_true(idem_options_read(&own, sizeof own, &given, sizeof given.first));
    assert_int_equal(own.before.second, 0);
}

static void a_newer_caller_may_not_ask_for_what_is_unknown(void **state) {
    struct newer_options given = {{1, 2}, 0};
    struct options own;
    (void)state;
    assert_true(idem_options_read(&own, sizeof own, &given, sizeof given));
    assert_int_equal(own.second, 2);
    given.third = 3;
    assert_false(idem_options_read(&own, sizeof own, &given, sizeof given));
}

struct newer_store_options {
    struct idem_store_options before;
    int64_t later;
};

struct newer_receiver_options {
    struct idem_receiver_options before;
    int64_t later;
};

static void a_store_and_a_receiver_refuse_options_that_came_later(void **state) {
    struct newer_store_options given = {{.url = "memory:"}, 0};
    struct newer_receiver_options more = {{.instance = "one"}, 1};
    struct idem_store *store = NULL;
    struct idem_receiver *receiver = NULL;
    (void)state;
    assert_int_equal(idem_store_open_sized(&store, &given.before, sizeof given, NULL),
                     IDEM_OK);
    idem_store_close(store);
    given.later = 1;
    assert_int_equal(idem_store_open_sized(&store, &given.before, sizeof given, NULL),
                     IDEM_ERR_UNSUPPORTED);
    assert_null(store);
    assert_int_equal(idem_receiver_open_sized(&receiver, &more.before, sizeof more, NULL),
                     IDEM_ERR_UNSUPPORTED);
    assert_null(receiver);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_older_caller_does_not_know_is_zero),
        cmocka_unit_test(a_newer_caller_may_not_ask_for_what_is_unknown),
        cmocka_unit_test(a_store_and_a_receiver_refuse_options_that_came_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
