/* SPDX-License-Identifier: MIT
 * What a word in a sink's list of parameters stands for, and its value for one message. */
#ifndef IDEM_PARAMETER_H
#define IDEM_PARAMETER_H

#include <idem/rule.h>

#ifdef __cplusplus
extern "C" {
#endif

enum idem_parameter_kind {
    IDEM_PARAMETER_KEY,       /* key: the idempotency key, as a text */
    IDEM_PARAMETER_DIGEST,    /* digest: of scope and key, 16 bytes */
    IDEM_PARAMETER_PAYLOAD,   /* payload: the body itself, and not its hash */
    IDEM_PARAMETER_EXTRACTOR, /* any other extractor */
};

struct idem_parameter {
    enum idem_parameter_kind kind;
    struct idem_extractor extractor; /* IDEM_PARAMETER_EXTRACTOR only */
};

#define IDEM_PARAMETER_ROOM_MIN 128 /* bytes */

/* What values are taken from; all of it borrowed. */
struct idem_parameter_source {
    const struct idem_message *message;
    struct idem_span key;             /* empty: the message has none */
    const struct idem_digest *digest; /* NULL: the same */
    /* For text in which escapes are resolved: as many bytes as the payload has, and
     * IDEM_PARAMETER_ROOM_MIN at least. */
    uint8_t *room;
};

enum idem_parameter_status {
    IDEM_PARAMETER_THERE,
    IDEM_PARAMETER_ABSENT,
    IDEM_PARAMETER_TOO_LARGE, /* json: in a payload beyond IDEM_JSON_MAX, which is not looked into */
};

/* From a word of the configuration. The parameter is the caller's to fini; on error it holds nothing.
 * IDEM_ERR_INVALID (the text says what forms are known), IDEM_ERR_NOMEM. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_parameter_parse(struct idem_parameter *parameter, const char *text,
                     struct idem_error *error);
IDEM_API void idem_parameter_fini(struct idem_parameter *parameter);

/* *value is borrowed from the source or the parameter; *used bytes of the room are taken by it. Unlike a
 * key's, a value may be empty and of any length. Pure. */
IDEM_API enum idem_parameter_status
idem_parameter_value(const struct idem_parameter *parameter,
                     const struct idem_parameter_source *source, struct idem_span *value,
                     size_t *used);

#ifdef __cplusplus
}
#endif

#endif
