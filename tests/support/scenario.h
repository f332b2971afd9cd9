/* SPDX-License-Identifier: MIT
 * Scenario files, read and cut into words; what the words mean is test_scenarios.c's. */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include "testing.h"

#define LINE_SIZE     256
#define SCENARIOS_MAX 256
#define STEPS_MAX     40
#define WORDS_MAX     24

struct step {
    int line;
    char text[LINE_SIZE];
};

struct scenario {
    char title[LINE_SIZE];
    const char *file;
    size_t count;
    struct step steps[STEPS_MAX];
};

/* One line, cut into words; attributes are name=value, or name alone. */
struct words {
    const struct scenario *scenario;
    int line;
    size_t count;
    char *items[WORDS_MAX];
    bool used[WORDS_MAX];
    char text[LINE_SIZE];
};

/* Fails the test, naming file and line. */
#define SCENARIO_FAIL(words, ...)                                                        \
    do {                                                                                 \
        print_error("%s:%d: ", (words)->scenario->file, (words)->line);                  \
        fail_msg(__VA_ARGS__);                                                           \
    } while (0)

void words_split(struct words *words, const struct scenario *scenario,
                 const struct step *step);

/* The value of an attribute, "" where it stands alone, NULL where it is absent. */
const char *words_attribute(struct words *words, const char *name);

/* Fails where a word from the first on has not been asked for: a misspelt one must not pass. */
void words_refuse_rest(const struct words *words, size_t first);

/* "5s", "9999ms", "3h" in milliseconds. */
int64_t words_time(const struct words *words, const char *text);

/* All scenarios of the *.txt files in a directory; NULL, and said on standard error, where there is none
 * or one breaks the format. */
const struct scenario *scenarios_read(const char *dir, size_t *count);

#endif
