/* SPDX-License-Identifier: MIT
 * From a key that a person knows to the digest of its record. */
#include "key/key_hash.h"

static enum idem_code refuse(const struct idem_rule *rule, struct idem_error *error,
                             const char *what) {
    return idem_error_set(error, IDEM_ERR_INVALID, 0, "rule %s: %s", rule->name, what);
}

static size_t values_of(const struct idem_key_spec *spec) {
    return spec->joined ? spec->count : 1;
}

static bool is_hash(const struct idem_extractor *extractor) {
    return extractor->kind == IDEM_EXTRACT_PAYLOAD;
}

/* Hashes of payloads are nothing that people know. Where the first that yields wins, the known value is of
 * another extractor. */
static bool needs_a_hash(const struct idem_key_spec *spec) {
    size_t hashes = 0;
    for (size_t i = 0; i < spec->count; i++) {
        hashes += is_hash(&spec->items[i]) ? 1 : 0;
    }
    return spec->joined ? hashes > 0 : hashes == spec->count;
}

static enum idem_code take(struct idem_key_part *parts, const struct idem_rule *rule,
                           const struct idem_span *values, size_t count,
                           struct idem_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (values[i].len == 0 || values[i].len > IDEM_KEY_MAX) {
            return refuse(rule, error, "a value is empty or longer than a key may be");
        }
        parts[i] = (struct idem_key_part){.extractor = NULL, .value = values[i]};
    }
    return IDEM_OK;
}

static enum idem_code take_scope(struct idem_scope_value *value,
                                 const struct idem_rule *rule,
                                 const struct idem_known_key *known, size_t wanted,
                                 enum idem_scope_tag tag, struct idem_error *error) {
    value->tag = tag;
    value->count = wanted;
    if (known->scope_count != wanted) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "rule %s: its scope is of %zu values, %zu are given",
                              rule->name, wanted, known->scope_count);
    }
    return take(value->parts, rule, known->scope, wanted, error);
}

static enum idem_code scope_of(struct idem_scope_value *value,
                               const struct idem_rule *rule,
                               const struct idem_known_key *known,
                               struct idem_error *error) {
    switch (rule->scope.kind) {
    case IDEM_SCOPE_GLOBAL:
        return take_scope(value, rule, known, 0, IDEM_SCOPE_TAG_GLOBAL, error);
    case IDEM_SCOPE_RULE:
        if (take_scope(value, rule, known, 0, IDEM_SCOPE_TAG_RULE, error) != IDEM_OK) {
            return IDEM_ERR_INVALID;
        }
        value->count = 1;
        value->parts[0] = (struct idem_key_part){NULL, idem_span_text(rule->name)};
        return IDEM_OK;
    case IDEM_SCOPE_PRINCIPAL:
        return take_scope(
            value, rule, known, 1,
            known->scope_is_client ? IDEM_SCOPE_TAG_CLIENT : IDEM_SCOPE_TAG_USER, error);
    case IDEM_SCOPE_BY:
        if (needs_a_hash(&rule->scope.by)) {
            return refuse(rule, error, "its scope is a hash of the payload");
        }
        return take_scope(value, rule, known, values_of(&rule->scope.by),
                          IDEM_SCOPE_TAG_BY, error);
    }
    return refuse(rule, error, "its scope is not known");
}

enum idem_code idem_identify_known(struct idem_digest *digest,
                                   const struct idem_rule *rule,
                                   const struct idem_secret *secret,
                                   const struct idem_known_key *known,
                                   struct idem_error *error) {
    bool numbered = rule->strategy == IDEM_STRATEGY_SEQUENCE;
    const struct idem_key_spec *spec = numbered ? &rule->sequence.producer : &rule->key;
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
    struct idem_scope_value scope;
    if (rule->strategy == IDEM_STRATEGY_NATURAL) {
        return refuse(rule, error, "it is natural, and keeps no records");
    }
    if (needs_a_hash(spec)) {
        return refuse(rule, error, "its key is a hash of the payload; give the digest");
    }
    if (known->count != values_of(spec)) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "rule %s: its key is of %zu values, %zu are given",
                              rule->name, values_of(spec), known->count);
    }
    enum idem_code code = take(parts, rule, known->values, known->count, error);
    if (code == IDEM_OK) {
        code = scope_of(&scope, rule, known, error);
    }
    if (code == IDEM_OK) {
        idem_key_hash(digest, secret, numbered ? IDEM_DOMAIN_PRODUCER : IDEM_DOMAIN_KEY,
                      &scope, parts, known->count);
    }
    return code;
}
