/* SPDX-License-Identifier: MIT
 * A message described on the command line. */
#include "sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PAYLOAD_MAX ((size_t)256 * 1024 * 1024) /* the largest that MQTT can carry */

static bool find_property(void *source, struct idem_span name, struct idem_span *value) {
    const struct sample *sample = source;
    for (size_t i = 0; i < sample->property_count; i++) {
        if (idem_span_equal(sample->properties[i].name, name)) {
            *value = sample->properties[i].value;
            return true;
        }
    }
    return false;
}

/* NAME=VALUE */
static bool add_property(struct sample *sample, const char *text) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        ctl_complain("-D %s: a property is NAME=VALUE", text);
        return false;
    }
    if (sample->property_count == IDEM_MESSAGE_PROPERTIES_MAX) {
        ctl_complain("at most %d properties are looked at", IDEM_MESSAGE_PROPERTIES_MAX);
        return false;
    }
    struct sample_property *property = &sample->properties[sample->property_count++];
    property->name = idem_span_of(text, (size_t)(equals - text));
    property->value = idem_span_text(equals + 1);
    return true;
}

static bool read_stream(FILE *file, char **bytes, size_t *size) {
    size_t capacity = 0;
    for (;;) {
        if (*size == capacity) {
            capacity = capacity == 0 ? 65536 : capacity * 2;
            char *grown = capacity > 2 * PAYLOAD_MAX ? NULL : realloc(*bytes, capacity);
            if (grown == NULL) {
                errno = EFBIG;
                return false;
            }
            *bytes = grown;
        }
        size_t got = fread(*bytes + *size, 1, capacity - *size, file);
        *size += got;
        if (got == 0) {
            return !ferror(file);
        }
    }
}

static bool read_payload(struct sample *sample, const char *path) {
    size_t size = 0;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    bool read = file != NULL && read_stream(file, &sample->payload, &size);
    if (!read) {
        ctl_complain("-f %s: %s", path, strerror(errno));
    }
    if (file != NULL && file != stdin) {
        (void)fclose(file);
    }
    sample->message.payload = idem_span_of(sample->payload, size);
    return read;
}

bool sample_take(struct sample *sample, int option, const char *value) {
    struct idem_message *message = &sample->message;
    switch (option) {
    case 't':
        message->topic = idem_span_text(value);
        return true;
    case 'm':
        message->payload = idem_span_text(value);
        return true;
    case 'f':
        return read_payload(sample, value);
    case 'D':
        return add_property(sample, value);
    case 'r':
        sample->retain = true;
        return true;
    case SAMPLE_CLIENT:
        message->client = idem_span_text(value);
        return true;
    case SAMPLE_USER:
        message->user = idem_span_text(value);
        return true;
    case SAMPLE_CORRELATION_ID:
        message->correlation_id = idem_span_text(value);
        return true;
    case SAMPLE_MESSAGE_ID:
        message->message_id = idem_span_text(value);
        return true;
    case SAMPLE_QUEUE:
        message->queue = idem_span_text(value);
        return true;
    case SAMPLE_AMQP:
        message->protocol = IDEM_PROTOCOL_AMQP;
        return true;
    default:
        return false; /* getopt has said why */
    }
}

void sample_init(struct sample *sample) {
    memset(sample, 0, sizeof *sample);
    sample->message.property = find_property;
    sample->message.property_source = sample;
}

void sample_settle(struct sample *sample) {
    sample->message.deletion = sample->retain && sample->message.payload.len == 0;
}

void sample_fini(struct sample *sample) {
    free(sample->payload);
    sample->payload = NULL;
}
