/* SPDX-License-Identifier: MIT
 * MQTT topic filters and AMQP topic patterns: iterative, in place, O(pattern x name) at worst. */
#include <idem/rule.h>

/* Parts of a name between separators. A name of no bytes has one empty MQTT level, but no AMQP word:
 * the caller says which by the first value of more. */
struct parts {
    struct idem_span rest;
    uint8_t separator;
    bool more;
};

static struct idem_span next_part(struct parts *parts) {
    struct idem_span part = parts->rest;
    const uint8_t *end =
        part.len > 0 ? memchr(part.data, parts->separator, part.len) : NULL;
    parts->more = end != NULL;
    if (end != NULL) {
        part.len = (size_t)(end - part.data);
        parts->rest = idem_span_of(end + 1, parts->rest.len - part.len - 1);
    }
    return part;
}

static bool is_byte(struct idem_span part, uint8_t byte) {
    return part.len == 1 && part.data[0] == byte;
}

static bool has_byte(struct idem_span part, uint8_t byte) {
    return part.len > 0 && memchr(part.data, byte, part.len) != NULL;
}

bool idem_topic_matches(struct idem_span filter, struct idem_span topic) {
    struct parts levels = {filter, '/', true};
    struct parts names = {topic, '/', true};
    bool system_topic = topic.len > 0 && topic.data[0] == '$';
    if (filter.len == 0 || topic.len == 0) {
        return false; /* both hold at least one character [MQTT-4.7.3-1] */
    }
    if (system_topic && (filter.data[0] == '+' || filter.data[0] == '#')) {
        return false; /* [MQTT-4.7.2-1] */
    }
    while (levels.more) {
        struct idem_span level = next_part(&levels);
        if (is_byte(level, '#')) {
            return true; /* also the parent level: "sport/#" matches "sport" */
        }
        if (!names.more) {
            return false;
        }
        struct idem_span name = next_part(&names);
        if (!is_byte(level, '+') && !idem_span_equal(level, name)) {
            return false;
        }
    }
    return !names.more;
}

bool idem_topic_filter_valid(struct idem_span filter) {
    struct parts levels = {filter, '/', true};
    if (filter.len == 0 || filter.len > UINT16_MAX || has_byte(filter, '\0')) {
        return false;
    }
    while (levels.more) {
        struct idem_span level = next_part(&levels);
        if (has_byte(level, '+') && level.len > 1) {
            return false;
        }
        if (has_byte(level, '#') && (level.len > 1 || levels.more)) {
            return false;
        }
    }
    return true;
}

static bool word_matches(struct parts *pattern, struct parts *words) {
    if (!pattern->more) {
        return false;
    }
    struct idem_span wanted = next_part(pattern);
    struct idem_span word = next_part(words);
    return is_byte(wanted, '*') || idem_span_equal(wanted, word);
}

static bool take_hash(struct parts *pattern) {
    struct parts ahead = *pattern;
    if (!ahead.more || !is_byte(next_part(&ahead), '#')) {
        return false;
    }
    *pattern = ahead;
    return true;
}

/* Only the last # ever has to take one word more: whatever an earlier one could take instead, the last
 * one can take as well. So one saved position replaces recursion. */
bool idem_pattern_matches(struct idem_span pattern, struct idem_span words) {
    struct parts wanted = {pattern, '.', pattern.len > 0};
    struct parts given = {words, '.', words.len > 0};
    struct parts after_hash = wanted;
    struct parts left_to_hash = given;
    bool seen_hash = false;
    while (given.more) {
        if (take_hash(&wanted)) {
            seen_hash = true;
            after_hash = wanted;
            left_to_hash = given;
        } else if (!word_matches(&wanted, &given)) {
            if (!seen_hash) {
                return false;
            }
            (void)next_part(&left_to_hash);
            wanted = after_hash;
            given = left_to_hash;
        }
    }
    bool only_hashes = true;
    while (only_hashes && wanted.more) {
        only_hashes = take_hash(&wanted);
    }
    return only_hashes;
}
