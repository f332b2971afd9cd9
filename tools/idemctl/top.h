/* SPDX-License-Identifier: MIT
 * What idemctl top shows. */
#ifndef IDEM_CTL_TOP_H
#define IDEM_CTL_TOP_H

#include "rates.h"

struct top_view {
    const char *where;   /* broker or URL */
    const char *trouble; /* why nothing comes; "" where all is well */
    bool connected;
    struct figures figures;
    struct rates rates;
};

/* Draws all of it on the screen as large as that is. ncurses is started. */
void top_draw(const struct top_view *view);

#endif
