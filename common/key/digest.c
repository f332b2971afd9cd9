/* SPDX-License-Identifier: MIT
 * Keyed digests of keys, fingerprints and payloads: BLAKE2b by libsodium. */
#include <idem/digest.h>

#include "base/little.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#define SECRET_FILE_MIN 16
#define SECRET_FILE_MAX 4096
#define BLOCK_SIZE      128 /* what BLAKE2b hashes at once */
#define LENGTH_SIZE     sizeof(uint64_t)
#define HEAD_SIZE       (sizeof(struct idem_secret) + 1)

enum idem_code idem_digest_init(struct idem_error *error) {
    if (sodium_init() < 0) {
        return idem_error_set(error, IDEM_ERR_UNAVAILABLE, 0,
                              "libsodium could not be initialised");
    }
    return IDEM_OK;
}

void idem_secret_default(struct idem_secret *secret) {
    /* Public on purpose: instances without a secret file must agree with each other. */
    static const char label[] = "Idem: public default secret, v1";
    (void)crypto_generichash(secret->bytes, sizeof secret->bytes, (const uint8_t *)label,
                             sizeof label - 1, NULL, 0);
}

static enum idem_code read_whole(FILE *file, const char *path, uint8_t *bytes,
                                 size_t *len, struct idem_error *error) {
    *len = fread(bytes, 1, SECRET_FILE_MAX + 1, file);
    if (ferror(file)) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "secret file %s cannot be read",
                              path);
    }
    while (*len > 0 && (bytes[*len - 1] == '\n' || bytes[*len - 1] == '\r')) {
        (*len)--;
    }
    if (*len < SECRET_FILE_MIN || *len > SECRET_FILE_MAX) {
        return idem_error_set(
            error, IDEM_ERR_INVALID, 0,
            "secret file %s holds %zu bytes; it must hold %d to %d (try: "
            "head -c 32 /dev/urandom | base64)",
            path, *len, SECRET_FILE_MIN, SECRET_FILE_MAX);
    }
    return IDEM_OK;
}

enum idem_code idem_secret_load(struct idem_secret *secret, const char *path,
                                struct idem_error *error) {
    uint8_t bytes[SECRET_FILE_MAX + 1];
    size_t len = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return idem_error_set(error, IDEM_ERR_IO, errno,
                              "secret file %s cannot be opened: %s", path,
                              strerror(errno));
    }
    setbuf(file, NULL); /* no second copy of the secret on the heap */
    enum idem_code code = read_whole(file, path, bytes, &len, error);
    (void)fclose(file);
    if (code == IDEM_OK) {
        (void)crypto_generichash(secret->bytes, sizeof secret->bytes, bytes, len, NULL,
                                 0);
    }
    sodium_memzero(bytes, sizeof bytes);
    return code;
}

static uint8_t *put_length(uint8_t *out, size_t len) {
    idem_little_put(out, (uint64_t)len, LENGTH_SIZE);
    return out + LENGTH_SIZE;
}

/* secret and label, which every digest begins with. */
static uint8_t *put_head(uint8_t *out, const struct idem_secret *secret,
                         enum idem_digest_domain domain) {
    memcpy(out, secret->bytes, sizeof secret->bytes);
    out[sizeof secret->bytes] = (uint8_t)domain;
    return out + sizeof secret->bytes + 1;
}

/* Whether all of it goes into one block. */
static bool is_short(const struct idem_span *spans, size_t count) {
    size_t left = BLOCK_SIZE - HEAD_SIZE;
    for (size_t i = 0; i < count; i++) {
        if (left < LENGTH_SIZE || spans[i].len > left - LENGTH_SIZE) {
            return false;
        }
        left -= LENGTH_SIZE + spans[i].len;
    }
    return true;
}

/* In one call: each one that is handed over by itself costs as much as hashing half of a block. */
static void hash_short(struct idem_digest *digest, const struct idem_secret *secret,
                       enum idem_digest_domain domain, const struct idem_span *spans,
                       size_t count) {
    uint8_t block[BLOCK_SIZE];
    uint8_t *at = put_head(block, secret, domain);
    for (size_t i = 0; i < count; i++) {
        at = put_length(at, spans[i].len);
        if (spans[i].len > 0) {
            memcpy(at, spans[i].data, spans[i].len);
        }
        at += spans[i].len;
    }
    (void)crypto_generichash(digest->bytes, IDEM_DIGEST_SIZE, block, (size_t)(at - block),
                             NULL, 0);
}

static void hash_long(struct idem_digest *digest, const struct idem_secret *secret,
                      enum idem_digest_domain domain, const struct idem_span *spans,
                      size_t count) {
    crypto_generichash_state state;
    uint8_t head[HEAD_SIZE];
    uint8_t length[LENGTH_SIZE];
    (void)put_head(head, secret, domain);
    (void)crypto_generichash_init(&state, NULL, 0, IDEM_DIGEST_SIZE);
    (void)crypto_generichash_update(&state, head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        (void)put_length(length, spans[i].len);
        (void)crypto_generichash_update(&state, length, sizeof length);
        (void)crypto_generichash_update(&state, spans[i].data, spans[i].len);
    }
    (void)crypto_generichash_final(&state, digest->bytes, IDEM_DIGEST_SIZE);
}

/* The secret goes before the rest, not into a block of its own, as BLAKE2b's key would: a short message is
 * then hashed in one block instead of two, which is the dearest part of a decision. As BLAKE2b cannot be
 * extended, a secret prefix keeps it just as secret. */
void idem_digest_of(struct idem_digest *digest, const struct idem_secret *secret,
                    enum idem_digest_domain domain, const struct idem_span *spans,
                    size_t count) {
    if (is_short(spans, count)) {
        hash_short(digest, secret, domain, spans, count);
    } else {
        hash_long(digest, secret, domain, spans, count);
    }
}

void idem_digest_hex(const struct idem_digest *digest, char *hex) {
    (void)sodium_bin2hex(hex, IDEM_DIGEST_HEX_SIZE, digest->bytes, IDEM_DIGEST_SIZE);
}

bool idem_digest_parse(struct idem_digest *digest, const char *text) {
    size_t parsed = 0;
    const char *end = NULL;
    if (sodium_hex2bin(digest->bytes, IDEM_DIGEST_SIZE, text, strlen(text), NULL, &parsed,
                       &end) != 0) {
        return false;
    }
    return parsed == IDEM_DIGEST_SIZE && *end == '\0';
}
