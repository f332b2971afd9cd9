/* SPDX-License-Identifier: MIT
 * The record that an Idem store holds about itself. */
#ifndef IDEM_STORE_EMBEDDED_META_H
#define IDEM_STORE_EMBEDDED_META_H

#include "store/embedded/disk.h"

/* Checks it, or writes it into a new file. IDEM_ERR_FORMAT: another program's LMDB
 * file, or a store written under another secret; IDEM_ERR_VERSION: written by a newer
 * Idem. */
IDEM_MUST_USE enum idem_code idem_meta_check(struct idem_disk *disk,
                                             const struct idem_secret *secret,
                                             struct idem_error *error);

#endif
