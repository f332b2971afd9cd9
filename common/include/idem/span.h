/* SPDX-License-Identifier: MIT
 * Borrowed bytes. A span never owns what it points to and may hold NUL bytes: never print it with %s. */
#ifndef IDEM_SPAN_H
#define IDEM_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct idem_span {
    const uint8_t *data; /* NULL only when len is 0 */
    size_t len;
};

static inline struct idem_span idem_span_of(const void *data, size_t len) {
    struct idem_span span = {(const uint8_t *)data, len};
    return span;
}

/* The bytes of a C string without its terminator; NULL gives the empty span. */
static inline struct idem_span idem_span_text(const char *text) {
    return idem_span_of(text, text != NULL ? strlen(text) : 0);
}

static inline bool idem_span_equal(struct idem_span a, struct idem_span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#ifdef __cplusplus
}
#endif

#endif
