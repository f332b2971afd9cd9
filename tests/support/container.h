/* SPDX-License-Identifier: MIT
 * Programs in containers of the images of docker/ in place of processes of the test: under IDEM_CONTAINERS=1. */
#ifndef TESTS_CONTAINER_H
#define TESTS_CONTAINER_H

#include "process.h"

#define CONTAINER_WORDS_MAX 128

bool container_wanted(void);

/* `docker run` for a program. The child is Docker's client, which ends when the container does, with its status. */
struct container {
    const char *argv[CONTAINER_WORDS_MAX]; /* ends in NULL */
    char name[64];
    char label[96];
    char user[32];
    char mounts[2][1100];
};

/* Borrows what the options hold. The container has the host's network, the user of the test, the test run's
 * directories and what the test has set in its environment; what the program prints is appended to the log in there, as a process would. */
void container_prepare(struct container *container, const char *image,
                       const struct process_options *options);
/* That child is the client of this container. */
void container_started(const struct container *container, pid_t pid);
/* That child is none, whatever had its pid before. */
void container_forget(pid_t pid);

/* Whether the child is a container's client; then these are for the container. */
bool container_is(pid_t pid);
/* `docker kill`, `docker stop` for SIGTERM; SIGSTOP and SIGCONT: `docker pause`, `docker unpause`. */
void container_signal(pid_t pid, int signal_number);
/* The process of the machine that is the first one in the container. */
pid_t container_process(pid_t pid);

#endif
