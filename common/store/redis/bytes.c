/* SPDX-License-Identifier: MIT
 * A growing queue of bytes. */
#include "store/redis/bytes.h"

#include <stdlib.h>

#define ROOM_LEAST 4096
#define ROOM_KEPT  ((size_t)1 << 20) /* a burst's memory is given back */

void idem_bytes_fini(struct idem_bytes *bytes) {
    free(bytes->data);
    *bytes = (struct idem_bytes){.data = NULL};
}

void idem_bytes_clear(struct idem_bytes *bytes) {
    if (bytes->room > ROOM_KEPT) {
        idem_bytes_fini(bytes);
    }
    bytes->start = 0;
    bytes->end = 0;
    bytes->failed = false;
}

static bool grow(struct idem_bytes *bytes, size_t needed) {
    size_t room = bytes->room > 0 ? bytes->room : ROOM_LEAST;
    while (room < needed) {
        if (room > SIZE_MAX / 2) {
            return false;
        }
        room *= 2;
    }
    uint8_t *bigger = realloc(bytes->data, room);
    if (bigger == NULL) {
        return false;
    }
    bytes->data = bigger;
    bytes->room = room;
    return true;
}

uint8_t *idem_bytes_reserve(struct idem_bytes *bytes, size_t count) {
    size_t left = bytes->end - bytes->start;
    if (count > bytes->room - bytes->end && bytes->start > left) {
        memcpy(bytes->data, bytes->data + bytes->start, left);
        bytes->start = 0;
        bytes->end = left;
    }
    if (count > bytes->room - bytes->end) {
        if (count > SIZE_MAX - bytes->end || !grow(bytes, bytes->end + count)) {
            bytes->failed = true;
            return NULL;
        }
    }
    return bytes->data + bytes->end;
}

void idem_bytes_add(struct idem_bytes *bytes, const void *data, size_t length) {
    uint8_t *at = idem_bytes_reserve(bytes, length);
    if (at != NULL && length > 0) {
        memcpy(at, data, length);
        bytes->end += length;
    }
}

void idem_bytes_take(struct idem_bytes *bytes, size_t count) {
    bytes->start += count;
    if (bytes->start == bytes->end) {
        idem_bytes_clear(bytes);
    }
}
