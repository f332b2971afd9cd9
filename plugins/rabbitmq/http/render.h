/* SPDX-License-Identifier: MIT
 * An observation as others want it: text for Prometheus, JSON, health. Pure but for memory. */
#ifndef IDEM_RABBITMQ_HTTP_RENDER_H
#define IDEM_RABBITMQ_HTTP_RENDER_H

#include "observation.h"

#include <event2/buffer.h>

/* What is missing until every message can go its way. */
struct idem_health {
    const char *missing[IDEM_OBSERVED_ENDS_MAX + 4]; /* "source", "store", ...: static */
    size_t count;                                    /* 0: ready */
};
struct idem_health idem_health_of(const struct idem_observation *observation);

/* Each appends to out; false: there was no memory for all of it. */

/* Prometheus' text format, version 0.0.4. */
bool idem_render_metrics(struct evbuffer *out,
                         const struct idem_observation *observation);

/* docs/reference/http.md has its form. */
bool idem_render_stats(struct evbuffer *out, const struct idem_observation *observation);
bool idem_render_health(struct evbuffer *out, const struct idem_health *health);

#endif
