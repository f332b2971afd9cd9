/* SPDX-License-Identifier: MIT
 * Bounds from both sides: the last value that is taken, and the first one that is not. */
#include <idem/config.h>

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>

/* NULL: the text was taken; else the refusal, until the next call. */
static const char *refusal(const char *text) {
    static struct idem_error error;
    struct idem_config config;
    struct idem_error fresh = IDEM_ERROR_INIT;
    error = fresh;
    enum idem_code code =
        idem_config_parse(&config, "f.yaml", text, strlen(text), NULL, NULL, &error);
    idem_config_fini(&config);
    assert_true(code == IDEM_OK || code == IDEM_ERR_CONFIG);
    return code == IDEM_OK ? NULL : error.text;
}

static void assert_taken(const char *text) {
    const char *why = refusal(text);
    if (why != NULL) {
        fail_msg("%.200s: %s", text, why);
    }
}

static void assert_refused(const char *text, const char *expected) {
    const char *why = refusal(text);
    if (why == NULL || strstr(why, expected) == NULL) {
        fail_msg("%.200s: %s", text, why != NULL ? why : "was taken");
    }
}

#define IN_RULE  "rules: [{name: a, match: {topic: a}, key: client, "
#define IN_MATCH "rules: [{name: a, key: user, match: {"
#define IN_COUNT                                                                         \
    "rules: [{name: a, match: {topic: a}, strategy: sequence, sequence: {number: "       \
    "topic:1, "
#define QUEUES "source: {url: 'amqp://h', queue: q}, sink: {url: 'amqp://h'}"

/* before, as many x as are possible, after. */
static char *with_length(const char *before, size_t length, const char *after) {
    size_t used = strlen(before);
    char *text = calloc(1, used + length + strlen(after) + 1);
    assert_non_null(text);
    memcpy(text, before, used);
    memset(text + used, 'x', length);
    memcpy(text + used + length, after, strlen(after));
    return text;
}

static void texts_have_a_longest(void **state) {
    static const struct {
        const char *before;
        const char *after;
        size_t most;
        const char *expected;
    } cases[] = {
        {"instance: ", "\n", 128, "is not a name"},
        {"secret_file: ", "\n", 4096, "4097 bytes long; at most 4096 are possible"},
        {IN_RULE "propagate: ", "}]\n", 128, "a property's name has 1 to 128 bytes"},
        {IN_RULE "ttl_header: ", "}]\n", 128, "129 bytes long; at most 128 are possible"},
        {IN_MATCH "header: ", "}}]\n", 128, "a header's name has 1 to 128 bytes"},
        {IN_MATCH "queue: ", "}}]\n", 255, "is not an AMQP topic pattern"},
        {"bridge: {sink: {url: 'amqp://h'}, source: {url: 'amqp://h', queue: ", "}}\n",
         255, "256 bytes long; at most 255 are possible"},
        {"bridge: {sink: {url: 'amqp://h'}, source: {queue: q, url: 'amqp://", "'}}\n",
         4096 - 7, "longer than 4096 bytes"},
        {"http: {token_file: t, listen: '", ":1'}\n", 255, "is not ADDRESS:PORT"},
    };
    (void)state;
    char *url = with_length("store: {url: 'embedded:///", 4096, "'}\n");
    assert_refused(url, "longer than 4096 bytes");
    free(url);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = with_length(cases[i].before, cases[i].most, cases[i].after);
        assert_taken(text);
        free(text);
        text = with_length(cases[i].before, cases[i].most + 1, cases[i].after);
        assert_refused(text, cases[i].expected);
        free(text);
    }
}

struct pair {
    const char *taken;
    const char *refused;
    const char *expected;
};

static void assert_pairs(const struct pair *pairs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_taken(pairs[i].taken);
        assert_refused(pairs[i].refused, pairs[i].expected);
    }
}

#define ASSERT_PAIRS(pairs) assert_pairs(pairs, sizeof(pairs) / sizeof(pairs)[0])

static void numbers_have_a_least_and_a_most(void **state) {
    static const struct pair pairs[] = {
        {IN_COUNT "window: 1024}}]\n", IN_COUNT "window: 1025}}]\n", "from 0 to 1024"},
        {IN_COUNT "window: 0}}]\n", IN_COUNT "window: ''}}]\n", "from 0 to 1024"},
        {IN_COUNT "window: 64}}]\n", IN_COUNT "window: 64k}}]\n", "from 0 to 1024"},
        {"bridge: {" QUEUES ", workers: 1}\n", "bridge: {" QUEUES ", workers: 0}\n",
         "from 1 to 64"},
        {"bridge: {" QUEUES ", workers: 64}\n", "bridge: {" QUEUES ", workers: 65}\n",
         "from 1 to 64"},
        {"mqtt: {sys_interval: 0s}\n", "mqtt: {sys_interval: s}\n", "is not a duration"},
        {"mqtt: {sys_interval: 1d}\n", "mqtt: {sys_interval: 25h}\n", "from 0s to 1d"},
        {"store: {deadline: 1ms}\n", "store: {deadline: 0ms}\n", "from 1ms to 1m"},
        {"store: {deadline: 1m}\n", "store: {deadline: 60001ms}\n", "from 1ms to 1m"},
        {IN_RULE "ttl: 999s, lease: 998s}]\n", IN_RULE "ttl: 999s, lease: 999s}]\n",
         "not longer than the lease"},
        {IN_COUNT "window: 1}, ttl: 2h, lease: 1h}]\n",
         IN_COUNT "window: 1}, ttl: 1h, lease: 1h}]\n", "not longer than the lease"},
    };
    (void)state;
    ASSERT_PAIRS(pairs);
}

static void lists_have_a_longest(void **state) {
    static const struct pair pairs[] = {
        {IN_RULE "fingerprint: [user,user,user,user,user,user,user,user,user,user,user,"
                 "user,user,user,user,user]}]\n",
         IN_RULE "fingerprint: [user,user,user,user,user,user,user,user,user,user,user,"
                 "user,user,user,user,user,user]}]\n",
         "the list has 17 items; at most 16 are taken"},
        {IN_RULE "propagate: {as: [a, b, c, d]}}]\n",
         IN_RULE "propagate: {as: [a, b, c, d, e]}}]\n", "a list of 5; write 1 to 4"},
        {IN_RULE "propagate: {as: [a]}}]\n", IN_RULE "propagate: {as: []}}]\n",
         "a list of 0; write 1 to 4"},
        {"log: {}\n",
         "a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: 1\n",
         "nested too deeply; at most 16 levels"},
        {"log: {}\n", "rules: [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]\n",
         "nested too deeply; at most 16 levels"},
    };
    (void)state;
    ASSERT_PAIRS(pairs);
}

static void as_many_rules_as_promised_are_taken(void **state) {
    char text[256 * 64] = "rules:\n";
    size_t used = strlen(text);
    (void)state;
    for (size_t i = 0; i < IDEM_RULES_MAX; i++) {
        used +=
            (size_t)snprintf(text + used, sizeof text - used,
                             "- {name: r%zu, match: {topic: a%zu}, key: client}\n", i, i);
    }
    assert_taken(text);
}

static void addresses_name_a_host_and_a_port(void **state) {
    static const struct pair pairs[] = {
        {"http: {listen: 'localhost:1'}\n", "http: {listen: ':1'}\n",
         "is not ADDRESS:PORT"},
        {"http: {listen: 'localhost:65535'}\n", "http: {listen: 'h:65536'}\n",
         "is not ADDRESS"},
        {"http: {listen: 'localhost:1'}\n", "http: {listen: 'h:0'}\n",
         "is not ADDRESS:PORT"},
        {"http: {listen: 'localhost:1'}\n", "http: {listen: 'h:'}\n",
         "is not ADDRESS:PORT"},
        {"http: {listen: 'localhost:80'}\n", "http: {listen: 'h:80/x'}\n",
         "is not ADDRESS:PORT"},
        {"http: {listen: 'localhost:80'}\n", "http: {listen: 'h:80x'}\n",
         "is not ADDRESS:PORT"},
        {"http: {listen: 'localhost:80'}\n", "http: {listen: 'u@h:80'}\n",
         "is not ADDRESS:PORT"},
        {"http: {listen: '[::1]:80'}\n", "http: {listen: '[::1:80'}\n", "is not ADDRESS"},
        {"http: {listen: '[::1]:80'}\n", "http: {listen: '[]:80'}\n", "is not ADDRESS"},
    };
    (void)state;
    ASSERT_PAIRS(pairs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_a_longest),
        cmocka_unit_test(numbers_have_a_least_and_a_most),
        cmocka_unit_test(lists_have_a_longest),
        cmocka_unit_test(as_many_rules_as_promised_are_taken),
        cmocka_unit_test(addresses_name_a_host_and_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
