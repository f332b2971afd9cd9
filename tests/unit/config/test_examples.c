/* SPDX-License-Identifier: MIT
 * Every example is a configuration that loads, without warnings, and says what it promises. */
#include <idem/config.h>

#include "testing.h"

#include <dirent.h>
#include <stdio.h>

#define FOLDER "examples/"

static void count_warning(void *arg, const char *text) {
    int *count = arg;
    (*count)++;
    (void)fprintf(stderr, "%s\n", text);
}

static void load(struct idem_config *config, const char *name) {
    struct idem_error error = IDEM_ERROR_INIT;
    char path[512];
    int warnings = 0;
    (void)snprintf(path, sizeof path, FOLDER "%s", name);
    if (idem_config_load(config, path, count_warning, &warnings, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(warnings, 0);
    assert_true(config->rules.count > 0);
}

static void every_example_loads_without_warnings(void **state) {
    DIR *folder = opendir(FOLDER);
    size_t loaded = 0;
    (void)state;
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".yaml") == 0) {
            struct idem_config config;
            load(&config, entry->d_name);
            idem_config_fini(&config);
            loaded++;
        }
    }
    (void)closedir(folder);
    assert_true(loaded >= 9);
}

static void quickstart_knows_orders_states_and_sensors(void **state) {
    struct idem_config config;
    (void)state;
    load(&config, "mqtt-quickstart.yaml");
    const struct idem_rule *rules = config.rules.rules;
    assert_string_equal(config.store.url, "embedded:///var/lib/idem/store");
    assert_int_equal(config.rules.count, 3);
    assert_string_equal(rules[0].match.topic, "orders/#");
    assert_int_equal(rules[0].scope.kind, IDEM_SCOPE_GLOBAL);
    assert_int_equal(rules[0].key.count, 3);
    assert_int_equal(rules[1].strategy, IDEM_STRATEGY_NATURAL);
    assert_int_equal(rules[2].key.items[0].kind, IDEM_EXTRACT_PAYLOAD);
    idem_config_fini(&config);
}

static void profiles_say_what_they_are_named_after(void **state) {
    struct idem_config config;
    (void)state;
    load(&config, "stripe.yaml");
    assert_int_equal(config.rules.rules[0].ttl_ms, 24 * 3600 * 1000);
    assert_int_equal(config.rules.rules[0].policies.on_conflict, IDEM_ACTION_REJECT);
    assert_int_equal(config.rules.rules[0].policies.on_in_flight, IDEM_ACTION_REJECT);
    idem_config_fini(&config);
    load(&config, "sqs-fifo.yaml");
    for (size_t i = 0; i < config.rules.count; i++) {
        assert_int_equal(config.rules.rules[i].ttl_ms, 5 * 60 * 1000);
        assert_int_equal(config.rules.rules[i].ttl_from, IDEM_TTL_FROM_FIRST);
        assert_int_equal(config.rules.rules[i].fingerprint.count, 0);
    }
    idem_config_fini(&config);
    load(&config, "kafka-producer.yaml");
    assert_int_equal(config.rules.rules[0].strategy, IDEM_STRATEGY_SEQUENCE);
    assert_int_equal(config.rules.rules[0].policies.on_gap, IDEM_ACTION_REJECT);
    idem_config_fini(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_loads_without_warnings),
        cmocka_unit_test(quickstart_knows_orders_states_and_sensors),
        cmocka_unit_test(profiles_say_what_they_are_named_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
