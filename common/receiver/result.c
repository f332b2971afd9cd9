/* SPDX-License-Identifier: MIT
 * The result that a repeat is answered with: held between the store's answer and the adapter. */
#include "receiver/internal.h"

#include <stdlib.h>

/* A larger buffer is not kept from one copy to the next. */
#define ROOM_KEPT ((size_t)64 * 1024)

static bool make_room(struct idem_held_result *held, size_t len) {
    if (len <= held->room && (held->room <= ROOM_KEPT || len > ROOM_KEPT)) {
        return true;
    }
    size_t room = len < ROOM_KEPT ? ROOM_KEPT : len;
    free(held->bytes);
    held->bytes = malloc(room);
    held->room = held->bytes != NULL ? room : 0;
    return held->bytes != NULL;
}

bool idem_receiver_hold_result(struct idem_receiver *receiver,
                               const struct idem_delivery *delivery,
                               const struct idem_answer *answer) {
    struct idem_held_result *held = &receiver->result;
    struct idem_span result = answer->record.result;
    held->delivery = NULL;
    if (answer->code != IDEM_OK || result.len == 0 || !make_room(held, result.len)) {
        return false;
    }
    memcpy(held->bytes, result.data, result.len);
    held->len = result.len;
    held->delivery = delivery;
    return true;
}

bool idem_receiver_result(const struct idem_receiver *receiver,
                          const struct idem_delivery *delivery,
                          struct idem_span *result) {
    const struct idem_held_result *held = &receiver->result;
    bool held_for_it = held->delivery != NULL && held->delivery == delivery;
    *result = idem_span_of(held_for_it ? held->bytes : NULL, held_for_it ? held->len : 0);
    return held_for_it;
}
