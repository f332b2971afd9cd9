/* SPDX-License-Identifier: MIT
 * What is stored, byte by byte: whole numbers are little-endian. */
#ifndef IDEM_BASE_LITTLE_H
#define IDEM_BASE_LITTLE_H

#include <idem/span.h>

static inline uint64_t idem_little(uint64_t value) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

/* bytes: 8 at most. */
static inline void idem_little_put(uint8_t *out, uint64_t value, size_t bytes) {
    value = idem_little(value);
    memcpy(out, &value, bytes);
}

static inline uint64_t idem_little_get(const uint8_t *in, size_t bytes) {
    uint64_t value = 0;
    memcpy(&value, in, bytes);
    return idem_little(value);
}

/* Eight bytes, the other way round: as numbers they are ordered as memcmp() orders them. */
static inline uint64_t idem_big_get(const uint8_t *in) {
    return __builtin_bswap64(idem_little_get(in, 8));
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
