/* SPDX-License-Identifier: MIT
 * The scripted store: every operation becomes an entry, run at once or when the test releases it. */
#include "scripted_store.h"

#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 64

enum operation {
    OPERATION_CLAIM,
    OPERATION_COMPLETE,
    OPERATION_ABANDON,
};

struct entry {
    enum operation operation;
    struct idem_claim claim;
    struct idem_completion completion;
    struct idem_abandonment abandonment;
    enum idem_code failure; /* IDEM_OK: not scripted */
    bool answer_lost;
    idem_store_done *done;
    void *arg;
};

struct scripted_store {
    struct idem_store base; /* first: the handle is this */
    struct idem_store *behind;
    struct entry waiting[WAITING_MAX];
    size_t waiting_count;
    bool delayed;
    enum idem_code failure;
    unsigned failures;
    bool lose_answer;
    struct idem_claim last_claim;
    struct idem_completion last_completion;
    unsigned operations;
};

static void ignore_answer(void *arg, const struct idem_answer *answer) {
    (void)arg;
    (void)answer;
}

static void run(struct scripted_store *scripted, const struct entry *entry) {
    struct idem_answer answer = {.code = entry->failure};
    idem_store_done *done = entry->answer_lost ? ignore_answer : entry->done;
    if (entry->failure != IDEM_OK) {
        entry->done(entry->arg, &answer);
        return;
    }
    switch (entry->operation) {
    case OPERATION_CLAIM:
        idem_store_claim(scripted->behind, &entry->claim, done, entry->arg);
        break;
    case OPERATION_COMPLETE:
        idem_store_complete(scripted->behind, &entry->completion, done, entry->arg);
        break;
    case OPERATION_ABANDON:
        idem_store_abandon(scripted->behind, &entry->abandonment, done, entry->arg);
        break;
    }
    if (entry->answer_lost) {
        answer.code = IDEM_ERR_TIMEOUT;
        entry->done(entry->arg, &answer);
    }
}

static void accept_entry(struct scripted_store *scripted, struct entry *entry,
                         idem_store_done *done, void *arg) {
    entry->done = done;
    entry->arg = arg;
    entry->failure = scripted->behind == NULL ? IDEM_ERR_UNAVAILABLE : IDEM_OK;
    if (scripted->failures > 0) {
        scripted->failures--;
        entry->failure = scripted->failure;
    }
    entry->answer_lost = scripted->lose_answer;
    scripted->lose_answer = false;
    scripted->operations++;
    if (!scripted->delayed) {
        run(scripted, entry);
        return;
    }
    assert_true(scripted->waiting_count < WAITING_MAX);
    scripted->waiting[scripted->waiting_count++] = *entry;
}

static void scripted_claim(struct idem_store *store, const struct idem_claim *claim,
                           idem_store_done *done, void *arg) {
    struct scripted_store *scripted = (struct scripted_store *)store;
    struct entry entry = {.operation = OPERATION_CLAIM, .claim = *claim};
    scripted->last_claim = *claim;
    accept_entry(scripted, &entry, done, arg);
}

static void scripted_complete(struct idem_store *store,
                              const struct idem_completion *completion,
                              idem_store_done *done, void *arg) {
    struct scripted_store *scripted = (struct scripted_store *)store;
    struct entry entry = {.operation = OPERATION_COMPLETE, .completion = *completion};
    scripted->last_completion = *completion;
    accept_entry(scripted, &entry, done, arg);
}

static void scripted_abandon(struct idem_store *store,
                             const struct idem_abandonment *abandonment,
                             idem_store_done *done, void *arg) {
    struct scripted_store *scripted = (struct scripted_store *)store;
    struct entry entry = {.operation = OPERATION_ABANDON, .abandonment = *abandonment};
    accept_entry(scripted, &entry, done, arg);
}

/* The receiver uses nothing else: other operations are not offered. */
static const struct idem_store_ops scripted_ops = {
    .name = "scripted",
    .claim = scripted_claim,
    .complete = scripted_complete,
    .abandon = scripted_abandon,
};

struct scripted_store *scripted_store_open(struct idem_store *behind) {
    struct scripted_store *scripted = calloc(1, sizeof *scripted);
    assert_non_null(scripted);
    scripted->base.ops = &scripted_ops;
    scripted->behind = behind;
    return scripted;
}

void scripted_store_close(struct scripted_store *scripted) {
    free(scripted);
}

struct idem_store *scripted_store_handle(struct scripted_store *scripted) {
    return &scripted->base;
}

void scripted_store_fail(struct scripted_store *scripted, enum idem_code code,
                         unsigned count) {
    scripted->failure = code;
    scripted->failures = count;
}

void scripted_store_lose_answer(struct scripted_store *scripted) {
    scripted->lose_answer = true;
}

void scripted_store_delay(struct scripted_store *scripted, bool on) {
    scripted->delayed = on;
}

size_t scripted_store_waiting(const struct scripted_store *scripted) {
    return scripted->waiting_count;
}

void scripted_store_release(struct scripted_store *scripted, size_t index) {
    assert_true(index < scripted->waiting_count);
    struct entry entry = scripted->waiting[index];
    scripted->waiting_count--;
    memmove(&scripted->waiting[index], &scripted->waiting[index + 1],
            (scripted->waiting_count - index) * sizeof entry);
    run(scripted, &entry);
}

void scripted_store_release_all(struct scripted_store *scripted) {
    while (scripted->waiting_count > 0) {
        scripted_store_release(scripted, 0);
    }
}

const struct idem_claim *scripted_store_claim(const struct scripted_store *scripted) {
    return &scripted->last_claim;
}

const struct idem_completion *
scripted_store_completion(const struct scripted_store *scripted) {
    return &scripted->last_completion;
}

unsigned scripted_store_operations(const struct scripted_store *scripted) {
    return scripted->operations;
}
