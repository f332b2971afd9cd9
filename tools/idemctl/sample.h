/* SPDX-License-Identifier: MIT
 * A message described on the command line. */
#ifndef IDEM_CTL_SAMPLE_H
#define IDEM_CTL_SAMPLE_H

#include "command.h"

#include <idem/message.h>

struct sample_property {
    struct idem_span name;
    struct idem_span value;
};

struct sample {
    struct idem_message message; /* points into argv, and into payload */
    char *payload;               /* owned: what a file gave */
    size_t property_count;
    struct sample_property properties[IDEM_MESSAGE_PROPERTIES_MAX];
    bool retain;
    bool no_store;
    bool help;
};

/* Reads the options of a command that takes a sample message; complains where they are not right.
 * sample_fini in any case. */
enum ctl_exit sample_parse(struct sample *sample, int argc, char **argv);
void sample_fini(struct sample *sample);

#endif
