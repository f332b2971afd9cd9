/* SPDX-License-Identifier: MIT
 * How records lie in Redis: one string key for each, with an expiry of its own.
 *
 *   key     idem:{DIGEST}   the 16 bytes of the digest as they are; the braces keep a cluster from
 *                           hashing anything else
 *   value   the record as record.h lays it out
 *   expiry  always: see idem_layout_kept_ms */
#ifndef IDEM_REDIS_LAYOUT_H
#define IDEM_REDIS_LAYOUT_H

#include <idem/store.h>

#define IDEM_LAYOUT_KEY_SIZE 23
#define IDEM_LAYOUT_PATTERN  "idem:{????????????????}"
#define IDEM_LAYOUT_CHECK    "idem:secret" /* the check value of the secret */

void idem_layout_key(uint8_t key[IDEM_LAYOUT_KEY_SIZE], const struct idem_digest *digest);

/* The inverse; false where it is not a key of a record. */
bool idem_layout_digest(struct idem_digest *digest, struct idem_span key);

/* What Redis is told to keep a record for. Whether a record is live is decided by the time in it and
 * the time of the caller; Redis only collects what nobody can want any more, so it is told some more:
 * for a pending record as long as its delivery is to be known as in doubt, for a done one enough for
 * clocks that differ. */
int64_t idem_layout_kept_ms(enum idem_record_state state, int64_t live_ms);

#endif
