/* SPDX-License-Identifier: MIT
 * Random numbers in random order, with duplicates, gaps, epochs, crashes and clocks that stand still or
 * jump: the decision on them against a naive model, which keeps every number it ever saw in a set. */
#include "store/sequence/groups.h"
#include "store/sequence/step.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#define T0           INT64_C(1700000000000)
#define TTL_MS       INT64_C(3600000)
#define LEASE_MIN_MS 400
#define LEASE_MAX_MS 800
#define NUMBERS      4096 /* the model's sets; numbers are counted from base */

enum fate {
    UNSEEN,
    CLAIMED,
    GIVEN_BACK,
    DELIVERED,
};

struct claimed {
    enum fate fate;
    struct idem_owner owner;
    int64_t lease_ms;
    int64_t at_ms;
};

struct model {
    uint64_t random;
    int64_t now_ms;
    bool known;
    uint64_t epoch;
    uint64_t base; /* of numbers[0] */
    struct claimed numbers[NUMBERS];
    bool has_mark;
    bool has_top;
    uint64_t mark; /* offsets from base */
    uint64_t top;
    int64_t gap_since_ms;
    unsigned window;
    struct idem_sequence_terms terms;
    uint64_t incarnations[2];
    struct idem_record record; /* what the code under test has */
    uint8_t bytes[IDEM_SEQUENCE_SIZE_MAX];
    uint64_t outcomes[IDEM_CLAIM_OUTCOME_COUNT];
};

static uint64_t draw(struct model *model, uint64_t below) {
    model->random ^= model->random << 13; /* xorshift: the same run every time */
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (model->random >> 11) % below;
}

static bool same(const struct idem_owner *a, const struct idem_owner *b) {
    return a->instance == b->instance && a->incarnation == b->incarnation;
}

static struct idem_owner draw_owner(struct model *model) {
    uint64_t instance = draw(model, 2);
    struct idem_owner owner = {100 + instance, model->incarnations[instance]};
    return owner;
}

static void start_epoch(struct model *model, uint64_t epoch) {
    model->known = true;
    model->epoch = epoch;
    model->has_mark = false;
    model->has_top = false;
    model->gap_since_ms = 0;
    memset(model->numbers, 0, sizeof model->numbers);
}

/* A lease is over for certain, runs for certain, or is one of those that a later claim of the same owner
 * may have lengthened, to its own length and a quarter. */
enum lease { RUNS, MAY_RUN, IS_OVER };

static enum lease lease_of(const struct model *model, const struct claimed *claimed,
                           const struct idem_owner *claimer) {
    int64_t age_ms = model->now_ms - claimed->at_ms;
    if (claimed->owner.instance == claimer->instance &&
        claimed->owner.incarnation != claimer->incarnation) {
        return IS_OVER;
    }
    if (age_ms < claimed->lease_ms) {
        return RUNS;
    }
    return age_ms >= LEASE_MAX_MS + LEASE_MAX_MS / 4 ? IS_OVER : MAY_RUN;
}

static bool is_below_the_window(const struct model *model, uint64_t n) {
    return model->has_mark && n <= model->mark && model->mark - n >= model->window;
}

static uint64_t skipped_by(const struct model *model, bool fresh, uint64_t n) {
    if (fresh || !model->has_top) {
        return model->terms.require_zero ? model->base + n : 0;
    }
    return n > model->top ? n - model->top - 1 : 0;
}

/* What a claim of a number that nobody holds and nobody has delivered is answered. */
static enum idem_claim_outcome expect_new(struct model *model, bool fresh, uint64_t epoch,
                                          uint64_t n) {
    uint64_t skipped = skipped_by(model, fresh, n);
    if (skipped == 0 || model->terms.on_gap == IDEM_GAP_ACCEPT) {
        return IDEM_CLAIM_NEW;
    }
    if (model->terms.on_gap == IDEM_GAP_REJECT) {
        return IDEM_CLAIM_GAP;
    }
    int64_t since_ms = fresh ? 0 : model->gap_since_ms;
    if (skipped > model->terms.hold_numbers ||
        (since_ms > 0 && model->now_ms - since_ms >= model->terms.hold_ms)) {
        return IDEM_CLAIM_NEW;
    }
    if (fresh) {
        start_epoch(model, epoch);
    }
    model->gap_since_ms = since_ms > 0 ? since_ms : model->now_ms;
    return IDEM_CLAIM_GAP;
}

static enum idem_claim_outcome expect_claim(struct model *model, uint64_t epoch,
                                            uint64_t n, const struct idem_owner *owner,
                                            enum idem_claim_outcome found) {
    bool fresh = !model->known || epoch > model->epoch;
    const struct claimed *claimed = &model->numbers[n];
    if (model->known && epoch < model->epoch) {
        return IDEM_CLAIM_FENCED;
    }
    if (fresh) {
        return expect_new(model, true, epoch, n);
    }
    switch (claimed->fate) {
    case CLAIMED:
        switch (lease_of(model, claimed, owner)) {
        case RUNS:
            return IDEM_CLAIM_IN_FLIGHT;
        case IS_OVER:
            return IDEM_CLAIM_TAKEN_OVER;
        case MAY_RUN:
            break;
        }
        assert_true(found == IDEM_CLAIM_IN_FLIGHT || found == IDEM_CLAIM_TAKEN_OVER);
        return found;
    case GIVEN_BACK:
        return IDEM_CLAIM_NEW;
    case DELIVERED:
        return IDEM_CLAIM_DONE;
    case UNSEEN:
        break;
    }
    return is_below_the_window(model, n) ? IDEM_CLAIM_DONE
                                         : expect_new(model, false, epoch, n);
}

static void write_back(struct model *model, const struct idem_number_step *step) {
    if (step->changed) {
        assert_true(step->next.result.len <= sizeof model->bytes);
        memcpy(model->bytes, step->bytes, step->next.result.len);
        model->record = step->next;
        model->record.result = idem_span_of(model->bytes, step->next.result.len);
    }
}

static struct idem_number number_of(const struct model *model, uint64_t epoch,
                                    uint64_t n) {
    return (struct idem_number){.present = true,
                                .epoch = epoch,
                                .value = model->base + n,
                                .window = model->window};
}

/* Numbers near the last ones, and now and then any. */
static uint64_t draw_number(struct model *model) {
    uint64_t top = model->has_top ? model->top : 0;
    uint64_t near = draw(model, 100) < 97 ? draw(model, 40) : draw(model, 400);
    uint64_t n = draw(model, 3) == 0 ? top + 1 + (draw(model, 4) == 0 ? near / 8 : 0)
                                     : (near < top ? top - near : near);
    return n < NUMBERS ? n : NUMBERS - 1;
}

/* About three in a thousand are of another epoch, of which some are the next one. */
static uint64_t draw_epoch(struct model *model) {
    uint64_t chance = draw(model, 1000);
    uint64_t epoch = model->known ? model->epoch : 5;
    if (chance == 0 || (model->has_top && model->top > NUMBERS - 500)) {
        return epoch + 1 + draw(model, 2);
    }
    return chance < 3 && epoch > 0 ? epoch - 1 : epoch;
}

static size_t count_open(const struct model *model) {
    size_t open = 0;
    for (size_t i = 0; i < NUMBERS; i++) {
        open += model->numbers[i].fate == CLAIMED || model->numbers[i].fate == GIVEN_BACK;
    }
    return open;
}

static void claim(struct model *model) {
    static struct idem_number_step step;
    uint64_t epoch = draw_epoch(model);
    uint64_t n = draw_number(model);
    struct idem_owner owner = draw_owner(model);
    struct idem_claim claim = {
        .number = number_of(model, epoch, n),
        .terms = model->terms,
        .owner = owner,
        .now_ms = model->now_ms,
        .lease_ms = LEASE_MIN_MS + (int64_t)draw(model, LEASE_MAX_MS - LEASE_MIN_MS + 1)};
    struct idem_answer answer;
    enum idem_code code = idem_number_claim(&step, &model->record, &claim, &answer);
    if (code == IDEM_ERR_FULL) { /* never with fewer open numbers than groups */
        assert_true(count_open(model) >= IDEM_GROUPS_FOR_CLAIMS);
        assert_false(step.changed);
        return;
    }
    assert_int_equal(code, IDEM_OK);
    enum idem_claim_outcome expected =
        expect_claim(model, epoch, n, &owner, answer.outcome);
    assert_int_equal(answer.outcome, expected);
    model->outcomes[expected]++;
    if (expected == IDEM_CLAIM_NEW || expected == IDEM_CLAIM_TAKEN_OVER) {
        assert_true(step.changed);
        if (!model->known || epoch > model->epoch) {
            start_epoch(model, epoch);
        }
        model->numbers[n] =
            (struct claimed){CLAIMED, owner, claim.lease_ms, model->now_ms};
        if (!model->has_top || n > model->top) {
            model->has_top = true;
            model->top = n;
            model->gap_since_ms = 0;
        }
    }
    write_back(model, &step);
}

/* A number that is open, if there is one among those near the last. */
static uint64_t draw_open(struct model *model) {
    uint64_t top = model->has_top ? model->top : 0;
    for (uint64_t n = top + 1; n-- > 0 && top - n < 60;) {
        if (model->numbers[n].fate == CLAIMED && draw(model, 3) == 0) {
            return n;
        }
    }
    return draw_number(model);
}

static enum idem_code expect_settled(const struct model *model, uint64_t n,
                                     const struct idem_owner *owner,
                                     enum idem_code if_done) {
    const struct claimed *claimed = &model->numbers[n];
    switch (claimed->fate) {
    case CLAIMED:
        return same(&claimed->owner, owner) ? IDEM_OK : IDEM_ERR_NOT_OWNER;
    case DELIVERED:
        return if_done;
    case GIVEN_BACK:
        return IDEM_ERR_NOT_FOUND;
    case UNSEEN:
        break;
    }
    return is_below_the_window(model, n) ? if_done : IDEM_ERR_NOT_FOUND;
}

static void complete(struct model *model) {
    static struct idem_number_step step;
    uint64_t n = draw_open(model);
    struct idem_owner owner =
        draw(model, 8) != 0 ? model->numbers[n].owner : draw_owner(model);
    struct idem_completion completion = {.number = number_of(model, model->epoch, n),
                                         .owner = owner,
                                         .now_ms = model->now_ms,
                                         .ttl_ms = TTL_MS};
    enum idem_code expected =
        model->known ? expect_settled(model, n, &owner, IDEM_OK) : IDEM_ERR_NOT_FOUND;
    assert_int_equal(idem_number_complete(&step, &model->record, &completion), expected);
    write_back(model, &step);
    if (expected == IDEM_OK && model->numbers[n].fate == CLAIMED) {
        model->numbers[n].fate = DELIVERED;
        if (!model->has_mark || n > model->mark) {
            model->has_mark = true;
            model->mark = n;
        }
    }
}

static void abandon(struct model *model) {
    static struct idem_number_step step;
    uint64_t n = draw_open(model);
    struct idem_owner owner =
        draw(model, 8) != 0 ? model->numbers[n].owner : draw_owner(model);
    struct idem_abandonment abandonment = {.number = number_of(model, model->epoch, n),
                                           .owner = owner};
    enum idem_code expected = model->known
                                  ? expect_settled(model, n, &owner, IDEM_ERR_NOT_OWNER)
                                  : IDEM_ERR_NOT_FOUND;
    enum idem_code code = idem_number_abandon(&step, &model->record, &abandonment);
    if (code == IDEM_ERR_FULL && expected == IDEM_OK) {
        assert_true(count_open(model) >= IDEM_GROUPS_MAX - IDEM_GROUPS_FOR_CLAIMS);
        return;
    }
    assert_int_equal(code, expected);
    write_back(model, &step);
    if (expected == IDEM_OK) {
        model->numbers[n].fate = GIVEN_BACK;
    }
}

/* What the bytes say of every number is what the sets say: nothing is lost, nothing invented. */
static void compare_all(const struct model *model) {
    static struct idem_sequence sequence;
    size_t claimed = 0;
    size_t given_back = 0;
    if (!model->known) {
        return;
    }
    assert_true(idem_sequence_decode(&sequence, model->record.result));
    for (uint64_t n = 0; n < NUMBERS; n++) {
        claimed += model->numbers[n].fate == CLAIMED;
        given_back += model->numbers[n].fate == GIVEN_BACK;
    }
    assert_int_equal(idem_groups_count(&sequence, false), claimed);
    assert_int_equal(idem_groups_count(&sequence, true), given_back);
    assert_int_equal(sequence.has_mark, model->has_mark);
    assert_true(!model->has_mark || sequence.mark == model->base + model->mark);
    assert_int_equal(sequence.epoch, model->epoch);
}

static void step(struct model *model) {
    uint64_t chance = draw(model, 1000);
    if (chance == 0) {
        model->incarnations[draw(model, 2)]++; /* a crash: its claims have no owner */
    } else if (chance < 480) {
        claim(model);
    } else if (chance < 930) {
        complete(model);
    } else {
        abandon(model);
    }
    chance = draw(model, 1000);
    model->now_ms += chance < 300 ? 1 : 0;
    model->now_ms += chance == 999 ? (int64_t)draw(model, 2000) : 0;
}

static void run(uint64_t steps, uint64_t seed, unsigned window, uint64_t base,
                struct idem_sequence_terms terms) {
    static struct model model;
    memset(&model, 0, sizeof model);
    model.random = UINT64_C(0x9E3779B97F4A7C15) + seed;
    model.now_ms = T0;
    model.base = base;
    model.window = window;
    model.terms = terms;
    model.terms.ttl_ms = TTL_MS;
    model.incarnations[0] = model.incarnations[1] = 1;
    for (uint64_t i = 0; i < steps; i++) {
        step(&model);
        if (i % 1024 == 0) {
            compare_all(&model);
        }
    }
    compare_all(&model);
    for (unsigned i = 0; i < IDEM_CLAIM_OUTCOME_COUNT; i++) {
        bool possible = i != IDEM_CLAIM_GAP || terms.on_gap != IDEM_GAP_ACCEPT;
        if (possible && model.outcomes[i] == 0) {
            fail_msg("no claim had outcome %u, with window %u", i, window);
        }
    }
}

/* IDEM_SEQUENCE_STEPS in the environment: as many in all; else a run of a second. */
static uint64_t steps_each(unsigned runs) {
    const char *text = getenv("IDEM_SEQUENCE_STEPS");
    uint64_t steps = text != NULL ? strtoull(text, NULL, 10) : 2000000;
    return steps / runs;
}

static void numbers_are_decided_as_the_model_does(void **state) {
    static const unsigned windows[] = {0, 1, 7, 64, 1024};
    static const struct idem_sequence_terms terms[] = {
        {.on_gap = IDEM_GAP_ACCEPT},
        {.on_gap = IDEM_GAP_HOLD, .hold_ms = 500, .hold_numbers = 3},
        {.on_gap = IDEM_GAP_REJECT},
    };
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 3; j++) {
            run(steps_each(20), 7 * i + j, windows[i], 1000, terms[j]);
        }
    }
}

static void the_first_and_the_last_numbers_are_as_good_as_any(void **state) {
    static const struct idem_sequence_terms accept = {.on_gap = IDEM_GAP_ACCEPT};
    static const struct idem_sequence_terms zero = {
        .on_gap = IDEM_GAP_HOLD, .require_zero = true, .hold_ms = 400, .hold_numbers = 9};
    (void)state;
    run(steps_each(20), 101, 64, 0, accept);
    run(steps_each(20), 102, 0, 0, zero);
    run(steps_each(20), 103, 64, UINT64_MAX - (NUMBERS - 1), accept);
    run(steps_each(20), 104, 1024, UINT64_MAX - (NUMBERS - 1), accept);
    run(steps_each(20), 105, 33, 0, zero);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decided_as_the_model_does),
        cmocka_unit_test(the_first_and_the_last_numbers_are_as_good_as_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
