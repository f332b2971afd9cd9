/* SPDX-License-Identifier: MIT
 * The memory store: the reference model of the contract. Keeps nothing beyond its own
 * life. */
#include "store/answer.h"
#include "store/backend.h"
#include "store/record_set.h"
#include "store/sequence/step.h"
#include "store/step.h"

#include <stdlib.h>

#define SHARDS 1024
#define SWEEP_SLOTS                                                                      \
    16 /* looked at with each change: purging keeps up with 16 times the arrivals */

struct memory {
    struct idem_store base;
    struct idem_record_set records;
    uint64_t purged;
};

static struct memory *memory_of(struct idem_store *store) {
    return (struct memory *)store;
}

static void purge(struct memory *memory, int64_t now_ms) {
    memory->purged += idem_record_set_sweep(&memory->records, SWEEP_SLOTS, now_ms);
}

/* The record, or state NONE. */
static struct idem_record found_at(const struct memory *memory,
                                   const struct idem_digest *digest) {
    struct idem_record record = {.state = IDEM_RECORD_NONE};
    (void)idem_record_set_find(&memory->records, digest, &record);
    return record;
}

/* Carries the outcome of a claim out. */
static enum idem_code write_claim(struct memory *memory, const struct idem_claim *claim,
                                  enum idem_claim_outcome outcome,
                                  const struct idem_record *found,
                                  const struct idem_record *next) {
    switch (outcome) {
    case IDEM_CLAIM_NEW:
    case IDEM_CLAIM_TAKEN_OVER:
        return idem_record_set_put(&memory->records, &claim->digest, next);
    case IDEM_CLAIM_DONE:
        idem_record_set_extend(&memory->records, &claim->digest,
                               idem_step_extended(found, claim));
        return IDEM_OK;
    case IDEM_CLAIM_IN_FLIGHT:
    case IDEM_CLAIM_FENCED:
    case IDEM_CLAIM_GAP:
    case IDEM_CLAIM_OUTCOME_COUNT:
        break;
    }
    return IDEM_OK;
}

static enum idem_code put_number(struct memory *memory, const struct idem_digest *digest,
                                 const struct idem_number_step *step,
                                 enum idem_code code) {
    return step->changed ? idem_record_set_put(&memory->records, digest, &step->next)
                         : code;
}

static void claim_number(struct memory *memory, const struct idem_claim *claim,
                         idem_store_done *done, void *arg) {
    struct idem_record found = found_at(memory, &claim->digest);
    struct idem_number_step step;
    struct idem_answer answer;
    enum idem_code code = idem_number_claim(&step, &found, claim, &answer);
    answer.code = put_number(memory, &claim->digest, &step, code);
    purge(memory, claim->now_ms);
    done(arg, &answer);
}

static void memory_claim(struct idem_store *store, const struct idem_claim *claim,
                         idem_store_done *done, void *arg) {
    struct memory *memory = memory_of(store);
    if (claim->number.present) {
        claim_number(memory, claim, done, arg);
        return;
    }
    struct idem_record found = found_at(memory, &claim->digest);
    struct idem_record next;
    struct idem_answer answer = {.code = IDEM_OK};
    answer.outcome = idem_step_claim(&next, &found, claim);
    if (answer.outcome != IDEM_CLAIM_NEW) {
        answer.record = found;
    }
    uint8_t *copy = idem_answer_own_result(&answer);
    if (answer.code == IDEM_OK) {
        answer.code = write_claim(memory, claim, answer.outcome, &found, &next);
    }
    purge(memory, claim->now_ms);
    done(arg, &answer);
    free(copy);
}

static void complete_number(struct memory *memory,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg) {
    struct idem_record found = found_at(memory, &completion->digest);
    struct idem_number_step step;
    enum idem_code code = idem_number_complete(&step, &found, completion);
    code = put_number(memory, &completion->digest, &step, code);
    purge(memory, completion->now_ms);
    idem_answer_code(code, done, arg);
}

static void memory_complete(struct idem_store *store,
                            const struct idem_completion *completion,
                            idem_store_done *done, void *arg) {
    struct memory *memory = memory_of(store);
    if (completion->number.present) {
        complete_number(memory, completion, done, arg);
        return;
    }
    struct idem_record found = found_at(memory, &completion->digest);
    struct idem_record next;
    bool changed = false;
    enum idem_code code = idem_step_complete(&next, &changed, &found, completion);
    if (changed) {
        code = idem_record_set_put(&memory->records, &completion->digest, &next);
    }
    purge(memory, completion->now_ms);
    idem_answer_code(code, done, arg);
}

static enum idem_code abandon_number(struct memory *memory,
                                     const struct idem_abandonment *abandonment) {
    struct idem_record found = found_at(memory, &abandonment->digest);
    struct idem_number_step step;
    enum idem_code code = idem_number_abandon(&step, &found, abandonment);
    return put_number(memory, &abandonment->digest, &step, code);
}

static enum idem_code abandon_key(struct memory *memory,
                                  const struct idem_abandonment *abandonment) {
    struct idem_record found = found_at(memory, &abandonment->digest);
    enum idem_code code = idem_step_abandon(&found, abandonment);
    if (code == IDEM_OK) {
        idem_record_set_remove(&memory->records, &abandonment->digest);
    }
    return code;
}

static void memory_abandon(struct idem_store *store,
                           const struct idem_abandonment *abandonment,
                           idem_store_done *done, void *arg) {
    struct memory *memory = memory_of(store);
    enum idem_code code = abandonment->number.present
                              ? abandon_number(memory, abandonment)
                              : abandon_key(memory, abandonment);
    idem_answer_code(code, done, arg);
}

static void memory_lookup(struct idem_store *store, const struct idem_digest *digest,
                          int64_t now_ms, idem_store_done *done, void *arg) {
    struct idem_answer answer = {.code = IDEM_ERR_NOT_FOUND};
    answer.record = found_at(memory_of(store), digest);
    if (idem_record_live(&answer.record, now_ms)) {
        answer.code = IDEM_OK;
    }
    uint8_t *copy = idem_answer_own_result(&answer);
    done(arg, &answer);
    free(copy);
}

static void memory_forget(struct idem_store *store, const struct idem_digest *digest,
                          idem_store_done *done, void *arg) {
    struct memory *memory = memory_of(store);
    struct idem_record found = found_at(memory, digest);
    idem_record_set_remove(&memory->records, digest);
    idem_answer_code(found.state != IDEM_RECORD_NONE ? IDEM_OK : IDEM_ERR_NOT_FOUND, done,
                     arg);
}

static void memory_restore(struct idem_store *store,
                           const struct idem_restoration *restoration,
                           idem_store_done *done, void *arg) {
    struct memory *memory = memory_of(store);
    struct idem_record found = found_at(memory, &restoration->digest);
    struct idem_record next;
    struct idem_number_step step;
    enum idem_code code;
    if (restoration->record.state == IDEM_RECORD_SEQUENCE) {
        code = idem_number_restore(&step, &found, restoration);
        next = step.next;
    } else {
        code = idem_step_restore(&next, &found, restoration);
    }
    if (code == IDEM_OK) {
        code = idem_record_set_put(&memory->records, &restoration->digest, &next);
    }
    purge(memory, restoration->now_ms);
    idem_answer_code(code, done, arg);
}

/* Walks a copy, so that the visitor may use the store. */
static enum idem_code memory_iterate(struct idem_store *store, int64_t now_ms,
                                     idem_store_visit *visit, void *arg,
                                     struct idem_error *error) {
    struct idem_record_set copy;
    enum idem_code code = idem_record_set_init(&copy, SHARDS) ? IDEM_OK : IDEM_ERR_NOMEM;
    if (code == IDEM_OK) {
        code = idem_record_set_merge(&copy, &memory_of(store)->records);
    }
    if (code != IDEM_OK) {
        idem_record_set_fini(&copy);
        return idem_error_set(error, code, 0, "no memory for a list of all records");
    }
    struct idem_table_cursor cursor = {0, 0};
    struct idem_digest digest;
    struct idem_record record;
    bool more = true;
    while (more && idem_record_set_next(&copy, &cursor, &digest, &record)) {
        if (idem_record_live(&record, now_ms)) {
            more = visit(arg, &digest, &record);
        }
    }
    idem_record_set_fini(&copy);
    return IDEM_OK;
}

static void memory_stats(struct idem_store *store, struct idem_store_stats *stats) {
    const struct memory *memory = memory_of(store);
    stats->keys = idem_record_set_count(&memory->records);
    stats->bytes = idem_record_set_bytes(&memory->records);
    stats->memory_entries = stats->keys;
    stats->memory_bytes = stats->bytes;
    stats->purged = memory->purged;
}

static void memory_close(struct idem_store *store) {
    struct memory *memory = memory_of(store);
    idem_record_set_fini(&memory->records);
    free(memory);
}

static const struct idem_store_ops memory_ops = {
    .name = "memory",
    .claim = memory_claim,
    .complete = memory_complete,
    .abandon = memory_abandon,
    .lookup = memory_lookup,
    .forget = memory_forget,
    .restore = memory_restore,
    .iterate = memory_iterate,
    .stats = memory_stats,
    .close = memory_close,
};

enum idem_code idem_memory_check(const char *url, struct idem_error *error) {
    if (strcmp(url, "memory:") != 0) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "store URL: nothing may follow 'memory:'");
    }
    return IDEM_OK;
}

enum idem_code idem_memory_open(struct idem_store **store,
                                const struct idem_store_options *options,
                                struct idem_error *error) {
    enum idem_code code = idem_memory_check(options->url, error);
    if (code != IDEM_OK) {
        return code;
    }
    if (options->read_only) {
        return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                              "a memory: store lives inside its program; nothing of it "
                              "can be seen from here");
    }
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL || !idem_record_set_init(&memory->records, SHARDS)) {
        if (memory != NULL) {
            memory_close(&memory->base);
        }
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory for a store");
    }
    memory->base.ops = &memory_ops;
    *store = &memory->base;
    return IDEM_OK;
}
