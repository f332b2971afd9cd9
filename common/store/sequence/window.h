/* SPDX-License-Identifier: MIT
 * The mark of a sequence and the sliding window below it, in the manner of the anti-replay windows of
 * RFC 4303. Pure. */
#ifndef IDEM_STORE_SEQUENCE_WINDOW_H
#define IDEM_STORE_SEQUENCE_WINDOW_H

#include "store/sequence/state.h"

/* Whether the number counts as delivered: seen in the window, or below it. */
bool idem_window_done(const struct idem_sequence *sequence, uint64_t number);

/* The number is delivered: the mark moves, or its bit is set. One below the window needs none. */
void idem_window_set(struct idem_sequence *sequence, uint64_t number);

/* As the rule says now. What a larger one takes in was outside before: it counts as delivered. */
void idem_window_resize(struct idem_sequence *sequence, unsigned window);

#endif
