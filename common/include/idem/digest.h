/* SPDX-License-Identifier: MIT
 * 16-byte keyed digests (BLAKE2b, RFC 7693, by libsodium): all that a store ever sees of a key. */
#ifndef IDEM_DIGEST_H
#define IDEM_DIGEST_H

#include <idem/error.h>
#include <idem/span.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IDEM_DIGEST_SIZE     16
#define IDEM_DIGEST_HEX_SIZE (2 * IDEM_DIGEST_SIZE + 1)
#define IDEM_SECRET_SIZE     32

struct idem_digest {
    uint8_t bytes[IDEM_DIGEST_SIZE];
};

/* The key of every hash. Without a secret file it is a fixed public value: digests are then the same
 * on every machine, and anyone can compute them. With one, only its holders can. */
struct idem_secret {
    uint8_t bytes[IDEM_SECRET_SIZE];
};

static inline bool idem_digest_equal(const struct idem_digest *a,
                                     const struct idem_digest *b) {
    return memcmp(a->bytes, b->bytes, IDEM_DIGEST_SIZE) == 0;
}

/* Call once before any other function of the library that hashes; safe to repeat, from any thread.
 * IDEM_ERR_UNAVAILABLE: nothing can be hashed in this process. */
IDEM_API IDEM_MUST_USE enum idem_code idem_digest_init(struct idem_error *error);

IDEM_API void idem_secret_default(struct idem_secret *secret);

/* Reads a secret file (16 bytes to 4 KiB, any bytes; a trailing newline counts not). Blocks on disk.
 * IDEM_ERR_IO, IDEM_ERR_INVALID (too short, too long). */
IDEM_API IDEM_MUST_USE enum idem_code
idem_secret_load(struct idem_secret *secret, const char *path, struct idem_error *error);

/* Hashes count spans, each with its length before it, so that ("ab","c") differs from ("a","bc").
 * domain separates the uses of the hash from each other. Pure. */
enum idem_digest_domain {
    IDEM_DOMAIN_KEY = 1,
    IDEM_DOMAIN_FINGERPRINT,
    IDEM_DOMAIN_PAYLOAD,
    IDEM_DOMAIN_HOP,
    IDEM_DOMAIN_OWNER,
    IDEM_DOMAIN_SECRET_CHECK,
    IDEM_DOMAIN_COPY,
    IDEM_DOMAIN_PRODUCER,
    IDEM_DOMAIN_NUMBER,
    IDEM_DOMAIN_TOKEN,
};
IDEM_API void idem_digest_of(struct idem_digest *digest, const struct idem_secret *secret,
                             enum idem_digest_domain domain,
                             const struct idem_span *spans, size_t count);

/* hex holds IDEM_DIGEST_HEX_SIZE characters, lower case, terminated. */
IDEM_API void idem_digest_hex(const struct idem_digest *digest, char *hex);

/* The inverse; false where text is not 32 hexadecimal digits. */
IDEM_API bool idem_digest_parse(struct idem_digest *digest, const char *text);

#ifdef __cplusplus
}
#endif

#endif
