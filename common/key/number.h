/* SPDX-License-Identifier: MIT
 * Epoch and number of one message. */
#ifndef IDEM_KEY_NUMBER_H
#define IDEM_KEY_NUMBER_H

#include "key/extract.h"

/* False: the message has none, or what it has is no whole number from 0 to the highest that the rule's
 * producers count to. Leaves the message's digest out. */
bool idem_number_read(struct idem_number *number, const struct idem_extraction *from,
                      const struct idem_sequence_spec *spec);

/* Sets the message's digest. */
void idem_number_identify(struct idem_number *number, const struct idem_secret *secret,
                          const struct idem_digest *producer);

#endif
