/* SPDX-License-Identifier: MIT
 * Every allocation of a store's life fails once, in turn: each operation is answered
 * once, with success or a code; nothing is claimed where it failed; the store goes on.
 * Sanitizers and valgrind bring an allocator of their own, which cannot be caught like
 * this: there, only the run without faults counts. */
#include "stores.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define KEYS 60

static atomic_int countdown; /* 0: not armed; 1: the next allocation fails */
static atomic_int hits;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CATCHES false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CATCHES false
#endif
#endif

#ifndef CATCHES
#define CATCHES true

/* glibc's own, under the names that it keeps for replacements like these. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static bool hit(void) {
    int left = atomic_load(&countdown);
    if (left == 0) {
        return false;
    }
    atomic_store(&countdown, left - 1);
    if (left > 1) {
        return false;
    }
    atomic_fetch_add(&hits, 1);
    errno = ENOMEM;
    return true;
}

IDEM_API void *malloc(size_t size) {
    return hit() ? NULL : __libc_malloc(size);
}

IDEM_API void *calloc(size_t nmemb, size_t size) {
    return hit() ? NULL : __libc_calloc(nmemb, size);
}

IDEM_API void *realloc(void *ptr, size_t size) {
    return hit() ? NULL : __libc_realloc(ptr, size);
}
#endif

static void arm(int nth) {
    atomic_store(&hits, 0);
    atomic_store(&countdown, CATCHES && !testing_valgrind() ? nth : 0);
}

/* Whether a failure has happened since arm. */
static bool disarm(void) {
    atomic_store(&countdown, 0);
    return atomic_load(&hits) > 0;
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    (void)digest;
    (void)record;
    ++*(uint64_t *)arg;
    return true;
}

/* Everything that a store does, noted as it was answered. */
struct life {
    struct stores_answer claimed[KEYS];
    struct stores_answer completed[KEYS];
    enum idem_code synced; /* what fails here is tried again */
    enum idem_code iterated;
    uint64_t visited;
};

static void submit(struct stores_box *box, struct life *life, uint64_t n) {
    struct idem_claim claim = {.digest = stores_digest(n),
                               .owner = stores_me,
                               .now_ms = T0,
                               .lease_ms = 1000,
                               .durable = n % 3 == 0};
    struct idem_completion completion = {.digest = stores_digest(n),
                                         .owner = stores_me,
                                         .now_ms = T0,
                                         .ttl_ms = HOUR,
                                         .durable = n % 3 == 1,
                                         .result = idem_span_text("a result")};
    idem_store_claim(box->store, &claim, stores_note, &life->claimed[n]);
    idem_store_complete(box->store, &completion, stores_note, &life->completed[n]);
}

static void live(struct stores_box *box, struct life *life) {
    for (uint64_t n = 0; n < KEYS; n++) {
        submit(box, life, n);
        if (n == KEYS / 2) {
            life->synced = idem_store_sync(box->store, NULL);
        }
    }
    life->iterated =
        idem_store_iterate(box->store, T0, count_visit, &life->visited, NULL);
}

static bool took_effect(const struct stores_answer *answer) {
    return answer->answer.code == IDEM_OK || answer->answer.code == IDEM_ERR_TIMEOUT;
}

static bool ok_or_nomem(enum idem_code code) {
    return code == IDEM_OK || code == IDEM_ERR_NOMEM;
}

static void assert_answered(struct stores_box *box, const struct life *life) {
    assert_true(ok_or_nomem(life->synced));
    assert_true(ok_or_nomem(life->iterated));
    for (uint64_t n = 0; n < KEYS; n++) {
        const struct stores_answer *claimed = &life->claimed[n];
        const struct stores_answer *completed = &life->completed[n];
        assert_int_equal(claimed->calls, 1);
        assert_int_equal(completed->calls, 1);
        enum idem_claim_outcome now = stores_claim(box, n, &stores_other, T0, 1).outcome;
        if (!took_effect(claimed)) {
            assert_int_equal(claimed->answer.code, IDEM_ERR_NOMEM);
            assert_int_equal(completed->answer.code, IDEM_ERR_NOT_FOUND);
            assert_int_equal(now, IDEM_CLAIM_NEW);
        } else if (!took_effect(completed)) {
            assert_int_equal(completed->answer.code, IDEM_ERR_NOMEM);
            assert_int_equal(now, IDEM_CLAIM_IN_FLIGHT);
        } else {
            assert_int_equal(now, IDEM_CLAIM_DONE);
        }
    }
}

/* True while the failure was met. */
static bool survive(const char *url, bool keeps, int nth) {
    static struct life life;
    struct stores_box box = {.store = NULL};
    memset(&life, 0, sizeof life);
    stores_make(&box, url);
    arm(nth);
    live(&box, &life);
    bool met = disarm();
    stores_sync(&box);
    idem_store_dispatch(box.store);
    if (keeps) {
        stores_close(&box);
        stores_open(&box);
    }
    assert_answered(&box, &life);
    stores_remove(&box);
    return met;
}

static void sweep(const char *url, bool keeps) {
    int nth = 1;
    while (survive(url, keeps, nth)) {
        nth += nth < 150 ? 1 : 7; /* most of them are alike */
    }
    assert_true(!CATCHES || testing_valgrind() || nth > KEYS);
}

static void a_memory_store_survives_each_failure(void **state) {
    (void)state;
    sweep("memory:", false);
}

static void an_embedded_store_survives_each_failure(void **state) {
    (void)state;
    sweep("embedded://%s/store?commit=10s&map=1MiB", true);
}

static void each_failure_while_opening_is_reported(void **state) {
    (void)state;
    const char *urls[] = {"memory:", "embedded://%s/store"};
    for (size_t i = 0; i < 2; i++) {
        struct stores_box box = {.store = NULL};
        bool met = true;
        stores_make(&box, urls[i]);
        for (int nth = 1; met; nth++) {
            struct idem_error error;
            stores_close(&box);
            arm(nth);
            enum idem_code code = stores_try(&box, false, &box.store, &error);
            met = disarm();
            if (code != IDEM_OK) {
                assert_true(met);
                assert_null(box.store);
                assert_true(strlen(error.text) > 0);
                stores_open(&box);
            }
        }
        stores_remove(&box);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_memory_store_survives_each_failure),
        cmocka_unit_test(an_embedded_store_survives_each_failure),
        cmocka_unit_test(each_failure_while_opening_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
