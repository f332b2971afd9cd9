/* SPDX-License-Identifier: MIT
 * Whole numbers as little-endian bytes, as all that is stored has them. */
#ifndef IDEM_STORE_LITTLE_H
#define IDEM_STORE_LITTLE_H

#include <stddef.h>
#include <stdint.h>

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

#endif
