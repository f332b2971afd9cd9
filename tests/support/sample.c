/* SPDX-License-Identifier: MIT
 * Messages and rules made of texts. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

static bool lookup(void *source, struct idem_span name, struct idem_span *value) {
    const struct sample *sample = source;
    for (size_t i = 0; i < sample->count; i++) {
        if (idem_span_equal(idem_span_text(sample->properties[i].name), name)) {
            *value = idem_span_text(sample->properties[i].value);
            return true;
        }
    }
    return false;
}

void sample_init(struct sample *sample) {
    memset(sample, 0, sizeof *sample);
    sample->message.protocol = IDEM_PROTOCOL_MQTT;
    sample->message.topic = idem_span_text("orders/7");
    sample->message.payload = idem_span_text("hello");
    sample->message.client = idem_span_text("c1");
    sample->message.property = lookup;
    sample->message.property_source = sample;
}

void sample_add(struct sample *sample, const char *name, const char *value) {
    assert_true(sample->count < SAMPLE_PROPERTIES_MAX);
    sample->properties[sample->count++] = (struct sample_property){name, value};
}

char *sample_text(const char *text) {
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

void sample_spec(struct idem_key_spec *spec, const char *extractors) {
    char *copy = sample_text(extractors);
    char *rest = copy;
    idem_key_spec_fini(spec);
    spec->joined = strchr(extractors, '&') != NULL;
    spec->items = calloc(IDEM_EXTRACTORS_MAX, sizeof *spec->items);
    assert_non_null(spec->items);
    for (char *word = strtok_r(rest, "|&", &rest); word != NULL;
         word = strtok_r(rest, "|&", &rest)) {
        struct idem_error error = IDEM_ERROR_INIT;
        assert_true(spec->count < IDEM_EXTRACTORS_MAX);
        if (idem_extractor_parse(&spec->items[spec->count], word, &error) != IDEM_OK) {
            fail_msg("%s", error.text);
        }
        spec->count++;
    }
    free(copy);
}

void sample_rule(struct idem_rule *rule, const char *name) {
    memset(rule, 0, sizeof *rule);
    rule->name = sample_text(name);
    rule->strategy = IDEM_STRATEGY_KEY;
    rule->ttl_ms = 10000;
    rule->lease_ms = 2000;
    rule->policies = (struct idem_policies){
        .on_missing_key = IDEM_ACTION_DELIVER,
        .on_duplicate = IDEM_ACTION_DROP,
        .on_conflict = IDEM_ACTION_QUARANTINE,
        .on_in_doubt = IDEM_ACTION_DELIVER,
        .on_store_failure = IDEM_ACTION_DELIVER,
    };
    sample_spec(&rule->key, "property:id");
}

void sample_set(struct idem_ruleset *set, const struct idem_rule *rule) {
    memset(set, 0, sizeof *set);
    set->rules = malloc(sizeof *set->rules);
    assert_non_null(set->rules);
    set->rules[0] = *rule;
    set->count = 1;
    idem_secret_default(&set->secret);
}
