/* SPDX-License-Identifier: MIT
 * Who claims: an instance's number, the same for ever, and an incarnation, new at every start. */
#ifndef IDEM_RECEIVER_OWNER_H
#define IDEM_RECEIVER_OWNER_H

#include <idem/store.h>

/* incarnation 0: one is taken from the clock and randomness. After idem_digest_init only. */
struct idem_owner idem_owner_of(const char *instance, uint64_t incarnation);

#endif
