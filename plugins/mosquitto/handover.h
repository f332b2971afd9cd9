/* SPDX-License-Identifier: MIT
 * Messages handed on to the broker, and the file that keeps those which a clean stop of the broker would
 * throw away: written at the stop, published and removed at the next start.
 *
 * Crash windows. At the stop: the file is complete and on disk before any of its claims is completed;
 * before that they are pending, and a further copy is in doubt. At the start: the file is removed once
 * the broker has taken the messages; a crash before that publishes them a second time. */
#ifndef IDEM_MOSQUITTO_HANDOVER_H
#define IDEM_MOSQUITTO_HANDOVER_H

#include <idem/error.h>
#include <idem/log.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idem_handover {
    char *topic; /* owned (malloc); NULL: nothing was handed on */
    const void *
        payload; /* the broker's, as long as it waits in its queue; likewise properties */
    uint32_t payload_size;
    int qos;
    bool retain;
    const mosquitto_property *properties;
};

/* Frees what is owned; accepts a zeroed one. */
void idem_handover_fini(struct idem_handover *handover);

/* Writes all messages to the file, and syncs it and its folder. Blocks on disk. */
IDEM_MUST_USE enum idem_code
idem_handover_save(const char *path, const struct idem_handover *const *handovers,
                   size_t count, struct idem_error *error);

/* Gives the broker every message of the file; *count tells how many. No file: none. A damaged file is
 * moved aside to PATH.damaged and reported (IDEM_ERR_FORMAT). Blocks on disk. */
IDEM_MUST_USE enum idem_code idem_handover_publish(const char *path, size_t *count,
                                                   struct idem_error *error);

/* Removes the file after its messages are with the broker. */
IDEM_MUST_USE enum idem_code idem_handover_remove(const char *path,
                                                  struct idem_error *error);

#endif
