/* SPDX-License-Identifier: MIT
 * The registry of figures: one table from which /metrics, /api/stats and docs/reference/metrics.md are made.
 * Names follow Prometheus' conventions: base units, counters end in _total. They are a promise: dashboards
 * and alerts hang on them. */
#ifndef IDEM_RABBITMQ_HTTP_FIGURES_H
#define IDEM_RABBITMQ_HTTP_FIGURES_H

#include "observation.h"

#include <stdio.h>

#define IDEM_FIGURE_LABELS_MAX 2

enum idem_figure_kind {
    IDEM_FIGURE_COUNTER,
    IDEM_FIGURE_GAUGE,
    IDEM_FIGURE_HISTOGRAM,
};

/* What a value is kept in. All are told in base units: seconds, with as many places as there are. */
enum idem_figure_unit {
    IDEM_UNIT_ONE,
    IDEM_UNIT_MS,
    IDEM_UNIT_NS,
};

struct idem_figure;

/* Takes samples: one for each set of values of the figure's labels, in the order of the labels. */
struct idem_samples {
    void (*value)(void *arg, const struct idem_figure *figure, const char *const *labels,
                  uint64_t value);
    void (*histogram)(void *arg, const struct idem_figure *figure,
                      const char *const *labels,
                      const struct idem_histogram_values *values);
    void *arg;
};

struct idem_figure {
    const char *name;
    enum idem_figure_kind kind;
    enum idem_figure_unit unit;
    const char *labels[IDEM_FIGURE_LABELS_MAX + 1]; /* NULL ends them */
    const char *help; /* one sentence; no backslash, newline or | */
    /* Where it is found: a uint64_t at that place in the observation, ... */
    size_t offset;
    /* ... or, where this is not NULL, whatever it calls samples with: nothing, where nothing is known. */
    void (*collect)(const struct idem_figure *figure,
                    const struct idem_observation *observation,
                    const struct idem_samples *samples);
};

size_t idem_figure_count(void);
const struct idem_figure *idem_figure_at(size_t index);

/* All samples of one figure. */
void idem_figure_collect(const struct idem_figure *figure,
                         const struct idem_observation *observation,
                         const struct idem_samples *samples);

/* "counter", "gauge", "histogram"; static. */
const char *idem_figure_kind_name(enum idem_figure_kind kind);

/* A value in base units, exactly: "12", "0.005", "1.000000001". */
struct idem_figure_text {
    char text[40];
};
const char *idem_figure_value(struct idem_figure_text *buffer, enum idem_figure_unit unit,
                              uint64_t value);

/* The same for nanoseconds as seconds, without zeros that say nothing: "0.0025". */
const char *idem_figure_bound(struct idem_figure_text *buffer, int64_t ns);

/* Prints docs/reference/metrics.md. */
void idem_figures_reference(FILE *out);

#endif
