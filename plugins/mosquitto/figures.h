/* SPDX-License-Identifier: MIT
 * Figures for operators, retained below $SYS/broker/idem/ as the broker keeps its own. */
#ifndef IDEM_MOSQUITTO_FIGURES_H
#define IDEM_MOSQUITTO_FIGURES_H

#include "replay.h"

struct idem_figures {
    int64_t interval_ms; /* 0: never */
    int64_t next_ms;
    /* What was published, in the order of the tree: only changes go out. */
    uint64_t *last;
    size_t capacity;
    struct idem_rule_counts *rules;
};

void idem_figures_init(struct idem_figures *figures, int64_t interval_ms);
void idem_figures_fini(struct idem_figures *figures);

/* Publishes what changed, at most once an interval. Broker's thread only; cheap when not due. */
void idem_figures_publish(struct idem_figures *figures,
                          const struct idem_receiver *receiver, struct idem_store *store,
                          const struct idem_replay *replay, int64_t now_ms);

#endif
