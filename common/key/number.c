/* SPDX-License-Identifier: MIT
 * Epoch and number of one message. */
#include "key/number.h"

#define DIGITS_MAX 64 /* leading zeros are as good as none, but not without end */

/* Decimal digits and nothing else: 1e3, 1.0, +1 and -1 are not what a counter writes. */
static bool parse(uint64_t *value, struct idem_span text) {
    *value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || *value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *value = 10 * *value + digit;
    }
    return text.len > 0 && text.len <= DIGITS_MAX;
}

/* The first extractor of the spec that yields a value has the number. */
static bool read_one(uint64_t *value, const struct idem_extraction *from,
                     const struct idem_key_spec *spec) {
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
    return idem_extract_spec(from, spec, parts) == 1 && parse(value, parts[0].value);
}

bool idem_number_read(struct idem_number *number, const struct idem_extraction *from,
                      const struct idem_sequence_spec *spec) {
    *number = (struct idem_number){.wrap = spec->wrap, .window = spec->window};
    if (spec->epoch.count > 0 && !read_one(&number->epoch, from, &spec->epoch)) {
        return false;
    }
    number->present = read_one(&number->value, from, &spec->number) &&
                      (spec->wrap == 0 || number->value >> spec->wrap == 0);
    return number->present;
}

void idem_number_identify(struct idem_number *number, const struct idem_secret *secret,
                          const struct idem_digest *producer) {
    uint8_t count[16];
    for (size_t i = 0; i < 8; i++) {
        count[i] = (uint8_t)(number->epoch >> (8 * i));
        count[8 + i] = (uint8_t)(number->value >> (8 * i));
    }
    const struct idem_span spans[] = {
        idem_span_of(producer->bytes, sizeof producer->bytes),
        idem_span_of(count, sizeof count)};
    idem_digest_of(&number->message, secret, IDEM_DOMAIN_NUMBER, spans, 2);
}

static enum idem_gap gap_terms(enum idem_action on_gap, bool can_hold) {
    switch (on_gap) {
    case IDEM_ACTION_HOLD:
        return can_hold ? IDEM_GAP_HOLD : IDEM_GAP_ACCEPT;
    case IDEM_ACTION_REJECT:
        return IDEM_GAP_REJECT;
    case IDEM_ACTION_DELIVER:
    case IDEM_ACTION_DROP:
    case IDEM_ACTION_QUARANTINE:
    case IDEM_ACTION_REPLAY:
    case IDEM_ACTION_REFUSE:
        break;
    }
    return IDEM_GAP_ACCEPT;
}

struct idem_sequence_terms idem_rule_terms(const struct idem_rule *rule, bool can_hold) {
    return (struct idem_sequence_terms){
        .on_gap = gap_terms(rule->policies.on_gap, can_hold),
        .require_zero = rule->sequence.on_unknown == IDEM_UNKNOWN_REQUIRE_ZERO,
        .hold_ms = rule->sequence.hold_ms,
        .hold_numbers = rule->sequence.hold_numbers,
        .ttl_ms = rule->ttl_ms,
    };
}
