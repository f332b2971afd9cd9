/* SPDX-License-Identifier: MIT
 * Encoding and decoding of sequence states. */
#include "store/sequence/state.h"

#include "base/little.h"
#include "store/record.h"

#define HAS_MARK   1
#define HAS_TOP    2
#define GIVEN_BACK 1

void idem_sequence_clear(struct idem_sequence *sequence) {
    memset(sequence, 0, offsetof(struct idem_sequence, groups));
}

static size_t seen_size(const struct idem_sequence *sequence) {
    return sequence->has_mark ? (sequence->window + 7) / 8 : 0;
}

static uint8_t *encode_seen(uint8_t *out, const struct idem_sequence *sequence) {
    size_t size = seen_size(sequence);
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(sequence->seen[i / 8] >> (8 * (i % 8)));
    }
    return out + size;
}

static uint8_t *encode_group(uint8_t *out, const struct idem_group_of_numbers *group) {
    out[0] = group->given_back ? GIVEN_BACK : 0;
    idem_little_put(out + 1, group->size, 2);
    idem_little_put(out + 3, group->owner.instance, 8);
    idem_little_put(out + 11, group->owner.incarnation, 8);
    idem_time_put(out + 19, group->opened_ms);
    idem_time_put(out + 25, group->until_ms);
    idem_little_put(out + 31, group->first, 8);
    memcpy(out + IDEM_GROUP_SIZE_FIXED, group->bits, group->size);
    return out + IDEM_GROUP_SIZE_FIXED + group->size;
}

size_t idem_sequence_encode(uint8_t *out, const struct idem_sequence *sequence) {
    uint8_t *at = out + IDEM_SEQUENCE_SIZE_FIXED;
    out[0] = (uint8_t)((sequence->has_mark ? HAS_MARK : 0) |
                       (sequence->has_top ? HAS_TOP : 0));
    out[1] = (uint8_t)sequence->group_count;
    idem_little_put(out + 2, sequence->window, 2);
    idem_little_put(out + 4, sequence->epoch, 8);
    idem_little_put(out + 12, sequence->mark, 8);
    idem_little_put(out + 20, sequence->top, 8);
    idem_time_put(out + 28, sequence->gap_since_ms);
    at = encode_seen(at, sequence);
    for (size_t i = 0; i < sequence->group_count; i++) {
        at = encode_group(at, &sequence->groups[i]);
    }
    return (size_t)(at - out);
}

static bool decode_fixed(struct idem_sequence *sequence, const uint8_t *in) {
    sequence->known = true;
    sequence->has_mark = (in[0] & HAS_MARK) != 0;
    sequence->has_top = (in[0] & HAS_TOP) != 0;
    sequence->group_count = in[1];
    sequence->window = (unsigned)idem_little_get(in + 2, 2);
    sequence->epoch = idem_little_get(in + 4, 8);
    sequence->mark = idem_little_get(in + 12, 8);
    sequence->top = idem_little_get(in + 20, 8);
    sequence->gap_since_ms = idem_time_get(in + 28);
    return (in[0] & ~(HAS_MARK | HAS_TOP)) == 0 &&
           sequence->group_count <= IDEM_GROUPS_MAX &&
           sequence->window <= IDEM_WINDOW_MAX &&
           (sequence->has_top ? sequence->mark <= sequence->top : !sequence->has_mark);
}

static bool decode_seen(struct idem_sequence *sequence, struct idem_span *rest) {
    size_t size = seen_size(sequence);
    const uint8_t *in = idem_little_take(rest, size);
    for (size_t i = 0; in != NULL && i < size; i++) {
        sequence->seen[i / 8] |= (uint64_t)in[i] << (8 * (i % 8));
    }
    return in != NULL;
}

/* A group of nothing, or of numbers beyond the last one, would be none of ours. */
static bool decode_group(struct idem_group_of_numbers *group, struct idem_span *rest) {
    const uint8_t *in = idem_little_take(rest, IDEM_GROUP_SIZE_FIXED);
    if (in == NULL) {
        return false;
    }
    group->given_back = in[0] == GIVEN_BACK;
    group->size = (size_t)idem_little_get(in + 1, 2);
    group->owner.instance = idem_little_get(in + 3, 8);
    group->owner.incarnation = idem_little_get(in + 11, 8);
    group->opened_ms = idem_time_get(in + 19);
    group->until_ms = idem_time_get(in + 25);
    group->first = idem_little_get(in + 31, 8);
    if (in[0] > GIVEN_BACK || group->size == 0 || group->size > IDEM_GROUP_BYTES_MAX ||
        group->first % 8 != 0 || group->first > UINT64_MAX - (8 * group->size - 1)) {
        return false;
    }
    in = idem_little_take(rest, group->size);
    if (in == NULL || in[0] == 0 || in[group->size - 1] == 0) {
        return false;
    }
    memcpy(group->bits, in, group->size);
    return true;
}

bool idem_sequence_decode(struct idem_sequence *sequence, struct idem_span bytes) {
    idem_sequence_clear(sequence);
    const uint8_t *fixed = idem_little_take(&bytes, IDEM_SEQUENCE_SIZE_FIXED);
    bool right =
        fixed != NULL && decode_fixed(sequence, fixed) && decode_seen(sequence, &bytes);
    for (size_t i = 0; right && i < sequence->group_count; i++) {
        right = decode_group(&sequence->groups[i], &bytes);
    }
    if (!right || bytes.len > 0) {
        idem_sequence_clear(sequence);
        return false;
    }
    return true;
}
