/* SPDX-License-Identifier: MIT
 * How records lie in Redis. */
#include "store/redis/layout.h"
#include "store/step.h"

#define PREFIX              "idem:{"
#define PREFIX_SIZE         (sizeof PREFIX - 1)
#define CLOCK_DIFFERENCE_MS INT64_C(60000)

_Static_assert(PREFIX_SIZE + IDEM_DIGEST_SIZE + 1 == IDEM_LAYOUT_KEY_SIZE,
               "a key's size");

void idem_layout_key(uint8_t key[IDEM_LAYOUT_KEY_SIZE],
                     const struct idem_digest *digest) {
    memcpy(key, PREFIX, PREFIX_SIZE);
    memcpy(key + PREFIX_SIZE, digest->bytes, IDEM_DIGEST_SIZE);
    key[IDEM_LAYOUT_KEY_SIZE - 1] = '}';
}

bool idem_layout_digest(struct idem_digest *digest, struct idem_span key) {
    if (key.len != IDEM_LAYOUT_KEY_SIZE || memcmp(key.data, PREFIX, PREFIX_SIZE) != 0 ||
        key.data[IDEM_LAYOUT_KEY_SIZE - 1] != '}') {
        return false;
    }
    memcpy(digest->bytes, key.data + PREFIX_SIZE, IDEM_DIGEST_SIZE);
    return true;
}

int64_t idem_layout_kept_ms(enum idem_record_state state, int64_t live_ms) {
    return live_ms +
           (state == IDEM_RECORD_PENDING ? IDEM_DOUBT_KEPT_MS : CLOCK_DIFFERENCE_MS);
}
