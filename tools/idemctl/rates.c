/* SPDX-License-Identifier: MIT
 * How fast counters rise. */
#include "rates.h"

#include <string.h>

#define QUIET_MS 150  /* a round is over when nothing has come for so long */
#define STALE_MS 3000 /* no round for so long, and twice the last span: nothing rises */

void rates_fini(struct rates *rates) {
    figures_fini(&rates->before);
    figures_fini(&rates->tenths);
    memset(rates, 0, sizeof *rates);
}

void rates_changed(struct rates *rates, int64_t now_ms) {
    rates->changed_ms = now_ms;
}

static void take_round(struct rates *rates, const struct figures *figures) {
    int64_t span_ms = rates->before_ms > 0 ? rates->changed_ms - rates->before_ms : 0;
    for (size_t i = 0; i < figures->count; i++) {
        const struct figure *now = &figures->items[i];
        const struct figure *before = figures_find(&rates->before, now->name);
        uint64_t risen = before != NULL && now->number > before->number
                             ? now->number - before->number
                             : 0;
        if (now->text != NULL) {
            continue;
        }
        if (span_ms > 0) {
            figures_set_number(&rates->tenths, now->name,
                               risen * 10000 / (uint64_t)span_ms);
        }
        figures_set_number(&rates->before, now->name, now->number);
    }
    rates->span_ms = span_ms;
    rates->before_ms = rates->changed_ms;
    rates->changed_ms = 0;
}

void rates_turn(struct rates *rates, const struct figures *figures, int64_t now_ms) {
    if (rates->changed_ms > 0 && now_ms - rates->changed_ms >= QUIET_MS) {
        take_round(rates, figures);
    }
    int64_t silent_ms = now_ms - rates->before_ms;
    if (rates->changed_ms == 0 && silent_ms > STALE_MS &&
        silent_ms > 2 * rates->span_ms) {
        figures_fini(&rates->tenths);
    }
}

uint64_t rates_of(const struct rates *rates, const char *name) {
    return figures_number(&rates->tenths, name);
}
