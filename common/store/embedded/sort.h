/* SPDX-License-Identifier: MIT
 * Digests in ascending order. */
#ifndef IDEM_STORE_EMBEDDED_SORT_H
#define IDEM_STORE_EMBEDDED_SORT_H

#include <idem/digest.h>

#include <stddef.h>

/* Takes memory for as many again; without it, ten times as long. */
void idem_digests_sort(struct idem_digest *digests, size_t count);

#endif
