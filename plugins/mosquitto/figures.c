/* SPDX-License-Identifier: MIT
 * Figures for operators below $SYS/broker/idem/. */
#include "figures.h"

#include "compat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOT        "$SYS/broker/idem/"
#define UNPUBLISHED UINT64_MAX
#define FIGURE_QOS  2 /* as the broker's own figures: the subscriber's QoS decides */

/* Walks the tree in a fixed order, so that a position identifies a figure between two rounds. */
struct round {
    struct idem_figures *figures;
    size_t position;
};

static bool publish(const char *name, const char *value) {
    char topic[sizeof ROOT + IDEM_FIGURE_NAME_MAX];
    (void)snprintf(topic, sizeof topic, ROOT "%s", name);
    return idem_compat_publish(topic, idem_span_text(value), FIGURE_QOS, true, NULL) ==
           MOSQ_ERR_SUCCESS;
}

static bool has_place(struct idem_figures *figures, size_t position) {
    while (position >= figures->capacity) {
        size_t capacity = figures->capacity == 0 ? 64 : figures->capacity * 2;
        uint64_t *last = realloc(figures->last, capacity * sizeof *last);
        if (last == NULL) {
            return false;
        }
        for (size_t i = figures->capacity; i < capacity; i++) {
            last[i] = UNPUBLISHED;
        }
        figures->last = last;
        figures->capacity = capacity;
    }
    return true;
}

/* Out of memory: the next round tries again. */
static void put_number(void *arg, const char *name, uint64_t value) {
    struct round *round = arg;
    struct idem_figures *figures = round->figures;
    size_t position = round->position++;
    char text[24];
    if (!has_place(figures, position) || figures->last[position] == value) {
        return;
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    if (publish(name, text)) {
        figures->last[position] = value;
    }
}

static void put_text(void *arg, const char *name, const char *value) {
    struct round *round = arg;
    struct idem_figures *figures = round->figures;
    if (round->position++ == figures->texts && publish(name, value)) {
        figures->texts++;
    }
}

void idem_figures_init(struct idem_figures *figures, int64_t interval_ms) {
    memset(figures, 0, sizeof *figures);
    figures->interval_ms = interval_ms;
    figures->rules = calloc(IDEM_FIGURE_ROWS, sizeof *figures->rules);
}

void idem_figures_fini(struct idem_figures *figures) {
    free(figures->last);
    free(figures->rules);
    memset(figures, 0, sizeof *figures);
}

bool idem_figures_due(struct idem_figures *figures, int64_t now_ms) {
    if (figures->interval_ms <= 0) {
        return false;
    }
    /* A clock that was set back must not silence the figures until it has caught up. */
    if (now_ms < figures->next_ms && figures->next_ms - now_ms <= figures->interval_ms) {
        return false;
    }
    figures->next_ms = now_ms + figures->interval_ms;
    return true;
}

void idem_figures_publish(struct idem_figures *figures,
                          const struct idem_figure_sources *sources) {
    struct round round = {figures, 0};
    const struct idem_figure_visitor visitor = {put_text, put_number, &round};
    idem_figure_tree_texts(sources, &visitor);
    round.position = 0;
    idem_figure_tree_numbers(sources, figures->rules, &visitor);
}
