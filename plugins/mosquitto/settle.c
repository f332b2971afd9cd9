/* SPDX-License-Identifier: MIT
 * Deliveries that wait until they are certain. */
#include "settle.h"

#include <stdlib.h>

#define NO_TICK_CERTAIN_MS 1000

void idem_settle_init(struct idem_settle *settle, struct idem_receiver *receiver) {
    memset(settle, 0, sizeof *settle);
    settle->receiver = receiver;
}

enum idem_code idem_settle_reserve(struct idem_settle *settle) {
    if (settle->count < settle->capacity) {
        return IDEM_OK;
    }
    size_t capacity = settle->capacity == 0 ? 64 : settle->capacity * 2;
    struct idem_settlement *items = realloc(settle->items, capacity * sizeof *items);
    if (items == NULL) {
        return IDEM_ERR_NOMEM;
    }
    settle->items = items;
    settle->capacity = capacity;
    return IDEM_OK;
}

void idem_settle_add(struct idem_settle *settle, const struct idem_delivery *delivery,
                     const struct idem_handover *handover, const void *client,
                     int64_t now_ms) {
    struct idem_settlement *item = &settle->items[settle->count++];
    item->delivery = *delivery;
    item->handover = *handover;
    item->client = client;
    item->turn = settle->turn;
    item->since_ms = now_ms;
}

bool idem_settle_holds(const struct idem_settle *settle,
                       const struct idem_digest *digest) {
    for (size_t i = 0; i < settle->count; i++) {
        if (settle->items[i].delivery.claimed &&
            idem_digest_equal(&settle->items[i].delivery.digest, digest)) {
            return true;
        }
    }
    return false;
}

void idem_settle_withdraw(struct idem_settle *settle, const struct idem_digest *digest) {
    for (size_t i = 0; i < settle->count; i++) {
        struct idem_delivery *delivery = &settle->items[i].delivery;
        if (delivery->claimed && idem_digest_equal(&delivery->digest, digest)) {
            delivery->claimed = false;
        }
    }
}

static bool handed_on(const struct idem_settlement *item) {
    return item->handover.topic != NULL;
}

/* turns: how many turns must have ended since the message was handed on. */
static bool is_certain(const struct idem_settle *settle,
                       const struct idem_settlement *item, uint64_t turns,
                       int64_t now_ms) {
    if (!handed_on(item) || settle->turn - item->turn >= turns) {
        return true;
    }
    return !settle->ticking && now_ms - item->since_ms >= NO_TICK_CERTAIN_MS;
}

static void complete(struct idem_settle *settle, struct idem_settlement *item,
                     int64_t now_ms) {
    idem_receiver_complete(settle->receiver, &item->delivery, now_ms, NULL, NULL);
    idem_handover_fini(&item->handover);
}

static void complete_certain(struct idem_settle *settle, uint64_t turns, int64_t now_ms) {
    size_t kept = 0;
    for (size_t i = 0; i < settle->count; i++) {
        struct idem_settlement *item = &settle->items[i];
        if (is_certain(settle, item, turns, now_ms)) {
            complete(settle, item, now_ms);
        } else {
            settle->items[kept++] = *item;
        }
    }
    settle->count = kept;
}

void idem_settle_on_message(struct idem_settle *settle, int64_t now_ms) {
    complete_certain(settle, 1, now_ms);
}

void idem_settle_on_tick(struct idem_settle *settle, int64_t now_ms) {
    settle->ticking = true;
    complete_certain(settle, 1, now_ms);
}

void idem_settle_end_turn(struct idem_settle *settle) {
    settle->turn++;
}

/* Forgets about the client's last message without completing it: its claim stays pending. */
static void leave_in_doubt(struct idem_settle *settle, const void *client) {
    size_t kept = 0;
    for (size_t i = 0; i < settle->count; i++) {
        if (settle->items[i].client != client || handed_on(&settle->items[i])) {
            settle->items[kept++] = settle->items[i];
        }
    }
    settle->count = kept;
}

void idem_settle_on_disconnect(struct idem_settle *settle, const void *client,
                               bool broker_out_of_memory, int64_t now_ms) {
    if (broker_out_of_memory) {
        leave_in_doubt(settle, client);
    }
    complete_certain(settle, 2, now_ms);
}

static bool save_rest(const struct idem_settle *settle, idem_settle_save *save,
                      void *arg) {
    const struct idem_handover **handovers = calloc(settle->count, sizeof *handovers);
    if (handovers == NULL) {
        return false;
    }
    for (size_t i = 0; i < settle->count; i++) {
        handovers[i] = &settle->items[i].handover;
    }
    bool saved = save(arg, handovers, settle->count);
    free((void *)handovers);
    return saved;
}

void idem_settle_stop(struct idem_settle *settle, int64_t now_ms, idem_settle_save *save,
                      void *arg) {
    complete_certain(settle, 2, now_ms);
    /* Without ticks nobody can tell what the broker still holds, nor touch it: left in doubt. */
    if (settle->count == 0 || !settle->ticking || !save_rest(settle, save, arg)) {
        return;
    }
    for (size_t i = 0; i < settle->count; i++) {
        complete(settle, &settle->items[i], now_ms);
    }
    settle->count = 0;
}

void idem_settle_fini(struct idem_settle *settle) {
    for (size_t i = 0; i < settle->count; i++) {
        idem_handover_fini(&settle->items[i].handover);
    }
    free(settle->items);
    memset(settle, 0, sizeof *settle);
}
