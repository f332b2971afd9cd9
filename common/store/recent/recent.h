/* SPDX-License-Identifier: MIT
 * A store in front of another one, which is far away and may fail: remembers in this process what it has
 * lately learnt there. */
#ifndef IDEM_RECENT_RECENT_H
#define IDEM_RECENT_RECENT_H

#include <idem/store.h>

/* Takes behind over with success only. Of the options: recent_keys, patience_ms, log. IDEM_ERR_NOMEM,
 * IDEM_ERR_IO. */
IDEM_MUST_USE enum idem_code idem_recent_open(struct idem_store **store,
                                              struct idem_store *behind,
                                              const struct idem_store_options *options,
                                              struct idem_error *error);

#endif
