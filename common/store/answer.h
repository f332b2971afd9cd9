/* SPDX-License-Identifier: MIT
 * Handing out answers whose result outlives the operations that the callback may
 * submit. */
#ifndef IDEM_STORE_ANSWER_H
#define IDEM_STORE_ANSWER_H

#include <idem/store.h>

/* Replaces a borrowed result by a copy and returns it, to be freed after the callback;
 * NULL where there is nothing to free. Without memory the answer becomes
 * IDEM_ERR_NOMEM. Only answers of operations that changed nothing carry a result, so
 * that is the truth. */
uint8_t *idem_answer_own_result(struct idem_answer *answer);

/* An answer that is nothing but a code. */
void idem_answer_code(enum idem_code code, idem_store_done *done, void *arg);

#endif
