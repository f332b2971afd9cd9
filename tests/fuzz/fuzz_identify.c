/* SPDX-License-Identifier: MIT
 * Fuzz target: bytes as a rule and a message. Whatever they are, identities are the same each time, values
 * within their limits, and what leaves for people and other protocols is text. */
#include "base/utf8.h"

#include <idem/identity.h>

#include <stdio.h>
#include <stdlib.h>

#define PROPERTIES_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
};

struct property {
    struct idem_span name;
    struct idem_span value;
};

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static unsigned take_byte(struct input *input) {
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->at++;
}

/* A length in two bytes, then that much, or what is left. */
static struct idem_span take_span(struct input *input) {
    size_t len = take_byte(input) << 8;
    len |= take_byte(input);
    len = len < input->left ? len : input->left;
    struct idem_span span = idem_span_of(input->at, len);
    input->at += len;
    input->left -= len;
    return span;
}

static char *take_text(struct input *input) {
    struct idem_span span = take_span(input);
    char *text = strndup(span.len > 0 ? (const char *)span.data : "", span.len);
    require(text != NULL, "out of memory");
    return text;
}

/* Texts that are no extractor are left out, as the configuration would refuse them. */
static void take_spec(struct input *input, struct idem_key_spec *spec) {
    unsigned head = take_byte(input);
    spec->joined = (head & 0x80) != 0;
    spec->items = calloc(IDEM_EXTRACTORS_MAX, sizeof *spec->items);
    require(spec->items != NULL, "out of memory");
    for (unsigned i = 0; i < head % (IDEM_EXTRACTORS_MAX + 1); i++) {
        char *text = take_text(input);
        if (idem_extractor_parse(&spec->items[spec->count], text, NULL) == IDEM_OK) {
            spec->count++;
        }
        free(text);
    }
}

static void take_match(struct input *input, struct idem_match *match) {
    unsigned given = take_byte(input);
    char **texts[] = {&match->topic, &match->queue, &match->routing_key,
                      &match->header_name, &match->header_value};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if ((given >> i & 1) != 0) {
            *texts[i] = take_text(input);
        }
    }
}

static void take_rule(struct input *input, struct idem_rule *rule) {
    unsigned head = take_byte(input);
    take_match(input, &rule->match);
    rule->name = take_text(input);
    rule->strategy = IDEM_STRATEGY_KEY;
    rule->scope.kind = (enum idem_scope_kind)(head % 4);
    take_spec(input, &rule->key);
    take_spec(input, &rule->fingerprint);
    if (rule->scope.kind == IDEM_SCOPE_BY) {
        take_spec(input, &rule->scope.by);
    }
    rule->propagate.as[0] = (head & 0x10) != 0 ? take_text(input) : NULL;
    rule->propagate.hop = (head & 0x20) != 0 ? take_text(input) : NULL;
    rule->ttl_ms = 3600000;
    rule->lease_ms = 30000;
    rule->ttl_header.name = (head & 0x40) != 0 ? take_text(input) : NULL;
    rule->ttl_header.max_ms = (head & 0x80) != 0 ? 2 * rule->ttl_ms : 0;
}

static bool lookup(void *source, struct idem_span name, struct idem_span *value) {
    const struct property *properties = source;
    for (size_t i = 0; i < PROPERTIES_MAX; i++) {
        if (idem_span_equal(properties[i].name, name)) {
            *value = properties[i].value;
            return true;
        }
    }
    return false;
}

static void take_message(struct input *input, struct idem_message *message,
                         struct property *properties) {
    unsigned head = take_byte(input);
    struct idem_span *spans[] = {&message->topic,      &message->queue,
                                 &message->client,     &message->user,
                                 &message->message_id, &message->correlation_id};
    message->protocol = (enum idem_protocol)(head & 1);
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        *spans[i] = take_span(input);
    }
    for (size_t i = 0; i < PROPERTIES_MAX; i++) {
        properties[i].name = take_span(input);
        properties[i].value = take_span(input);
    }
    message->property = (head & 2) != 0 ? lookup : NULL;
    message->property_source = properties;
    message->payload = idem_span_of(input->at, input->left);
}

static void require_text(const char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        uint32_t code_point = 0;
        size_t taken =
            idem_utf8_decode((const uint8_t *)text + at, len - at, &code_point);
        require(taken > 0 && idem_utf8_printable(code_point), "no text");
        at += taken;
    }
}

static void check_parts(const struct idem_key_part *parts, size_t count) {
    require(count <= IDEM_EXTRACTORS_MAX, "too many parts");
    for (size_t i = 0; i < count; i++) {
        require(parts[i].value.len > 0 && parts[i].value.len <= IDEM_KEY_MAX,
                "a value outside its limits");
    }
}

static void check_identity(const struct idem_rule *rule, const struct idem_secret *secret,
                           const struct idem_message *message,
                           struct idem_workspace *workspace) {
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
    struct idem_identity first;
    struct idem_identity second;
    char out[IDEM_KEY_MAX + 1];
    size_t count = 0;
    idem_identify(&first, rule, secret, message, workspace, NULL, NULL);
    idem_identify(&second, rule, secret, message, workspace, parts, &count);
    require(first.status == second.status &&
                idem_digest_equal(&first.digest, &second.digest) &&
                idem_digest_equal(&first.fingerprint, &second.fingerprint),
            "two identities");
    require((first.status == IDEM_IDENTITY_NO_KEY) == (count == 0), "parts and status");
    require(first.has_fingerprint == (rule->fingerprint.count > 0), "fingerprint");
    check_parts(parts, count);
    if (first.status == IDEM_IDENTITY_OK) {
        size_t len = idem_propagated_key(rule, secret, &first.digest, parts, count, out,
                                         sizeof out);
        require((len == 0) == (rule->propagate.as[0] == NULL), "propagated or not");
        require(len == 0 || strlen(out) == len, "length");
        require_text(out, len);
    }
}

static void check_ttl(const struct idem_rule *rule, const struct idem_message *message) {
    int64_t ttl_ms = idem_rule_ttl(rule, message);
    int64_t most_ms =
        rule->ttl_header.max_ms > 0 ? rule->ttl_header.max_ms : rule->ttl_ms;
    require(ttl_ms > rule->lease_ms && ttl_ms <= most_ms, "ttl out of bounds");
}

static void check_description(const struct idem_rule *rule,
                              const struct idem_message *message,
                              struct idem_workspace *workspace, size_t size) {
    char *text = malloc(size);
    require(text != NULL, "out of memory");
    idem_scope_describe(rule, message, workspace, text, size);
    size_t len = strnlen(text, size);
    require(len < size, "not terminated");
    require_text(text, len);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct idem_workspace
        *workspace; /* of all inputs: nothing may be left in it */
    struct input input = {data, size};
    struct idem_ruleset set = {.count = 1, .rules = calloc(1, sizeof(struct idem_rule))};
    struct property properties[PROPERTIES_MAX];
    struct idem_message message = {.deletion = false};
    require(set.rules != NULL && idem_digest_init(NULL) == IDEM_OK, "no start");
    require(workspace != NULL || idem_workspace_open(&workspace) == IDEM_OK, "no start");
    idem_secret_default(&set.secret);
    size_t description = 1 + take_byte(&input);
    take_rule(&input, &set.rules[0]);
    take_message(&input, &message, properties);
    (void)idem_ruleset_match(&set, &message);
    (void)idem_topic_filter_valid(message.topic);
    check_ttl(&set.rules[0], &message);
    check_identity(&set.rules[0], &set.secret, &message, workspace);
    check_description(&set.rules[0], &message, workspace, description);
    idem_ruleset_fini(&set);
    return 0;
}
