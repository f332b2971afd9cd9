/* SPDX-License-Identifier: MIT
 * A record as people read it. */
#ifndef IDEM_CTL_RECORD_H
#define IDEM_CTL_RECORD_H

#include "store.h"

/* Instances that can be called by name; a record knows only their number. */
struct record_names {
    const char *own;
    const char *const *others;
    size_t other_count;
};

/* Enough for a number and any name that a configuration may hold. */
#define RECORD_OWNER_SIZE 512
void record_owner_text(char out[RECORD_OWNER_SIZE], uint64_t instance,
                       const struct record_names *names);

/* State, times, owner, fingerprint, sizes, and what is known of a producer, as members of a report. */
void record_describe(const struct store_found *found, const struct record_names *names,
                     int64_t now_ms, struct json_object *report);

#endif
