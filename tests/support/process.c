/* SPDX-License-Identifier: MIT
 * One child process: started with its output in a file, stopped by its own pid, always reaped. */
#define _GNU_SOURCE /* prlimit */
#include "process.h"
#include "container.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: only async-signal-safe calls would be needed were the parent threaded; it is not. */
static _Noreturn void become(const struct process_options *options, int log,
                             pid_t parent) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (getppid() != parent) {
        _exit(126);
    }
    for (const char *const *pair = options->environment; pair != NULL && *pair != NULL;
         pair += 2) {
        if (setenv(pair[0], pair[1], 1) != 0) {
            _exit(126);
        }
    }
    if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) {
        _exit(126);
    }
    (void)execv(options->argv[0], (char *const *)options->argv);
    _exit(127);
}

pid_t process_start(const struct process_options *options) {
    int log = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) {
        fail_msg("cannot open %s: %s", options->log, strerror(errno));
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(options, log, parent);
    }
    (void)close(log);
    if (pid < 0) {
        fail_msg("fork: %s", strerror(errno));
    }
    container_forget(pid);
    return pid;
}

pid_t process_start_image(const char *image, const struct process_options *options) {
    struct container container;
    if (!container_wanted()) {
        return process_start(options);
    }
    container_prepare(&container, image, options);
    pid_t pid = process_start(
        &(struct process_options){container.argv, options->environment, options->log});
    container_started(&container, pid);
    return pid;
}

void process_signal(pid_t pid, int signal_number) {
    if (container_is(pid)) {
        container_signal(pid, signal_number);
    } else {
        (void)kill(pid, signal_number);
    }
}

void process_freeze(pid_t pid, bool frozen) {
    int status = 0;
    process_signal(pid, frozen ? SIGSTOP : SIGCONT);
    if (frozen && !container_is(pid)) {
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
    }
}

void process_program(char *path, size_t size, const char *name) {
    char self[FILES_PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    char *tests = NULL;
    for (char *at = strstr(self, "/tests/"); at != NULL; at = strstr(at + 1, "/tests/")) {
        tests = at;
    }
    assert_non_null(tests);
    *tests = '\0';
    (void)snprintf(path, size, "%s/%s", self, name);
}

unsigned process_logged(const char *log, const char *text) {
    char *whole = files_read(log);
    unsigned count = 0;
    for (const char *at = strstr(whole, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    free(whole);
    return count;
}

void process_await_logged(const char *log, const char *text, unsigned count) {
    int64_t deadline = testing_deadline();
    while (process_logged(log, text) < count) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("%s does not say: %s", log, text);
        }
        testing_pause();
    }
}

bool process_running(pid_t pid, int *status) {
    return waitpid(pid, status, WNOHANG) == 0;
}

bool process_wait(pid_t pid, int *status) {
    int64_t deadline = testing_deadline();
    while (process_running(pid, status)) {
        if (testing_remaining_ms(deadline) == 0) {
            process_signal(pid, SIGKILL);
            (void)waitpid(pid, status, 0);
            return false;
        }
        testing_pause();
    }
    return true;
}

/* Of the machine, wherever the program runs. */
static pid_t own_pid(pid_t pid) {
    return container_is(pid) ? container_process(pid) : pid;
}

void process_fill_disk(pid_t pid, bool full) {
    struct rlimit limit;
    pid = own_pid(pid);
    assert_int_equal(prlimit(pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    assert_int_equal(prlimit(pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

long process_cpu_ms(pid_t pid) {
    char path[64];
    char text[1024] = "";
    unsigned long user = 0;
    unsigned long system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)own_pid(pid));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    const char *at = strrchr(text, ')'); /* the name before it can hold anything */
    assert_non_null(at);
    assert_int_equal(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                            &user, &system),
                     2);
    return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}
