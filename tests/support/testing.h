/* SPDX-License-Identifier: MIT
 * cmocka with the headers it wants, deadlines, and the tidying up that every integration test shares.
 *
 * Helpers fail the running test themselves: they return only when they succeeded. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The exit status of a test program whose server is not installed. */
#define TESTING_SKIPPED 77

/* How long anything may take before it counts as failed; longer where a tool slows the broker down.
 * Never a waiting time: helpers go on as soon as what they wait for is there. */
int64_t testing_deadline_ms(void);

/* The point of the monotonic clock that is testing_deadline_ms() from now, and what is left of it
 * (0 when it has passed; fits an int). */
int64_t testing_deadline(void);
int testing_remaining_ms(int64_t deadline_ns);

/* Between two looks at something that cannot be waited for by a descriptor. */
void testing_pause(void);

/* Whether slow instruments (valgrind, a sanitizer) are at work. */
bool testing_instrumented(void);
bool testing_valgrind(void);

/* Test and group teardowns: close what the test (the group) opened, also after a failure. They fail where
 * a broker does not end well, which is how valgrind and the sanitizers speak. */
int testing_tidy(void **state);
int testing_tidy_group(void **state);

/* First line of an integration test's main: true where there is no broker to test with, and then
 * *status is what main returns: skipped, or failed in CI, where a missing server is a fault. */
bool testing_cannot_run(int *status);

#endif
