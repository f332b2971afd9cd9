/* SPDX-License-Identifier: MIT
 * The bridge as a process of the test. */
#include "bridge.h"
#include "files.h"
#include "process.h"
#include "rabbitmq.h"
#include "redis.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_SHOWN_MAX 8192

struct bridge {
    char dir[FILES_PATH_MAX];
    char log[FILES_PATH_MAX + 16];
    char path[FILES_PATH_MAX + 16];
    char program[FILES_PATH_MAX + 16];
    unsigned port;
    unsigned http_port;
    pid_t pid; /* 0: not running */
    struct bridge *next;
};

static struct bridge *bridges;

/* IDEM_BRIDGE names another. */
static void find_program(struct bridge *bridge) {
    const char *chosen = getenv("IDEM_BRIDGE");
    if (chosen != NULL && chosen[0] != '\0') {
        (void)snprintf(bridge->program, sizeof bridge->program, "%s", chosen);
    } else {
        process_program(bridge->program, sizeof bridge->program, "idem-bridge");
    }
}

static void replace(char **text, const char *what, const char *by) {
    char *replaced = files_replace(*text, what, by);
    free(*text);
    *text = replaced;
}

/* Where nobody wants the web server there is none: its port is everybody's. */
void bridge_configure(struct bridge *bridge, const char *config) {
    char port[16];
    char http_port[16];
    bool silent = strstr(config, "http:") == NULL;
    size_t size = strlen(config) + 64;
    char *text = malloc(size);
    assert_non_null(text);
    (void)snprintf(text, size, "%s%s", config, silent ? "http: {listen: off}\n" : "");
    (void)snprintf(port, sizeof port, "%u", bridge->port);
    (void)snprintf(http_port, sizeof http_port, "%u", bridge->http_port);
    replace(&text, "@PORT@", port);
    replace(&text, "@HTTP@", http_port);
    replace(&text, "@DIR@", bridge->dir);
    files_write(bridge->dir, "idem.yaml", text);
    free(text);
}

unsigned bridge_http_port(const struct bridge *bridge) {
    return bridge->http_port;
}

static struct bridge *create(const char *config, unsigned port) {
    struct bridge *bridge = calloc(1, sizeof *bridge);
    assert_non_null(bridge);
    bridge->next = bridges;
    bridges = bridge;
    bridge->port = port != 0 ? port : rabbitmq_port();
    bridge->http_port = redis_free_port();
    files_make_dir(bridge->dir);
    (void)snprintf(bridge->log, sizeof bridge->log, "%s/log", bridge->dir);
    (void)snprintf(bridge->path, sizeof bridge->path, "%s/idem.yaml", bridge->dir);
    find_program(bridge);
    bridge_configure(bridge, config);
    return bridge;
}

static void launch(struct bridge *bridge, const char *argument) {
    const char *argv[] = {bridge->program, "-c", bridge->path, argument, NULL};
    struct process_options options = {argv, NULL, bridge->log};
    assert_int_equal(bridge->pid, 0);
    bridge->pid = process_start_image("idem-bridge", &options);
}

struct bridge *bridge_start(const char *config, unsigned port) {
    struct bridge *bridge = create(config, port);
    launch(bridge, NULL);
    return bridge;
}

void bridge_restart(struct bridge *bridge) {
    launch(bridge, NULL);
}

long bridge_cpu_ms(struct bridge *bridge) {
    return process_cpu_ms(bridge->pid);
}

void bridge_signal(struct bridge *bridge, int signal_number) {
    assert_int_not_equal(bridge->pid, 0);
    process_signal(bridge->pid, signal_number);
}

static int exit_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int bridge_wait(struct bridge *bridge) {
    int status = 0;
    bool ended = process_wait(bridge->pid, &status);
    bridge->pid = 0;
    if (!ended) {
        fail_msg("the bridge does not end");
    }
    return exit_status(status);
}

bool bridge_ended(struct bridge *bridge, int *status) {
    int waited = 0;
    assert_int_not_equal(bridge->pid, 0);
    if (process_running(bridge->pid, &waited)) {
        return false;
    }
    bridge->pid = 0;
    *status = exit_status(waited);
    return true;
}

void bridge_kill(struct bridge *bridge) {
    bridge_signal(bridge, SIGKILL);
    assert_int_equal(bridge_wait(bridge), 128 + SIGKILL);
}

void bridge_stop(struct bridge *bridge, int status) {
    bridge_signal(bridge, SIGTERM);
    assert_int_equal(bridge_wait(bridge), status);
}

int bridge_run(struct bridge **bridge, const char *config, const char *argument) {
    *bridge = create(config, 0);
    launch(*bridge, argument);
    return bridge_wait(*bridge);
}

struct bridge *bridge_run_expecting(const char *config, const char *argument, int status,
                                    const char *text) {
    struct bridge *bridge;
    assert_int_equal(bridge_run(&bridge, config, argument), status);
    if (bridge_logged(bridge, text) == 0) {
        char *log = bridge_log(bridge);
        fail_msg("\"%s\" is not in: %s", text, log);
    }
    return bridge;
}

int bridge_run_again(struct bridge *bridge) {
    pid_t first = bridge->pid;
    bridge->pid = 0;
    launch(bridge, NULL);
    int status = bridge_wait(bridge);
    bridge->pid = first;
    return status;
}

char *bridge_log(struct bridge *bridge) {
    return files_read(bridge->log);
}

unsigned bridge_logged(struct bridge *bridge, const char *text) {
    return process_logged(bridge->log, text);
}

void bridge_await(struct bridge *bridge, const char *text, unsigned count) {
    process_await_logged(bridge->log, text, count);
}

unsigned long bridge_figure(struct bridge *bridge, const char *name) {
    char wanted[64];
    unsigned long sum = 0;
    (void)snprintf(wanted, sizeof wanted, " %s ", name);
    char *log = bridge_log(bridge);
    for (const char *line = strstr(log, "bridge.figures: "); line != NULL;
         line = strstr(line + 1, "bridge.figures: ")) {
        const char *at = strstr(line, wanted);
        assert_non_null(at);
        sum += strtoul(at + strlen(wanted), NULL, 10);
    }
    free(log);
    return sum;
}

void bridge_run_until_through(struct bridge *bridge, struct rabbitmq *client,
                              const char *queue) {
    int64_t deadline = testing_deadline();
    for (;;) {
        rabbitmq_wait_depth(client, queue, 0);
        bridge_stop(bridge, EXIT_SUCCESS);
        assert_true(bridge_logged(bridge, "unexpected ") > 0);
        assert_int_equal(bridge_figure(bridge, "unexpected"), 0);
        if (rabbitmq_depth(client, queue) == 0) {
            return;
        }
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        bridge_restart(bridge);
    }
}

static void show_log(struct bridge *bridge) {
    char *log = bridge_log(bridge);
    size_t length = strlen(log);
    (void)fprintf(stderr, "---- the bridge's log\n%s",
                  length > LOG_SHOWN_MAX ? log + length - LOG_SHOWN_MAX : log);
    free(log);
}

int bridge_tidy(void **state) {
    (void)state;
    while (bridges != NULL) {
        struct bridge *bridge = bridges;
        if (bridge->pid != 0) {
            int status;
            process_signal(bridge->pid, SIGKILL);
            (void)process_wait(bridge->pid, &status);
            if (getenv("IDEM_SHOW_LOG") != NULL) {
                show_log(bridge);
            }
        }
        files_remove_dir(bridge->dir);
        bridges = bridge->next;
        free(bridge);
    }
    return 0;
}
