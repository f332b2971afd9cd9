/* SPDX-License-Identifier: MIT
 * Bridges, brokers, stores and connections killed in the middle of traffic: nothing missing, and nothing
 * twice that was not in doubt. `test_faults` is the short run, `test_faults long` the long one; SEED=
 * repeats the choices of a run, ONLY= (a glob) runs some of the scenarios. */
#include "files.h"
#include "rpc_faults.h"
#include "stage.h"
#include "tally.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TESTS_MAX 128
#define MACRO     "IDEM_FAULT_POINT(\""

static struct {
    uint64_t seed;
    bool full;
    struct stage stage;
    struct tally tallies[TESTS_MAX];
    bool done[TESTS_MAX];
} run;

static unsigned rounds_of(const struct plan *plan) {
    return run.full ? plan->long_rounds : plan->short_rounds;
}

/* When all is through every key is done: copies that come now go nowhere, doubted or not. */
static unsigned count_late(struct stage *stage) {
    unsigned delivered = stage_delivered(stage);
    stage_publish_copies(stage);
    stage_finish(stage);
    return stage_delivered(stage) - delivered;
}

static void judge(const struct tally *tally) {
    if (!tally_is_clean(tally)) {
        fail_msg("%u missing; %u twice, of which %u nobody had in doubt; %u doubts more "
                 "than the disturbances explain; %u late copies; %u that nobody "
                 "published; %u bridges met an unexpected event; %lld cents astray",
                 tally->missing, tally->twice, tally->unaccounted, tally->excessive,
                 tally->late, tally->alien, tally->unexpected, tally->astray);
    }
}

static void play(void **state) {
    const struct plan *plan = *state;
    struct tally *tally = &run.tallies[plan - plans];
    stage_open(&run.stage, plan, run.seed);
    for (run.stage.round = 0; run.stage.round < rounds_of(plan); run.stage.round++) {
        plan->round(&run.stage);
        stage_check(&run.stage);
    }
    stage_finish(&run.stage);
    unsigned late = count_late(&run.stage);
    tally_take(tally, &run.stage);
    tally->late = late;
    run.done[plan - plans] = true;
    judge(tally);
}

static int tear_down(void **state) {
    (void)state;
    stage_close(&run.stage);
    return 0;
}

static bool is_known(const char *name, size_t length) {
    for (size_t i = 0; i < plan_point_count; i++) {
        if (strlen(plan_points[i].name) == length &&
            strncmp(plan_points[i].name, name, length) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_points(const char *path) {
    char *text = files_read(path);
    size_t count = 0;
    for (const char *at = strstr(text, MACRO); at != NULL; at = strstr(at + 1, MACRO)) {
        const char *name = at + strlen(MACRO);
        size_t length = strcspn(name, "\"");
        if (!is_known(name, length)) {
            fail_msg("%s: no scenario for the point %.*s", path, (int)length, name);
        }
        count++;
    }
    free(text);
    return count;
}

static void every_point_in_the_bridge_has_its_scenario(void **state) {
    glob_t found;
    size_t count = 0;
    (void)state;
    assert_int_equal(glob("plugins/rabbitmq/*.c", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        count += count_points(found.gl_pathv[i]);
    }
    globfree(&found);
    assert_int_equal(count, plan_point_count);
}

/* A checker that cannot fail is worth nothing. */
static void the_checker_sees_what_is_missing_and_what_came_twice(void **state) {
    const unsigned arrived[] = {0, 2, 2, 2, 3, 4, 4, 9};
    struct tally tally;
    (void)state;
    stage_open(&run.stage, &plans[0], run.seed);
    run.stage.bridge_count = 0;
    run.stage.unique = 6;
    rabbitmq_publish_numbers(run.stage.client, "out", "m", arrived,
                             sizeof arrived / sizeof arrived[0]);
    tally_take(&tally, &run.stage);
    assert_int_equal(tally.missing, 2);
    assert_int_equal(tally.twice, 3);
    assert_int_equal(tally.unaccounted, 3);
    assert_int_equal(tally.alien, 1);
    assert_false(tally_is_clean(&tally));
}

static void print_table(void) {
    struct tally sum = {0};
    (void)printf("\nSEED=%llu\n\n", (unsigned long long)run.seed);
    tally_print_head();
    for (size_t i = 0; i < plan_count; i++) {
        if (run.done[i]) {
            tally_print(plans[i].title, &run.tallies[i]);
            tally_add(&sum, &run.tallies[i]);
        }
    }
    tally_print("**all**", &sum);
    (void)printf("\nIn the accounts: %lld.%02lld, of which astray: %lld.%02lld\n",
                 sum.balance / 100, sum.balance % 100, sum.astray / 100,
                 sum.astray % 100);
}

static size_t collect(struct CMUnitTest *tests) {
    size_t count = 0;
    tests[count++] =
        (struct CMUnitTest)cmocka_unit_test(every_point_in_the_bridge_has_its_scenario);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test_teardown(
        the_checker_sees_what_is_missing_and_what_came_twice, tear_down);
    for (size_t i = 0; i < plan_count; i++) {
        if (rounds_of(&plans[i]) > 0 && count < TESTS_MAX) {
            tests[count++] =
                (struct CMUnitTest){.name = plans[i].title,
                                    .test_func = play,
                                    .teardown_func = tear_down,
                                    .initial_state = (void *)(uintptr_t)&plans[i]};
        }
    }
    assert_true(count + RPC_FAULTS_MAX <= TESTS_MAX);
    return count + rpc_faults_collect(&tests[count], run.full, run.seed);
}

static uint64_t choose_seed(void) {
    const char *given = getenv("SEED");
    if (given != NULL && given[0] != '\0') {
        return strtoull(given, NULL, 10);
    }
    return (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000;
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[TESTS_MAX];
    const char *only = getenv("ONLY");
    int status;
    run.full = argc > 1 && strcmp(argv[1], "long") == 0;
    run.seed = choose_seed();
    if (!redis_installed()) {
        return rabbitmq_missing("redis-server");
    }
    if (!postgres_installed()) {
        return rabbitmq_missing("PostgreSQL");
    }
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    if (setenv("IDEM_BRIDGE", FAULTY_BRIDGE, 1) != 0) {
        return EXIT_FAILURE;
    }
    if (only != NULL && only[0] != '\0') {
        cmocka_set_test_filter(only);
    }
    (void)printf("SEED=%llu\n", (unsigned long long)run.seed);
    status = _cmocka_run_group_tests("faults", tests, collect(tests), NULL, NULL);
    print_table();
    rpc_faults_print();
    return rabbitmq_done(status);
}
