/* SPDX-License-Identifier: MIT
 * Programs in containers of the images of docker/ in place of processes of the test: under IDEM_CONTAINERS=1. */
#include "container.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNNING_MAX 64
#define GIVEN_MAX   512

extern char **environ;

/* Of the latest; nobody asks for a client that has ended. */
static struct running {
    pid_t pid;
    char name[64];
    bool paused;
} running[RUNNING_MAX];
static unsigned started;

bool container_wanted(void) {
    const char *wanted = getenv("IDEM_CONTAINERS");
    return wanted != NULL && strcmp(wanted, "1") == 0;
}

static const char **put(const char **at, const char *word) {
    *at = word;
    return at + 1;
}

static const char **put_mount(const char **at, char *text, size_t size,
                              const char *path) {
    (void)snprintf(text, size, "%s:%s", path, path);
    return put(put(at, "-v"), text);
}

/* The environment that the test program was given. */
static char *given[GIVEN_MAX];

__attribute__((constructor)) static void remember_given(void) {
    for (size_t i = 0; i < GIVEN_MAX && environ[i] != NULL; i++) {
        given[i] = environ[i];
    }
}

static bool was_given(const char *variable) {
    for (size_t i = 0; i < GIVEN_MAX; i++) {
        if (given[i] == variable) {
            return true;
        }
    }
    return false;
}

/* What the test has set since: all else is the machine's, and may be secret. */
static const char **put_environment(const char **at, const char **end) {
    for (char **variable = environ; *variable != NULL && at + 2 < end; variable++) {
        if (!was_given(*variable)) {
            at = put(put(at, "-e"), *variable);
        }
    }
    return at;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void name(struct container *container) {
    const char *run = getenv("COMPOSE_PROJECT_NAME"); /* whoever started it tidies up */
    (void)snprintf(container->name, sizeof container->name, "idem-test-%d-%u",
                   (int)getpid(), started++);
    (void)snprintf(container->label, sizeof container->label, "idem-test=%s",
                   run != NULL ? run : "");
    (void)snprintf(container->user, sizeof container->user, "%u:%u", (unsigned)geteuid(),
                   (unsigned)getegid());
}

static const char **put_options(const char **at, struct container *container) {
    static const char *const always[] = {"/usr/bin/env", "docker",    "run",
                                         "--rm",         "--network", "host",
                                         "--log-driver", "none",      "--no-healthcheck"};
    const char *directory = getenv("TMPDIR");
    const char *rabbitmq = getenv("IDEM_RABBITMQ"); /* its certificates are there */
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        at = put(at, always[i]);
    }
    name(container);
    at = put(put(at, "--name"), container->name);
    at = put(put(at, "--label"), container->label);
    at = put(put(at, "--user"), container->user);
    at = put_mount(at, container->mounts[0], sizeof container->mounts[0],
                   directory != NULL ? directory : "/tmp");
    return rabbitmq == NULL ? at
                            : put_mount(at, container->mounts[1],
                                        sizeof container->mounts[1], rabbitmq);
}

void container_prepare(struct container *container, const char *image,
                       const struct process_options *options) {
    const char **end = container->argv + CONTAINER_WORDS_MAX - 32;
    const char **at = put_options(container->argv, container);
    at = put_environment(at, end);
    at = put(put(put(at, image), "sh"), "-c");
    at = put(at, "trap '' XFSZ; exec \"$@\" >>\"$0\" 2>&1");
    at = put(put(at, options->log), base_name(options->argv[0]));
    for (const char *const *word = options->argv + 1; *word != NULL; word++) {
        assert_true(at < container->argv + CONTAINER_WORDS_MAX - 1);
        at = put(at, *word);
    }
    *at = NULL;
}

void container_started(const struct container *container, pid_t pid) {
    struct running *entry = &running[started % RUNNING_MAX];
    *entry = (struct running){.pid = pid};
    memcpy(entry->name, container->name, sizeof entry->name);
}

static struct running *find(pid_t pid) {
    for (size_t i = 0; i < RUNNING_MAX; i++) {
        if (pid > 0 && running[i].pid == pid) {
            return &running[i];
        }
    }
    return NULL;
}

bool container_is(pid_t pid) {
    return find(pid) != NULL;
}

void container_forget(pid_t pid) {
    struct running *entry = find(pid);
    if (entry != NULL) {
        entry->pid = 0;
    }
}

static bool client_ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid;
}

static pid_t first_process(const char *name) {
    char text[160];
    (void)snprintf(text, sizeof text, "docker inspect -f '{{.State.Pid}}' %s 2>/dev/null",
                   name);
    FILE *output = popen(text, "re"); /* NOLINT(cert-env33-c) */
    assert_non_null(output);
    bool answered = fgets(text, sizeof text, output) != NULL;
    return pclose(output) == 0 && answered ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* The client may have been started just now. */
pid_t container_process(pid_t pid) {
    const struct running *entry = find(pid);
    int64_t deadline = testing_deadline();
    pid_t process = 0;
    while (!client_ended(pid) && (process = first_process(entry->name)) == 0) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("container %s does not start", entry->name);
        }
        testing_pause();
    }
    return process;
}

static void docker(const char *command, const char *name) {
    const char *const argv[] = {"/bin/sh", "-c", command, name, NULL};
    int status = 0;
    assert_true(process_wait(
        process_start(&(struct process_options){.argv = argv, .log = "/dev/null"}),
        &status));
}

static void pause_or_resume(struct running *entry, bool paused) {
    if (entry->paused != paused) {
        docker(paused ? "docker pause \"$0\"" : "docker unpause \"$0\"", entry->name);
        entry->paused = paused;
    }
}

void container_signal(pid_t pid, int signal_number) {
    char command[64];
    struct running *entry = find(pid);
    if (container_process(pid) == 0) {
        return; /* it has ended */
    }
    if (signal_number == SIGSTOP || signal_number == SIGCONT) {
        pause_or_resume(entry, signal_number == SIGSTOP);
    } else if (signal_number == SIGTERM) {
        /* It takes as long as the program does, and tests look at that time. */
        docker("docker stop -t 60 \"$0\" &", entry->name);
    } else {
        (void)snprintf(command, sizeof command, "docker kill -s %d \"$0\"",
                       signal_number);
        docker(command, entry->name);
    }
}
