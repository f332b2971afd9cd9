/* SPDX-License-Identifier: MIT
 * Configurations with a mistake, and the exact words with which each is refused. */
#ifndef TESTS_REFUSALS_H
#define TESTS_REFUSALS_H

#include "testing.h"

#include <idem/config.h>

struct mistake {
    const char *expected; /* behind "f.yaml:" */
    const char *text;
};

void refusals_assert(const char *expected, const char *text, size_t length);
void refusals_assert_all(const struct mistake *mistakes, size_t count);
/* The opposite. */
void refusals_assert_taken(const char *text);

#define ASSERT_ALL_REFUSED(mistakes)                                                     \
    refusals_assert_all(mistakes, sizeof(mistakes) / sizeof(mistakes)[0])

/* A rule that is right up to its fourth line; what is tested is in the fifth. */
#define RULE_HEAD "rules:\n- name: a\n  match: {topic: a}\n"
#define RULE      RULE_HEAD "  key: client\n"

#endif
