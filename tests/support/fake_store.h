/* SPDX-License-Identifier: MIT
 * A store that a test scripts: it answers with any code, later, in any order. What is not scripted goes to
 * a real store behind it. */
#ifndef TESTS_FAKE_STORE_H
#define TESTS_FAKE_STORE_H

#include "testing.h"

#include <idem/store.h>

struct fake_store;

/* behind is borrowed. NULL: what is not scripted answers IDEM_ERR_UNAVAILABLE. */
struct fake_store *fake_store_open(struct idem_store *behind);
void fake_store_close(struct fake_store *fake);

/* What the receiver is given. */
struct idem_store *fake_store_handle(struct fake_store *fake);

/* The next count claims, completions and abandonments answer code and reach nothing. */
void fake_store_fail(struct fake_store *fake, enum idem_code code, unsigned count);

/* The next one takes effect behind, but its answer is lost: IDEM_ERR_TIMEOUT. */
void fake_store_lose_answer(struct fake_store *fake);

/* While on, operations wait; each is answered by fake_store_release(index), 0 the oldest that waits. */
void fake_store_delay(struct fake_store *fake, bool on);
size_t fake_store_waiting(const struct fake_store *fake);
void fake_store_release(struct fake_store *fake, size_t index);
void fake_store_release_all(struct fake_store *fake);

/* The last claim and completion that came in, and how many operations did. */
const struct idem_claim *fake_store_claim(const struct fake_store *fake);
const struct idem_completion *fake_store_completion(const struct fake_store *fake);
unsigned fake_store_operations(const struct fake_store *fake);

#endif
