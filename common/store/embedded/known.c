/* SPDX-License-Identifier: MIT
 * The filter of what is in the store beneath the active and the frozen group, and how
 * another one takes its place. */
#include "store/embedded/embedded.h"

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Twice what there is, so that the next one is not due soon. */
static size_t room_for(const struct idem_embedded *embedded, size_t waiting) {
    return max_size(embedded->front_max / 2,
                    2 * ((size_t)embedded->stats.keys + waiting));
}

void idem_known_start(struct idem_embedded *embedded) {
    if (embedded->stats.keys > 0 || embedded->journalled.entries > 0) {
        embedded->writer.sweep_rounds = 1;
        return;
    }
    (void)idem_filter_init(&embedded->known, room_for(embedded, 0));
}

static void learn_set(struct idem_filter *filter, const struct idem_record_set *records) {
    struct idem_table_cursor cursor = {0, 0};
    struct idem_digest digest;
    struct idem_record record;
    while (idem_record_set_next(records, &cursor, &digest, &record)) {
        idem_filter_add(filter, &digest);
    }
}

void idem_known_begin(struct idem_embedded *embedded) {
    const struct idem_record_set *merging = embedded->merging.records;
    const struct idem_record_set *journalled = embedded->journalled.records;
    struct idem_filter *next = &embedded->writer.next_known;
    idem_filter_fini(next);
    if (embedded->known.blocks != NULL && !idem_filter_full(&embedded->known)) {
        return;
    }
    size_t waiting = idem_record_set_count(journalled) +
                     (merging != NULL ? idem_record_set_count(merging) : 0);
    if (!idem_filter_init(next, room_for(embedded, waiting))) {
        return; /* the next round tries again; until then, the one there is, is right */
    }
    learn_set(next, journalled);
    if (merging != NULL) {
        learn_set(next, merging);
    }
}

void idem_known_learn(struct idem_embedded *embedded, const struct idem_digest *digest) {
    idem_filter_add(&embedded->known, digest);
    idem_filter_add(&embedded->writer.next_known, digest);
}

void idem_known_end(struct idem_embedded *embedded) {
    struct idem_filter *next = &embedded->writer.next_known;
    if (next->blocks == NULL) {
        return;
    }
    next->room = max_size(next->room, 2 * next->added); /* or it is full at once */
    struct idem_filter before = embedded->known;
    embedded->known = *next;
    *next = before; /* freed by the writer, without the mutex */
}
