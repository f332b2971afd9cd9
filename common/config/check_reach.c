/* SPDX-License-Identifier: MIT
 * What of a rule can never have an effect: matches that an earlier rule takes away, values that messages
 * of the rule's protocol do not have, properties that overwrite each other. */
#include "config/reader.h"

static bool same_text(const char *a, const char *b) {
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Whether every name that fits the later pattern fits the earlier one. NULL fits everything. */
static bool takes_all(const char *earlier, const char *later) {
    return earlier == NULL || same_text(earlier, later);
}

/* # is all topics but those that begin with a $. */
static bool takes_topics(const char *earlier, const char *later) {
    return takes_all(earlier, later) ||
           (same_text(earlier, "#") && later != NULL && later[0] != '$');
}

static bool takes_headers(const struct idem_match *earlier,
                          const struct idem_match *later) {
    return takes_all(earlier->header_name, later->header_name) &&
           takes_all(earlier->header_value, later->header_value);
}

static enum idem_code check_turn(struct idem_config_reader *reader,
                                 const struct idem_rule *rule) {
    const struct idem_ruleset *set = &reader->config->rules;
    for (size_t i = 0; i < set->count; i++) {
        const struct idem_match *earlier = &set->rules[i].match;
        if (takes_topics(earlier->topic, rule->match.topic) &&
            takes_all(earlier->queue, rule->match.queue) &&
            takes_all(earlier->routing_key, rule->match.routing_key) &&
            takes_headers(earlier, &rule->match)) {
            (void)idem_config_place(reader, "rules[].match", rule->line);
            return idem_config_refuse(
                reader,
                "never used: the rule '%s' in line %d comes first and takes all that "
                "this one matches; put this one before it",
                set->rules[i].name, set->rules[i].line);
        }
    }
    return IDEM_OK;
}

/* Why an extractor finds nothing in any message that the rule matches, or NULL. */
static const char *absence(const struct idem_match *match,
                           const struct idem_extractor *extractor) {
    bool amqp = match->queue != NULL || match->routing_key != NULL;
    if (extractor->kind == IDEM_EXTRACT_CLIENT && amqp) {
        return "client is of MQTT, and the rule is for AMQP";
    }
    if (extractor->kind == IDEM_EXTRACT_MESSAGE_ID && match->topic != NULL) {
        return "message-id is of AMQP, and the rule is for MQTT";
    }
    return NULL;
}

static enum idem_code check_spec(struct idem_config_reader *reader,
                                 const struct idem_rule *rule, const char *path,
                                 const struct idem_key_spec *spec) {
    const char *why = NULL;
    size_t absent = 0;
    for (size_t i = 0; i < spec->count; i++) {
        const char *reason = absence(&rule->match, &spec->items[i]);
        why = reason != NULL ? reason : why;
        absent += reason != NULL;
    }
    if (absent == 0) {
        return IDEM_OK;
    }
    (void)idem_config_place(reader, path, rule->line);
    if (spec->joined || absent == spec->count) {
        return idem_config_refuse(reader,
                                  "never yields a value: %s; use user, property:NAME or "
                                  "another extractor",
                                  why);
    }
    idem_config_remark(reader, "in part never used: %s", why);
    return IDEM_OK;
}

static enum idem_code check_specs(struct idem_config_reader *reader,
                                  const struct idem_rule *rule) {
    const struct {
        const char *path;
        const struct idem_key_spec *spec;
    } specs[] = {
        {"rules[].key", &rule->key},
        {"rules[].scope", &rule->scope.by},
        {"rules[].fingerprint", &rule->fingerprint},
        {"rules[].sequence.producer", &rule->sequence.producer},
        {"rules[].sequence.epoch", &rule->sequence.epoch},
        {"rules[].sequence.number", &rule->sequence.number},
    };
    enum idem_code code = IDEM_OK;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0] && code == IDEM_OK; i++) {
        code = check_spec(reader, rule, specs[i].path, specs[i].spec);
    }
    return code;
}

/* What carries the key on replaces whatever came under the same name. */
static enum idem_code check_propagate(struct idem_config_reader *reader,
                                      const struct idem_rule *rule) {
    char *const *names = rule->propagate.as;
    (void)idem_config_place(reader, "rules[].propagate", rule->line);
    for (size_t i = 0; names[i] != NULL; i++) {
        if (same_text(names[i], rule->ttl_header.name)) {
            return idem_config_refuse(reader,
                                      "%s brings the ttl (ttl_header): the key would "
                                      "replace it for the next hop; use another name",
                                      names[i]);
        }
        for (size_t j = 0; j < i; j++) {
            if (same_text(names[i], names[j])) {
                return idem_config_refuse(reader, "%s is there twice; keep one",
                                          names[i]);
            }
        }
    }
    return IDEM_OK;
}

enum idem_code idem_config_check_reach(struct idem_config_reader *reader,
                                       const struct idem_rule *rule) {
    enum idem_code code = check_turn(reader, rule);
    if (code == IDEM_OK) {
        code = check_specs(reader, rule);
    }
    return code == IDEM_OK ? check_propagate(reader, rule) : code;
}
