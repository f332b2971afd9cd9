/* SPDX-License-Identifier: MIT
 * The mark of a sequence and the sliding window below it. */
#include "store/sequence/window.h"

#define WORDS (IDEM_WINDOW_MAX / 64)

static bool bit_at(const struct idem_sequence *sequence, uint64_t i) {
    return (sequence->seen[i / 64] >> (i % 64) & 1) != 0;
}

static void set_bit(struct idem_sequence *sequence, uint64_t i) {
    sequence->seen[i / 64] |= UINT64_C(1) << (i % 64);
}

bool idem_window_done(const struct idem_sequence *sequence, uint64_t number) {
    if (!sequence->has_mark || number > sequence->mark) {
        return false;
    }
    uint64_t behind = sequence->mark - number;
    return behind >= sequence->window || bit_at(sequence, behind);
}

/* Bits beyond the window are always 0. */
static void cut(struct idem_sequence *sequence) {
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t low = 64 * (uint64_t)i;
        uint64_t left = sequence->window > low ? sequence->window - low : 0;
        sequence->seen[i] &= left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
    }
}

/* The mark has moved up by so many: what was mark - i is mark - i - distance now. */
static void shift(struct idem_sequence *sequence, uint64_t distance) {
    size_t words = distance >= IDEM_WINDOW_MAX ? WORDS : (size_t)(distance / 64);
    unsigned bits = (unsigned)(distance % 64);
    for (size_t i = WORDS; i-- > 0;) {
        uint64_t high = i >= words ? sequence->seen[i - words] << bits : 0;
        uint64_t low =
            bits > 0 && i > words ? sequence->seen[i - words - 1] >> (64 - bits) : 0;
        sequence->seen[i] = high | low;
    }
}

void idem_window_set(struct idem_sequence *sequence, uint64_t number) {
    if (!sequence->has_mark) {
        sequence->has_mark = true;
        sequence->mark = number;
        memset(sequence->seen, 0, sizeof sequence->seen);
    } else if (number > sequence->mark) {
        shift(sequence, number - sequence->mark);
        sequence->mark = number;
    }
    if (sequence->mark - number < sequence->window) {
        set_bit(sequence, sequence->mark - number);
    }
    cut(sequence);
}

void idem_window_resize(struct idem_sequence *sequence, unsigned window) {
    for (uint64_t i = sequence->window; sequence->has_mark && i < window; i++) {
        set_bit(sequence, i);
    }
    sequence->window = window;
    cut(sequence);
}
