/* SPDX-License-Identifier: MIT
 * Prints the reference of the figures: what the table says. */
#include "figures.h"

static const char *const introduction[] = {
    "# Figures of the bridge",
    "",
    "What `idem-bridge` tells at `/metrics`, in Prometheus' text format, and at",
    "`/api/stats`, as JSON: [the HTTP reference](http.md) has the forms,",
    "[the guide to monitoring](../guide/monitoring.md) what to look at. Names, labels",
    "and units stay; new ones are added. Counters begin at zero when the bridge starts.",
    "",
    "This page is made from the table in `plugins/rabbitmq/http/figures.c`, from which",
    "the figures themselves are made, by",
    "`build/tests/unit/rabbitmq/test_figures --write FILE`; a test fails when the two",
    "differ.",
    "",
    "- `rule` is a rule's name, or `(none)` for messages that no rule matches.",
    "- `verdict` is `deliver`, `drop`, `replay`, `hold`, `reject`, `quarantine` or",
    "  `refuse`; `reason` is what [the strategies](../strategies.md) tell apart: `new`,",
    "  `duplicate`, `conflict`, `in_flight`, `in_doubt` and so on.",
    "- `end` is `source`, `sink` or, where it has a connection of its own, `quarantine`.",
    "- `state` is a state of the delivery machine: [the bridge](../design/bridge.md).",
    "- `operation` is `claim`, `complete` or `abandon`.",
    "- `kind` is `reply`, `replay` or `refusal`; `outcome` is `stored`, `failed`,",
    "  `too_large`, `stray` or `alien`: [requests and answers](../guide/rpc.md). Figures",
    "  of `idem_rpc_` are there in `mode: rpc` only. Requests that wait for their reply",
    "  are in flight, in the state `awaiting`; those whose lease ended without one count",
    "  as in doubt.",
    "",
    "Counters are exact at any moment. Gauges of connections, messages in flight and",
    "the store are what each worker saw when it looked last, half a second ago at most;",
    "`idem_observation_age_seconds` tells. The broker is asked for the length of the",
    "source queue every five seconds. With several workers, figures are sums over all",
    "of them.",
    "",
    "| figure | type | labels | meaning |",
    "|---|---|---|---|",
};

static void print_labels(FILE *out, const struct idem_figure *figure) {
    for (size_t i = 0; figure->labels[i] != NULL; i++) {
        (void)fprintf(out, "%s`%s`", i == 0 ? "" : ", ", figure->labels[i]);
    }
}

void idem_figures_reference(FILE *out) {
    for (size_t i = 0; i < sizeof introduction / sizeof introduction[0]; i++) {
        (void)fprintf(out, "%s\n", introduction[i]);
    }
    for (size_t i = 0; i < idem_figure_count(); i++) {
        const struct idem_figure *figure = idem_figure_at(i);
        (void)fprintf(out, "| `%s` | %s | ", figure->name,
                      idem_figure_kind_name(figure->kind));
        print_labels(out, figure);
        (void)fprintf(out, " | %s |\n", figure->help);
    }
    (void)fputs("\nThe buckets of the histogram end at ", out);
    for (size_t i = 0; i < IDEM_HISTOGRAM_BOUNDS; i++) {
        struct idem_figure_text bound;
        (void)fprintf(out, "%s%s",
                      i == 0       ? ""
                      : i % 9 == 0 ? ",\n"
                                   : ", ",
                      idem_figure_bound(&bound, idem_histogram_bound_ns(i)));
    }
    (void)fputs(" seconds and infinity.\n", out);
}
