/* SPDX-License-Identifier: MIT
 * Publishes that the sink has not confirmed yet, by their number on the channel. */
#include "confirms.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_AT_FIRST 1024

enum idem_code idem_confirms_init(struct idem_confirms *confirms) {
    memset(confirms, 0, sizeof *confirms);
    confirms->items = calloc(ROOM_AT_FIRST, sizeof *confirms->items);
    if (confirms->items == NULL) {
        return IDEM_ERR_NOMEM;
    }
    confirms->mask = ROOM_AT_FIRST - 1;
    idem_confirms_reset(confirms);
    return IDEM_OK;
}

void idem_confirms_fini(struct idem_confirms *confirms) {
    free(confirms->items);
    memset(confirms, 0, sizeof *confirms);
}

void idem_confirms_reset(struct idem_confirms *confirms) {
    confirms->first = 1;
    confirms->next = 1;
    confirms->open = 0;
}

static void **slot(const struct idem_confirms *confirms, uint64_t number) {
    return &confirms->items[number & confirms->mask];
}

/* One that is confirmed late keeps the ring from moving on, whatever the number of open ones is. */
static enum idem_code grow(struct idem_confirms *confirms) {
    struct idem_confirms bigger = *confirms;
    bigger.mask = 2 * confirms->mask + 1;
    bigger.items = calloc(bigger.mask + 1, sizeof *bigger.items);
    if (bigger.items == NULL) {
        return IDEM_ERR_NOMEM;
    }
    for (uint64_t number = confirms->first; number < confirms->next; number++) {
        *slot(&bigger, number) = *slot(confirms, number);
    }
    free(confirms->items);
    *confirms = bigger;
    return IDEM_OK;
}

enum idem_code idem_confirms_add(struct idem_confirms *confirms, void *item) {
    if (confirms->next - confirms->first > confirms->mask && grow(confirms) != IDEM_OK) {
        return IDEM_ERR_NOMEM;
    }
    *slot(confirms, confirms->next++) = item;
    confirms->open++;
    return IDEM_OK;
}

static void *take(struct idem_confirms *confirms, uint64_t number) {
    void *item = *slot(confirms, number);
    *slot(confirms, number) = NULL;
    if (item != NULL) {
        confirms->open--;
    }
    while (confirms->first < confirms->next && *slot(confirms, confirms->first) == NULL) {
        confirms->first++;
    }
    return item;
}

void *idem_confirms_take(struct idem_confirms *confirms, uint64_t number, bool multiple) {
    if (number >= confirms->next || number < confirms->first) {
        return NULL;
    }
    return take(confirms, multiple ? confirms->first : number);
}

void *idem_confirms_each(const struct idem_confirms *confirms, uint64_t *at) {
    uint64_t number = *at < confirms->first ? confirms->first : *at;
    while (number < confirms->next) {
        void *item = *slot(confirms, number++);
        if (item != NULL) {
            *at = number;
            return item;
        }
    }
    *at = number;
    return NULL;
}

void *idem_confirms_take_last(struct idem_confirms *confirms) {
    void *item = NULL;
    while (item == NULL && confirms->next > confirms->first) {
        item = *slot(confirms, --confirms->next);
    }
    confirms->open -= item != NULL;
    return item;
}
