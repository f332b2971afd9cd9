/* SPDX-License-Identifier: MIT
 * One child process: started with its output in a file, stopped by its own pid, always reaped. */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include "testing.h"

#include <sys/types.h>

/* Additions to the environment of the child: NAME, VALUE, ..., NULL. */
struct process_options {
    const char *const *argv; /* argv[0] is a path */
    const char *const *environment;
    const char *log; /* standard output and error are appended to it */
};

/* The child dies with the test program, however that ends. It ignores SIGXFSZ, see process_fill_disk. */
pid_t process_start(const struct process_options *options);

/* The same; under IDEM_CONTAINERS=1 the program runs in a container of that image of docker/. */
pid_t process_start_image(const char *image, const struct process_options *options);

/* Whether it is still running. Where it is not, it has been reaped and *status is its wait status. */
bool process_running(pid_t pid, int *status);

/* Waits for the end of the child; after the deadline kills it and returns false. */
bool process_wait(pid_t pid, int *status);

void process_signal(pid_t pid, int signal_number);

/* Stops the process in its tracks, for certain when this returns / lets it go on. */
void process_freeze(pid_t pid, bool frozen);

/* BUILD/NAME, of the build that this test belongs to: BUILD/tests/.../test_x. path holds size bytes. */
void process_program(char *path, size_t size, const char *name);

/* How often the text is in a log / waits until it is there that often. */
unsigned process_logged(const char *log, const char *text);
void process_await_logged(const char *log, const char *text, unsigned count);

/* From now on what the process writes to files fails with EFBIG, as on a full disk / works again. */
void process_fill_disk(pid_t pid, bool full);

/* The processor time that it has used. */
long process_cpu_ms(pid_t pid);

#endif
