/* SPDX-License-Identifier: MIT
 * Messages and rules for the tests of the core, built in a line each. */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#include "testing.h"

#include <idem/rule.h>

#define SAMPLE_PROPERTIES_MAX 8

struct sample_property {
    const char *name;
    const char *value;
};

/* A message with its properties. Texts are borrowed. */
struct sample {
    struct idem_message message;
    size_t count;
    struct sample_property properties[SAMPLE_PROPERTIES_MAX];
};

/* An MQTT message on "orders/7" from client "c1" with payload "hello". Do not copy it. */
void sample_init(struct sample *sample);
void sample_add(struct sample *sample, const char *name, const char *value);

/* A rule of strategy key: property:id, scope global, ttl 10 s, lease 2 s, the default policies. */
void sample_rule(struct idem_rule *rule, const char *name);

/* Replaces a spec: extractors as in the configuration, '|' between those of which the first counts, '&'
 * between joined ones. */
void sample_spec(struct idem_key_spec *spec, const char *extractors);

/* An owned copy of a text; fails the test where there is no memory. */
char *sample_text(const char *text);

/* A set of one rule, which it takes over, under the default secret. */
void sample_set(struct idem_ruleset *set, const struct idem_rule *rule);

#endif
