/* SPDX-License-Identifier: MIT
 * Recent keys before a store that a test scripts. */
#include "scripted_store.h"
#include "stores.h"

#include "store/recent/recent.h"

#include <poll.h>
#include <string.h>

#define T0   INT64_C(1700000000000)
#define HOUR INT64_C(3600000)

struct stage {
    struct idem_store *memory;
    struct scripted_store *scripted;
    struct stores_box box; /* holds the store under test; never made, only asked */
    bool refuses; /* one of several servers, the one of this key, does not answer */
    struct idem_digest refused;
};

/* What the scripted store does not have goes to the one behind it. */
static struct stage stage;

static void shim_claim(struct idem_store *store, const struct idem_claim *claim,
                       idem_store_done *done, void *arg) {
    (void)store;
    idem_store_claim(scripted_store_handle(stage.scripted), claim, done, arg);
}

static void shim_complete(struct idem_store *store,
                          const struct idem_completion *completion, idem_store_done *done,
                          void *arg) {
    (void)store;
    idem_store_complete(scripted_store_handle(stage.scripted), completion, done, arg);
}

static void shim_abandon(struct idem_store *store,
                         const struct idem_abandonment *abandonment,
                         idem_store_done *done, void *arg) {
    (void)store;
    idem_store_abandon(scripted_store_handle(stage.scripted), abandonment, done, arg);
}

static void shim_lookup(struct idem_store *store, const struct idem_digest *digest,
                        int64_t now_ms, idem_store_done *done, void *arg) {
    (void)store;
    idem_store_lookup(stage.memory, digest, now_ms, done, arg);
}

static void shim_forget(struct idem_store *store, const struct idem_digest *digest,
                        idem_store_done *done, void *arg) {
    (void)store;
    idem_store_forget(stage.memory, digest, done, arg);
}

static void shim_stats(struct idem_store *store, struct idem_store_stats *stats) {
    (void)store;
    idem_store_read_stats(stage.memory, stats);
    stats->failing = stage.refuses;
}

static bool shim_refuses(const struct idem_store *store,
                         const struct idem_digest *digest) {
    (void)store;
    return stage.refuses && idem_digest_equal(digest, &stage.refused);
}

static void shim_close(struct idem_store *store) {
    (void)store;
}

static const struct idem_store_ops shim_ops = {
    .name = "shim",
    .claim = shim_claim,
    .complete = shim_complete,
    .abandon = shim_abandon,
    .lookup = shim_lookup,
    .forget = shim_forget,
    .stats = shim_stats,
    .close = shim_close,
    .refuses = shim_refuses,
};
static struct idem_store shim = {&shim_ops};

static int open_with(size_t keys, int64_t patience_ms) {
    struct idem_error error = IDEM_ERROR_INIT;
    const struct idem_store_options memory = {.url = "memory:"};
    const struct idem_store_options options = {.recent_keys = keys,
                                               .patience_ms = patience_ms};
    memset(&stage, 0, sizeof stage);
    assert_int_equal(idem_store_open(&stage.memory, &memory, &error), IDEM_OK);
    stage.scripted = scripted_store_open(stage.memory);
    assert_int_equal(idem_recent_open(&stage.box.store, &shim, &options, &error),
                     IDEM_OK);
    return 0;
}

static int open_stage(void **state) {
    *state = &stage;
    return open_with(1024, 0);
}

static int open_patient(void **state) {
    *state = &stage;
    return open_with(1024, 60);
}

static int close_stage(void **state) {
    (void)state;
    idem_store_close(stage.box.store);
    scripted_store_close(stage.scripted);
    idem_store_close(stage.memory);
    return 0;
}

/* Of a copy that is delivered whatever the answer is. */
static struct idem_answer claim(uint64_t n) {
    struct idem_claim claim = stores_claim_of(n, &stores_me, T0, 1000);
    claim.deferrable = true;
    return stores_claim_as(&stage.box, &claim).answer;
}

static enum idem_code complete(uint64_t n) {
    return stores_complete(&stage.box, n, &stores_me, T0, HOUR);
}

static enum idem_code respond(uint64_t n, struct idem_span result) {
    return stores_complete_with(&stage.box, n, T0, HOUR, result);
}

static void a_key_completed_here_is_answered_without_the_store(void **state) {
    (void)state;
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
    assert_int_equal(complete(1), IDEM_OK);
    unsigned before = scripted_store_operations(stage.scripted);
    struct idem_digest fingerprint = stores_digest(~UINT64_C(1));
    struct idem_answer answer = claim(1);
    assert_int_equal(answer.outcome, IDEM_CLAIM_DONE);
    assert_true(idem_digest_equal(&answer.record.fingerprint, &fingerprint));
    assert_int_equal(scripted_store_operations(stage.scripted), before);
}

static void a_key_is_remembered_no_longer_than_its_ttl(void **state) {
    (void)state;
    (void)claim(1);
    (void)complete(1);
    assert_int_equal(stores_claim(&stage.box, 1, &stores_me, T0 + HOUR - 1, 1000).outcome,
                     IDEM_CLAIM_DONE);
    assert_int_equal(stores_claim(&stage.box, 1, &stores_me, T0 + HOUR, 1000).outcome,
                     IDEM_CLAIM_NEW);
}

static struct idem_answer copy_at(int64_t now_ms) {
    struct idem_claim copy = stores_claim_of(1, &stores_me, now_ms, 1000);
    copy.extend_ms = HOUR;
    return stores_claim_as(&stage.box, &copy).answer;
}

static void a_claim_that_extends_asks_the_store(void **state) {
    (void)state;
    struct stores_box behind = {.store = stage.memory};
    (void)claim(1);
    (void)complete(1);
    assert_int_equal(copy_at(T0 + HOUR - 1).outcome, IDEM_CLAIM_DONE);
    assert_int_equal(stores_lookup(&behind, 1, T0 + HOUR).answer.record.until_ms,
                     T0 + 2 * HOUR - 1);
    unsigned before = scripted_store_operations(stage.scripted);
    assert_int_equal(
        stores_claim(&stage.box, 1, &stores_me, T0 + 2 * HOUR - 2, 1000).outcome,
        IDEM_CLAIM_DONE);
    assert_int_equal(scripted_store_operations(stage.scripted), before);
}

static void without_the_store_the_memory_extends(void **state) {
    (void)state;
    (void)claim(1);
    (void)complete(1);
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
    assert_int_equal(copy_at(T0 + HOUR - 1).outcome, IDEM_CLAIM_DONE);
    assert_int_equal(copy_at(T0 + 2 * HOUR - 2).outcome, IDEM_CLAIM_DONE);
}

/* The record has its result behind, and the memory holds none. */
static void a_result_is_asked_for_behind_the_memory(void **state) {
    struct idem_claim copy = stores_claim_of(1, &stores_other, T0, 1000);
    (void)state;
    (void)claim(1);
    assert_int_equal(respond(1, idem_span_text("response")), IDEM_OK);
    unsigned before = scripted_store_operations(stage.scripted);
    assert_int_equal(stores_claim_as(&stage.box, &copy).answer.outcome, IDEM_CLAIM_DONE);
    assert_int_equal(scripted_store_operations(stage.scripted), before);
    copy.wants_result = true;
    struct stores_answer answer = stores_claim_as(&stage.box, &copy);
    assert_int_equal(answer.answer.outcome, IDEM_CLAIM_DONE);
    assert_int_equal(answer.answer.record.result.len, 8);
    assert_memory_equal(answer.result, "response", 8);
    assert_int_equal(scripted_store_operations(stage.scripted), before + 1);
}

static void without_the_store_a_repeat_is_known_without_its_result(void **state) {
    struct idem_claim copy = stores_claim_of(1, &stores_other, T0, 1000);
    (void)state;
    copy.wants_result = true;
    (void)claim(1);
    assert_int_equal(respond(1, idem_span_text("response")), IDEM_OK);
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 1);
    struct idem_answer answer = stores_claim_as(&stage.box, &copy).answer;
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.outcome, IDEM_CLAIM_DONE);
    assert_int_equal(answer.record.result.len, 0);
}

static void a_key_withdrawn_here_is_new(void **state) {
    const struct idem_abandonment abandonment = {
        .digest = stores_digest(1), .owner = stores_me, .completed = true};
    struct stores_answer note = {.calls = 0};
    (void)state;
    (void)claim(1);
    (void)complete(1);
    idem_store_abandon(stage.box.store, &abandonment, stores_note, &note);
    assert_int_equal(note.answer.code, IDEM_OK);
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
}

static void a_key_forgotten_here_is_new(void **state) {
    (void)state;
    (void)claim(1);
    (void)complete(1);
    assert_int_equal(stores_forget(&stage.box, 1), IDEM_OK);
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_NEW);
}

static void a_pending_claim_is_the_stores_to_judge(void **state) {
    (void)state;
    (void)claim(1);
    unsigned before = scripted_store_operations(stage.scripted);
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(scripted_store_operations(stage.scripted), before + 1);
}

/* The claim is on its way while the key is completed. */
static void a_claim_overtaken_by_its_completion_finds_the_key_done(void **state) {
    (void)state;
    struct stores_answer note = {.calls = 0};
    (void)claim(1);
    scripted_store_delay(stage.scripted, true);
    stores_submit_claim(&stage.box, 1, T0, &note);
    scripted_store_release(stage.scripted,
                           0); /* the store says: in flight, by yourself */
    assert_int_equal(note.answer.outcome, IDEM_CLAIM_IN_FLIGHT);
    note = (struct stores_answer){.calls = 0};
    struct stores_answer completed = {.calls = 0};
    stores_submit_claim(&stage.box, 1, T0, &note);
    stores_submit_completion(&stage.box, 1, T0, HOUR, &completed);
    scripted_store_release(stage.scripted, 0);
    assert_int_equal(note.answer.code, IDEM_OK);
    assert_int_equal(note.answer.outcome, IDEM_CLAIM_DONE);
    scripted_store_release_all(stage.scripted);
}

static void a_failed_claim_tells_of_the_one_before(void **state) {
    (void)state;
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
    struct idem_answer answer = claim(1);
    assert_int_equal(answer.code, IDEM_ERR_UNAVAILABLE);
    assert_int_equal(answer.record.state, IDEM_RECORD_NONE);
    answer = claim(1);
    assert_int_equal(answer.code, IDEM_ERR_UNAVAILABLE);
    assert_int_equal(answer.record.state, IDEM_RECORD_PENDING);
    assert_int_equal(answer.record.owner.instance, stores_me.instance);
}

static void a_failed_claim_of_a_copy_that_is_not_delivered_is_forgotten(void **state) {
    (void)state;
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
    (void)stores_claim(&stage.box, 1, &stores_me, T0, 1000);
    struct idem_answer answer = stores_claim(&stage.box, 1, &stores_me, T0, 1000);
    assert_int_equal(answer.code, IDEM_ERR_UNAVAILABLE);
    assert_int_equal(answer.record.state, IDEM_RECORD_NONE);
}

/* All that the store behind has of a key. */
static struct stores_answer found_behind(uint64_t n) {
    struct stores_box box = {.store = stage.memory};
    return stores_lookup(&box, n, T0);
}

static void what_is_completed_without_the_store_is_written_later(void **state) {
    (void)state;
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
    (void)claim(1);
    assert_int_equal(complete(1), IDEM_OK);
    assert_int_equal(claim(1).outcome, IDEM_CLAIM_DONE);
    assert_int_equal(found_behind(1).answer.code, IDEM_ERR_NOT_FOUND);
    idem_store_dispatch(stage.box.store);
    struct stores_answer written = found_behind(1);
    assert_int_equal(written.answer.code, IDEM_OK);
    assert_int_equal(written.answer.record.state, IDEM_RECORD_DONE);
    assert_true(written.answer.record.has_fingerprint);
    assert_int_equal(written.answer.record.until_ms, T0 + HOUR);
}

static void expect_result(uint64_t n, const char *result) {
    struct stores_answer found = found_behind(n);
    assert_int_equal(found.answer.code, IDEM_OK);
    assert_int_equal(found.answer.record.state, IDEM_RECORD_DONE);
    assert_int_equal(found.answer.record.result.len, strlen(result));
    assert_memory_equal(found.result, result, strlen(result));
}

static void a_result_that_comes_without_the_store_is_written_later(void **state) {
    (void)state;
    (void)claim(1);
    assert_int_equal(complete(1), IDEM_OK);
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 1);
    assert_int_equal(respond(1, idem_span_text("response")), IDEM_OK);
    expect_result(1, "");
    idem_store_dispatch(stage.box.store);
    expect_result(1, "response");
    assert_int_equal(found_behind(1).answer.record.until_ms, T0 + HOUR);
}

static void a_key_and_its_result_are_both_written_later(void **state) {
    (void)state;
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 3);
    (void)claim(1);
    assert_int_equal(complete(1), IDEM_OK);
    assert_int_equal(respond(1, idem_span_text("response")), IDEM_OK);
    assert_int_equal(found_behind(1).answer.code, IDEM_ERR_NOT_FOUND);
    idem_store_dispatch(stage.box.store);
    expect_result(1, "response");
}

/* Nobody is told that it is stored. */
static void a_result_that_there_is_no_room_for_is_reported(void **state) {
    static const uint8_t large[IDEM_RESULT_MAX];
    const uint64_t fit = 16 * 1024 * 1024 / sizeof large;
    (void)state;
    for (uint64_t n = 1; n <= fit + 1; n++) {
        scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
        (void)claim(n);
        assert_int_equal(respond(n, idem_span_of(large, sizeof large)),
                         n <= fit ? IDEM_OK : IDEM_ERR_UNAVAILABLE);
    }
    idem_store_dispatch(stage.box.store);
    assert_int_equal(found_behind(1).answer.record.result.len, sizeof large);
    expect_result(fit + 1, "");
}

static void owe(uint64_t n) {
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
    (void)claim(n);
    assert_int_equal(complete(n), IDEM_OK);
}

static enum idem_code written(uint64_t n) {
    return found_behind(n).answer.code;
}

static void owe_two_of_which_one_is_refused(void) {
    owe(1);
    owe(2);
    stage.refused = stores_digest(1);
    stage.refuses = true;
}

static void
what_is_owed_to_servers_that_answer_is_written_while_another_does_not(void **state) {
    (void)state;
    owe_two_of_which_one_is_refused();
    idem_store_dispatch(stage.box.store);
    assert_int_equal(written(1), IDEM_ERR_NOT_FOUND);
    assert_int_equal(written(2), IDEM_OK);
    stage.refuses = false;
    idem_store_dispatch(stage.box.store);
    assert_int_equal(written(1), IDEM_OK);
}

static void closing_writes_to_the_servers_that_answer(void **state) {
    (void)state;
    owe_two_of_which_one_is_refused();
    idem_store_close(stage.box.store);
    stage.box.store = NULL;
    assert_int_equal(written(1), IDEM_ERR_NOT_FOUND);
    assert_int_equal(written(2), IDEM_OK);
}

static void a_durable_completion_that_fails_is_reported(void **state) {
    (void)state;
    struct stores_answer note = {.calls = 0};
    (void)claim(1);
    scripted_store_fail(stage.scripted, IDEM_ERR_TIMEOUT, 1);
    stores_submit_completion(&stage.box, 1, T0, HOUR, &note);
    assert_int_equal(note.answer.code, IDEM_ERR_TIMEOUT);
    unsigned before = scripted_store_operations(stage.scripted);
    idem_store_dispatch(stage.box.store); /* its caller asks again: nothing is owed */
    assert_int_equal(scripted_store_operations(stage.scripted), before);
}

static void a_durable_completion_that_can_be_deferred_is_written_later(void **state) {
    (void)state;
    struct stores_answer note = {.calls = 0};
    const struct idem_completion completion = {
        .digest = stores_digest(1),
        .owner = stores_me,
        .now_ms = T0,
        .ttl_ms = HOUR,
        .durable = true,
        .deferrable = true,
    };
    (void)claim(1);
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 1);
    idem_store_complete(stage.box.store, &completion, stores_note, &note);
    assert_int_equal(note.answer.code, IDEM_OK);
    assert_int_equal(found_behind(1).answer.record.state, IDEM_RECORD_PENDING);
    idem_store_dispatch(stage.box.store);
    assert_int_equal(found_behind(1).answer.record.state, IDEM_RECORD_DONE);
}

static void what_somebody_else_has_written_meanwhile_stays(void **state) {
    (void)state;
    struct stores_box behind = {.store = stage.memory};
    scripted_store_fail(stage.scripted, IDEM_ERR_UNAVAILABLE, 2);
    (void)claim(1);
    assert_int_equal(complete(1), IDEM_OK);
    (void)stores_claim(&behind, 1, &stores_other, T0, 1000);
    idem_store_dispatch(stage.box.store);
    assert_int_equal(found_behind(1).answer.record.owner.instance, stores_other.instance);
}

static void a_claim_held_elsewhere_is_asked_again_until_it_is_decided(void **state) {
    (void)state;
    struct stores_box behind = {.store = stage.memory};
    struct stores_answer note = {.calls = 0};
    (void)stores_claim(&behind, 1, &stores_other, T0, 1000);
    stores_submit_claim(&stage.box, 1, T0, &note);
    assert_int_equal(note.calls, 0);
    (void)stores_complete(&behind, 1, &stores_other, T0, HOUR);
    stores_await(stage.box.store, &note);
    assert_int_equal(note.answer.outcome, IDEM_CLAIM_DONE);
}

static void patience_ends(void **state) {
    (void)state;
    struct stores_box behind = {.store = stage.memory};
    struct stores_answer note = {.calls = 0};
    (void)stores_claim(&behind, 1, &stores_other, T0, 1000);
    stores_submit_claim(&stage.box, 1, T0, &note);
    stores_await(stage.box.store, &note);
    assert_int_equal(note.answer.outcome, IDEM_CLAIM_IN_FLIGHT);
    assert_int_equal(note.answer.record.owner.instance, stores_other.instance);
}

static void a_sync_waits_for_nobody_elses_claim(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct stores_box behind = {.store = stage.memory};
    struct stores_answer note = {.calls = 0};
    (void)stores_claim(&behind, 1, &stores_other, T0, 1000);
    stores_submit_claim(&stage.box, 1, T0, &note);
    assert_int_equal(idem_store_sync(stage.box.store, &error), IDEM_OK);
    assert_int_equal(note.calls, 1);
    assert_int_equal(note.answer.outcome, IDEM_CLAIM_IN_FLIGHT);
}

#define CASE(name)    cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
#define PATIENT(name) cmocka_unit_test_setup_teardown(name, open_patient, close_stage)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(a_key_completed_here_is_answered_without_the_store),
        CASE(a_key_is_remembered_no_longer_than_its_ttl),
        CASE(a_claim_that_extends_asks_the_store),
        CASE(without_the_store_the_memory_extends),
        CASE(a_result_is_asked_for_behind_the_memory),
        CASE(without_the_store_a_repeat_is_known_without_its_result),
        CASE(a_key_withdrawn_here_is_new),
        CASE(a_key_forgotten_here_is_new),
        CASE(a_pending_claim_is_the_stores_to_judge),
        CASE(a_claim_overtaken_by_its_completion_finds_the_key_done),
        CASE(a_failed_claim_tells_of_the_one_before),
        CASE(a_failed_claim_of_a_copy_that_is_not_delivered_is_forgotten),
        CASE(what_is_completed_without_the_store_is_written_later),
        CASE(a_result_that_comes_without_the_store_is_written_later),
        CASE(a_key_and_its_result_are_both_written_later),
        CASE(a_result_that_there_is_no_room_for_is_reported),
        CASE(what_is_owed_to_servers_that_answer_is_written_while_another_does_not),
        CASE(closing_writes_to_the_servers_that_answer),
        CASE(a_durable_completion_that_fails_is_reported),
        CASE(a_durable_completion_that_can_be_deferred_is_written_later),
        CASE(what_somebody_else_has_written_meanwhile_stays),
        PATIENT(a_claim_held_elsewhere_is_asked_again_until_it_is_decided),
        PATIENT(patience_ends),
        PATIENT(a_sync_waits_for_nobody_elses_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
