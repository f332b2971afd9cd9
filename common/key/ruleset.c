/* SPDX-License-Identifier: MIT
 * Which rule a message falls under, and the end of a rule set's memory. */
#include <idem/rule.h>

#include <sodium.h>
#include <stdlib.h>

static bool header_matches(const struct idem_match *match,
                           const struct idem_message *message) {
    struct idem_span value = {NULL, 0};
    if (match->header_name == NULL) {
        return true;
    }
    if (message->property == NULL ||
        !message->property(message->property_source, idem_span_text(match->header_name),
                           &value)) {
        return false;
    }
    return match->header_value == NULL ||
           idem_span_equal(value, idem_span_text(match->header_value));
}

static bool pattern_fits(const char *pattern, struct idem_span words) {
    return pattern == NULL || idem_pattern_matches(idem_span_text(pattern), words);
}

/* A part that names the other protocol's addressing never matches. */
static bool address_matches(const struct idem_match *match,
                            const struct idem_message *message) {
    switch (message->protocol) {
    case IDEM_PROTOCOL_MQTT:
        return match->queue == NULL && match->routing_key == NULL &&
               (match->topic == NULL ||
                idem_topic_matches(idem_span_text(match->topic), message->topic));
    case IDEM_PROTOCOL_AMQP:
        return match->topic == NULL && pattern_fits(match->queue, message->queue) &&
               pattern_fits(match->routing_key, message->topic);
    }
    return false;
}

const struct idem_rule *idem_ruleset_match(const struct idem_ruleset *set,
                                           const struct idem_message *message) {
    return idem_ruleset_match_without(set, message, NULL);
}

const struct idem_rule *idem_ruleset_match_without(const struct idem_ruleset *set,
                                                   const struct idem_message *message,
                                                   const bool *without) {
    for (size_t i = 0; i < set->count; i++) {
        const struct idem_match *match = &set->rules[i].match;
        if (without != NULL && without[i]) {
            continue;
        }
        if (address_matches(match, message) && header_matches(match, message)) {
            return &set->rules[i];
        }
    }
    return NULL;
}

static void match_fini(struct idem_match *match) {
    free(match->topic);
    free(match->queue);
    free(match->routing_key);
    free(match->header_name);
    free(match->header_value);
}

void idem_rule_fini(struct idem_rule *rule) {
    free(rule->name);
    match_fini(&rule->match);
    idem_key_spec_fini(&rule->key);
    idem_key_spec_fini(&rule->scope.by);
    idem_key_spec_fini(&rule->fingerprint);
    free(rule->ttl_header.name);
    for (size_t i = 0; i < IDEM_PROPAGATED_MAX; i++) {
        free(rule->propagate.as[i]);
    }
    free(rule->propagate.hop);
    idem_key_spec_fini(&rule->sequence.producer);
    idem_key_spec_fini(&rule->sequence.epoch);
    idem_key_spec_fini(&rule->sequence.number);
    free(rule->result.failed_header);
    for (size_t i = 0; i < IDEM_RESULT_VALUES_MAX; i++) {
        free(rule->result.failed_values[i]);
    }
    memset(rule, 0, sizeof *rule);
}

void idem_ruleset_fini(struct idem_ruleset *set) {
    for (size_t i = 0; i < set->count; i++) {
        idem_rule_fini(&set->rules[i]);
    }
    free(set->rules);
    sodium_memzero(set, sizeof *set); /* the secret is in it */
}
