/* SPDX-License-Identifier: MIT
 * Figures for operators, retained below $SYS/broker/idem/ as the broker keeps its own. */
#ifndef IDEM_MOSQUITTO_FIGURES_H
#define IDEM_MOSQUITTO_FIGURES_H

#include "figure_tree.h"

struct idem_figures {
    int64_t interval_ms; /* 0: never */
    int64_t next_ms;
    size_t texts; /* how many of them are out: each goes out once */
    /* What was published, in the order of the tree: only changes go out. */
    uint64_t *last;
    size_t capacity;
    struct idem_rule_counts *rules; /* NULL: no memory */
};

void idem_figures_init(struct idem_figures *figures, int64_t interval_ms);
void idem_figures_fini(struct idem_figures *figures);

/* Whether it is time to publish; then the next time is an interval later. Cheap. */
bool idem_figures_due(struct idem_figures *figures, int64_t now_ms);

/* Publishes what changed. Broker's thread only. */
void idem_figures_publish(struct idem_figures *figures,
                          const struct idem_figure_sources *sources);

#endif
