/* SPDX-License-Identifier: MIT
 * Joining what two stores know of one producer. */
#include "store/sequence/merge.h"

#include "store/sequence/groups.h"
#include "store/sequence/window.h"

static bool is_open(const struct idem_sequence *sequence, uint64_t number) {
    /* The search changes nothing. */
    struct idem_sequence *own = (struct idem_sequence *)(uintptr_t)sequence;
    return idem_groups_find(own, number, false) != NULL ||
           idem_groups_find(own, number, true) != NULL;
}

/* Delivered for certain: seen, or below the window, and not known to be open. */
static bool is_delivered(const struct idem_sequence *sequence, uint64_t number) {
    return idem_window_done(sequence, number) && !is_open(sequence, number);
}

static void close_number(struct idem_sequence *sequence, uint64_t number) {
    struct idem_group_of_numbers *group = NULL;
    for (int given_back = 0; given_back < 2; given_back++) {
        while ((group = idem_groups_find(sequence, number, given_back == 1)) != NULL) {
            idem_groups_remove(sequence, group, number);
        }
    }
}

/* Into the window of the one whose mark is higher. */
static void take_delivered(struct idem_sequence *sequence,
                           const struct idem_sequence *other) {
    for (uint64_t i = 0; i < sequence->window && i <= sequence->mark; i++) {
        uint64_t number = sequence->mark - i;
        if (is_delivered(other, number)) {
            close_number(sequence, number);
            idem_window_set(sequence, number);
        }
    }
}

/* Whether the window shows it: what is below counts as delivered only until somebody knows better. */
static bool is_seen(const struct idem_sequence *sequence, uint64_t number) {
    bool inside = sequence->has_mark && number <= sequence->mark &&
                  sequence->mark - number < sequence->window;
    return inside && is_delivered(sequence, number);
}

/* False: there is no room for it. */
static bool keep_open(struct idem_sequence *sequence,
                      const struct idem_group_of_numbers *group, uint64_t number) {
    if (group->given_back) {
        return idem_groups_give_back(sequence, number, group->until_ms);
    }
    int64_t lease_ms = group->until_ms - group->opened_ms;
    return idem_groups_claim(sequence, number, &group->owner, group->opened_ms, lease_ms);
}

static void take_open(struct idem_sequence *sequence,
                      const struct idem_group_of_numbers *group) {
    bool room = true;
    for (size_t i = 0; i < 8 * group->size && room; i++) {
        uint64_t number = group->first + i;
        bool set = (group->bits[i / 8] >> (i % 8) & 1) != 0;
        if (set && !is_seen(sequence, number) && !is_open(sequence, number)) {
            room = keep_open(sequence, group, number);
        }
    }
}

static bool is_behind(const struct idem_sequence *a, const struct idem_sequence *b) {
    return b->has_mark && (!a->has_mark || a->mark < b->mark);
}

void idem_sequence_merge(struct idem_sequence *sequence,
                         const struct idem_sequence *other) {
    if (other->epoch != sequence->epoch) {
        if (other->epoch > sequence->epoch) {
            *sequence = *other;
        }
        return;
    }
    struct idem_sequence behind = *other;
    if (is_behind(sequence, other)) {
        behind = *sequence;
        *sequence = *other;
    }
    if (sequence->has_mark) {
        take_delivered(sequence, &behind);
    }
    for (size_t i = 0; i < behind.group_count; i++) {
        take_open(sequence, &behind.groups[i]);
    }
    if (behind.has_top && (!sequence->has_top || behind.top > sequence->top)) {
        sequence->has_top = true;
        sequence->top = behind.top;
    }
}
