/* SPDX-License-Identifier: MIT
 * What one key alone cannot know: how the keys of a rule go together. */
#include "config/reader.h"

#define SHORT_TTL_MS (INT64_C(3600) * 1000)

static const char *strategy_name(enum idem_strategy strategy) {
    const struct idem_schema_word *word = idem_schema_find("rules[].strategy")->words;
    while (word->name != NULL && word->value != (int)strategy) {
        word++;
    }
    return word->name;
}

static enum idem_code check_strategy(struct idem_config_reader *reader,
                                     const struct idem_rule *rule) {
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const struct idem_schema_row *row = idem_schema_at(i);
        if (reader->given[i] != 0 && row->strategies != 0 &&
            (row->strategies & IDEM_SCHEMA_FOR(rule->strategy)) == 0) {
            (void)idem_config_place(reader, row->path, rule->line);
            return idem_config_refuse(
                reader,
                "has no meaning with strategy: %s; remove it, or use strategy: %s",
                strategy_name(rule->strategy),
                (row->strategies & IDEM_SCHEMA_FOR(IDEM_STRATEGY_KEY)) != 0 ? "key"
                                                                            : "sequence");
        }
    }
    if (rule->strategy == IDEM_STRATEGY_KEY &&
        !idem_config_place(reader, "rules[].key", rule->line)) {
        return idem_config_refuse(reader, "is missing; strategy: key needs it, as in "
                                          "key: property:idempotency-key");
    }
    if (rule->strategy == IDEM_STRATEGY_SEQUENCE &&
        !idem_config_place(reader, "rules[].sequence", rule->line)) {
        return idem_config_refuse(reader,
                                  "is missing; strategy: sequence needs it, as in "
                                  "sequence: {number: property:seq}");
    }
    return IDEM_OK;
}

static enum idem_code check_match(struct idem_config_reader *reader,
                                  const struct idem_rule *rule) {
    const struct idem_match *match = &rule->match;
    bool amqp = match->queue != NULL || match->routing_key != NULL;
    (void)idem_config_place(reader, "rules[].match", rule->line);
    if (match->topic == NULL && !amqp && match->header_name == NULL) {
        return idem_config_refuse(reader,
                                  "is empty; give it topic, queue, routing_key or "
                                  "header (topic: \"#\" matches all of MQTT)");
    }
    if (match->topic != NULL && amqp) {
        return idem_config_refuse(reader,
                                  "nothing can match: topic is for MQTT, queue and "
                                  "routing_key are for AMQP; write two rules");
    }
    return IDEM_OK;
}

static enum idem_code check_name(struct idem_config_reader *reader,
                                 const struct idem_rule *rule) {
    const struct idem_ruleset *set = &reader->config->rules;
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->rules[i].name, rule->name) == 0) {
            (void)idem_config_place(reader, "rules[].name", rule->line);
            return idem_config_refuse(
                reader,
                "'%s' is the name of the rule in line %d already; give each its own",
                rule->name, set->rules[i].line);
        }
    }
    return IDEM_OK;
}

static enum idem_code check_times(struct idem_config_reader *reader,
                                  const struct idem_rule_draft *draft) {
    const struct idem_rule *rule = &draft->rule;
    (void)idem_config_place(reader, "rules[].ttl", rule->line);
    if (rule->ttl_ms <= rule->lease_ms) {
        char ttl[32];
        char lease[32];
        idem_config_duration_text(ttl, sizeof ttl, rule->ttl_ms);
        idem_config_duration_text(lease, sizeof lease, rule->lease_ms);
        return idem_config_refuse(reader,
                                  "the ttl (%s) is not longer than the lease (%s); make "
                                  "the ttl longer or the lease shorter",
                                  ttl, lease);
    }
    if (rule->ttl_ms < SHORT_TTL_MS && !draft->short_ttl) {
        idem_config_remark(reader,
                           "shorter than 1h: copies that are sent later are "
                           "delivered again; say short_ttl: true if that is meant");
    }
    return IDEM_OK;
}

/* Where a message may ask for less than it may at least, or for less than the lease, it would never get
 * what it asks for. */
static enum idem_code check_ttl_header(struct idem_config_reader *reader,
                                       const struct idem_rule *rule) {
    const struct idem_ttl_header *header = &rule->ttl_header;
    int64_t max_ms = header->max_ms > 0 ? header->max_ms : rule->ttl_ms;
    char least[32];
    char most[32];
    bool given = idem_config_place(reader, "rules[].ttl_header.min", rule->line);
    idem_config_duration_text(least, sizeof least, header->min_ms);
    if (given && header->min_ms <= rule->lease_ms) {
        idem_config_duration_text(most, sizeof most, rule->lease_ms);
        return idem_config_refuse(reader,
                                  "the shortest ttl (%s) is not longer than the lease "
                                  "(%s); make it longer or the lease shorter",
                                  least, most);
    }
    idem_config_duration_text(most, sizeof most, max_ms);
    if (given && header->min_ms > max_ms) {
        return idem_config_refuse(
            reader, "the shortest ttl (%s) is longer than the longest (%s)", least, most);
    }
    if (idem_config_place(reader, "rules[].ttl_header.max", rule->line) &&
        max_ms <= rule->lease_ms) {
        return idem_config_refuse(
            reader, "the longest ttl (%s) is not longer than the lease", most);
    }
    return IDEM_OK;
}

static enum idem_code check_replay(struct idem_config_reader *reader,
                                   const struct idem_rule *rule) {
    (void)idem_config_place(reader, "rules[].on_duplicate", rule->line);
    if (rule->strategy == IDEM_STRATEGY_SEQUENCE &&
        rule->policies.on_duplicate == IDEM_ACTION_REPLAY) {
        return idem_config_refuse(
            reader, "strategy: sequence keeps a mark for all numbers and no "
                    "result of any to replay; use drop, or strategy: key");
    }
    if (rule->policies.on_duplicate != IDEM_ACTION_REPLAY &&
        idem_config_place(reader, "rules[].result", rule->line)) {
        return idem_config_refuse(reader, "has no meaning without on_duplicate: replay; "
                                          "remove it, or use on_duplicate: replay");
    }
    if (rule->result.store_failed &&
        !idem_config_place(reader, "rules[].result.failed", rule->line)) {
        (void)idem_config_place(reader, "rules[].result.store_failed", rule->line);
        return idem_config_refuse(reader, "no response counts as failed; say which do, "
                                          "as in failed: {header: status, values: [5*]}");
    }
    return IDEM_OK;
}

/* A literal that can become the whole key makes unlike messages one; what follows the payload, which
 * every message has, is never reached. */
static enum idem_code check_key(struct idem_config_reader *reader,
                                const struct idem_rule *rule) {
    const struct idem_key_spec *key = &rule->key;
    size_t literals = 0;
    (void)idem_config_place(reader, "rules[].key", rule->line);
    for (size_t i = 0; i < key->count; i++) {
        literals += key->items[i].kind == IDEM_EXTRACT_TEXT;
        bool payload = key->items[i].kind == IDEM_EXTRACT_PAYLOAD ||
                       key->items[i].kind == IDEM_EXTRACT_PAYLOAD_SHA256;
        if (!key->joined && payload && i + 1 < key->count) {
            return idem_config_refuse(reader,
                                      "the payload always yields a value, so that "
                                      "nothing after it is used; put it last");
        }
    }
    if (rule->scope.kind != IDEM_SCOPE_BY && literals > 0 &&
        (!key->joined || literals == key->count)) {
        return idem_config_refuse(reader,
                                  "text:LITERAL alone is the same key for all messages; "
                                  "join it with others by {all: [...]}, or remove it");
    }
    return IDEM_OK;
}

static void remark_unused(struct idem_config_reader *reader,
                          const struct idem_rule *rule) {
    if (rule->fingerprint.count == 0 &&
        idem_config_place(reader, "rules[].on_conflict", rule->line)) {
        idem_config_remark(reader, "never used: with fingerprint: none there are no "
                                   "conflicts");
    }
}

enum idem_code idem_config_check_rule(struct idem_config_reader *reader,
                                      const struct idem_rule_draft *draft) {
    const struct idem_rule *rule = &draft->rule;
    enum idem_code code = check_name(reader, rule);
    if (code == IDEM_OK) {
        code = check_strategy(reader, rule);
    }
    if (code == IDEM_OK) {
        code = check_match(reader, rule);
    }
    if (code == IDEM_OK) {
        code = check_times(reader, draft);
    }
    if (code == IDEM_OK) {
        code = check_ttl_header(reader, rule);
    }
    if (code == IDEM_OK) {
        code = check_replay(reader, rule);
    }
    if (code == IDEM_OK) {
        code = idem_config_check_sequence(reader, rule);
    }
    if (code == IDEM_OK) {
        code = check_key(reader, rule);
        remark_unused(reader, rule);
    }
    return code == IDEM_OK ? idem_config_check_reach(reader, rule) : code;
}
