/* SPDX-License-Identifier: MIT
 * One producer's line: deciding and answering. */
#include "store/redis/producer.h"

#include "store/answer.h"
#include "store/record.h"
#include "store/redis/layout.h"

#include <stdlib.h>

void idem_turns_init(struct idem_turns *turns) {
    turns->first = NULL;
    turns->last = &turns->first;
}

void idem_turns_add(struct idem_turns *turns, struct idem_turn *turn) {
    turn->next = NULL;
    *turns->last = turn;
    turns->last = &turn->next;
}

static void forget(struct idem_record_bytes *bytes) {
    free(bytes->data);
    *bytes = (struct idem_record_bytes){NULL, 0};
}

static enum idem_code keep(struct idem_record_bytes *bytes, struct idem_span record) {
    uint8_t *copy = record.len > 0 ? malloc(record.len) : NULL;
    forget(bytes);
    if (record.len == 0) {
        return IDEM_OK;
    }
    if (copy == NULL) {
        return IDEM_ERR_NOMEM;
    }
    memcpy(copy, record.data, record.len);
    bytes->data = copy;
    bytes->length = record.len;
    return IDEM_OK;
}

void idem_producer_free(struct idem_producer *producer) {
    forget(&producer->seen);
    forget(&producer->next);
    free(producer);
}

enum idem_code idem_producer_see(struct idem_producer *producer,
                                 struct idem_span record) {
    producer->seen_before = keep(&producer->seen, record) == IDEM_OK;
    return producer->seen_before ? IDEM_OK : IDEM_ERR_NOMEM;
}

static enum idem_code take_turn(struct idem_number_step *step,
                                const struct idem_record *found, struct idem_turn *turn) {
    switch (turn->kind) {
    case IDEM_TURN_CLAIM:
        return idem_number_claim(step, found, &turn->as.claim, &turn->answer);
    case IDEM_TURN_COMPLETE:
        return idem_number_complete(step, found, &turn->as.completion);
    case IDEM_TURN_ABANDON:
        return idem_number_abandon(step, found, &turn->as.abandonment);
    }
    return IDEM_ERR_INVALID;
}

/* Each turn finds what the one before it has left. */
static bool take_turns(struct idem_producer *producer, struct idem_record *record) {
    struct idem_number_step *step = &producer->all->step;
    bool changed = false;
    producer->durable = false;
    for (struct idem_turn *turn = producer->asked.first; turn != NULL;
         turn = turn->next) {
        turn->answer = (struct idem_answer){.code = IDEM_OK};
        turn->answer.code = take_turn(step, record, turn);
        producer->durable |= turn->durable;
        if (step->changed) {
            changed = true;
            *record = step->next;
        }
    }
    int64_t live_ms = record->until_ms - producer->all->now_ms;
    producer->kept_ms =
        idem_layout_kept_ms(IDEM_RECORD_SEQUENCE, live_ms > 0 ? live_ms : 0);
    return changed;
}

enum idem_code idem_producer_decide(struct idem_producer *producer) {
    struct idem_record record = {.state = IDEM_RECORD_NONE};
    uint8_t *encoded = producer->all->encoded;
    forget(&producer->next);
    if (producer->seen.length > 0) {
        enum idem_code code = idem_record_decode(
            &record, idem_span_of(producer->seen.data, producer->seen.length));
        if (code != IDEM_OK) {
            return code;
        }
    }
    if (!take_turns(producer, &record)) {
        return IDEM_OK;
    }
    size_t size = idem_record_size(&record);
    if (size == 0) {
        return IDEM_ERR_FORMAT;
    }
    idem_record_encode(encoded, &record);
    return keep(&producer->next, idem_span_of(encoded, size));
}

static void answer_all(struct idem_producers *all, struct idem_turns *turns,
                       enum idem_code code) {
    struct idem_turn *turn = turns->first;
    idem_turns_init(turns);
    while (turn != NULL) {
        struct idem_turn *next = turn->next;
        all->open--;
        if (code != IDEM_OK) {
            idem_answer_code(code, turn->done, turn->arg);
        } else {
            turn->done(turn->arg, &turn->answer);
        }
        free(turn);
        turn = next;
    }
}

void idem_producer_answer(struct idem_producer *producer, enum idem_code code) {
    struct idem_turns waiting = {.first = NULL};
    if (code == IDEM_OK && producer->next.length > 0) {
        forget(&producer->seen);
        producer->seen = producer->next;
        producer->next = (struct idem_record_bytes){NULL, 0};
    } else if (code != IDEM_OK) {
        producer->seen_before = false;
        waiting = producer->waiting;
        if (waiting.first == NULL) {
            idem_turns_init(&waiting);
        }
        idem_turns_init(&producer->waiting);
    }
    answer_all(producer->all, &producer->asked, code);
    if (code != IDEM_OK) {
        answer_all(producer->all, &waiting, IDEM_ERR_UNAVAILABLE);
    }
    producer->asking = false;
    idem_producer_ask(producer);
}
