/* SPDX-License-Identifier: MIT
 * A growing queue of bytes: added at the end, taken from the front. */
#ifndef IDEM_REDIS_BYTES_H
#define IDEM_REDIS_BYTES_H

#include <idem/error.h>
#include <idem/span.h>

struct idem_bytes {
    uint8_t *data; /* owned */
    size_t start;  /* of what is left */
    size_t end;
    size_t room;
    bool failed; /* memory ran out: what was added since is not there */
};

void idem_bytes_fini(struct idem_bytes *bytes);
void idem_bytes_clear(struct idem_bytes *bytes);

/* Where at least count bytes may be written, to be followed by idem_bytes_added; NULL without memory,
 * which failed remembers. */
uint8_t *idem_bytes_reserve(struct idem_bytes *bytes, size_t count);
static inline void idem_bytes_added(struct idem_bytes *bytes, size_t count) {
    bytes->end += count;
}

void idem_bytes_add(struct idem_bytes *bytes, const void *data, size_t length);

/* Takes count bytes from the front, which must be there. */
void idem_bytes_take(struct idem_bytes *bytes, size_t count);

static inline struct idem_span idem_bytes_left(const struct idem_bytes *bytes) {
    return idem_span_of(bytes->data + bytes->start, bytes->end - bytes->start);
}

#endif
