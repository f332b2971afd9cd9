/* SPDX-License-Identifier: MIT
 * What nodes of a Redis Cluster say about slots, as a server may say it that is broken, or hostile. */
#include "testing.h"

#include "store/redis/slot.h"

#include <stdio.h>
#include <string.h>

static const struct idem_endpoint from = {.host = "10.0.0.1", .port = 7000};

static redisReply text(const char *words) {
    return (redisReply){.type = REDIS_REPLY_STRING,
                        .str = (char *)(uintptr_t)words,
                        .len = strlen(words)};
}

static redisReply number(long long value) {
    return (redisReply){.type = REDIS_REPLY_INTEGER, .integer = value};
}

static redisReply array(redisReply **elements, size_t count) {
    return (redisReply){
        .type = REDIS_REPLY_ARRAY, .element = elements, .elements = count};
}

/* [first, last, [host, port]], each part open to be replaced. */
struct range {
    redisReply first;
    redisReply last;
    redisReply host;
    redisReply port;
    redisReply master;
    redisReply whole;
    redisReply *of_master[2];
    redisReply *of_whole[3];
};

static void make(struct range *range) {
    range->first = number(0);
    range->last = number(5460);
    range->host = text("10.0.0.2");
    range->port = number(7001);
    range->of_master[0] = &range->host;
    range->of_master[1] = &range->port;
    range->master = array(range->of_master, 2);
    range->of_whole[0] = &range->first;
    range->of_whole[1] = &range->last;
    range->of_whole[2] = &range->master;
    range->whole = array(range->of_whole, 3);
}

static bool reads(const struct range *range, struct idem_slot_range *result) {
    return idem_slot_range_read(result, &range->whole, &from);
}

static void a_range_names_its_master(void **state) {
    struct range range;
    struct idem_slot_range result;
    (void)state;
    make(&range);
    assert_true(reads(&range, &result));
    assert_int_equal(result.first, 0);
    assert_int_equal(result.last, 5460);
    assert_string_equal(result.master.host, "10.0.0.2");
    assert_int_equal(result.master.port, 7001);
    range.host = text("");
    assert_true(reads(&range, &result)); /* whoever says so */
    assert_string_equal(result.master.host, "10.0.0.1");
    range.host = (redisReply){.type = REDIS_REPLY_NIL};
    assert_true(reads(&range, &result));
    assert_string_equal(result.master.host, "10.0.0.1");
}

/* Each part in turn is of every other type. */
static void parts_of_a_wrong_type_are_no_range(void **state) {
    static const int types[] = {
        REDIS_REPLY_STRING, REDIS_REPLY_NIL,    REDIS_REPLY_STATUS, REDIS_REPLY_ERROR, 99,
        REDIS_REPLY_ARRAY,  REDIS_REPLY_INTEGER};
    struct range range;
    struct idem_slot_range result;
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        redisReply *parts[] = {&range.first, &range.last, &range.port, &range.master,
                               &range.whole};
        for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
            make(&range);
            if (parts[part]->type == types[i]) {
                continue;
            }
            *parts[part] = text("5");
            parts[part]->type = types[i];
            assert_false(reads(&range, &result));
        }
    }
}

static void missing_parts_are_no_range(void **state) {
    struct range range;
    struct idem_slot_range result;
    (void)state;
    for (size_t count = 0; count < 3; count++) {
        make(&range);
        range.whole.elements = count;
        assert_false(reads(&range, &result));
    }
    for (size_t count = 0; count < 2; count++) {
        make(&range);
        range.master.elements = count;
        assert_false(reads(&range, &result));
    }
}

static void absurd_numbers_are_no_range(void **state) {
    static const long long slots[] = {-1,         IDEM_SLOTS, 65536,
                                      4294967296, INT64_MIN,  INT64_MAX};
    static const long long ports[] = {0,         -1,       65536, 4294967296 + 7001,
                                      INT64_MIN, INT64_MAX};
    struct range range;
    struct idem_slot_range result;
    (void)state;
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        make(&range);
        range.first.integer = slots[i];
        assert_false(reads(&range, &result));
        make(&range);
        range.last.integer = slots[i];
        assert_false(reads(&range, &result));
        make(&range);
        range.port.integer = ports[i];
        assert_false(reads(&range, &result));
    }
    make(&range);
    range.first.integer = 5461; /* ends before it begins */
    assert_false(reads(&range, &result));
    range.last.integer = IDEM_SLOTS - 1;
    assert_true(reads(&range, &result));
}

static void a_host_that_does_not_fit_is_no_range(void **state) {
    char host[512];
    struct range range;
    struct idem_slot_range result;
    (void)state;
    memset(host, 'a', sizeof host);
    for (size_t length = sizeof result.master.host - 2; length < sizeof host; length++) {
        make(&range);
        range.host = (redisReply){.type = REDIS_REPLY_STRING, .str = host, .len = length};
        assert_int_equal(reads(&range, &result), length < sizeof result.master.host);
    }
    make(&range);
    range.host = text("?"); /* Redis 7: not known yet */
    assert_false(reads(&range, &result));
    range.host =
        (redisReply){.type = REDIS_REPLY_STRING, .str = (char[]){'a', 0, 'b'}, .len = 3};
    assert_false(reads(&range, &result));
}

static bool redirects(const char *words, size_t length, struct idem_redirect *redirect) {
    return idem_redirect_read(redirect, idem_span_of((const uint8_t *)words, length),
                              &from);
}

static void assert_redirect(const char *words, bool ask, unsigned slot, const char *host,
                            unsigned port) {
    struct idem_redirect redirect;
    assert_true(redirects(words, strlen(words), &redirect));
    assert_int_equal(redirect.ask, ask);
    assert_int_equal(redirect.slot, slot);
    assert_string_equal(redirect.to.host, host);
    assert_int_equal(redirect.to.port, port);
}

static void a_redirection_says_where(void **state) {
    (void)state;
    assert_redirect("MOVED 3999 127.0.0.1:6381", false, 3999, "127.0.0.1", 6381);
    assert_redirect("ASK 0 cache.example:1", true, 0, "cache.example", 1);
    assert_redirect("MOVED 16383 ::1:65535", false, 16383, "::1", 65535);
    assert_redirect("MOVED 1 :6381", false, 1, "10.0.0.1", 6381);
}

static void what_is_no_redirection_is_not_followed(void **state) {
    static const char *const texts[] = {"",
                                        "M",
                                        "MOVED",
                                        "MOVED ",
                                        "ASK ",
                                        "MOVED 1",
                                        "MOVED 1 ",
                                        "MOVED 1 host",
                                        "MOVED 1 host:",
                                        "MOVED 1 :",
                                        "MOVED  host:1",
                                        "MOVED x host:1",
                                        "MOVED -1 host:1",
                                        "MOVED 16384 host:1",
                                        "MOVED 99999999999999999999 host:1",
                                        "MOVED 4294967297 host:1",
                                        "MOVED 1 host:0",
                                        "MOVED 1 host:65536",
                                        "MOVED 1 host:4294967297",
                                        "MOVED 1 host:-1",
                                        "MOVED 1 host:1x",
                                        "MOVED 1 host: 1",
                                        "MOVED 1 ?:6381",
                                        "moved 1 host:1",
                                        "MOVEDX 1 host:1",
                                        "ERR MOVED 1 host:1"};
    struct idem_redirect redirect;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (redirects(texts[i], strlen(texts[i]), &redirect)) {
            fail_msg("followed: %s", texts[i]);
        }
    }
}

/* The end of the text is its length, wherever that falls; valgrind and the sanitizers watch. */
static void no_redirection_is_read_past_its_end(void **state) {
    static const char whole[] = "MOVED 12345 10.0.0.2:65000";
    struct idem_redirect redirect;
    (void)state;
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        char *exact = test_malloc(length + 1);
        memcpy(exact, whole, length);
        exact[length] = '9'; /* would make another port of it */
        if (redirects(exact, length, &redirect)) {
            assert_in_range(redirect.to.port, 6, 6500);
        }
        test_free(exact);
    }
}

static void a_redirection_to_an_overlong_host_is_not_followed(void **state) {
    char words[1024];
    struct idem_redirect redirect;
    (void)state;
    for (int length = 254; length < 900; length++) {
        int size = snprintf(words, sizeof words, "MOVED 1 %0*d:6381", length, 0);
        assert_int_equal(redirects(words, (size_t)size, &redirect),
                         (size_t)length < sizeof redirect.to.host);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_names_its_master),
        cmocka_unit_test(parts_of_a_wrong_type_are_no_range),
        cmocka_unit_test(missing_parts_are_no_range),
        cmocka_unit_test(absurd_numbers_are_no_range),
        cmocka_unit_test(a_host_that_does_not_fit_is_no_range),
        cmocka_unit_test(a_redirection_says_where),
        cmocka_unit_test(what_is_no_redirection_is_not_followed),
        cmocka_unit_test(no_redirection_is_read_past_its_end),
        cmocka_unit_test(a_redirection_to_an_overlong_host_is_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
