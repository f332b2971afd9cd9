/* SPDX-License-Identifier: MIT
 * Values out of messages: each kind of extractor, and the workspace that holds what they derive. */
#include "key/extract.h"

#include "key/json.h"

#include <sodium.h>
#include <stdlib.h>

/* A key, a scope and a fingerprint, or a producer, a scope, an epoch and a number, each of as many values
 * as there can be. Pages that no long value has touched cost nothing. */
#define DERIVED_MAX ((size_t)4 * IDEM_EXTRACTORS_MAX * IDEM_KEY_MAX)

struct idem_workspace {
    bool payload_hashed;
    struct idem_digest payload_hash;
    struct idem_digest message_hash;
    char payload_sha256[IDEM_SHA256_HEX_SIZE]; /* "": not made yet */
    size_t derived_len;
    uint8_t derived[DERIVED_MAX];
};

enum idem_code idem_workspace_open(struct idem_workspace **workspace) {
    *workspace = malloc(sizeof **workspace);
    if (*workspace == NULL) {
        return IDEM_ERR_NOMEM;
    }
    idem_workspace_start(*workspace);
    return IDEM_OK;
}

void idem_workspace_close(struct idem_workspace *workspace) {
    free(workspace);
}

void idem_workspace_start(struct idem_workspace *workspace) {
    workspace->payload_hashed = false;
    workspace->payload_sha256[0] = '\0';
    workspace->derived_len = 0;
}

/* At most once a message, however often it is named. */
static struct idem_span payload_hash(const struct idem_extraction *from) {
    struct idem_workspace *workspace = from->workspace;
    if (!workspace->payload_hashed) {
        idem_digest_of(&workspace->payload_hash, from->secret, IDEM_DOMAIN_PAYLOAD,
                       &from->message->payload, 1);
        workspace->payload_hashed = true;
    }
    return idem_span_of(workspace->payload_hash.bytes, IDEM_DIGEST_SIZE);
}

static struct idem_span message_hash(const struct idem_extraction *from) {
    const struct idem_span spans[] = {from->message->topic, from->message->payload};
    struct idem_workspace *workspace = from->workspace;
    idem_digest_of(&workspace->message_hash, from->secret, IDEM_DOMAIN_PAYLOAD, spans, 2);
    return idem_span_of(workspace->message_hash.bytes, IDEM_DIGEST_SIZE);
}

void idem_extract_sha256(struct idem_span payload, char hex[IDEM_SHA256_HEX_SIZE]) {
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, payload.data, payload.len);
    (void)sodium_bin2hex(hex, IDEM_SHA256_HEX_SIZE, hash, sizeof hash);
}

static struct idem_span payload_sha256(const struct idem_extraction *from) {
    struct idem_workspace *workspace = from->workspace;
    if (workspace->payload_sha256[0] == '\0') {
        idem_extract_sha256(from->message->payload, workspace->payload_sha256);
    }
    return idem_span_text(workspace->payload_sha256);
}

static struct idem_span property(const struct idem_message *message, const char *name) {
    struct idem_span value = {NULL, 0};
    if (message->property == NULL ||
        !message->property(message->property_source, idem_span_text(name), &value)) {
        return idem_span_of(NULL, 0);
    }
    return value;
}

static struct idem_span topic_level(const struct idem_message *message, unsigned level) {
    uint8_t separator = message->protocol == IDEM_PROTOCOL_MQTT ? '/' : '.';
    struct idem_span rest = message->topic;
    for (unsigned i = 1; rest.len > 0; i++) {
        const uint8_t *end = memchr(rest.data, separator, rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.data) : rest.len;
        if (i == level) {
            return idem_span_of(rest.data, len);
        }
        size_t skip = end != NULL ? len + 1 : len;
        rest = idem_span_of(rest.data + skip, rest.len - skip);
    }
    return rest;
}

static struct idem_span json_value(const struct idem_extraction *from,
                                   const char *pointer) {
    struct idem_workspace *workspace = from->workspace;
    uint8_t *buffer = workspace->derived + workspace->derived_len;
    size_t left = DERIVED_MAX - workspace->derived_len;
    struct idem_span value = {NULL, 0};
    if (!idem_json_find(from->message->payload, pointer, buffer,
                        left < IDEM_KEY_MAX ? left : IDEM_KEY_MAX, &value)) {
        return idem_span_of(NULL, 0);
    }
    if (value.data == buffer) {
        workspace->derived_len += value.len;
    }
    return value;
}

struct idem_span idem_extract_field(const struct idem_message *message,
                                    const struct idem_extractor *extractor) {
    switch (extractor->kind) {
    case IDEM_EXTRACT_PROPERTY:
        return property(message, extractor->text);
    case IDEM_EXTRACT_MESSAGE_ID:
        return message->message_id;
    case IDEM_EXTRACT_CORRELATION_ID:
        return message->correlation_id;
    case IDEM_EXTRACT_TOPIC_LEVEL:
        return topic_level(message, extractor->level);
    case IDEM_EXTRACT_ROUTING_KEY:
        return message->topic;
    case IDEM_EXTRACT_CLIENT:
        return message->client;
    case IDEM_EXTRACT_USER:
        return message->user;
    case IDEM_EXTRACT_TEXT:
        return idem_span_text(extractor->text);
    case IDEM_EXTRACT_JSON:
    case IDEM_EXTRACT_PAYLOAD:
    case IDEM_EXTRACT_PAYLOAD_SHA256:
        break;
    }
    return idem_span_of(NULL, 0);
}

static struct idem_span raw_value(const struct idem_extraction *from,
                                  const struct idem_extractor *extractor) {
    if (extractor->kind == IDEM_EXTRACT_JSON) {
        return json_value(from, extractor->text);
    }
    if (extractor->kind == IDEM_EXTRACT_PAYLOAD) {
        return from->whole_message ? message_hash(from) : payload_hash(from);
    }
    if (extractor->kind == IDEM_EXTRACT_PAYLOAD_SHA256) {
        return payload_sha256(from);
    }
    return idem_extract_field(from->message, extractor);
}

bool idem_extract(const struct idem_extraction *from,
                  const struct idem_extractor *extractor, struct idem_span *value) {
    *value = raw_value(from, extractor);
    return value->len > 0 && value->len <= IDEM_KEY_MAX;
}

static size_t extract_first(const struct idem_extraction *from,
                            const struct idem_key_spec *spec,
                            struct idem_key_part *part) {
    for (size_t i = 0; i < spec->count; i++) {
        if (idem_extract(from, &spec->items[i], &part->value)) {
            part->extractor = &spec->items[i];
            return 1;
        }
    }
    return 0;
}

static size_t extract_all(const struct idem_extraction *from,
                          const struct idem_key_spec *spec, struct idem_key_part *parts) {
    if (spec->count > IDEM_EXTRACTORS_MAX) {
        return 0;
    }
    for (size_t i = 0; i < spec->count; i++) {
        parts[i].extractor = &spec->items[i];
        if (!idem_extract(from, &spec->items[i], &parts[i].value)) {
            return 0;
        }
    }
    return spec->count;
}

size_t idem_extract_spec(const struct idem_extraction *from,
                         const struct idem_key_spec *spec, struct idem_key_part *parts) {
    return spec->joined ? extract_all(from, spec, parts)
                        : extract_first(from, spec, parts);
}
