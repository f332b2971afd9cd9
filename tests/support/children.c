/* SPDX-License-Identifier: MIT
 * Forked children of test programs. */
#define _GNU_SOURCE /* pipe2 */
#include "children.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool send_value(int fd, uint64_t value) {
    return write(fd, &value, sizeof value) == (ssize_t)sizeof value;
}

static bool receive_value(int fd, uint64_t *value) {
    *value = 0;
    return read(fd, value, sizeof *value) == (ssize_t)sizeof *value;
}

void child_start(struct child *child, child_body *body, void *arg) {
    int down[2];
    int up[2];
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    pid_t parent = getpid();
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(down[1]);
        (void)close(up[0]);
        child->to = up[1];
        child->from = down[0];
        _exit(getppid() == parent ? body(child, arg) : EXIT_FAILURE);
    }
    (void)close(down[0]);
    (void)close(up[1]);
    child->to = down[1];
    child->from = up[0];
}

void child_tell(struct child *child, uint64_t value) {
    assert_true(send_value(child->to, value));
}

uint64_t child_await(struct child *child) {
    uint64_t value = 0;
    return receive_value(child->from, &value) ? value : 0;
}

void child_report(struct child *child, uint64_t value) {
    (void)send_value(child->to, value);
}

uint64_t child_result(struct child *child) {
    uint64_t value = 0;
    struct pollfd descriptor = {.fd = child->from, .events = POLLIN};
    assert_int_equal(poll(&descriptor, 1, (int)testing_deadline_ms()), 1);
    assert_true(receive_value(child->from, &value));
    return value;
}

static int reap(struct child *child) {
    int status = 0;
    (void)close(child->to);
    (void)close(child->from);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return status;
}

void child_end(struct child *child) {
    int status = reap(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void child_kill(struct child *child) {
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    int status = reap(child);
    assert_true(WIFSIGNALED(status));
}
