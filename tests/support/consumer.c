/* SPDX-License-Identifier: MIT
 * The example receiver as a process of the test. */
#include "consumer.h"
#include "process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

void consumer_init(struct consumer *consumer) {
    files_make_dir(consumer->dir);
    (void)snprintf(consumer->effects, sizeof consumer->effects, "%s/effects",
                   consumer->dir);
    (void)snprintf(consumer->log, sizeof consumer->log, "%s/log", consumer->dir);
    files_write(consumer->dir, "effects", "\n");
    consumer->pid = 0;
}

void consumer_start(struct consumer *consumer, unsigned port, const char *queue,
                    const char *before, const char *after) {
    char program[FILES_PATH_MAX];
    char port_text[16];
    char store[2 * FILES_PATH_MAX];
    char command[4 * FILES_PATH_MAX];
    const char *argv[] = {program, "127.0.0.1", port_text, queue, store, command, NULL};
    struct process_options options = {argv, NULL, consumer->log};
    assert_int_equal(consumer->pid, 0);
    process_program(program, sizeof program, "examples/receiver");
    (void)snprintf(port_text, sizeof port_text, "%u", port);
    (void)snprintf(store, sizeof store, "embedded://%s/store", consumer->dir);
    (void)snprintf(command, sizeof command,
                   "cd '%s'; %s cat >>effects; echo >>effects; %s", consumer->dir, before,
                   after);
    consumer->pid = process_start(&options);
}

int consumer_wait(struct consumer *consumer) {
    int status = 0;
    bool ended = process_wait(consumer->pid, &status);
    consumer->pid = 0;
    assert_true(ended);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void consumer_kill(struct consumer *consumer) {
    (void)kill(consumer->pid, SIGKILL);
    assert_int_equal(consumer_wait(consumer), 128 + SIGKILL);
}

unsigned consumer_effects(const struct consumer *consumer, const char *line) {
    char between[FILES_PATH_MAX];
    (void)snprintf(between, sizeof between, "\n%s\n", line);
    return process_logged(consumer->effects, between);
}

unsigned consumer_total(const struct consumer *consumer) {
    return process_logged(consumer->effects, "\n") - 1; /* it begins with an empty one */
}

void consumer_fini(struct consumer *consumer) {
    if (consumer->pid != 0) {
        int status;
        (void)kill(consumer->pid, SIGKILL);
        (void)process_wait(consumer->pid, &status);
    }
    files_remove_dir(consumer->dir);
}
