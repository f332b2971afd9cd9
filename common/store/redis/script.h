/* SPDX-License-Identifier: MIT
 * The scripts that run inside Redis, for what no single command can do. */
#ifndef IDEM_REDIS_SCRIPT_H
#define IDEM_REDIS_SCRIPT_H

#include "store/redis/request.h"

#include <idem/digest.h>

/* Each takes one key, so each touches one slot of a cluster; COMPLETE_ALL takes several. */
const char *idem_script_text(enum idem_script script);

/* Begins the command that runs a script: its keys, and then count arguments, are the caller's to add. */
void idem_script_call(struct idem_bytes *out, const struct idem_server *server,
                      enum idem_script script, unsigned keys, unsigned count);

/* Begins the command that runs a script with one key and count arguments, which the caller adds. */
void idem_script_begin(struct idem_bytes *out, const struct idem_server *server,
                       enum idem_script script, const struct idem_digest *digest,
                       unsigned count);

#endif
