/* SPDX-License-Identifier: MIT
 * What differs between the brokers that may load the plugin. */
#define _GNU_SOURCE /* dladdr */

#include "compat.h"

#include <dlfcn.h>
#include <stdlib.h>

/* File scope on purpose: facts about the process, the same for every instance of the plugin. */
static struct {
    bool frees_replaced;
    bool counts_reads;
} broker;

static bool at_least(int major, int minor, int revision) {
    int have_major = 0;
    int have_minor = 0;
    int have_revision = 0;
    (void)mosquitto_lib_version(&have_major, &have_minor, &have_revision);
    if (have_major != major) {
        return have_major > major;
    }
    return have_minor > minor || (have_minor == minor && have_revision >= revision);
}

/* Some builds of the broker do not lend their functions that read properties to plugins. Those of
 * libmosquitto take their place, and libmosquitto counts nothing. */
static bool broker_reads_properties(void) {
    Dl_info reader;
    Dl_info allocator;
    return dladdr((void *)(uintptr_t)mosquitto_property_read_string, &reader) != 0 &&
           dladdr((void *)(uintptr_t)mosquitto_malloc, &allocator) != 0 &&
           reader.dli_fbase == allocator.dli_fbase;
}

/* The broker does not tell its version. libmosquitto is built from the same source and has, in every
 * distribution, the same one. Next to a stray library the answer would be wrong: a newer one than the
 * broker makes a leak of it, an older one a double free. So the plugin guide asks for equal versions. */
void idem_compat_learn(void) {
    broker.frees_replaced = at_least(2, 0, 15);
    broker.counts_reads = at_least(2, 0, 21) && broker_reads_properties();
}

bool idem_compat_frees_replaced(void) {
    return broker.frees_replaced;
}

void idem_compat_free_read(const void *memory) {
    if (broker.counts_reads) {
        mosquitto_free((void *)(uintptr_t)memory);
    } else {
        free((void *)(uintptr_t)memory);
    }
}

int idem_compat_publish(const char *topic, struct idem_span payload, int qos, bool retain,
                        mosquitto_property *properties) {
    return idem_compat_publish_to(NULL, topic, payload, qos, retain, properties);
}

int idem_compat_publish_to(const char *client_id, const char *topic,
                           struct idem_span payload, int qos, bool retain,
                           mosquitto_property *properties) {
    void *copy = NULL;
    if (payload.len > 0) {
        copy = mosquitto_malloc(payload.len);
        if (copy == NULL) {
            return MOSQ_ERR_NOMEM;
        }
        memcpy(copy, payload.data, payload.len);
    }
    int rc = mosquitto_broker_publish(client_id, topic, (int)payload.len, copy, qos,
                                      retain, properties);
    if (rc != MOSQ_ERR_SUCCESS) {
        mosquitto_free(copy);
    }
    return rc;
}
