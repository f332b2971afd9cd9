/* SPDX-License-Identifier: MIT
 * What the store behind has to be told once it answers again. */
#include "store/recent/own.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

/* Debts on their way at a time. Beside other traffic there are few. While closing there is none, and the
 * number grows with each answer, so that it doubles with each round trip: a long link is filled, and a
 * slow server is not flooded. */
#define PAYING_LEAST 64
#define PAYING_MOST  8192
#define LOOKS_MOST   256 /* at debts in one turn, unless it closes */
#define PAYING_LEASE INT64_C(10000)
#define SETTLE_MS    INT64_C(3000)
#define REST_MS      INT64_C(100) /* after one that was not taken */

/* Results that are owed: as many as a few seconds of a busy service, and no more than it can spare. */
#define RESULTS_MOST ((size_t)16 * 1024 * 1024)

static int64_t clock_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

struct idem_passage *idem_passage_new(struct idem_recent *recent, idem_store_done *done,
                                      void *arg) {
    struct idem_passage *passage = idem_pool_take(&recent->passages);
    if (passage != NULL) {
        passage->recent = recent;
        passage->done = done;
        passage->arg = arg;
    }
    return passage;
}

void idem_passage_free(struct idem_passage *passage) {
    free(passage->debt.result);
    idem_pool_rest(&passage->recent->passages, passage);
}

bool idem_can_be_owed(enum idem_code code) {
    return code != IDEM_ERR_NOT_OWNER && code != IDEM_ERR_INVALID;
}

bool idem_recent_owe(struct idem_recent *recent, struct idem_passage *passage,
                     const struct idem_record *record) {
    const struct idem_completion *completion = &passage->completion;
    struct idem_debt *debt = &passage->debt; /* whose result is there already */
    bool has_result = debt->result_len > 0;
    bool has_copy = debt->result != NULL;
    if (!has_copy) {
        idem_debts_lose_result(&recent->debts, debt);
    }
    debt->digest = completion->digest;
    debt->number = completion->number;
    debt->fingerprint = record->fingerprint;
    debt->has_fingerprint = record->has_fingerprint;
    debt->owner = completion->owner;
    debt->until_ms = record->until_ms;
    return (idem_debts_add(&recent->debts, debt) && has_copy) || !has_result;
}

/* While closing each is tried once, so that closing ends. */
static void owe_again(struct idem_recent *recent, struct idem_debt *debt) {
    if (recent->closing) {
        recent->debts.lost++;
        idem_debts_lose_result(&recent->debts, debt);
    } else {
        recent->pay_at_ms = clock_ms() + REST_MS;
        (void)idem_debts_add(&recent->debts, debt);
    }
}

static void paid(struct idem_recent *recent, enum idem_code code,
                 struct idem_debt *debt) {
    recent->paying--;
    if (code == IDEM_OK) {
        recent->paid++;
        recent->paying_most += recent->closing && recent->paying_most < PAYING_MOST;
    } else if (idem_can_be_owed(code)) {
        owe_again(recent, debt);
    } else {
        idem_debts_lose_result(&recent->debts, debt); /* the record is another's */
    }
    if (recent->paying == 0 && recent->debts.count == 0 && recent->paid > 0) {
        idem_log_write(&recent->log, IDEM_LOG_NOTICE, "store.caught_up",
                       "%zu keys that were done while the store did not answer have "
                       "been written to it",
                       recent->paid);
        recent->paid = 0;
    }
}

static void debt_completed(void *arg, const struct idem_answer *answer) {
    struct idem_passage *passage = arg;
    paid(passage->recent, answer->code, &passage->debt);
    idem_passage_free(passage);
}

/* A result comes after its key, which can have been written long ago. */
static bool is_ours(const struct idem_debt *debt, const struct idem_answer *answer) {
    return answer->outcome == IDEM_CLAIM_NEW ||
           answer->outcome == IDEM_CLAIM_TAKEN_OVER ||
           (answer->outcome == IDEM_CLAIM_DONE && debt->result_len > 0) ||
           (answer->outcome == IDEM_CLAIM_IN_FLIGHT &&
            idem_same_owner(&answer->record.owner, &debt->owner));
}

static void debt_claimed(void *arg, const struct idem_answer *answer) {
    struct idem_passage *passage = arg;
    struct idem_recent *recent = passage->recent;
    if (answer->code != IDEM_OK || !is_ours(&passage->debt, answer)) {
        paid(recent, answer->code, &passage->debt); /* or others have it */
        idem_passage_free(passage);
        return;
    }
    int64_t left_ms = passage->debt.until_ms - recent->now_ms;
    const struct idem_completion completion = {
        .digest = passage->debt.digest,
        .number = passage->debt.number,
        .owner = passage->debt.owner,
        .now_ms = recent->now_ms,
        .ttl_ms = left_ms > 0 ? left_ms : 1,
        .result = idem_span_of(passage->debt.result, passage->debt.result_len),
    };
    idem_store_complete(recent->behind, &completion, debt_completed, passage);
}

/* False: no memory, and the debt is owed again. */
static bool pay(struct idem_recent *recent, struct idem_debt *debt) {
    struct idem_passage *passage = idem_passage_new(recent, NULL, NULL);
    if (passage == NULL) {
        (void)idem_debts_add(&recent->debts, debt);
        return false;
    }
    passage->debt = *debt;
    recent->paying++;
    const struct idem_claim claim = {
        .digest = debt->digest,
        .number = debt->number,
        .terms = {.on_gap = IDEM_GAP_ACCEPT, .ttl_ms = debt->until_ms - recent->now_ms},
        .fingerprint = debt->fingerprint,
        .has_fingerprint = debt->has_fingerprint,
        .owner = debt->owner,
        .now_ms = recent->now_ms,
        .lease_ms = PAYING_LEASE,
    };
    idem_store_claim(recent->behind, &claim, debt_claimed, passage);
    return true;
}

/* Of several servers some may answer and others not. */
static bool is_refused(const struct idem_recent *recent, const struct idem_debt *debt) {
    const struct idem_store *behind = recent->behind;
    struct idem_store_stats stats;
    if (behind->ops->refuses != NULL) {
        return behind->ops->refuses(behind, &debt->digest);
    }
    idem_store_read_stats(recent->behind, &stats);
    return stats.failing;
}

/* Those whose server does not answer go to the end of the queue. */
bool idem_recent_pay(struct idem_recent *recent) {
    struct idem_debt debt;
    bool any = false;
    size_t looks = recent->debts.count;
    if (looks == 0 || (!recent->closing && clock_ms() < recent->pay_at_ms)) {
        return false;
    }
    looks = recent->closing || looks < LOOKS_MOST ? looks : LOOKS_MOST;
    while (looks-- > 0 && recent->paying < recent->paying_most &&
           idem_debts_take(&recent->debts, &debt)) {
        if (debt.until_ms <= recent->now_ms) {
            free(debt.result);
            any = true;
        } else if (is_refused(recent, &debt)) {
            (void)idem_debts_add(&recent->debts, &debt);
        } else if (pay(recent, &debt)) {
            any = true;
        } else {
            break;
        }
    }
    return any;
}

/* Sleeps until the store behind has something to say. */
static void listen_to(struct idem_store *behind, int64_t ms) {
    struct pollfd descriptor = {.fd = idem_store_poll_fd(behind), .events = POLLIN};
    if (descriptor.fd >= 0) {
        (void)poll(&descriptor, 1, (int)ms);
    }
    idem_store_dispatch(behind);
}

void idem_recent_settle(struct idem_recent *recent) {
    int64_t until_ms = clock_ms() + SETTLE_MS;
    int64_t left_ms = SETTLE_MS;
    recent->closing = true;
    while (left_ms > 0 && (idem_recent_pay(recent) || recent->paying > 0)) {
        if (recent->paying > 0) {
            listen_to(recent->behind, left_ms);
        }
        left_ms = until_ms - clock_ms();
    }
}

void idem_recent_init_paying(struct idem_recent *recent, size_t most) {
    idem_debts_init(&recent->debts, most, RESULTS_MOST);
    recent->paying_most = PAYING_LEAST;
}

void idem_recent_say_what_is_lost(struct idem_recent *recent) {
    struct idem_debt debt;
    size_t lost = recent->debts.count + (size_t)recent->debts.lost;
    while (idem_debts_take(&recent->debts, &debt)) {
        idem_debts_lose_result(&recent->debts, &debt);
    }
    if (lost > 0) {
        idem_log_write(&recent->log, IDEM_LOG_WARNING, "store.not_caught_up",
                       "%zu keys that were done while the store did not answer were "
                       "never written to it: their next copies are taken for new",
                       lost);
    }
    if (recent->debts.results_lost > 0) {
        idem_log_write(&recent->log, IDEM_LOG_WARNING, "store.not_caught_up",
                       "%" PRIu64 " results that came while the store did not answer "
                       "were never written to it: repeats are dropped without an answer",
                       recent->debts.results_lost);
    }
}
