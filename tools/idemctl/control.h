/* SPDX-License-Identifier: MIT
 * One command on the control topic of a broker: docs/reference/control.md. */
#ifndef IDEM_CTL_CONTROL_H
#define IDEM_CTL_CONTROL_H

#include "broker.h"

/* Asks, and waits for at most five seconds. What the answer's data is, an object that may hold anything;
 * json_object_put it. NULL: there is no such answer, and why is in trouble. digest: of lookupKey; NULL: the command
 * takes none. */
struct json_object *control_ask(const struct broker_options *options, const char *command,
                                const char *digest, char *trouble, size_t size);

#endif
