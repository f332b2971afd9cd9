/* SPDX-License-Identifier: MIT
 * The key that a delivered message carries on, so that the next receiver can recognise copies too. */
#include "base/utf8.h"

#include <idem/identity.h>

/* Only text travels as it came: the property must be legal in every protocol. */
static bool is_text(const struct idem_key_part *part) {
    if (part->extractor != NULL && part->extractor->kind == IDEM_EXTRACT_PAYLOAD) {
        return false; /* a hash that happens to look like text */
    }
    for (size_t at = 0; at < part->value.len;) {
        uint32_t code_point = 0;
        size_t len =
            idem_utf8_decode(part->value.data + at, part->value.len - at, &code_point);
        if (len == 0 || !idem_utf8_printable(code_point)) {
            return false;
        }
        at += len;
    }
    return part->value.len > 0;
}

static size_t write_text(struct idem_span text, char *out, size_t size) {
    if (text.len >= size) {
        return 0;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return text.len;
}

static size_t write_hex(const struct idem_digest *digest, char *out, size_t size) {
    if (size < IDEM_DIGEST_HEX_SIZE) {
        return 0;
    }
    idem_digest_hex(digest, out);
    return IDEM_DIGEST_HEX_SIZE - 1;
}

size_t idem_key_text(const struct idem_digest *digest, const struct idem_key_part *parts,
                     size_t parts_count, char *out, size_t size) {
    return parts_count == 1 && is_text(&parts[0]) ? write_text(parts[0].value, out, size)
                                                  : write_hex(digest, out, size);
}

size_t idem_propagated_key(const struct idem_rule *rule, const struct idem_secret *secret,
                           const struct idem_digest *digest,
                           const struct idem_key_part *parts, size_t parts_count,
                           char *out, size_t size) {
    if (rule->propagate.as[0] == NULL) {
        return 0;
    }
    if (rule->propagate.hop == NULL) {
        return idem_key_text(digest, parts, parts_count, out, size);
    }
    /* Derived from the digest, so the same in every retry, and not to be confused between hops. */
    const struct idem_span spans[] = {idem_span_text(rule->propagate.hop),
                                      idem_span_of(digest->bytes, IDEM_DIGEST_SIZE)};
    struct idem_digest derived;
    idem_digest_of(&derived, secret, IDEM_DOMAIN_HOP, spans, 2);
    return write_hex(&derived, out, size);
}
