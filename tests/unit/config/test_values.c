/* SPDX-License-Identifier: MIT
 * What a configuration that is taken has become: defaults, every key, every form of a value. */
#include <idem/config.h>

#include "testing.h"

#include <stdio.h>
#include <unistd.h>

struct warnings {
    int count;
    char last[IDEM_ERROR_TEXT_MAX];
};

static void keep_warning(void *arg, const char *text) {
    struct warnings *warnings = arg;
    warnings->count++;
    (void)snprintf(warnings->last, sizeof warnings->last, "%s", text);
}

static void parse(struct idem_config *config, struct warnings *warnings,
                  const char *text) {
    struct idem_error error = IDEM_ERROR_INIT;
    warnings->count = 0;
    warnings->last[0] = '\0';
    if (idem_config_parse(config, "f.yaml", text, strlen(text), keep_warning, warnings,
                          &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
}

static void parse_rule(struct idem_config *config, const char *lines) {
    struct warnings warnings;
    char text[1024];
    (void)snprintf(text, sizeof text, "rules:\n- name: a\n  match: {topic: a}\n%s",
                   lines);
    parse(config, &warnings, text);
    assert_int_equal(config->rules.count, 1);
}

static void assert_empty_means_defaults(const char *text) {
    struct idem_config config;
    struct warnings warnings;
    char host[256] = "";
    parse(&config, &warnings, text);
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    assert_string_equal(config.instance, host);
    assert_string_equal(config.path, "f.yaml");
    assert_null(config.secret_file);
    assert_string_equal(config.store.url, "embedded:///var/lib/idem/store");
    assert_int_equal(config.store.wait, IDEM_WAIT_DEFAULT);
    assert_int_equal(config.store.deadline_ms, 50);
    assert_int_equal(config.rules.count, 0);
    assert_false(config.bridge.present);
    assert_int_equal(config.mqtt.sys_interval_ms, 10000);
    assert_string_equal(config.http.listen, "127.0.0.1:9477");
    assert_int_equal(config.log.format, IDEM_LOG_TEXT);
    assert_int_equal(config.log.level, IDEM_LOG_INFO);
    assert_string_equal(warnings.last, "f.yaml:1: rules: no rules: every message passes");
    idem_config_fini(&config);
}

static void nothing_at_all_means_defaults_and_a_warning(void **state) {
    static const char *const texts[] = {
        "",           "\n\n", "# a comment\n",    "---\n",
        "{}\n",       "~\n",  "\xef\xbb\xbf{}\n", "rules:\nstore:\nmqtt: {}\nlog: ~\n",
        "rules: []\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_empty_means_defaults(texts[i]);
    }
}

static void a_short_rule_has_the_documented_defaults(void **state) {
    struct idem_config config;
    struct idem_secret secret;
    (void)state;
    parse_rule(&config, "  key: client\n");
    const struct idem_rule *rule = &config.rules.rules[0];
    assert_string_equal(rule->name, "a");
    assert_string_equal(rule->match.topic, "a");
    assert_int_equal(rule->line, 2);
    assert_int_equal(rule->strategy, IDEM_STRATEGY_KEY);
    assert_int_equal(rule->scope.kind, IDEM_SCOPE_PRINCIPAL);
    assert_int_equal(rule->ttl_ms, INT64_C(72) * 3600 * 1000);
    assert_int_equal(rule->lease_ms, 30000);
    assert_int_equal(rule->fingerprint.count, 1);
    assert_int_equal(rule->fingerprint.items[0].kind, IDEM_EXTRACT_PAYLOAD);
    assert_int_equal(rule->policies.on_missing_key, IDEM_ACTION_DELIVER);
    assert_int_equal(rule->policies.on_duplicate, IDEM_ACTION_DROP);
    assert_int_equal(rule->policies.on_conflict, IDEM_ACTION_QUARANTINE);
    assert_int_equal(rule->policies.on_in_doubt, IDEM_ACTION_DELIVER);
    assert_int_equal(rule->policies.on_store_failure, IDEM_ACTION_DELIVER);
    assert_null(rule->propagate.as[0]);
    idem_secret_default(&secret);
    assert_memory_equal(&config.rules.secret, &secret, sizeof secret);
    idem_config_fini(&config);
}

static void keys_are_a_word_a_list_or_all_of_a_list(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: property:id\n");
    const struct idem_key_spec *key = &config.rules.rules[0].key;
    assert_false(key->joined);
    assert_int_equal(key->count, 1);
    assert_string_equal(key->items[0].text, "id");
    idem_config_fini(&config);

    parse_rule(&config, "  key: [property:id, json:/order/id, payload]\n");
    key = &config.rules.rules[0].key;
    assert_false(key->joined);
    assert_int_equal(key->count, 3);
    assert_int_equal(key->items[1].kind, IDEM_EXTRACT_JSON);
    assert_string_equal(key->items[1].text, "/order/id");
    assert_int_equal(key->items[2].kind, IDEM_EXTRACT_PAYLOAD);
    idem_config_fini(&config);

    parse_rule(&config, "  key: {all: [topic:2, json:/seq]}\n");
    key = &config.rules.rules[0].key;
    assert_true(key->joined);
    assert_int_equal(key->count, 2);
    assert_int_equal(key->items[0].level, 2);
    idem_config_fini(&config);

    /* Joined, a literal and the payload may stand anywhere. */
    parse_rule(&config, "  key: {all: [text:x, payload, client]}\n");
    key = &config.rules.rules[0].key;
    assert_true(key->joined);
    assert_int_equal(key->count, 3);
    idem_config_fini(&config);
}

static void scopes_are_a_word_or_a_group(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: client\n  scope: rule\n");
    assert_int_equal(config.rules.rules[0].scope.kind, IDEM_SCOPE_RULE);
    idem_config_fini(&config);

    parse_rule(&config, "  key: client\n  scope: {by: [property:tenant, text:none]}\n");
    const struct idem_scope *scope = &config.rules.rules[0].scope;
    assert_int_equal(scope->kind, IDEM_SCOPE_BY);
    assert_false(scope->by.joined);
    assert_int_equal(scope->by.count, 2);
    idem_config_fini(&config);

    /* A literal as the key is one key for each group: what is new is the group. */
    parse_rule(&config, "  key: text:x\n  scope: {by: {all: [topic:1, user]}}\n");
    scope = &config.rules.rules[0].scope;
    assert_true(scope->by.joined);
    assert_int_equal(scope->by.count, 2);
    idem_config_fini(&config);
}

static void fingerprints_are_none_or_joined(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: client\n  fingerprint: none\n");
    assert_int_equal(config.rules.rules[0].fingerprint.count, 0);
    idem_config_fini(&config);

    parse_rule(&config, "  key: client\n  fingerprint: json:/a\n");
    assert_true(config.rules.rules[0].fingerprint.joined);
    assert_int_equal(config.rules.rules[0].fingerprint.count, 1);
    idem_config_fini(&config);

    parse_rule(&config, "  key: client\n  fingerprint: [json:/a, topic]\n");
    const struct idem_key_spec *fingerprint = &config.rules.rules[0].fingerprint;
    assert_true(fingerprint->joined);
    assert_int_equal(fingerprint->count, 2);
    assert_int_equal(fingerprint->items[1].kind, IDEM_EXTRACT_ROUTING_KEY);
    idem_config_fini(&config);
}

static void headers_are_a_name_or_a_name_and_its_value(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "rules:\n"
          "- {name: a, key: user, match: {header: {kind: order}, queue: 'q.#'}}\n"
          "- {name: b, key: user, match: {header: kind}}\n");
    assert_string_equal(config.rules.rules[0].match.header_name, "kind");
    assert_string_equal(config.rules.rules[0].match.header_value, "order");
    assert_string_equal(config.rules.rules[0].match.queue, "q.#");
    assert_string_equal(config.rules.rules[1].match.header_name, "kind");
    assert_null(config.rules.rules[1].match.header_value);
    idem_config_fini(&config);
}

static void propagation_is_a_word_a_list_or_a_mapping(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: client\n  propagate: request-id\n");
    assert_string_equal(config.rules.rules[0].propagate.as[0], "request-id");
    assert_null(config.rules.rules[0].propagate.hop);
    idem_config_fini(&config);

    parse_rule(&config, "  key: client\n  propagate: {hop: billing}\n");
    assert_string_equal(config.rules.rules[0].propagate.as[0], "idempotency-key");
    assert_string_equal(config.rules.rules[0].propagate.hop, "billing");
    idem_config_fini(&config);

    parse_rule(&config, "  key: client\n  propagate: {as: [a, b, c, d], hop: h}\n");
    char *const *as = config.rules.rules[0].propagate.as;
    assert_string_equal(as[0], "a");
    assert_string_equal(as[1], "b");
    assert_string_equal(as[2], "c");
    assert_string_equal(as[3], "d");
    assert_null(as[4]);
    idem_config_fini(&config);
}

static void a_ttl_header_is_a_word_or_has_bounds(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: client\n  ttl_header: x-cache-ttl\n");
    const struct idem_ttl_header *header = &config.rules.rules[0].ttl_header;
    assert_string_equal(header->name, "x-cache-ttl");
    assert_int_equal(header->min_ms, 0);
    assert_int_equal(header->max_ms, 0);
    idem_config_fini(&config);

    parse_rule(&config, "  key: client\n  ttl_header: {name: t, min: 1m, max: 7d}\n");
    header = &config.rules.rules[0].ttl_header;
    assert_string_equal(header->name, "t");
    assert_int_equal(header->min_ms, 60000);
    assert_int_equal(header->max_ms, 7 * 24 * 3600000);
    idem_config_fini(&config);
}

static void windows_count_from_the_first_or_the_last_copy(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: client\n");
    assert_int_equal(config.rules.rules[0].ttl_from, IDEM_TTL_FROM_FIRST);
    assert_int_equal(config.rules.rules[0].policies.on_in_flight, IDEM_ACTION_HOLD);
    idem_config_fini(&config);
    parse_rule(&config, "  key: client\n  ttl_from: last\n  on_in_flight: reject\n");
    assert_int_equal(config.rules.rules[0].ttl_from, IDEM_TTL_FROM_LAST);
    assert_int_equal(config.rules.rules[0].policies.on_in_flight, IDEM_ACTION_REJECT);
    idem_config_fini(&config);
}

static void sequences_are_read_whole(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  strategy: sequence\n"
                        "  sequence: {epoch: property:e, number: property:n,\n"
                        "             window: 64, on_gap: hold}\n");
    const struct idem_sequence_spec *sequence = &config.rules.rules[0].sequence;
    assert_int_equal(config.rules.rules[0].strategy, IDEM_STRATEGY_SEQUENCE);
    assert_int_equal(sequence->producer.items[0].kind, IDEM_EXTRACT_CLIENT);
    assert_string_equal(sequence->epoch.items[0].text, "e");
    assert_string_equal(sequence->number.items[0].text, "n");
    assert_int_equal(sequence->window, 64);
    assert_int_equal(config.rules.rules[0].policies.on_gap, IDEM_ACTION_HOLD);
    idem_config_fini(&config);
}

/* The word, and what stands for it in the rule. */
static const struct {
    const char *line;
    size_t offset;
    int value;
} words[] = {
#define POLICY(name, word, value)                                                        \
    { #name ": " word, offsetof(struct idem_rule, policies.name), value }
    POLICY(on_missing_key, "deliver", IDEM_ACTION_DELIVER),
    POLICY(on_missing_key, "reject", IDEM_ACTION_REJECT),
    POLICY(on_missing_key, "quarantine", IDEM_ACTION_QUARANTINE),
    POLICY(on_duplicate, "drop", IDEM_ACTION_DROP),
    POLICY(on_duplicate, "quarantine", IDEM_ACTION_QUARANTINE),
    POLICY(on_duplicate, "replay", IDEM_ACTION_REPLAY),
    POLICY(on_conflict, "drop", IDEM_ACTION_DROP),
    POLICY(on_conflict, "deliver", IDEM_ACTION_DELIVER),
    POLICY(on_conflict, "reject", IDEM_ACTION_REJECT),
    POLICY(on_conflict, "quarantine", IDEM_ACTION_QUARANTINE),
    POLICY(on_in_doubt, "deliver", IDEM_ACTION_DELIVER),
    POLICY(on_in_doubt, "quarantine", IDEM_ACTION_QUARANTINE),
    POLICY(on_in_doubt, "drop", IDEM_ACTION_DROP),
    POLICY(on_store_failure, "deliver", IDEM_ACTION_DELIVER),
    POLICY(on_store_failure, "refuse", IDEM_ACTION_REFUSE),
#undef POLICY
    {"scope: global", offsetof(struct idem_rule, scope.kind), IDEM_SCOPE_GLOBAL},
    {"scope: rule", offsetof(struct idem_rule, scope.kind), IDEM_SCOPE_RULE},
    {"scope: principal", offsetof(struct idem_rule, scope.kind), IDEM_SCOPE_PRINCIPAL},
};

static void every_policy_and_scope_has_its_words(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct idem_config config;
        char lines[128];
        int value = -1;
        (void)snprintf(lines, sizeof lines, "  key: client\n  %s\n", words[i].line);
        parse_rule(&config, lines);
        memcpy(&value, (const char *)&config.rules.rules[0] + words[i].offset,
               sizeof value);
        if (value != words[i].value) {
            fail_msg("%s: %d", words[i].line, value);
        }
        idem_config_fini(&config);
    }
}

static void durations_have_units(void **state) {
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {1, "1ms"},     {500, "500ms"},    {45000, "45s"},
        {300000, "5m"}, {7200000, "120m"}, {86400000, "86400000ms"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct idem_config config;
        char lines[128];
        (void)snprintf(lines, sizeof lines, "  key: client\n  ttl: 7d\n  lease: %s\n",
                       cases[i].text);
        parse_rule(&config, lines);
        assert_int_equal(config.rules.rules[0].lease_ms, cases[i].ms);
        assert_int_equal(config.rules.rules[0].ttl_ms, INT64_C(7) * 86400000);
        idem_config_fini(&config);
    }
}

static void everything_outside_of_rules_is_read(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "instance: edge-1\n"
          "store: {url: 'memory:', wait: block, deadline: 1s}\n"
          "mqtt: {sys_interval: 0s}\n"
          "http: {listen: '[::1]:80'}\n"
          "log: {format: json, level: debug}\n");
    assert_string_equal(config.instance, "edge-1");
    assert_string_equal(config.store.url, "memory:");
    assert_int_equal(config.store.wait, IDEM_WAIT_BLOCK);
    assert_int_equal(config.store.deadline_ms, 1000);
    assert_int_equal(config.mqtt.sys_interval_ms, 0);
    assert_string_equal(config.http.listen, "[::1]:80");
    assert_int_equal(config.log.format, IDEM_LOG_JSON);
    assert_int_equal(config.log.level, IDEM_LOG_DEBUG);
    idem_config_fini(&config);
}

static void bridges_between_two_queues_are_read(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "bridge:\n"
          "  source: {url: 'amqp://u:p@h/%2f', queue: in}\n"
          "  sink: {url: 'amqps://h', exchange: out, routing_key: ''}\n"
          "  quarantine: {exchange: aside}\n");
    assert_true(config.bridge.present);
    assert_string_equal(config.bridge.source.urls[0], "amqp://u:p@h/%2f");
    assert_string_equal(config.bridge.source.queue, "in");
    assert_int_equal(config.bridge.source.prefetch, 1000);
    assert_string_equal(config.bridge.sink.exchange, "out");
    assert_string_equal(config.bridge.sink.routing_key, "");
    assert_string_equal(config.bridge.quarantine_exchange, "aside");
    assert_int_equal(config.bridge.workers, 1);
    idem_config_fini(&config);
}

static void bridges_into_a_database_are_read(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "bridge:\n"
          "  source: {url: 'amqp://h', queue: in, prefetch: 5}\n"
          "  sink: {url: 'postgres://h/d', statement: SELECT $1, parameters: [key, "
          "json:/a]}\n"
          "  workers: 4\n");
    assert_int_equal(config.bridge.source.prefetch, 5);
    assert_string_equal(config.bridge.sink.statement, "SELECT $1");
    assert_int_equal(config.bridge.sink.parameter_count, 2);
    assert_string_equal(config.bridge.sink.parameters[0], "key");
    assert_string_equal(config.bridge.sink.parameters[1], "json:/a");
    assert_int_equal(config.bridge.workers, 4);
    idem_config_fini(&config);
}

static void short_ttls_are_warned_about_unless_meant(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "rules:\n- name: a\n  match: {topic: a}\n  key: client\n  ttl: 3599s\n");
    assert_string_equal(
        warnings.last, "f.yaml:5: rules[0].ttl: shorter than 1h: copies that are sent "
                       "later are delivered again; say short_ttl: true if that is meant");
    idem_config_fini(&config);
    parse(
        &config, &warnings,
        "rules: [{name: a, match: {topic: a}, key: client, ttl: 59m, short_ttl: true},\n"
        "        {name: b, match: {topic: b}, key: client, ttl: 1h}]\n");
    assert_int_equal(warnings.count, 0);
    idem_config_fini(&config);
}

static void extractors_of_the_other_protocol_are_warned_about(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "rules:\n- name: a\n  match: {queue: q}\n  key: [client, message-id]\n");
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.last,
                        "f.yaml:4: rules[0].key: in part never used: client is of MQTT, "
                        "and the rule is for AMQP");
    idem_config_fini(&config);
}

static void conflict_policies_without_fingerprints_are_warned_about(void **state) {
    struct idem_config config;
    struct warnings warnings;
    (void)state;
    parse(&config, &warnings,
          "rules:\n- name: a\n  match: {topic: a}\n  key: client\n  fingerprint: none\n"
          "  on_conflict: drop\n");
    assert_string_equal(warnings.last,
                        "f.yaml:6: rules[0].on_conflict: never used: with fingerprint: "
                        "none there are no conflicts");
    idem_config_fini(&config);
}

static void what_is_stored_of_responses(void **state) {
    struct idem_config config;
    (void)state;
    parse_rule(&config, "  key: client\n  on_duplicate: replay\n");
    assert_int_equal(config.rules.rules[0].result.max, 65536);
    assert_null(config.rules.rules[0].result.failed_header);
    idem_config_fini(&config);
    parse_rule(&config, "  key: client\n  on_duplicate: replay\n"
                        "  result: {max: 1000, failed: {header: status, values: [409, "
                        "a, b, c, d, 5*]}, store_failed: true}\n");
    const struct idem_result_spec *spec = &config.rules.rules[0].result;
    assert_int_equal(spec->max, 1000);
    assert_string_equal(spec->failed_header, "status");
    assert_string_equal(spec->failed_values[0], "409");
    assert_string_equal(spec->failed_values[5], "5*");
    assert_null(spec->failed_values[6]);
    assert_true(spec->store_failed);
    idem_config_fini(&config);
    parse_rule(&config,
               "  key: client\n  on_duplicate: replay\n  result: {failed: error}\n");
    assert_string_equal(config.rules.rules[0].result.failed_header, "error");
    assert_null(config.rules.rules[0].result.failed_values[0]);
    idem_config_fini(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_at_all_means_defaults_and_a_warning),
        cmocka_unit_test(a_short_rule_has_the_documented_defaults),
        cmocka_unit_test(keys_are_a_word_a_list_or_all_of_a_list),
        cmocka_unit_test(scopes_are_a_word_or_a_group),
        cmocka_unit_test(fingerprints_are_none_or_joined),
        cmocka_unit_test(headers_are_a_name_or_a_name_and_its_value),
        cmocka_unit_test(propagation_is_a_word_a_list_or_a_mapping),
        cmocka_unit_test(a_ttl_header_is_a_word_or_has_bounds),
        cmocka_unit_test(windows_count_from_the_first_or_the_last_copy),
        cmocka_unit_test(sequences_are_read_whole),
        cmocka_unit_test(every_policy_and_scope_has_its_words),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(everything_outside_of_rules_is_read),
        cmocka_unit_test(bridges_between_two_queues_are_read),
        cmocka_unit_test(bridges_into_a_database_are_read),
        cmocka_unit_test(short_ttls_are_warned_about_unless_meant),
        cmocka_unit_test(extractors_of_the_other_protocol_are_warned_about),
        cmocka_unit_test(conflict_policies_without_fingerprints_are_warned_about),
        cmocka_unit_test(what_is_stored_of_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
