/* SPDX-License-Identifier: MIT
 * The hash that names a key in every store. */
#ifndef IDEM_KEY_KEY_HASH_H
#define IDEM_KEY_KEY_HASH_H

#include "key/scope.h"

void idem_key_hash(struct idem_digest *digest, const struct idem_secret *secret,
                   enum idem_digest_domain domain, const struct idem_scope_value *scope,
                   const struct idem_key_part *parts, size_t parts_count);

#endif
