/* SPDX-License-Identifier: MIT
 * The plugin's figures as Prometheus metrics, under the names that the bridge uses. */
#ifndef IDEM_CTL_METRICS_H
#define IDEM_CTL_METRICS_H

#include "figures.h"

#include <stdio.h>

/* connected: whether the broker is there; without it nothing else is told. */
void metrics_write(FILE *out, const struct figures *figures, bool connected);

#endif
