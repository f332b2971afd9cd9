/* SPDX-License-Identifier: MIT
 * Random operations at a moving time, compared step by step with a naive model: an
 * array of records. */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

#define T0 INT64_C(1700000000000)

struct entry {
    enum idem_record_state state;
    struct idem_owner owner;
    int64_t first_seen_ms;
    int64_t until_ms;
};

struct model {
    struct stores_box *box;
    struct entry *entries;
    uint64_t keys;
    int64_t now_ms;
    uint64_t random;
};

static uint64_t draw(struct model *model, uint64_t below) {
    model->random ^= model->random << 13; /* xorshift: the same run every time */
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (model->random >> 11) % below;
}

static struct idem_owner draw_owner(struct model *model) {
    struct idem_owner owner = {.instance = 100 + draw(model, 2),
                               .incarnation = 1 + draw(model, 2)};
    return owner;
}

static bool same(const struct idem_owner *a, const struct idem_owner *b) {
    return a->instance == b->instance && a->incarnation == b->incarnation;
}

static bool over(const struct model *model, const struct entry *entry) {
    return model->now_ms >= entry->until_ms;
}

static enum idem_claim_outcome expect_claim(const struct model *model,
                                            const struct entry *entry,
                                            const struct idem_owner *owner) {
    if (entry->state == IDEM_RECORD_NONE ||
        (entry->state == IDEM_RECORD_DONE && over(model, entry))) {
        return IDEM_CLAIM_NEW;
    }
    if (entry->state == IDEM_RECORD_DONE) {
        return IDEM_CLAIM_DONE;
    }
    bool dead = entry->owner.instance == owner->instance &&
                entry->owner.incarnation != owner->incarnation;
    return dead || over(model, entry) ? IDEM_CLAIM_TAKEN_OVER : IDEM_CLAIM_IN_FLIGHT;
}

static void step_claim(struct model *model, uint64_t n) {
    struct entry *entry = &model->entries[n];
    struct idem_owner owner = draw_owner(model);
    int64_t lease_ms = 1 + (int64_t)draw(model, 200);
    struct idem_claim claim = stores_claim_of(n, &owner, model->now_ms, lease_ms);
    claim.extend_ms = draw(model, 2) == 0 ? 0 : (int64_t)draw(model, 3000);
    enum idem_claim_outcome expected = expect_claim(model, entry, &owner);
    struct idem_answer answer = stores_claim_as(model->box, &claim).answer;
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.outcome, expected);
    if (expected != IDEM_CLAIM_NEW) {
        assert_int_equal(answer.record.state, entry->state);
        assert_int_equal(answer.record.until_ms, entry->until_ms);
        assert_int_equal(answer.record.first_seen_ms, entry->first_seen_ms);
    }
    if (expected == IDEM_CLAIM_NEW || expected == IDEM_CLAIM_TAKEN_OVER) {
        *entry = (struct entry){IDEM_RECORD_PENDING, owner,
                                expected == IDEM_CLAIM_NEW ? model->now_ms
                                                           : entry->first_seen_ms,
                                model->now_ms + lease_ms};
    }
    if (expected == IDEM_CLAIM_DONE &&
        entry->until_ms < model->now_ms + claim.extend_ms) {
        entry->until_ms = model->now_ms + claim.extend_ms;
    }
}

static void step_complete(struct model *model, uint64_t n) {
    struct entry *entry = &model->entries[n];
    struct idem_owner owner = draw(model, 4) != 0 ? entry->owner : draw_owner(model);
    int64_t ttl_ms = 1 + (int64_t)draw(model, 3000);
    enum idem_code expected = IDEM_ERR_NOT_FOUND;
    bool becomes_done = false;
    if (entry->state == IDEM_RECORD_PENDING) {
        becomes_done = same(&entry->owner, &owner);
        expected = becomes_done ? IDEM_OK : IDEM_ERR_NOT_OWNER;
    } else if (entry->state == IDEM_RECORD_DONE && !over(model, entry)) {
        expected = entry->owner.instance == owner.instance ? IDEM_OK : IDEM_ERR_NOT_OWNER;
    }
    assert_int_equal(stores_complete(model->box, n, &owner, model->now_ms, ttl_ms),
                     expected);
    if (becomes_done) {
        entry->state = IDEM_RECORD_DONE;
        entry->until_ms = model->now_ms + ttl_ms;
    }
}

static void step_abandon(struct model *model, uint64_t n) {
    struct entry *entry = &model->entries[n];
    struct idem_owner owner = draw(model, 4) != 0 ? entry->owner : draw_owner(model);
    enum idem_code code = stores_abandon(model->box, n, &owner);
    if (entry->state == IDEM_RECORD_PENDING) {
        bool ours = same(&entry->owner, &owner);
        assert_int_equal(code, ours ? IDEM_OK : IDEM_ERR_NOT_OWNER);
        entry->state = ours ? IDEM_RECORD_NONE : entry->state;
    } else if (entry->state == IDEM_RECORD_DONE && !over(model, entry)) {
        assert_int_equal(code, IDEM_ERR_NOT_OWNER);
    } else { /* expired: there or purged already */
        assert_true(code == IDEM_ERR_NOT_FOUND ||
                    (entry->state == IDEM_RECORD_DONE && code == IDEM_ERR_NOT_OWNER));
    }
}

static void step_lookup(struct model *model, uint64_t n) {
    const struct entry *entry = &model->entries[n];
    struct idem_answer answer = stores_lookup(model->box, n, model->now_ms).answer;
    if (entry->state == IDEM_RECORD_NONE || over(model, entry)) {
        assert_int_equal(answer.code, IDEM_ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.record.state, entry->state);
    assert_int_equal(answer.record.until_ms, entry->until_ms);
    assert_int_equal(answer.record.first_seen_ms, entry->first_seen_ms);
    assert_int_equal(answer.record.owner.instance, entry->owner.instance);
}

static void step_forget(struct model *model, uint64_t n) {
    struct entry *entry = &model->entries[n];
    enum idem_code code = stores_forget(model->box, n);
    if (entry->state == IDEM_RECORD_NONE) {
        assert_int_equal(code, IDEM_ERR_NOT_FOUND);
    } else if (entry->state == IDEM_RECORD_PENDING || !over(model, entry)) {
        assert_int_equal(code, IDEM_OK);
    }
    entry->state = IDEM_RECORD_NONE;
}

static void step(struct model *model) {
    uint64_t n = draw(model, model->keys);
    switch (draw(model, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
        step_claim(model, n);
        break;
    case 4:
    case 5:
    case 6:
        step_complete(model, n);
        break;
    case 7:
        step_abandon(model, n);
        break;
    case 8:
        step_forget(model, n);
        break;
    default:
        step_lookup(model, n);
        break;
    }
}

static bool count_visit(void *arg, const struct idem_digest *digest,
                        const struct idem_record *record) {
    (void)digest;
    (void)record;
    ++*(uint64_t *)arg;
    return true;
}

static void compare_all(struct model *model) {
    uint64_t live = 0;
    uint64_t visited = 0;
    struct idem_store_stats stats;
    for (uint64_t n = 0; n < model->keys; n++) {
        const struct entry *entry = &model->entries[n];
        live += entry->state != IDEM_RECORD_NONE && !over(model, entry);
        step_lookup(model, n);
    }
    assert_int_equal(
        idem_store_iterate(model->box->store, model->now_ms, count_visit, &visited, NULL),
        IDEM_OK);
    assert_int_equal(visited, live);
    idem_store_read_stats(model->box->store, &stats);
    assert_true(stats.keys >= live && stats.keys <= model->keys);
}

static void run_model(uint64_t keys, uint64_t steps, int64_t pace) {
    struct stores_box box = contract_box();
    struct model model = {
        .box = &box, .keys = keys, .now_ms = T0, .random = UINT64_C(0x9E3779B97F4A7C15)};
    model.entries = calloc(keys, sizeof *model.entries);
    assert_non_null(model.entries);
    stores_make(&box, contract_variant()->url);
    for (uint64_t i = 0; i < steps; i++) {
        step(&model);
        model.now_ms += draw(&model, 100) < (uint64_t)pace ? 1 : 0;
        if (contract_variant()->keeps && i % (steps / 4) == steps / 8) {
            stores_close(&box);
            stores_open(&box);
        }
    }
    compare_all(&model);
    stores_remove(&box);
    free(model.entries);
}

/* Few keys, so that each goes through all states many times; and time moves fast. */
static void few_keys_change_as_the_model_does(void **state) {
    (void)state;
    uint64_t steps = testing_instrumented() ? 30000 : 200000;
    run_model(97, steps / contract_variant()->slowness, 100);
}

/* Many keys, so that tables and trees grow, and purging meets both live and expired
 * ones. */
static void many_keys_change_as_the_model_does(void **state) {
    (void)state;
    uint64_t keys = testing_instrumented() ? 10000 : 100000;
    keys /= contract_variant()->slowness;
    run_model(keys, 4 * keys, 2);
}

static const struct CMUnitTest contract[] = {
    cmocka_unit_test(few_keys_change_as_the_model_does),
    cmocka_unit_test(many_keys_change_as_the_model_does),
};

int main(void) {
    return CONTRACT_RUN(contract);
}
