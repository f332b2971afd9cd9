/* SPDX-License-Identifier: MIT
 * How long one message is remembered: the rule's ttl, or what the message asks for within bounds. */
#include <idem/rule.h>

/* The number that text is, in decimal digits and nothing else; one that is too large becomes the largest.
 * false: it is none. */
static bool read_number(struct idem_span text, int64_t *number) {
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9) {
            return false;
        }
        *number = *number > (INT64_MAX - 9) / 10 ? INT64_MAX / 10
                                                 : *number * 10 + (int64_t)digit;
    }
    return text.len > 0;
}

/* A ttl within the lease would let the record go before copies that are held back look for it. */
static int64_t bounded(const struct idem_rule *rule, int64_t wanted_ms) {
    int64_t least_ms = rule->lease_ms + 1;
    int64_t most_ms =
        rule->ttl_header.max_ms > 0 ? rule->ttl_header.max_ms : rule->ttl_ms;
    if (rule->ttl_header.min_ms > least_ms) {
        least_ms = rule->ttl_header.min_ms;
    }
    if (wanted_ms > most_ms) {
        wanted_ms = most_ms;
    }
    return wanted_ms < least_ms ? least_ms : wanted_ms;
}

int64_t idem_rule_ttl(const struct idem_rule *rule, const struct idem_message *message) {
    struct idem_span text = {NULL, 0};
    int64_t wanted_ms = 0;
    if (rule->ttl_header.name == NULL || message->property == NULL ||
        !message->property(message->property_source,
                           idem_span_text(rule->ttl_header.name), &text) ||
        !read_number(text, &wanted_ms)) {
        return rule->ttl_ms;
    }
    return bounded(rule, wanted_ms);
}
