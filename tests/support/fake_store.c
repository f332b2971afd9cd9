/* SPDX-License-Identifier: MIT
 * The scripted store: every operation becomes an entry, run at once or when the test releases it. */
#include "fake_store.h"

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
    struct idem_digest digest;
    struct idem_owner owner;
    enum idem_code failure; /* IDEM_OK: not scripted */
    bool answer_lost;
    idem_store_done *done;
    void *arg;
};

struct fake_store {
    struct idem_store base; /* first: the handle is the fake */
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

static void run(struct fake_store *fake, const struct entry *entry) {
    struct idem_answer answer = {.code = entry->failure};
    idem_store_done *done = entry->answer_lost ? ignore_answer : entry->done;
    if (entry->failure != IDEM_OK) {
        entry->done(entry->arg, &answer);
        return;
    }
    switch (entry->operation) {
    case OPERATION_CLAIM:
        idem_store_claim(fake->behind, &entry->claim, done, entry->arg);
        break;
    case OPERATION_COMPLETE:
        idem_store_complete(fake->behind, &entry->completion, done, entry->arg);
        break;
    case OPERATION_ABANDON:
        idem_store_abandon(fake->behind, &entry->digest, &entry->owner, done, entry->arg);
        break;
    }
    if (entry->answer_lost) {
        answer.code = IDEM_ERR_TIMEOUT;
        entry->done(entry->arg, &answer);
    }
}

static void accept_entry(struct fake_store *fake, struct entry *entry,
                         idem_store_done *done, void *arg) {
    entry->done = done;
    entry->arg = arg;
    entry->failure = fake->behind == NULL ? IDEM_ERR_UNAVAILABLE : IDEM_OK;
    if (fake->failures > 0) {
        fake->failures--;
        entry->failure = fake->failure;
    }
    entry->answer_lost = fake->lose_answer;
    fake->lose_answer = false;
    fake->operations++;
    if (!fake->delayed) {
        run(fake, entry);
        return;
    }
    assert_true(fake->waiting_count < WAITING_MAX);
    fake->waiting[fake->waiting_count++] = *entry;
}

static void fake_claim(struct idem_store *store, const struct idem_claim *claim,
                       idem_store_done *done, void *arg) {
    struct fake_store *fake = (struct fake_store *)store;
    struct entry entry = {.operation = OPERATION_CLAIM, .claim = *claim};
    fake->last_claim = *claim;
    accept_entry(fake, &entry, done, arg);
}

static void fake_complete(struct idem_store *store,
                          const struct idem_completion *completion, idem_store_done *done,
                          void *arg) {
    struct fake_store *fake = (struct fake_store *)store;
    struct entry entry = {.operation = OPERATION_COMPLETE, .completion = *completion};
    fake->last_completion = *completion;
    accept_entry(fake, &entry, done, arg);
}

static void fake_abandon(struct idem_store *store, const struct idem_digest *digest,
                         const struct idem_owner *owner, idem_store_done *done,
                         void *arg) {
    struct fake_store *fake = (struct fake_store *)store;
    struct entry entry = {
        .operation = OPERATION_ABANDON, .digest = *digest, .owner = *owner};
    accept_entry(fake, &entry, done, arg);
}

/* The receiver uses nothing else: other operations are not offered. */
static const struct idem_store_ops fake_ops = {
    .name = "fake",
    .claim = fake_claim,
    .complete = fake_complete,
    .abandon = fake_abandon,
};

struct fake_store *fake_store_open(struct idem_store *behind) {
    struct fake_store *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->base.ops = &fake_ops;
    fake->behind = behind;
    return fake;
}

void fake_store_close(struct fake_store *fake) {
    free(fake);
}

struct idem_store *fake_store_handle(struct fake_store *fake) {
    return &fake->base;
}

void fake_store_fail(struct fake_store *fake, enum idem_code code, unsigned count) {
    fake->failure = code;
    fake->failures = count;
}

void fake_store_lose_answer(struct fake_store *fake) {
    fake->lose_answer = true;
}

void fake_store_delay(struct fake_store *fake, bool on) {
    fake->delayed = on;
}

size_t fake_store_waiting(const struct fake_store *fake) {
    return fake->waiting_count;
}

void fake_store_release(struct fake_store *fake, size_t index) {
    assert_true(index < fake->waiting_count);
    struct entry entry = fake->waiting[index];
    fake->waiting_count--;
    memmove(&fake->waiting[index], &fake->waiting[index + 1],
            (fake->waiting_count - index) * sizeof entry);
    run(fake, &entry);
}

void fake_store_release_all(struct fake_store *fake) {
    while (fake->waiting_count > 0) {
        fake_store_release(fake, 0);
    }
}

const struct idem_claim *fake_store_claim(const struct fake_store *fake) {
    return &fake->last_claim;
}

const struct idem_completion *fake_store_completion(const struct fake_store *fake) {
    return &fake->last_completion;
}

unsigned fake_store_operations(const struct fake_store *fake) {
    return fake->operations;
}
