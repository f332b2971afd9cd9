/* SPDX-License-Identifier: MIT
 * Each kind of mistake, and the exact words with which it is refused: line, key, what would be right. */
#include "refusals.h"

#include <stdio.h>
#include <stdlib.h>

static void keys_that_are_not_known(void **state) {
    static const struct mistake mistakes[] = {
        {"2: stroe: unknown key; did you mean 'store'?", "instance: a\nstroe: {}\n"},
        {"1: store.ulr: unknown key; did you mean 'url'?", "store: {ulr: 'memory:'}\n"},
        {"5: rules[0].on_duplciate: unknown key; did you mean 'on_duplicate'?",
         RULE "  on_duplciate: drop\n"},
        {"8: rules[1].match.topics: unknown key; did you mean 'topic'?",
         RULE "- name: b\n  key: client\n  match:\n    topics: a\n"},
        {"5: rules[0].routing_key: unknown key here; it belongs at "
         "rules[].match.routing_key",
         RULE "  routing_key: a\n"},
        {"1: log.colour: unknown key; known here are format, level",
         "log: {colour: red}\n"},
        {"1: <<: unknown key; known here are instance, secret_file, store, rules, "
         "bridge, "
         "mqtt, http, log",
         "<<: {}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void keys_that_come_twice_or_are_missing(void **state) {
    static const struct mistake mistakes[] = {
        {"3: instance: given twice, first in line 1; keep one",
         "instance: a\nlog: {}\ninstance: b\n"},
        {"6: rules[0].ttl: given twice, first in line 5; keep one",
         RULE "  ttl: 2h\n  ttl: 3h\n"},
        {"2: rules[0].name: is missing; add it (name)",
         "rules:\n- match: {topic: a}\n  key: client\n"},
        {"2: rules[0].match: is missing; add it (mapping)",
         "rules:\n- name: a\n  key: client\n"},
        {"2: rules[0].key: is missing; strategy: key needs it, as in key: "
         "property:idempotency-key",
         RULE_HEAD},
        {"2: rules[0].sequence: is missing; strategy: sequence needs it, as in sequence: "
         "{number: property:seq}",
         RULE_HEAD "  strategy: sequence\n"},
        {"5: rules[0].sequence.number: is missing; add it (extractor, list of them, or "
         "{all: [...]})",
         RULE_HEAD "  strategy: sequence\n  sequence: {producer: client}\n"},
        {"1: bridge.source: is missing; add it (mapping)", "bridge:\n"},
        {"1: bridge.sink: is missing; add it (mapping)",
         "bridge: {source: {url: 'amqp://h', queue: q}}\n"},
        {"1: bridge.source.queue: is missing; add it (text)",
         "bridge: {source: {url: 'amqp://h'}, sink: {url: 'amqp://h'}}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void values_of_the_wrong_kind(void **state) {
    static const struct mistake mistakes[] = {
        {"1: document: a value where a mapping belongs; write KEY: VALUE", "hello\n"},
        {"1: document: a list where a mapping belongs; write KEY: VALUE", "[a]\n"},
        {"1: store: a value where a mapping belongs; write KEY: VALUE",
         "store: 'memory:'\n"},
        {"2: store: a list where a mapping belongs; write KEY: VALUE",
         "store:\n  - url\n"},
        {"1: rules: not a list; begin each rule with '- name:'", "rules: {name: a}\n"},
        {"2: rules[0]: a value where a mapping belongs; write KEY: VALUE",
         "rules:\n- name\n"},
        {"1: instance: a list where one value belongs; write the value alone",
         "instance: [a, b]\n"},
        {"1: instance: a mapping where one value belongs; write the value alone",
         "instance: {a: b}\n"},
        {"5: rules[0].ttl: has no value; give one, or remove the key", RULE "  ttl:\n"},
        {"5: rules[0].ttl: has no value; give one, or remove the key", RULE "  ttl: ~\n"},
        {"5: rules[0].ttl: has no value; give one, or remove the key",
         RULE "  ttl: null\n"},
        {"1: secret_file: is empty; give a value, or remove the key",
         "secret_file: ''\n"},
        {"5: rules[0].key: has no value; give one, or remove the key",
         RULE_HEAD "  key:\n  - \n"},
        {"1: document: a list where one value belongs; write the value alone",
         "[a]: b\n"},
        {"1: instance: holds a NUL byte; no value may", "instance: \"a\\0b\"\n"},
        {"5: rules[0].short_ttl: 'yes' is neither; write true or false",
         RULE "  short_ttl: yes\n"},
        {"5: rules[0].propagate: a list where a mapping belongs; write KEY: VALUE",
         RULE "  propagate: [a]\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void durations_and_numbers(void **state) {
    static const struct mistake mistakes[] = {
        {"5: rules[0].ttl: '72' is not a duration; write a whole number and its unit "
         "(ms, "
         "s, m, h or d), as in 500ms, 30s or 72h",
         RULE "  ttl: 72\n"},
        {"5: rules[0].ttl: '-1h' is not a duration; write a whole number and its unit "
         "(ms, "
         "s, m, h or d), as in 500ms, 30s or 72h",
         RULE "  ttl: -1h\n"},
        {"5: rules[0].ttl: '1h30m' is not a duration; write a whole number and its unit "
         "(ms, s, m, h or d), as in 500ms, 30s or 72h",
         RULE "  ttl: 1h30m\n"},
        {"5: rules[0].ttl: '0s' is not possible; from 1ms to 3650d are",
         RULE "  ttl: 0s\n"},
        {"5: rules[0].ttl: '3651d' is not possible; from 1ms to 3650d are",
         RULE "  ttl: 3651d\n"},
        {"5: rules[0].ttl: '999999999999999d' is not possible; from 1ms to 3650d are",
         RULE "  ttl: 999999999999999d\n"},
        {"5: rules[0].ttl: '99999999999999999999ms' is not a duration; write a whole "
         "number and its unit (ms, s, m, h or d), as in 500ms, 30s or 72h",
         RULE "  ttl: 99999999999999999999ms\n"},
        {"1: store.deadline: '61s' is not possible; from 1ms to 1m are",
         "store: {deadline: 61s}\n"},
        {"5: rules[0].sequence.window: '1025' is not possible; write a whole number from "
         "0 "
         "to 1024",
         RULE_HEAD "  strategy: sequence\n  sequence: {number: topic:1, window: 1025}\n"},
        {"1: bridge.workers: '1.5' is not possible; write a whole number from 1 to 64",
         "bridge: {workers: 1.5}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void words_that_are_not_in_the_list(void **state) {
    static const struct mistake mistakes[] = {
        {"5: rules[0].on_conflict: 'rejct' is not known, did you mean 'reject'?; write "
         "drop, deliver, reject or quarantine",
         RULE "  on_conflict: rejct\n"},
        {"5: rules[0].on_duplicate: 'deliver' is not known; write drop, quarantine or "
         "replay",
         RULE "  on_duplicate: deliver\n"},
        {"5: rules[0].scope: 'property:tenant' is not known; write global, rule or "
         "principal, or {by: EXTRACTOR}",
         RULE "  scope: property:tenant\n"},
        {"1: log.level: 'loud' is not known; write error, warning, notice, info or debug",
         "log: {level: loud}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

#define KNOWN                                                                            \
    "known are: property:NAME, message-id, correlation-id, topic, topic:N, "             \
    "routing-key, "                                                                      \
    "json:/POINTER, client, user, payload, payload-sha256, text:LITERAL"

static void extractors_and_their_lists(void **state) {
    static const struct mistake mistakes[] = {
        {"4: rules[0].key: unknown extractor \"propery:id\"; " KNOWN,
         RULE_HEAD "  key: propery:id\n"},
        {"6: rules[0].key: unknown extractor \"id\"; " KNOWN,
         RULE_HEAD "  key:\n  - client\n  - id\n"},
        {"4: rules[0].key: wrong extractor \"topic:0\": levels count from 1, as in "
         "topic:2; " KNOWN,
         RULE_HEAD "  key: topic:0\n"},
        {"4: rules[0].key: wrong extractor \"json:id\": a JSON pointer (RFC 6901) is "
         "empty "
         "or begins with /, as in json:/order/id; " KNOWN,
         RULE_HEAD "  key: [json:id]\n"},
        {"4: rules[0].key: wrong extractor \"json:/a~2\": a JSON pointer (RFC 6901) is "
         "empty or begins with /, as in json:/order/id; " KNOWN,
         RULE_HEAD "  key: json:/a~2\n"},
        {"4: rules[0].key: the list is empty; give it an extractor, or remove the key",
         RULE_HEAD "  key: []\n"},
        {"4: rules[0].key: the list has 17 items; at most 16 are taken",
         RULE_HEAD "  key: [user,user,user,user,user,user,user,user,user,user,user,user,"
                   "user,user,user,user,user]\n"},
        {"4: rules[0].key: a list where one value belongs; write the value alone",
         RULE_HEAD "  key: [[client]]\n"},
        {"4: rules[0].key: 'any' is not known here; write an extractor, a list of them, "
         "or "
         "{all: [EXTRACTOR, ...]}",
         RULE_HEAD "  key: {any: [client]}\n"},
        {"4: rules[0].key: not of the form that is needed; write an extractor, a list of "
         "them, or {all: [EXTRACTOR, ...]}",
         RULE_HEAD "  key: {all: client, any: user}\n"},
        {"4: rules[0].key: the payload always yields a value, so that nothing after it "
         "is "
         "used; put it last",
         RULE_HEAD "  key: [payload, client]\n"},
        {"4: rules[0].key: text:LITERAL alone is the same key for all messages; join it "
         "with others by {all: [...]}, or remove it",
         RULE_HEAD "  key: [client, text:x]\n"},
        {"4: rules[0].key: text:LITERAL alone is the same key for all messages; join it "
         "with others by {all: [...]}, or remove it",
         RULE_HEAD "  key: {all: [text:x, text:y]}\n"},
        {"5: rules[0].scope: 'of' is not known here; write global, rule, principal or "
         "{by: "
         "EXTRACTOR}",
         RULE "  scope: {of: user}\n"},
        {"5: rules[0].scope: unknown extractor \"tenant\"; " KNOWN,
         RULE "  scope: {by: tenant}\n"},
        {"5: rules[0].scope: not of the form that is needed; write global, rule, "
         "principal "
         "or {by: EXTRACTOR}",
         RULE "  scope: [user]\n"},
        {"5: rules[0].fingerprint: a mapping where none belongs; write none, payload or "
         "a "
         "list of extractors",
         RULE "  fingerprint: {all: [payload]}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

#define BAD_FILTER                                                                       \
    " is not an MQTT topic filter; + stands for a whole level, # for all levels after "  \
    "the last /"
#define BAD_PATTERN                                                                      \
    " is not an AMQP topic pattern; write words between dots, * for one word, # for "    \
    "any "                                                                               \
    "number, 255 bytes at most"

static void matches(void **state) {
    static const struct mistake mistakes[] = {
        {"1: rules[0].match.topic: 'a/#/b'" BAD_FILTER,
         "rules: [{name: a, key: user, match: {topic: a/#/b}}]\n"},
        {"1: rules[0].match.topic: 'a/b+'" BAD_FILTER,
         "rules: [{name: a, key: user, match: {topic: a/b+}}]\n"},
        {"1: rules[0].match.topic: ''" BAD_FILTER,
         "rules: [{name: a, key: user, match: {topic: ''}}]\n"},
        {"1: rules[0].match.routing_key: 'a.b*.c'" BAD_PATTERN,
         "rules: [{name: a, key: user, match: {routing_key: a.b*.c}}]\n"},
        {"1: rules[0].match.queue: '#a'" BAD_PATTERN,
         "rules: [{name: a, key: user, match: {queue: '#a'}}]\n"},
        {"1: rules[0].match.queue: ''" BAD_PATTERN,
         "rules: [{name: a, key: user, match: {queue: ''}}]\n"},
        {"1: rules[0].match.header: not of the form that is needed; write NAME or {NAME: "
         "VALUE}",
         "rules: [{name: a, key: user, match: {header: {a: b, c: d}}}]\n"},
        {"1: rules[0].match.header: a header's name has 1 to 128 bytes; write NAME or "
         "{NAME: VALUE}",
         "rules: [{name: a, key: user, match: {header: ''}}]\n"},
        {"1: rules[0].match: is empty; give it topic, queue, routing_key or header "
         "(topic: "
         "\"#\" matches all of MQTT)",
         "rules: [{name: a, key: user, match: {}}]\n"},
        {"1: rules[0].match: nothing can match: topic is for MQTT, queue and routing_key "
         "are for AMQP; write two rules",
         "rules: [{name: a, key: user, match: {topic: a, queue: b}}]\n"},
        {"1: rules[0].match: nothing can match: topic is for MQTT, queue and routing_key "
         "are for AMQP; write two rules",
         "rules: [{name: a, key: user, match: {topic: a, routing_key: b}}]\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void urls_and_addresses_without_telling_passwords(void **state) {
    static const struct mistake mistakes[] = {
        {"1: bridge.source.url: 'http://me:*@host/' is not possible; write amqp://HOST "
         "or "
         "amqps://HOST",
         "bridge: {source: {url: 'http://me:s3cr@t@host/'}}\n"},
        {"1: bridge.sink.url: 'mysql://host/db?password=*&x=1' is not possible; write "
         "amqp://HOST, amqps://HOST or postgresql://HOST",
         "bridge: {sink: {url: 'mysql://host/db?password=s3cret&x=1'}}\n"},
        {"1: bridge.source.url: 'postgresql://host' is not possible; write amqp://HOST "
         "or "
         "amqps://HOST",
         "bridge: {source: {url: 'postgresql://host'}}\n"},
        {"1: bridge.source.url: 'amqp://' is not possible; write amqp://HOST or "
         "amqps://HOST",
         "bridge: {source: {url: 'amqp://'}}\n"},
        {"1: http.listen: '9477' is not ADDRESS:PORT; write for example 127.0.0.1:9477 "
         "or "
         "[::1]:9477, or off",
         "http: {listen: 9477}\n"},
        {"1: http.listen: '::1:9477' is not ADDRESS:PORT; write for example "
         "127.0.0.1:9477 or [::1]:9477, or off",
         "http: {listen: '::1:9477'}\n"},
        {"1: http.listen: '127.0.0.1:65536' is not ADDRESS:PORT; write for example "
         "127.0.0.1:9477 or [::1]:9477, or off",
         "http: {listen: '127.0.0.1:65536'}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void addresses_that_others_can_reach_need_a_token(void **state) {
#define NEEDS_TOKEN                                                                      \
    "1: http.listen: others than this machine could read it; name a file with a token "  \
    "in http.token_file, or keep to the loopback (127.0.0.1, [::1], localhost)"
    static const struct mistake mistakes[] = {
        {NEEDS_TOKEN, "http: {listen: '0.0.0.0:9477'}\n"},
        {NEEDS_TOKEN, "http: {listen: '[::]:9477'}\n"},
        {NEEDS_TOKEN, "http: {listen: '128.0.0.1:9477'}\n"},
        {NEEDS_TOKEN, "http: {listen: 'localhost.example:9477'}\n"},
        {NEEDS_TOKEN, "http: {listen: '127.0.0.1.example:9477'}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

/* The words are the store's own: only the place, and that no password is told, are ours. */
static void store_urls_without_telling_passwords(void **state) {
    static const char *const texts[] = {"store: {url: 'mysql://me:s3cret@host'}\n",
                                        "store: {url: 'embedded://:s3cret@/x'}\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct idem_config config;
        struct idem_error error = IDEM_ERROR_INIT;
        assert_int_equal(idem_config_parse(&config, "f.yaml", texts[i], strlen(texts[i]),
                                           NULL, NULL, &error),
                         IDEM_ERR_CONFIG);
        idem_config_fini(&config);
        assert_memory_equal(error.text, "f.yaml:1: store.url: ", 21);
        assert_null(strstr(error.text, "s3cret"));
    }
}

#define SOURCE "bridge:\n  source: {url: 'amqp://h', queue: q}\n"

static void sinks_that_mix_two_kinds(void **state) {
    static const struct mistake mistakes[] = {
        {"3: bridge.sink.statement: has no meaning with the sink's URL, which is for "
         "AMQP; "
         "remove it",
         SOURCE "  sink: {url: 'amqp://h', statement: SELECT 1}\n"},
        {"3: bridge.sink.parameters: has no meaning with the sink's URL, which is for "
         "AMQP; remove it",
         SOURCE "  sink: {url: 'amqp://h', parameters: [key]}\n"},
        {"3: bridge.sink.exchange: has no meaning with the sink's URL, which is for "
         "PostgreSQL; remove it",
         SOURCE "  sink: {url: 'postgresql://h', exchange: e, statement: SELECT 1}\n"},
        {"3: bridge.sink.routing_key: has no meaning with the sink's URL, which is for "
         "PostgreSQL; remove it",
         SOURCE "  sink: {url: 'postgresql://h', routing_key: r, statement: SELECT 1}\n"},
        {"3: bridge.sink.inbox: has no meaning with the sink's URL, which is for AMQP; "
         "remove it",
         SOURCE "  sink: {url: 'amqp://h', inbox: t}\n"},
        {"3: bridge.sink.batch: has no meaning with the sink's URL, which is for AMQP; "
         "remove it",
         SOURCE "  sink: {url: 'amqp://h', batch: 7}\n"},
        {"3: bridge.sink.parameters: one value where a list belongs", SOURCE
         "  sink: {url: 'postgresql://h', statement: SELECT 1, parameters: key}\n"},
        {"3: bridge.sink.parameters: a mapping where a list belongs; write [key, "
         "payload, "
         "...]",
         SOURCE "  sink: {url: 'postgresql://h', parameters: {key: payload}}\n"},
        {"3: bridge.sink.statement: is missing; a PostgreSQL sink needs it, as in INSERT "
         "INTO orders(id, body) VALUES ($1, $2)",
         SOURCE "  sink: {url: 'postgresql://h'}\n"},
        {"3: bridge.sink.parameters: unknown extractor \"body\"; " KNOWN
         "; a parameter can also be key or digest",
         SOURCE "  sink: {url: 'postgresql://h', parameters: [key, body]}\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

#define NO_ALIAS                                                                         \
    "aliases (*) are not taken; write the value again, or put quotes around it"

static void documents_that_are_out_of_bounds(void **state) {
    static const struct mistake mistakes[] = {
        {"1: document: anchors (&) are not taken; write the value where it is needed",
         "store: &s {url: 'memory:'}\n"},
        {"1: document: anchors (&) are not taken; write the value where it is needed",
         "rules: &r []\n"},
        {"1: document: anchors (&) are not taken; write the value where it is needed",
         "instance: &i a\n"},
        {"1: document: " NO_ALIAS, "store: *s\n"},
        {"2: document: tags (!) are not taken; write the value alone",
         "log:\n  level: !!str info\n"},
        {"2: document: a second document begins here; one file holds one configuration",
         "log: {}\n---\nlog: {}\n"},
        {"1: document: nested too deeply; at most 16 levels", "a: [[[[[[[[[[[[[[[[1]\n"},
        {"3: syntax: found a tab character that violates indentation while scanning a "
         "plain scalar; look at the indentation (spaces, no tabs), the colons, brackets "
         "and "
         "quotes up to this line",
         "log:\n  level: info\n\tformat: text\n"},
        {"2: syntax: invalid leading UTF-8 octet; the file must be UTF-8 text without "
         "control characters",
         "log: {}\ninstance: \"a\xff\"\n"},
        {"1: syntax: control characters are not allowed; the file must be UTF-8 text "
         "without control characters",
         "log: {}\x01\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

static void files_that_are_too_long(void **state) {
    size_t length = (1u << 20) + 1;
    char *text = malloc(length);
    (void)state;
    assert_non_null(text);
    memset(text, '\n', length);
    refusals_assert("1: document: longer than 1048576 bytes; a configuration is shorter "
                    "than that",
                    text, length);
    memset(text, ',', length);
    memcpy(text, "[a", 2);
    for (size_t i = 2; i + 2 < length; i += 2) {
        text[i] = ',';
        text[i + 1] = 'a';
    }
    refusals_assert("1: document: too many values; at most 65536", text, length - 1);
    free(text);
}

static void rules_beyond_the_limit(void **state) {
    char text[8192] = "rules:\n";
    (void)state;
    for (size_t i = 0; i <= IDEM_RULES_MAX; i++) {
        strcat(text, "- name: a\n");
    }
    refusals_assert("1: rules: 257 rules; at most 256 are possible", text, strlen(text));
}

static void messages_hold_no_control_characters_or_passwords(void **state) {
    static const struct mistake mistakes[] = {
        {"1: a?b: unknown key; known here are instance, secret_file, store, rules, "
         "bridge, "
         "mqtt, http, log",
         "\"a\\nb\": 1\n"},
        {"1: instance: 'a?[2Jb' is not a name; write 1 to 128 of A-Z a-z 0-9 _ . -",
         "instance: \"a\\e[2Jb\"\n"},
        {"1: redis://me:*@host: unknown key; known here are instance, secret_file, "
         "store, "
         "rules, bridge, mqtt, http, log",
         "'redis://me:s3cret@host': 1\n"},
    };
    (void)state;
    ASSERT_ALL_REFUSED(mistakes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_are_not_known),
        cmocka_unit_test(keys_that_come_twice_or_are_missing),
        cmocka_unit_test(values_of_the_wrong_kind),
        cmocka_unit_test(durations_and_numbers),
        cmocka_unit_test(words_that_are_not_in_the_list),
        cmocka_unit_test(extractors_and_their_lists),
        cmocka_unit_test(matches),
        cmocka_unit_test(urls_and_addresses_without_telling_passwords),
        cmocka_unit_test(addresses_that_others_can_reach_need_a_token),
        cmocka_unit_test(store_urls_without_telling_passwords),
        cmocka_unit_test(sinks_that_mix_two_kinds),
        cmocka_unit_test(documents_that_are_out_of_bounds),
        cmocka_unit_test(files_that_are_too_long),
        cmocka_unit_test(rules_beyond_the_limit),
        cmocka_unit_test(messages_hold_no_control_characters_or_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
