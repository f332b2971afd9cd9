/* SPDX-License-Identifier: MIT
 * Messages handed on to the broker, and the file that keeps those which a clean stop of the broker would
 * throw away: written at the stop, published at the next start, removed once the broker has them.
 *
 * What is published while plugins start only waits in the broker's queue: the broker looks at it when its
 * loop begins, and it has no loop unless every plugin has started. So a start that fails has delivered
 * nothing, and the file is still there. That is also why running out of memory in the middle of the file
 * fails the start: a broker that went on would deliver the first messages now and, from the same file,
 * once more at the next start, or never the rest.
 *
 * Crash windows. At the stop: the file is complete and on disk before any of its claims is completed;
 * before that they are pending, and a further copy is in doubt. At the start: the file is removed when
 * the loop has begun; a crash before that publishes its messages a second time. */
#ifndef IDEM_MOSQUITTO_HANDOVER_H
#define IDEM_MOSQUITTO_HANDOVER_H

#include <idem/error.h>

#include <mosquitto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idem_handover {
    char *topic;         /* owned (malloc); NULL: nothing was handed on */
    const void *payload; /* the broker's while it waits in its queue; as are properties */
    uint32_t payload_size;
    int qos;
    bool retain;
    const mosquitto_property *properties;
};

/* Frees what is owned; accepts a zeroed one. */
void idem_handover_fini(struct idem_handover *handover);

/* Replaces the file by one with these messages, at once or not at all, and syncs it and its folder.
 * Blocks on disk. IDEM_ERR_IO, IDEM_ERR_NOMEM: the file is as it was. */
IDEM_MUST_USE enum idem_code
idem_handover_save(const char *path, const struct idem_handover *const *handovers,
                   size_t count, struct idem_error *error);

/* Gives the broker every message of the file; *count tells how many. No file: none. Blocks on disk.
 * IDEM_ERR_FORMAT, IDEM_ERR_IO: nothing was published, the file is moved aside to PATH.damaged.
 * IDEM_ERR_NOMEM: the broker must not start (see above). */
IDEM_MUST_USE enum idem_code idem_handover_publish(const char *path, size_t *count,
                                                   struct idem_error *error);

/* Removes the file after its messages are with the broker. */
IDEM_MUST_USE enum idem_code idem_handover_remove(const char *path,
                                                  struct idem_error *error);

#endif
