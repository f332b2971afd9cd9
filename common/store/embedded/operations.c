/* SPDX-License-Identifier: MIT
 * Claim, complete, abandon, lookup, forget: the caller's side of the embedded store. */
#include "store/embedded/embedded.h"

#include "store/answer.h"
#include "store/sequence/step.h"
#include "store/step.h"

#include <stdlib.h>

enum place {
    ON_DISK, /* or nowhere; in memory, too, if it is not merged yet */
    IN_FROZEN,
    IN_ACTIVE,
};

struct operation {
    struct idem_embedded *embedded;
    const struct idem_digest *digest;
    idem_store_done *done;
    void *arg;
    struct idem_waiter *waiter; /* durable only, until it is queued */
    struct idem_answer answer;
    struct idem_record found; /* state NONE: nothing there */
    enum place place;         /* of what was found, and then of what was made of it */
    bool wake_writer;
};

size_t idem_front_sets(const struct idem_embedded *embedded,
                       const struct idem_record_set *sets[IDEM_FRONT_SETS]) {
    const struct idem_record_set *all[IDEM_FRONT_SETS] = {
        embedded->active.records, embedded->frozen.records, embedded->journalled.records,
        embedded->merging.records};
    size_t count = 0;
    for (size_t i = 0; i < IDEM_FRONT_SETS; i++) {
        if (all[i] != NULL) {
            sets[count++] = all[i];
        }
    }
    return count;
}

size_t idem_front_unsaved(const struct idem_embedded *embedded) {
    size_t frozen = embedded->frozen.records != NULL
                        ? idem_record_set_count(embedded->frozen.records)
                        : 0;
    return idem_record_set_count(embedded->active.records) + frozen;
}

size_t idem_front_count(const struct idem_embedded *embedded) {
    return idem_front_unsaved(embedded) + embedded->journalled.count +
           embedded->merging.count;
}

size_t idem_front_result_bytes(const struct idem_embedded *embedded) {
    size_t frozen =
        embedded->frozen.records != NULL ? embedded->frozen.records->result_bytes : 0;
    return embedded->active.records->result_bytes + frozen +
           embedded->journalled.result_bytes + embedded->merging.result_bytes;
}

static bool find_in(struct operation *operation, const struct idem_record_set *set,
                    enum place place) {
    operation->place = place;
    return set != NULL && idem_record_set_find(set, operation->digest, &operation->found);
}

/* Found may borrow from it until finish: only records of the frozen group are changed in
 * there, and those are found in the frozen group. */
static bool find_journalled(struct operation *operation) {
    struct idem_embedded *embedded = operation->embedded;
    (void)pthread_mutex_lock(&embedded->joining);
    bool found = find_in(operation, embedded->journalled.records, ON_DISK);
    (void)pthread_mutex_unlock(&embedded->joining);
    return found;
}

/* Looks in the order of newness. A view of the disk stays open until finish: found may
 * borrow. */
static enum idem_code find(struct operation *operation) {
    struct idem_embedded *embedded = operation->embedded;
    if (find_in(operation, embedded->active.records, IN_ACTIVE) ||
        find_in(operation, embedded->frozen.records, IN_FROZEN)) {
        return IDEM_OK;
    }
    operation->place = ON_DISK;
    if (idem_filter_excludes(&embedded->known, operation->digest) ||
        find_journalled(operation) ||
        find_in(operation, embedded->merging.records, ON_DISK)) {
        return IDEM_OK;
    }
    enum idem_code code = idem_disk_view_begin(&embedded->disk);
    return code == IDEM_OK
               ? idem_disk_read(&embedded->disk, operation->digest, &operation->found)
               : code;
}

/* Takes the mutex; finish gives it back, whatever comes between them. */
static enum idem_code begin(struct operation *operation, bool durable) {
    struct idem_embedded *embedded = operation->embedded;
    if (durable) {
        operation->waiter = malloc(sizeof *operation->waiter);
    }
    (void)pthread_mutex_lock(&embedded->mutex);
    if (durable && operation->waiter == NULL) {
        return IDEM_ERR_NOMEM;
    }
    return embedded->closing ? IDEM_ERR_UNAVAILABLE : find(operation);
}

/* What the disk holds already is durable: only changes in memory have to wait. */
static bool must_wait(const struct operation *operation) {
    return operation->waiter != NULL && operation->answer.code == IDEM_OK &&
           operation->place != ON_DISK;
}

static void enqueue(struct operation *operation, uint8_t *result) {
    struct idem_embedded *embedded = operation->embedded;
    struct idem_group *group =
        operation->place == IN_ACTIVE ? &embedded->active : &embedded->frozen;
    *operation->waiter = (struct idem_waiter){
        .done = operation->done,
        .arg = operation->arg,
        .answer = operation->answer,
        .result = result,
    };
    operation->wake_writer |= group->waiters.first == NULL;
    idem_waiters_append(&group->waiters, operation->waiter);
    operation->waiter = NULL;
}

static void finish(struct operation *operation, enum idem_code code) {
    struct idem_embedded *embedded = operation->embedded;
    operation->answer.code = code;
    uint8_t *result = idem_answer_own_result(&operation->answer);
    idem_disk_view_end(&embedded->disk);
    bool waits = must_wait(operation);
    if (waits) {
        enqueue(operation, result);
    }
    (void)pthread_mutex_unlock(&embedded->mutex);
    if (operation->wake_writer) {
        (void)pthread_cond_signal(&embedded->writer.work);
    }
    if (!waits) {
        free(operation->waiter);
        operation->done(operation->arg, &operation->answer);
        free(result);
    }
}

/* Room for one more entry, and for a result, when entries may be up to most. */
static bool has_room(const struct operation *operation, size_t most, size_t result_len) {
    const struct idem_embedded *embedded = operation->embedded;
    return (operation->place == IN_ACTIVE || idem_front_count(embedded) < most) &&
           (result_len == 0 || idem_front_result_bytes(embedded) + result_len <=
                                   most * IDEM_RESULT_BYTES_PER_ENTRY);
}

/* Puts next (state NONE: removal) into the active group. The writer is woken by the
 * first change of a group, and when half of the front is used up. */
static enum idem_code change(struct operation *operation, const struct idem_record *next,
                             size_t most) {
    struct idem_embedded *embedded = operation->embedded;
    struct idem_group *active = &embedded->active;
    if (!has_room(operation, most, next->result.len)) {
        return IDEM_ERR_FULL;
    }
    enum idem_code code = idem_record_set_put(active->records, operation->digest, next);
    if (code != IDEM_OK) {
        return code;
    }
    active->delta +=
        (next->state != IDEM_RECORD_NONE) - (operation->found.state != IDEM_RECORD_NONE);
    size_t count = idem_record_set_count(active->records);
    if (operation->place != IN_ACTIVE && count == embedded->front_max / 2) {
        embedded->writer.journal_asked = embedded->active_no;
        operation->wake_writer = true;
    }
    operation->wake_writer |= operation->place != IN_ACTIVE && count == 1;
    operation->place = IN_ACTIVE;
    return IDEM_OK;
}

/* What has been claimed must be able to end: completions, and removals, may use the
 * front up to twice its bound. Each needs a record, so there are no more of them than
 * claims. */
static size_t most_for_endings(const struct idem_embedded *embedded) {
    return 2 * embedded->front_max;
}

/* A repeat moves the end of the record. Where there is no room for that it is a repeat all the same. */
static void keep_longer(struct operation *operation, const struct idem_claim *claim) {
    struct idem_embedded *embedded = operation->embedded;
    struct idem_record next = operation->found;
    next.until_ms = idem_step_extended(&operation->found, claim);
    if (next.until_ms == operation->found.until_ms) {
        return;
    }
    if (operation->place == IN_ACTIVE) {
        idem_record_set_extend(embedded->active.records, operation->digest,
                               next.until_ms);
    } else {
        (void)change(operation, &next, embedded->front_max);
    }
}

/* The record of a number's producer: there may be more to a record than there was. */
static enum idem_code change_sequence(struct operation *operation,
                                      const struct idem_number_step *step,
                                      enum idem_code code, size_t most) {
    return step->changed ? change(operation, &step->next, most) : code;
}

static enum idem_code claim_number(struct operation *operation,
                                   const struct idem_claim *claim) {
    struct idem_number_step step;
    enum idem_code code =
        idem_number_claim(&step, &operation->found, claim, &operation->answer);
    return change_sequence(operation, &step, code, operation->embedded->front_max);
}

static enum idem_code complete_number(struct operation *operation,
                                      const struct idem_completion *completion) {
    struct idem_number_step step;
    enum idem_code code = idem_number_complete(&step, &operation->found, completion);
    return change_sequence(operation, &step, code, most_for_endings(operation->embedded));
}

static enum idem_code abandon_number(struct operation *operation,
                                     const struct idem_abandonment *abandonment) {
    struct idem_number_step step;
    enum idem_code code = idem_number_abandon(&step, &operation->found, abandonment);
    return change_sequence(operation, &step, code, most_for_endings(operation->embedded));
}

static enum idem_code claim_found(struct operation *operation,
                                  const struct idem_claim *claim) {
    struct idem_answer *answer = &operation->answer;
    struct idem_record next;
    answer->outcome = idem_step_claim(&next, &operation->found, claim);
    switch (answer->outcome) {
    case IDEM_CLAIM_NEW:
        return change(operation, &next, operation->embedded->front_max);
    case IDEM_CLAIM_TAKEN_OVER:
        answer->record = operation->found;
        return change(operation, &next, operation->embedded->front_max);
    case IDEM_CLAIM_DONE:
        keep_longer(operation, claim);
        break;
    case IDEM_CLAIM_IN_FLIGHT:
    case IDEM_CLAIM_FENCED:
    case IDEM_CLAIM_GAP:
    case IDEM_CLAIM_OUTCOME_COUNT:
        break;
    }
    answer->record = operation->found;
    return IDEM_OK;
}

void idem_embedded_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg) {
    struct operation operation = {.embedded = idem_embedded_of(store),
                                  .digest = &claim->digest,
                                  .done = done,
                                  .arg = arg};
    enum idem_code code = begin(&operation, claim->durable);
    operation.embedded->now_ms = claim->now_ms;
    if (code == IDEM_OK) {
        code = claim->number.present ? claim_number(&operation, claim)
                                     : claim_found(&operation, claim);
    }
    finish(&operation, code);
}

void idem_embedded_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg) {
    struct operation operation = {.embedded = idem_embedded_of(store),
                                  .digest = &completion->digest,
                                  .done = done,
                                  .arg = arg};
    struct idem_record next;
    bool changed = false;
    enum idem_code code = begin(&operation, completion->durable);
    operation.embedded->now_ms = completion->now_ms;
    if (code == IDEM_OK) {
        code = completion->number.present
                   ? complete_number(&operation, completion)
                   : idem_step_complete(&next, &changed, &operation.found, completion);
    }
    if (code == IDEM_OK && changed) {
        code = change(&operation, &next, most_for_endings(operation.embedded));
    }
    finish(&operation, code);
}

static enum idem_code remove_found(struct operation *operation) {
    static const struct idem_record gone = {.state = IDEM_RECORD_NONE};
    return change(operation, &gone, most_for_endings(operation->embedded));
}

static enum idem_code abandon_found(struct operation *operation,
                                    const struct idem_abandonment *abandonment) {
    enum idem_code code = idem_step_abandon(&operation->found, abandonment);
    return code == IDEM_OK ? remove_found(operation) : code;
}

void idem_embedded_abandon(struct idem_store *store,
                           const struct idem_abandonment *abandonment,
                           idem_store_done *done, void *arg) {
    struct operation operation = {.embedded = idem_embedded_of(store),
                                  .digest = &abandonment->digest,
                                  .done = done,
                                  .arg = arg};
    enum idem_code code = begin(&operation, false);
    if (code == IDEM_OK) {
        code = abandonment->number.present ? abandon_number(&operation, abandonment)
                                           : abandon_found(&operation, abandonment);
    }
    finish(&operation, code);
}

void idem_embedded_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg) {
    struct operation operation = {
        .embedded = idem_embedded_of(store), .digest = digest, .done = done, .arg = arg};
    enum idem_code code = begin(&operation, false);
    if (code == IDEM_OK && !idem_record_live(&operation.found, now_ms)) {
        code = IDEM_ERR_NOT_FOUND;
    }
    operation.answer.record = operation.found;
    finish(&operation, code);
}

void idem_embedded_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg) {
    struct operation operation = {
        .embedded = idem_embedded_of(store), .digest = digest, .done = done, .arg = arg};
    enum idem_code code = begin(&operation, false);
    if (code == IDEM_OK && operation.found.state == IDEM_RECORD_NONE) {
        code = IDEM_ERR_NOT_FOUND;
    } else if (code == IDEM_ERR_FORMAT || code == IDEM_ERR_VERSION) {
        operation.found.state =
            IDEM_RECORD_DONE; /* unreadable, but there: this is the cure */
        code = IDEM_OK;
    }
    if (code == IDEM_OK) {
        code = remove_found(&operation);
    }
    finish(&operation, code);
}

static enum idem_code restore_found(struct operation *operation,
                                    const struct idem_restoration *restoration) {
    size_t most = most_for_endings(operation->embedded);
    struct idem_record next;
    if (restoration->record.state == IDEM_RECORD_SEQUENCE) {
        struct idem_number_step step;
        enum idem_code code = idem_number_restore(&step, &operation->found, restoration);
        return change_sequence(operation, &step, code, most);
    }
    enum idem_code code = idem_step_restore(&next, &operation->found, restoration);
    return code == IDEM_OK ? change(operation, &next, most) : code;
}

void idem_embedded_restore(struct idem_store *store,
                           const struct idem_restoration *restoration,
                           idem_store_done *done, void *arg) {
    struct operation operation = {.embedded = idem_embedded_of(store),
                                  .digest = &restoration->digest,
                                  .done = done,
                                  .arg = arg};
    enum idem_code code = begin(&operation, restoration->durable);
    operation.embedded->now_ms = restoration->now_ms;
    if (code == IDEM_OK) {
        code = restore_found(&operation, restoration);
    }
    finish(&operation, code);
}
