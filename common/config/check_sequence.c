/* SPDX-License-Identifier: MIT
 * How the keys of a sequence go together. */
#include "config/reader.h"

/* One value that can be a whole number, and of the message itself. */
static enum idem_code check_count(struct idem_config_reader *reader,
                                  const struct idem_rule *rule, const char *path,
                                  const struct idem_key_spec *spec) {
    (void)idem_config_place(reader, path, rule->line);
    if (spec->joined && spec->count > 1) {
        return idem_config_refuse(reader, "several values joined are no number; give "
                                          "one extractor, or a list of them");
    }
    for (size_t i = 0; i < spec->count; i++) {
        enum idem_extractor_kind kind = spec->items[i].kind;
        if (kind == IDEM_EXTRACT_PAYLOAD || kind == IDEM_EXTRACT_PAYLOAD_SHA256 ||
            kind == IDEM_EXTRACT_TEXT) {
            return idem_config_refuse(reader, "a hash or a literal counts nothing; name "
                                              "what holds the number, as in "
                                              "property:seq or json:/seq");
        }
    }
    return IDEM_OK;
}

static enum idem_code check_wrap(struct idem_config_reader *reader,
                                 const struct idem_rule *rule) {
    unsigned wrap = rule->sequence.wrap;
    (void)idem_config_place(reader, "rules[].sequence.wrap", rule->line);
    return wrap == 0 || wrap == 31 || wrap == 32
               ? IDEM_OK
               : idem_config_refuse(reader,
                                    "'%u' is not possible; write 32 or 31, or 0 for "
                                    "numbers that never start again",
                                    wrap);
}

/* What waits for others needs a bound, and nothing else does. */
static enum idem_code check_hold(struct idem_config_reader *reader,
                                 const struct idem_rule *rule) {
    static const char *const bounds[] = {"rules[].sequence.hold_time",
                                         "rules[].sequence.hold_numbers"};
    if (rule->policies.on_gap == IDEM_ACTION_HOLD) {
        (void)idem_config_place(reader, bounds[0], rule->line);
        return rule->sequence.hold_ms < rule->ttl_ms
                   ? IDEM_OK
                   : idem_config_refuse(reader, "not shorter than the ttl, after which "
                                                "the producer is forgotten");
    }
    for (size_t i = 0; i < 2; i++) {
        if (idem_config_place(reader, bounds[i], rule->line)) {
            return idem_config_refuse(reader, "has no meaning without on_gap: hold; "
                                              "remove it, or use on_gap: hold");
        }
    }
    return IDEM_OK;
}

enum idem_code idem_config_check_sequence(struct idem_config_reader *reader,
                                          const struct idem_rule *rule) {
    const struct idem_sequence_spec *sequence = &rule->sequence;
    if (rule->strategy != IDEM_STRATEGY_SEQUENCE) {
        return IDEM_OK;
    }
    enum idem_code code =
        check_count(reader, rule, "rules[].sequence.number", &sequence->number);
    if (code == IDEM_OK) {
        code = check_count(reader, rule, "rules[].sequence.epoch", &sequence->epoch);
    }
    if (code == IDEM_OK) {
        code = check_wrap(reader, rule);
    }
    if (code == IDEM_OK) {
        code = check_hold(reader, rule);
    }
    (void)idem_config_place(reader, "rules[].sequence.on_unknown", rule->line);
    if (code == IDEM_OK && sequence->on_unknown == IDEM_UNKNOWN_REQUIRE_ZERO &&
        rule->policies.on_gap == IDEM_ACTION_DELIVER) {
        return idem_config_refuse(reader, "require_zero has no meaning with on_gap: "
                                          "accept, which takes any number; use on_gap: "
                                          "reject or hold");
    }
    return code;
}
