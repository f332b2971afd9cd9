/* SPDX-License-Identifier: MIT
 * A forked child that runs a function of the test program, and speaks with it in
 * numbers. */
#ifndef TESTS_CHILDREN_H
#define TESTS_CHILDREN_H

#include "testing.h"

#include <sys/types.h>

struct child {
    pid_t pid;
    int to;   /* the other side reads it */
    int from; /* the other side writes it */
};

/* Runs in the child, which exits with what it returns. It must not use cmocka's
 * assertions. */
typedef int child_body(struct child *child, void *arg);

/* The program should have no other threads at this time. The child dies with the test
 * program. */
void child_start(struct child *child, child_body *body, void *arg);

/* Parent to child, and back. Awaiting gives 0 when the other side has gone.
 * child_result fails the test when nothing comes within the deadline. */
void child_tell(struct child *child, uint64_t value);
uint64_t child_await(struct child *child);
void child_report(struct child *child, uint64_t value);
uint64_t child_result(struct child *child);

/* Waits for its end; fails the test unless it exited with 0. */
void child_end(struct child *child);
/* Kills it with SIGKILL and waits for its end. */
void child_kill(struct child *child);

#endif
