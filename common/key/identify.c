/* SPDX-License-Identifier: MIT
 * From a message to its digests: scope and key make the key's digest, named values the fingerprint.
 *
 * The order and meaning of the hashed spans is the on-disk format of every store: tests/unit/key holds
 * golden values. A change needs a new store version. */
#include "key/key_hash.h"
#include "key/number.h"

#define SPANS_MAX (1 + 2 * IDEM_EXTRACTORS_MAX)

struct spans {
    size_t count;
    struct idem_span items[SPANS_MAX];
};

static void add(struct spans *spans, struct idem_span span) {
    spans->items[spans->count++] = span;
}

static void add_parts(struct spans *spans, const struct idem_key_part *parts,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        add(spans, parts[i].value);
    }
}

/* A payload that wins the key is all that is known of the message, and its topic belongs to it: two
 * sensors that report the same reading send two messages. */
static size_t extract_key(struct idem_extraction *from, const struct idem_key_spec *key,
                          struct idem_key_part *parts) {
    from->whole_message = !key->joined;
    size_t count = idem_extract_spec(from, key, parts);
    from->whole_message = false;
    return count;
}

/* Which extractor gave a value is left out on purpose: a header and a property that carry the same key
 * name the same message. */
void idem_key_hash(struct idem_digest *digest, const struct idem_secret *secret,
                   enum idem_digest_domain domain, const struct idem_scope_value *scope,
                   const struct idem_key_part *parts, size_t parts_count) {
    const uint8_t head[] = {(uint8_t)scope->tag, (uint8_t)scope->count,
                            (uint8_t)parts_count};
    struct spans spans = {.count = 0};
    add(&spans, idem_span_of(head, sizeof head));
    add_parts(&spans, scope->parts, scope->count);
    add_parts(&spans, parts, parts_count);
    idem_digest_of(digest, secret, domain, spans.items, spans.count);
}

/* The payload goes into the fingerprint's hash as it is: hashing a hash of it would cost one more. */
static bool fingerprint_value(const struct idem_extraction *from,
                              const struct idem_extractor *extractor,
                              struct idem_span *value) {
    if (extractor->kind == IDEM_EXTRACT_PAYLOAD) {
        *value = from->message->payload;
        return true;
    }
    return idem_extract(from, extractor, value);
}

/* A value that is absent differs from every value, and two absent ones are equal. */
static bool hash_fingerprint(struct idem_digest *digest,
                             const struct idem_extraction *from,
                             const struct idem_key_spec *spec) {
    uint8_t present[IDEM_EXTRACTORS_MAX] = {0};
    struct spans spans = {.count = 0};
    if (spec->count == 0 || spec->count > IDEM_EXTRACTORS_MAX) {
        return false;
    }
    add(&spans, idem_span_of(present, spec->count));
    for (size_t i = 0; i < spec->count; i++) {
        struct idem_span value;
        if (fingerprint_value(from, &spec->items[i], &value)) {
            present[i] = 1;
            add(&spans, value);
        }
    }
    idem_digest_of(digest, from->secret, IDEM_DOMAIN_FINGERPRINT, spans.items,
                   spans.count);
    return true;
}

void idem_identify(struct idem_identity *identity, const struct idem_rule *rule,
                   const struct idem_secret *secret, const struct idem_message *message,
                   struct idem_workspace *workspace, struct idem_key_part *parts,
                   size_t *parts_count) {
    struct idem_extraction from = {message, secret, workspace, false};
    struct idem_key_part own_parts[IDEM_EXTRACTORS_MAX];
    struct idem_scope_value scope;
    struct idem_key_part *key = parts != NULL ? parts : own_parts;
    bool numbered = rule->strategy == IDEM_STRATEGY_SEQUENCE;
    idem_workspace_start(workspace);
    memset(identity, 0, sizeof *identity);
    size_t count =
        extract_key(&from, numbered ? &rule->sequence.producer : &rule->key, key);
    if (parts_count != NULL) {
        *parts_count = count;
    }
    if (count == 0) {
        identity->status = IDEM_IDENTITY_NO_KEY;
    } else if (!idem_scope_resolve(&from, rule, &scope)) {
        identity->status = IDEM_IDENTITY_NO_SCOPE;
    } else if (!numbered) {
        idem_key_hash(&identity->digest, secret, IDEM_DOMAIN_KEY, &scope, key, count);
    } else if (!idem_number_read(&identity->number, &from, &rule->sequence)) {
        identity->status = IDEM_IDENTITY_NO_NUMBER;
    } else {
        idem_key_hash(&identity->producer, secret, IDEM_DOMAIN_PRODUCER, &scope, key,
                      count);
        idem_number_identify(&identity->number, secret, &identity->producer);
        identity->digest = identity->number.message;
    }
    identity->has_fingerprint =
        !numbered && hash_fingerprint(&identity->fingerprint, &from, &rule->fingerprint);
}
