/* SPDX-License-Identifier: MIT
 * A store in front of another one, which is far away and may fail: remembers in this process what it has
 * lately learnt there. */
#ifndef IDEM_RECENT_RECENT_H
#define IDEM_RECENT_RECENT_H

#include <idem/store.h>

/* Takes behind over with success only. keys: how many are remembered at most. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_recent_open(struct idem_store **store,
                                              struct idem_store *behind, size_t keys,
                                              const struct idem_log *log,
                                              struct idem_error *error);

#endif
