/* SPDX-License-Identifier: MIT
 * The correlation id of a request on its way to the worker.
 *
 * A version byte, the ticket, the rule, the end of the lease, then 16 bytes of BLAKE2b over all of it with the
 * secret, in Base64 without padding that is safe in URLs. A change of the layout takes a new version: requests
 * that are under way when the bridge is replaced are answered with the old one. */
#include "token.h"

#include <sodium.h>

#define VERSION     1
#define SIGNED_SIZE (1 + IDEM_DIGEST_SIZE + 5 * 8)
#define TOKEN_BYTES (SIGNED_SIZE + IDEM_DIGEST_SIZE)
#define VARIANT     sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(sodium_base64_ENCODED_LEN(TOKEN_BYTES, VARIANT) <= IDEM_TOKEN_SIZE,
               "raise IDEM_TOKEN_SIZE");

static uint8_t *put(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        *at++ = (uint8_t)(value >> (8 * i));
    }
    return at;
}

static uint64_t take(const uint8_t **at) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value |= (uint64_t) * (*at)++ << (8 * i);
    }
    return value;
}

static void sign(struct idem_digest *mac, const uint8_t *bytes,
                 const struct idem_secret *secret) {
    const struct idem_span span = idem_span_of(bytes, SIGNED_SIZE);
    idem_digest_of(mac, secret, IDEM_DOMAIN_TOKEN, &span, 1);
}

uint64_t idem_token_rule(const char *name) {
    const struct idem_span span = idem_span_text(name);
    struct idem_secret secret;
    struct idem_digest digest;
    const uint8_t *at = digest.bytes;
    idem_secret_default(&secret);
    idem_digest_of(&digest, &secret, IDEM_DOMAIN_TOKEN, &span, 1);
    return take(&at);
}

void idem_token_print(char *text, const struct idem_token *token,
                      const struct idem_secret *secret) {
    uint8_t bytes[TOKEN_BYTES] = {VERSION};
    struct idem_digest mac;
    memcpy(bytes + 1, token->ticket.digest.bytes, IDEM_DIGEST_SIZE);
    uint8_t *at = bytes + 1 + IDEM_DIGEST_SIZE;
    at = put(at, token->ticket.owner.instance);
    at = put(at, token->ticket.owner.incarnation);
    at = put(at, (uint64_t)token->ticket.ttl_ms);
    at = put(at, token->rule);
    at = put(at, (uint64_t)token->lease_until_ms);
    sign(&mac, bytes, secret);
    memcpy(at, mac.bytes, IDEM_DIGEST_SIZE);
    (void)sodium_bin2base64(text, IDEM_TOKEN_SIZE, bytes, sizeof bytes, VARIANT);
}

/* libsodium's decoder (1.0.18) takes any byte above 127 for an underscore: only the text that these bytes
 * have is theirs. */
static bool is_text_of(const uint8_t *bytes, struct idem_span text) {
    char own[IDEM_TOKEN_SIZE];
    (void)sodium_bin2base64(own, sizeof own, bytes, TOKEN_BYTES, VARIANT);
    return memcmp(own, text.data, text.len) == 0;
}

bool idem_token_read(struct idem_token *token, struct idem_span text,
                     const struct idem_secret *secret) {
    uint8_t bytes[TOKEN_BYTES];
    struct idem_digest mac;
    size_t len = 0;
    if (text.len != sodium_base64_ENCODED_LEN(TOKEN_BYTES, VARIANT) - 1 ||
        sodium_base642bin(bytes, sizeof bytes, (const char *)text.data, text.len, NULL,
                          &len, NULL, VARIANT) != 0 ||
        len != sizeof bytes || bytes[0] != VERSION || !is_text_of(bytes, text)) {
        return false;
    }
    sign(&mac, bytes, secret);
    if (sodium_memcmp(mac.bytes, bytes + SIGNED_SIZE, IDEM_DIGEST_SIZE) != 0) {
        return false;
    }
    const uint8_t *at = bytes + 1 + IDEM_DIGEST_SIZE;
    memcpy(token->ticket.digest.bytes, bytes + 1, IDEM_DIGEST_SIZE);
    token->ticket.owner.instance = take(&at);
    token->ticket.owner.incarnation = take(&at);
    token->ticket.ttl_ms = (int64_t)take(&at);
    token->rule = take(&at);
    token->lease_until_ms = (int64_t)take(&at);
    return true;
}
