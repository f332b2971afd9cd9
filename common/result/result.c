/* SPDX-License-Identifier: MIT
 * Results as bytes: the only file that knows how a stored response looks.
 *
 * Version 1, little endian, no padding: a version byte, then items, each a tag and what belongs to it. The
 * payload is the last item and always there.
 *
 *   tag          followed by
 *   0x00         the payload: all that is left
 *   0x01         nothing: the payload is UTF-8 text
 *   0x10 + f     field f: length (2), bytes; in the order of the fields, each once, none empty
 *   0x20 + k     header of kind k: length of its name (2), name, length of its value (4), value
 *
 * Encoding is canonical: what decodes, encodes to the same bytes. To change the format, raise the version,
 * keep the decoder of the old one, and the golden bytes in tests/unit/result/test_result.c: stored results
 * live as long as their keys, and are replayed by programs of another version. Numbers of fields and kinds
 * are part of it. */
#include <idem/result.h>

#include "base/little.h"

#define VERSION 1

enum {
    TAG_PAYLOAD = 0x00,
    TAG_UTF8 = 0x01,
    TAG_FIELD = 0x10,
    TAG_HEADER = 0x20,
    NAME_LENGTH = 2,
    VALUE_LENGTH = 4,
};

size_t idem_result_size(const struct idem_result *result) {
    size_t size = 2 + (size_t)result->utf8 + result->payload.len;
    if (result->header_count > IDEM_RESULT_HEADERS_MAX) {
        return 0;
    }
    for (size_t i = 0; i < IDEM_RESULT_FIELD_COUNT; i++) {
        size_t len = result->fields[i].len;
        if (len > IDEM_RESULT_TEXT_MAX) {
            return 0;
        }
        size += len > 0 ? 1 + NAME_LENGTH + len : 0;
    }
    for (size_t i = 0; i < result->header_count; i++) {
        const struct idem_result_header *header = &result->headers[i];
        if (header->name.len > IDEM_RESULT_TEXT_MAX || header->value.len > UINT32_MAX) {
            return 0;
        }
        size += 1 + NAME_LENGTH + header->name.len + VALUE_LENGTH + header->value.len;
    }
    return size;
}

static uint8_t *put(uint8_t *out, struct idem_span span, size_t length_bytes) {
    idem_little_put(out, span.len, length_bytes);
    out += length_bytes;
    if (span.len > 0) {
        memcpy(out, span.data, span.len);
    }
    return out + span.len;
}

void idem_result_encode(uint8_t *out, const struct idem_result *result) {
    *out++ = VERSION;
    if (result->utf8) {
        *out++ = TAG_UTF8;
    }
    for (size_t i = 0; i < IDEM_RESULT_FIELD_COUNT; i++) {
        if (result->fields[i].len > 0) {
            *out++ = (uint8_t)(TAG_FIELD + i);
            out = put(out, result->fields[i], NAME_LENGTH);
        }
    }
    for (size_t i = 0; i < result->header_count; i++) {
        *out++ = (uint8_t)(TAG_HEADER + result->headers[i].kind);
        out = put(out, result->headers[i].name, NAME_LENGTH);
        out = put(out, result->headers[i].value, VALUE_LENGTH);
    }
    *out++ = TAG_PAYLOAD;
    (void)put(out, result->payload, 0);
}

static bool take(struct idem_span *rest, size_t length_bytes, struct idem_span *span) {
    const uint8_t *length = idem_little_take(rest, length_bytes);
    if (length == NULL) {
        return false;
    }
    span->len = (size_t)idem_little_get(length, length_bytes);
    span->data = idem_little_take(rest, span->len);
    return span->data != NULL;
}

static bool take_header(struct idem_result *result, uint8_t kind,
                        struct idem_span *rest) {
    if (kind >= IDEM_RESULT_KIND_COUNT ||
        result->header_count == IDEM_RESULT_HEADERS_MAX) {
        return false;
    }
    struct idem_result_header *header = &result->headers[result->header_count++];
    header->kind = (enum idem_result_kind)kind;
    return take(rest, NAME_LENGTH, &header->name) &&
           take(rest, VALUE_LENGTH, &header->value);
}

/* order: tags do not fall, and fields rise, so that there is one way to write a result. */
static bool take_item(struct idem_result *result, uint8_t tag, int *order,
                      struct idem_span *rest) {
    if (tag >= TAG_HEADER) {
        *order = TAG_HEADER;
        return take_header(result, (uint8_t)(tag - TAG_HEADER), rest);
    }
    if ((int)tag <= *order) {
        return false;
    }
    *order = tag;
    if (tag == TAG_UTF8) {
        result->utf8 = true;
        return true;
    }
    if (tag < TAG_FIELD || tag >= TAG_FIELD + IDEM_RESULT_FIELD_COUNT) {
        return false;
    }
    struct idem_span *field = &result->fields[tag - TAG_FIELD];
    return take(rest, NAME_LENGTH, field) && field->len > 0;
}

/* Only what says how many headers there are is cleared: they are most of the struct. */
static void clear(struct idem_result *result) {
    memset(result->fields, 0, sizeof result->fields);
    result->payload = idem_span_of(NULL, 0);
    result->utf8 = false;
    result->header_count = 0;
}

enum idem_code idem_result_decode(struct idem_result *result, struct idem_span bytes) {
    clear(result);
    const uint8_t *version = idem_little_take(&bytes, 1);
    if (version == NULL || *version != VERSION) {
        return version != NULL && *version > VERSION ? IDEM_ERR_VERSION : IDEM_ERR_FORMAT;
    }
    int order = -1;
    const uint8_t *tag = idem_little_take(&bytes, 1);
    while (tag != NULL && *tag != TAG_PAYLOAD) {
        tag =
            take_item(result, *tag, &order, &bytes) ? idem_little_take(&bytes, 1) : NULL;
    }
    if (tag == NULL) {
        clear(result);
        return IDEM_ERR_FORMAT;
    }
    result->payload = bytes.len > 0 ? bytes : idem_span_of(NULL, 0);
    return IDEM_OK;
}

bool idem_result_find_header(const struct idem_result *result, struct idem_span name,
                             struct idem_span *value) {
    for (size_t i = 0; i < result->header_count; i++) {
        const struct idem_result_header *header = &result->headers[i];
        if (header->kind != IDEM_RESULT_AMQP && idem_span_equal(header->name, name)) {
            *value = header->value;
            return true;
        }
    }
    *value = idem_span_of(NULL, 0);
    return false;
}
