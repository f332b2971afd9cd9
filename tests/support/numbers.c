/* SPDX-License-Identifier: MIT
 * Operations on numbers of producers, one at a time. */
#include "numbers.h"

#define HOUR INT64_C(3600000)

/* Far from the digests of keys. */
static struct idem_digest producer_digest(const struct numbers *numbers) {
    return stores_digest(UINT64_C(1) << 40 | numbers->producer);
}

static int64_t ttl_of(const struct numbers *numbers) {
    return numbers->terms.ttl_ms > 0 ? numbers->terms.ttl_ms : HOUR;
}

struct idem_number numbers_number(const struct numbers *numbers, uint64_t value) {
    return (struct idem_number){
        .present = true,
        .message = stores_digest((UINT64_C(1) << 41 | numbers->producer << 20) ^ value ^
                                 numbers->epoch << 50),
        .epoch = numbers->epoch,
        .value = value,
        .window = numbers->window,
        .wrap = numbers->wrap,
    };
}

void numbers_submit_claim(const struct numbers *numbers, uint64_t value,
                          const struct idem_owner *owner, int64_t now_ms,
                          struct stores_answer *answer) {
    struct idem_claim claim = {
        .digest = producer_digest(numbers),
        .number = numbers_number(numbers, value),
        .terms = numbers->terms,
        .owner = *owner,
        .now_ms = now_ms,
        .lease_ms = numbers->lease_ms > 0 ? numbers->lease_ms : 1000,
    };
    claim.terms.ttl_ms = ttl_of(numbers);
    idem_store_claim(numbers->box->store, &claim, stores_note, answer);
}

void numbers_submit_completion(const struct numbers *numbers, uint64_t value,
                               const struct idem_owner *owner, int64_t now_ms,
                               struct stores_answer *answer) {
    struct idem_completion completion = {
        .digest = producer_digest(numbers),
        .number = numbers_number(numbers, value),
        .owner = *owner,
        .now_ms = now_ms,
        .ttl_ms = ttl_of(numbers),
    };
    idem_store_complete(numbers->box->store, &completion, stores_note, answer);
}

static void settle(const struct numbers *numbers, const struct stores_answer *answer) {
    stores_await(numbers->box->store, answer);
    if (numbers->box->sync_each) {
        stores_sync(numbers->box);
    }
}

struct idem_answer numbers_claim(const struct numbers *numbers, uint64_t value,
                                 const struct idem_owner *owner, int64_t now_ms) {
    struct stores_answer note = {.calls = 0};
    numbers_submit_claim(numbers, value, owner, now_ms, &note);
    settle(numbers, &note);
    return note.answer;
}

enum idem_code numbers_complete(const struct numbers *numbers, uint64_t value,
                                const struct idem_owner *owner, int64_t now_ms) {
    struct stores_answer note = {.calls = 0};
    numbers_submit_completion(numbers, value, owner, now_ms, &note);
    settle(numbers, &note);
    return note.answer.code;
}

enum idem_code numbers_abandon(const struct numbers *numbers, uint64_t value,
                               const struct idem_owner *owner) {
    struct stores_answer note = {.calls = 0};
    struct idem_abandonment abandonment = {.digest = producer_digest(numbers),
                                           .number = numbers_number(numbers, value),
                                           .owner = *owner};
    idem_store_abandon(numbers->box->store, &abandonment, stores_note, &note);
    settle(numbers, &note);
    return note.answer.code;
}
