/* SPDX-License-Identifier: MIT
 * examples/receiver.c as a process of the test: it consumes a queue, and its work is to write down bodies. */
#ifndef TESTS_CONSUMER_H
#define TESTS_CONSUMER_H

#include "files.h"
#include "testing.h"

#include <sys/types.h>

struct consumer {
    char dir[FILES_PATH_MAX];
    char effects[FILES_PATH_MAX + 16]; /* a line for each work that was done */
    char log[FILES_PATH_MAX + 16];
    pid_t pid; /* 0: not running */
};

/* Makes the directory, which the store is in, too / ends the process and removes the directory. */
void consumer_init(struct consumer *consumer);
void consumer_fini(struct consumer *consumer);

/* Starts it; again after an end, with what is in its directory. before and after are shell commands around the
 * line that is written, run in the directory; $PPID is the consumer. "" for none. */
void consumer_start(struct consumer *consumer, unsigned port, const char *queue,
                    const char *before, const char *after);

/* Waits for an end of its own, or after consumer_kill; a signal gives 128 more than its number. */
int consumer_wait(struct consumer *consumer);
void consumer_kill(struct consumer *consumer);

/* How often a line is among the effects, and how many lines there are. */
unsigned consumer_effects(const struct consumer *consumer, const char *line);
unsigned consumer_total(const struct consumer *consumer);

#endif
