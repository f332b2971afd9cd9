/* SPDX-License-Identifier: MIT
 * The response to a request, as it is stored with the request's record to answer repeats: the same bytes
 * whichever protocol it came by, so that what was stored over one can be replayed over another. Pure; nothing
 * here blocks, and any thread may call it. */
#ifndef IDEM_RESULT_H
#define IDEM_RESULT_H

#include <idem/rule.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The user property (MQTT 5) or header (AMQP) that marks a replayed response, and its value. */
#define IDEM_RESULT_MARK       "idempotent-replayed"
#define IDEM_RESULT_MARK_VALUE "true"

#define IDEM_RESULT_HEADERS_MAX 64
#define IDEM_RESULT_TEXT_MAX    65535 /* bytes of a property, or of a header's name */

/* Properties that a protocol has a place of its own for. What the other lacks a place for, it leaves out. */
enum idem_result_field {
    IDEM_RESULT_CONTENT_TYPE,     /* both */
    IDEM_RESULT_CONTENT_ENCODING, /* AMQP */
    IDEM_RESULT_TYPE,             /* AMQP */
    IDEM_RESULT_MESSAGE_ID,       /* AMQP */
    IDEM_RESULT_APP_ID,           /* AMQP */
    IDEM_RESULT_TIMESTAMP,        /* AMQP: decimal, seconds */
    IDEM_RESULT_PRIORITY,         /* AMQP: decimal */
    IDEM_RESULT_DELIVERY_MODE,    /* AMQP: decimal */
    IDEM_RESULT_EXPIRATION,       /* AMQP: as it came, milliseconds */
    IDEM_RESULT_ADDRESS,          /* MQTT: the topic on which it was published */
    IDEM_RESULT_FIELD_COUNT
};

/* What a header's value is, for a protocol with types; for one without, its text is all there is. */
enum idem_result_kind {
    IDEM_RESULT_TEXT,    /* bytes, as they are */
    IDEM_RESULT_INTEGER, /* decimal, 64-bit */
    IDEM_RESULT_BOOLEAN, /* "true" or "false" */
    IDEM_RESULT_AMQP, /* a field value as AMQP 0-9-1 encodes it, type and all: for AMQP only */
    IDEM_RESULT_KIND_COUNT
};

struct idem_result_header {
    enum idem_result_kind kind;
    struct idem_span name;
    struct idem_span value;
};

/* All spans are borrowed. Headers keep their order, and a name may come several times. */
struct idem_result {
    struct idem_span payload;
    struct idem_span fields[IDEM_RESULT_FIELD_COUNT]; /* empty: absent */
    bool utf8; /* the payload is text (MQTT: payload format indicator) */
    size_t header_count;
    struct idem_result_header headers[IDEM_RESULT_HEADERS_MAX];
};

/* The bytes that the result takes when it is stored; 0 where it cannot be: more headers, or longer texts,
 * than the limits above. */
IDEM_API size_t idem_result_size(const struct idem_result *result);

/* Writes idem_result_size(result) bytes, which must not be 0. */
IDEM_API void idem_result_encode(uint8_t *out, const struct idem_result *result);

/* The bytes may come from anywhere; *result borrows from them. IDEM_ERR_VERSION: of a newer version;
 * IDEM_ERR_FORMAT: not a result. *result is empty on error. */
IDEM_API IDEM_MUST_USE enum idem_code idem_result_decode(struct idem_result *result,
                                                         struct idem_span bytes);

/* The value of the first header of that name, as a text; false: there is none, or it has no text. */
IDEM_API bool idem_result_find_header(const struct idem_result *result,
                                      struct idem_span name, struct idem_span *value);

/* What becomes of a response. */
enum idem_result_fate {
    IDEM_RESULT_STORE, /* stored: repeats are answered with it */
    IDEM_RESULT_TOO_LARGE, /* not stored: the key stays done, repeats are dropped without an answer */
    IDEM_RESULT_FAILED, /* not stored: the key is forgotten, a repeat is executed again */
    IDEM_RESULT_FATE_COUNT
};

/* Pure, total: a response that counts as failed, and is not to be stored, is FAILED whatever its size. */
IDEM_API enum idem_result_fate idem_result_judge(const struct idem_result_spec *spec,
                                                 const struct idem_result *result);

/* "store", "too_large", "failed": static. */
IDEM_API const char *idem_result_fate_name(enum idem_result_fate fate);

#ifdef __cplusplus
}
#endif

#endif
