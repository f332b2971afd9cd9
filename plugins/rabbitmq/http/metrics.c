/* SPDX-License-Identifier: MIT
 * Figures in Prometheus' text format. */
#include "figures.h"
#include "render.h"

#include <inttypes.h>

struct text {
    struct evbuffer *out;
    bool whole;
};

static void add(struct text *text, const char *bytes, size_t length) {
    text->whole = evbuffer_add(text->out, bytes, length) == 0 && text->whole;
}

static void put(struct text *text, const char *string) {
    add(text, string, strlen(string));
}

/* Backslash, quote and newline are the only characters that a label's value may not have as they are. */
static void put_escaped(struct text *text, const char *value) {
    while (*value != '\0') {
        size_t plain = strcspn(value, "\\\"\n");
        add(text, value, plain);
        value += plain;
        if (*value != '\0') {
            put(text, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\");
            value++;
        }
    }
}

/* bound: NULL, or the value of the label le. */
static void put_name(struct text *text, const struct idem_figure *figure,
                     const char *suffix, const char *const *labels, const char *bound) {
    const char *before = "{";
    put(text, figure->name);
    put(text, suffix);
    for (size_t i = 0; figure->labels[i] != NULL; i++) {
        put(text, before);
        put(text, figure->labels[i]);
        put(text, "=\"");
        put_escaped(text, labels[i]);
        put(text, "\"");
        before = ",";
    }
    if (bound != NULL) {
        put(text, before);
        put(text, "le=\"");
        put(text, bound);
        put(text, "\"");
        before = ",";
    }
    put(text, before[0] == ',' ? "} " : " ");
}

static void put_line(struct text *text, enum idem_figure_unit unit, uint64_t value) {
    struct idem_figure_text number;
    put(text, idem_figure_value(&number, unit, value));
    put(text, "\n");
}

static void put_value(void *arg, const struct idem_figure *figure,
                      const char *const *labels, uint64_t value) {
    put_name(arg, figure, "", labels, NULL);
    put_line(arg, figure->unit, value);
}

static void put_histogram(void *arg, const struct idem_figure *figure,
                          const char *const *labels,
                          const struct idem_histogram_values *values) {
    struct idem_figure_text bound;
    uint64_t count = 0;
    for (size_t i = 0; i <= IDEM_HISTOGRAM_BOUNDS; i++) {
        bool last = i == IDEM_HISTOGRAM_BOUNDS;
        const char *text =
            last ? "+Inf" : idem_figure_bound(&bound, idem_histogram_bound_ns(i));
        count += values->buckets[i];
        put_name(arg, figure, "_bucket", labels, text);
        put_line(arg, IDEM_UNIT_ONE, count);
    }
    put_name(arg, figure, "_sum", labels, NULL);
    put_line(arg, figure->unit, values->sum_ns);
    put_name(arg, figure, "_count", labels, NULL);
    put_line(arg, IDEM_UNIT_ONE, count);
}

static void put_head(struct text *text, const struct idem_figure *figure) {
    put(text, "# HELP ");
    put(text, figure->name);
    put(text, " ");
    put(text, figure->help);
    put(text, "\n# TYPE ");
    put(text, figure->name);
    put(text, " ");
    put(text, idem_figure_kind_name(figure->kind));
    put(text, "\n");
}

bool idem_render_metrics(struct evbuffer *out,
                         const struct idem_observation *observation) {
    struct text text = {out, true};
    const struct idem_samples samples = {put_value, put_histogram, &text};
    for (size_t i = 0; i < idem_figure_count(); i++) {
        put_head(&text, idem_figure_at(i));
        idem_figure_collect(idem_figure_at(i), observation, &samples);
    }
    return text.whole;
}
