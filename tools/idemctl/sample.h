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
};

/* Rows of a getopt table. */
enum {
    SAMPLE_CLIENT = 256,
    SAMPLE_USER,
    SAMPLE_CORRELATION_ID,
    SAMPLE_MESSAGE_ID,
    SAMPLE_QUEUE,
    SAMPLE_AMQP,
    SAMPLE_OPTIONS_END,
};
#define SAMPLE_SHORT_OPTIONS "t:m:f:D:rh"
#define SAMPLE_LONG_OPTIONS                                                              \
    {"topic", required_argument, NULL, 't'}, {"message", required_argument, NULL, 'm'},  \
        {"file", required_argument, NULL, 'f'},                                          \
        {"property", required_argument, NULL, 'D'}, {"retain", no_argument, NULL, 'r'},  \
        {"client", required_argument, NULL, SAMPLE_CLIENT},                              \
        {"user", required_argument, NULL, SAMPLE_USER},                                  \
        {"correlation-id", required_argument, NULL, SAMPLE_CORRELATION_ID},              \
        {"message-id", required_argument, NULL, SAMPLE_MESSAGE_ID},                      \
        {"queue", required_argument, NULL, SAMPLE_QUEUE}, {                              \
        "amqp", no_argument, NULL, SAMPLE_AMQP                                           \
    }
void sample_init(struct sample *sample);
void sample_fini(struct sample *sample);
/* False: the option is none of a sample, or its value is not right, which has been said. */
bool sample_take(struct sample *sample, int option, const char *value);
/* When all options have been taken. */
void sample_settle(struct sample *sample);

#endif
