/* SPDX-License-Identifier: MIT
 * Answers with results of their own. */
#include "store/answer.h"

#include <stdlib.h>

uint8_t *idem_answer_own_result(struct idem_answer *answer) {
    struct idem_span *result = &answer->record.result;
    if (answer->code != IDEM_OK || result->len == 0) {
        return NULL;
    }
    uint8_t *copy = malloc(result->len);
    if (copy == NULL) {
        answer->code = IDEM_ERR_NOMEM;
        return NULL;
    }
    memcpy(copy, result->data, result->len);
    result->data = copy;
    return copy;
}

void idem_answer_code(enum idem_code code, idem_store_done *done, void *arg) {
    struct idem_answer answer = {.code = code};
    done(arg, &answer);
}
