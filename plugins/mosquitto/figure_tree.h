/* SPDX-License-Identifier: MIT
 * The tree of figures: what is below $SYS/broker/idem/, and what the control topic answers to getStats.
 * Documented in docs/reference/figures.md; a test compares the two. */
#ifndef IDEM_MOSQUITTO_FIGURE_TREE_H
#define IDEM_MOSQUITTO_FIGURE_TREE_H

#include "latency.h"
#include "replay.h"

#include <idem/receiver.h>

#define IDEM_FIGURE_NAME_MAX 256

/* Of requests on the control topic. */
struct idem_control_counts {
    uint64_t requests;
    uint64_t commands;
    uint64_t refused; /* commands that were answered with an error */
};

/* Where figures come from. All borrowed. */
struct idem_figure_sources {
    const struct idem_receiver *receiver;
    struct idem_store *store;
    const char *instance;
    uint64_t uptime_s;
    uint64_t parked_messages;
    uint64_t parked_bytes;
    uint64_t unsettled; /* claims whose delivery is not certain yet */
    const struct idem_latency *latency;
    const struct idem_replay *replay;
    const struct idem_control_counts *control;
};

/* name is below the root, and valid until the call returns. */
struct idem_figure_visitor {
    void (*text)(void *arg, const char *name, const char *value);
    void (*number)(void *arg, const char *name, uint64_t value);
    void *arg;
};

/* Texts, which do not change while the plugin runs. */
void idem_figure_tree_texts(const struct idem_figure_sources *sources,
                            const struct idem_figure_visitor *visitor);

#define IDEM_FIGURE_ROWS (IDEM_RULES_MAX + 1) /* and one for what no rule matched */

/* Numbers, in an order that stays: rules come last, as a reload may add some, and those that it takes away
 * keep their place. rows is the caller's memory for IDEM_FIGURE_ROWS of them; NULL: none of rules. */
void idem_figure_tree_numbers(const struct idem_figure_sources *sources,
                              struct idem_rule_counts *rows,
                              const struct idem_figure_visitor *visitor);

#endif
