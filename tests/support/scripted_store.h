/* SPDX-License-Identifier: MIT
 * A store that a test scripts: it answers with any code, later, in any order. What is not scripted goes to
 * a real store behind it. */
#ifndef TESTS_SCRIPTED_STORE_H
#define TESTS_SCRIPTED_STORE_H

#include "testing.h"

#include <idem/store.h>

struct scripted_store;

/* behind is borrowed. NULL: what is not scripted answers IDEM_ERR_UNAVAILABLE. */
struct scripted_store *scripted_store_open(struct idem_store *behind);
void scripted_store_close(struct scripted_store *scripted);

/* What the receiver is given. */
struct idem_store *scripted_store_handle(struct scripted_store *scripted);

/* The next count claims, completions and abandonments answer code and reach nothing. */
void scripted_store_fail(struct scripted_store *scripted, enum idem_code code,
                         unsigned count);

/* The next one takes effect behind, but its answer is lost: IDEM_ERR_TIMEOUT. */
void scripted_store_lose_answer(struct scripted_store *scripted);

/* While on, operations wait; each is answered by scripted_store_release(index), 0 the oldest that waits. */
void scripted_store_delay(struct scripted_store *scripted, bool on);
size_t scripted_store_waiting(const struct scripted_store *scripted);
void scripted_store_release(struct scripted_store *scripted, size_t index);
void scripted_store_release_all(struct scripted_store *scripted);

/* The last claim and completion that came in, and how many operations did. */
const struct idem_claim *scripted_store_claim(const struct scripted_store *scripted);
const struct idem_completion *
scripted_store_completion(const struct scripted_store *scripted);
unsigned scripted_store_operations(const struct scripted_store *scripted);

#endif
