/* SPDX-License-Identifier: MIT
 * How fast counters rise. Programs tell their figures in rounds, every second or every ten: a rate is what
 * came between two rounds, over the time between them. */
#ifndef IDEM_CTL_RATES_H
#define IDEM_CTL_RATES_H

#include "figures.h"

struct rates {
    struct figures before; /* at the round before */
    struct figures tenths; /* a second, in tenths */
    int64_t before_ms;     /* 0: there was no round yet */
    int64_t changed_ms;    /* when the last figure of this round came; 0: none did yet */
    int64_t span_ms;       /* between the last two rounds */
};

void rates_fini(struct rates *rates);

/* A figure has come. */
void rates_changed(struct rates *rates, int64_t now_ms);

/* Takes a round that is over; lets rates sink to nothing where no further one comes. */
void rates_turn(struct rates *rates, const struct figures *figures, int64_t now_ms);

/* In tenths a second. */
uint64_t rates_of(const struct rates *rates, const char *name);

#endif
