/* SPDX-License-Identifier: MIT
 * What is stored, byte by byte: whole numbers are little-endian. */
#ifndef IDEM_BASE_LITTLE_H
#define IDEM_BASE_LITTLE_H

#include <idem/span.h>

static inline void idem_little_put(uint8_t *out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint64_t idem_little_get(const uint8_t *in, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

/* Takes count bytes off the front of rest; NULL where there are fewer. */
static inline const uint8_t *idem_little_take(struct idem_span *rest, size_t count) {
    if (rest->len < count) {
        return NULL;
    }
    const uint8_t *taken = rest->data;
    rest->data += count;
    rest->len -= count;
    return taken;
}

#endif
