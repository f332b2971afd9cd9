/* SPDX-License-Identifier: MIT
 * The open numbers of a sequence. */
#include "store/sequence/groups.h"

#include "store/step.h"

#define LEASE_PARTS 4 /* a group takes claims in for this part of a lease */

static bool holds(const struct idem_group_of_numbers *group, uint64_t number) {
    uint64_t i = number - group->first;
    return number >= group->first && i < 8 * group->size &&
           (group->bits[i / 8] >> (i % 8) & 1) != 0;
}

struct idem_group_of_numbers *idem_groups_find(struct idem_sequence *sequence,
                                               uint64_t number, bool given_back) {
    for (size_t i = 0; i < sequence->group_count; i++) {
        struct idem_group_of_numbers *group = &sequence->groups[i];
        if (group->given_back == given_back && holds(group, number)) {
            return group;
        }
    }
    return NULL;
}

static uint64_t byte_start(uint64_t number) {
    return number - number % 8;
}

/* Whether the number is near enough to those in the group. */
static bool reaches(const struct idem_group_of_numbers *group, uint64_t number) {
    uint64_t start = byte_start(number);
    uint64_t span = start >= group->first ? start - group->first + 8
                                          : group->first - start + 8 * group->size;
    return span <= IDEM_GROUP_NUMBERS_MAX;
}

/* Lengthens the bits at either end so that they cover the number, and sets its own. */
static void include(struct idem_group_of_numbers *group, uint64_t number) {
    uint64_t start = byte_start(number);
    if (start < group->first) {
        size_t more = (size_t)(group->first - start) / 8;
        memmove(group->bits + more, group->bits, group->size);
        memset(group->bits, 0, more);
        group->first = start;
        group->size += more;
    }
    size_t at = (size_t)(start - group->first) / 8;
    while (group->size <= at) {
        group->bits[group->size++] = 0;
    }
    group->bits[at] |= (uint8_t)(1U << (number % 8));
}

static void drop_group(struct idem_sequence *sequence,
                       struct idem_group_of_numbers *group) {
    const struct idem_group_of_numbers *last = &sequence->groups[--sequence->group_count];
    if (group != last) {
        *group = *last;
    }
}

/* What nobody has asked for since its lease ended long ago makes room where room is needed, and only
 * there: its numbers are judged by mark and window then. */
static void drop_forgotten(struct idem_sequence *sequence, int64_t now_ms) {
    for (size_t i = sequence->group_count; i-- > 0;) {
        if (idem_record_expired(IDEM_RECORD_PENDING, sequence->groups[i].until_ms,
                                now_ms)) {
            drop_group(sequence, &sequence->groups[i]);
        }
    }
}

static struct idem_group_of_numbers *open_group(struct idem_sequence *sequence,
                                                uint64_t number, size_t most) {
    if (sequence->group_count >= most) {
        return NULL;
    }
    struct idem_group_of_numbers *group = &sequence->groups[sequence->group_count++];
    *group = (struct idem_group_of_numbers){.first = byte_start(number)};
    return group;
}

/* Neither the first byte nor the last one is ever 0, so that a group is as short as can be. */
static void trim(struct idem_group_of_numbers *group) {
    size_t empty = 0;
    while (empty < group->size && group->bits[empty] == 0) {
        empty++;
    }
    group->size -= empty;
    group->first += 8 * (uint64_t)empty;
    memmove(group->bits, group->bits + empty, group->size);
    while (group->size > 0 && group->bits[group->size - 1] == 0) {
        group->size--;
    }
}

void idem_groups_remove(struct idem_sequence *sequence,
                        struct idem_group_of_numbers *group, uint64_t number) {
    uint64_t i = number - group->first;
    group->bits[i / 8] &= (uint8_t) ~(1U << (i % 8));
    trim(group);
    if (group->size == 0) {
        drop_group(sequence, group);
    }
}

/* First into its new group, then out of the old one: the other way round, a group that is empty for a
 * moment would be dropped, and another one take its place. */
static void move_into(struct idem_sequence *sequence, struct idem_group_of_numbers *to,
                      uint64_t number) {
    include(to, number);
    for (size_t i = 0; i < sequence->group_count; i++) {
        if (&sequence->groups[i] != to && holds(&sequence->groups[i], number)) {
            idem_groups_remove(sequence, &sequence->groups[i], number);
            return;
        }
    }
}

static bool takes_in(const struct idem_group_of_numbers *group, uint64_t number,
                     const struct idem_owner *owner, int64_t now_ms, int64_t lease_ms) {
    return !group->given_back && group->owner.instance == owner->instance &&
           group->owner.incarnation == owner->incarnation && now_ms >= group->opened_ms &&
           now_ms < group->until_ms &&
           now_ms - group->opened_ms <= lease_ms / LEASE_PARTS && reaches(group, number);
}

static struct idem_group_of_numbers *group_for_claim(struct idem_sequence *sequence,
                                                     uint64_t number,
                                                     const struct idem_owner *owner,
                                                     int64_t now_ms, int64_t lease_ms) {
    for (size_t i = 0; i < sequence->group_count; i++) {
        if (takes_in(&sequence->groups[i], number, owner, now_ms, lease_ms)) {
            return &sequence->groups[i];
        }
    }
    if (sequence->group_count >= IDEM_GROUPS_FOR_CLAIMS) {
        drop_forgotten(sequence, now_ms);
    }
    struct idem_group_of_numbers *group =
        open_group(sequence, number, IDEM_GROUPS_FOR_CLAIMS);
    if (group != NULL) {
        group->owner = *owner;
        group->opened_ms = now_ms;
    }
    return group;
}

bool idem_groups_claim(struct idem_sequence *sequence, uint64_t number,
                       const struct idem_owner *owner, int64_t now_ms, int64_t lease_ms) {
    struct idem_group_of_numbers *group =
        group_for_claim(sequence, number, owner, now_ms, lease_ms);
    if (group == NULL) {
        return false;
    }
    if (group->until_ms < now_ms + lease_ms) {
        group->until_ms = now_ms + lease_ms;
    }
    move_into(sequence, group, number);
    return true;
}

bool idem_groups_give_back(struct idem_sequence *sequence, uint64_t number,
                           int64_t until_ms) {
    struct idem_group_of_numbers *group = NULL;
    for (size_t i = 0; i < sequence->group_count && group == NULL; i++) {
        if (sequence->groups[i].given_back && reaches(&sequence->groups[i], number)) {
            group = &sequence->groups[i];
        }
    }
    if (group == NULL) {
        group = open_group(sequence, number, IDEM_GROUPS_MAX);
    }
    if (group == NULL) {
        return false;
    }
    group->given_back = true;
    group->until_ms = group->until_ms > until_ms ? group->until_ms : until_ms;
    move_into(sequence, group, number);
    return true;
}

size_t idem_groups_count(const struct idem_sequence *sequence, bool given_back) {
    size_t count = 0;
    for (size_t i = 0; i < sequence->group_count; i++) {
        const struct idem_group_of_numbers *group = &sequence->groups[i];
        for (size_t n = 0; group->given_back == given_back && n < 8 * group->size; n++) {
            count += group->bits[n / 8] >> (n % 8) & 1;
        }
    }
    return count;
}
