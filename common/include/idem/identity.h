/* SPDX-License-Identifier: MIT
 * Who a message is: its key, scope, digest and fingerprint under one rule. Pure: no I/O, no state. */
#ifndef IDEM_IDENTITY_H
#define IDEM_IDENTITY_H

#include <idem/number.h>
#include <idem/rule.h>

#ifdef __cplusplus
extern "C" {
#endif

enum idem_identity_status {
    IDEM_IDENTITY_OK,
    IDEM_IDENTITY_NO_KEY, /* no extractor of the key yielded a value within the limits */
    IDEM_IDENTITY_NO_SCOPE, /* the key is there, the group it is unique within is not */
    IDEM_IDENTITY_NO_NUMBER, /* sequence: epoch or number is no whole number within its range */
};

struct idem_identity {
    enum idem_identity_status status;
    struct idem_digest digest;   /* of scope and key; valid with IDEM_IDENTITY_OK */
    struct idem_number number;   /* sequence: present with IDEM_IDENTITY_OK, ... */
    struct idem_digest producer; /* ... where digest is of producer, epoch and number */
    struct idem_digest fingerprint; /* valid with has_fingerprint */
    bool has_fingerprint;
};

/* For people (idemctl explain) and for propagation: the value that each extractor of the key gave.
 * Borrowed from the message or from the caller's workspace. */
struct idem_key_part {
    const struct idem_extractor *extractor;
    struct idem_span value;
};

/* Scratch memory for one identification at a time: parsed JSON, hashed payloads. Reusable, not to be
 * shared between threads. Values in parts stay valid until the next use or close. IDEM_ERR_NOMEM:
 * *workspace is NULL. Closing accepts NULL. */
struct idem_workspace;
IDEM_API IDEM_MUST_USE enum idem_code
idem_workspace_open(struct idem_workspace **workspace);
IDEM_API void idem_workspace_close(struct idem_workspace *workspace);

/* For rules of strategy key or sequence; of a sequence the key is the producer.
 * parts (may be NULL) receives up to IDEM_EXTRACTORS_MAX key parts, *parts_count their number.
 * Malformed JSON, absent properties, and values that are empty or longer than IDEM_KEY_MAX yield nothing;
 * nothing here can fail otherwise. JSON numbers give their source text: 1 and 1.0 are two keys. */
IDEM_API void idem_identify(struct idem_identity *identity, const struct idem_rule *rule,
                            const struct idem_secret *secret,
                            const struct idem_message *message,
                            struct idem_workspace *workspace, struct idem_key_part *parts,
                            size_t *parts_count);

/* The scope's kind and value as people read it, e.g. "principal user:alice"; truncated to size. */
IDEM_API void idem_scope_describe(const struct idem_rule *rule,
                                  const struct idem_message *message,
                                  struct idem_workspace *workspace, char *text,
                                  size_t size);

/* The key as a text: as it came where it is one printable UTF-8 part, else the lower-case hexadecimal
 * digest. Returns the length; out holds at least IDEM_KEY_MAX + 1 bytes. */
IDEM_API size_t idem_key_text(const struct idem_digest *digest,
                              const struct idem_key_part *parts, size_t parts_count,
                              char *out, size_t size);

/* A key as people know it, without its message: the values that the rule's extractors would give. */
struct idem_known_key {
    const struct idem_span *values; /* of a sequence: of the producer */
    size_t count;
    const struct idem_span *scope; /* principal: one; by: what it yields; else none */
    size_t scope_count;
    bool scope_is_client; /* principal: a client id instead of a user */
};

/* The digest under which a store has the record. IDEM_ERR_INVALID: the rule keeps no records, or wants
 * other values; the text says which. Pure. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_identify_known(struct idem_digest *digest, const struct idem_rule *rule,
                    const struct idem_secret *secret, const struct idem_known_key *known,
                    struct idem_error *error);

/* The value to propagate downstream under rule->propagate: the key's text or, with a hop, the
 * lower-case hexadecimal digest of hop and key digest.
 * Returns the length; out holds at least IDEM_KEY_MAX + 1 bytes. 0: nothing to propagate. */
IDEM_API size_t idem_propagated_key(const struct idem_rule *rule,
                                    const struct idem_secret *secret,
                                    const struct idem_digest *digest,
                                    const struct idem_key_part *parts, size_t parts_count,
                                    char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
