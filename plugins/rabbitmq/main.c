/* SPDX-License-Identifier: MIT
 * idem-bridge -c PATH [--check]: the program around the workers, and what signals mean to it. */
#include "worker.h"

#include <idem/clock.h>
#include <idem/version.h>

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_REFUSED 2    /* usage, or the configuration */
#define GRACE_MS     3000 /* after the deadline: for closing connections and the store */
#define WORKER_ENDED SIGUSR2 /* our own: from another it means nothing */

struct bridge {
    const char *path;
    bool check;
    struct idem_config config;
    struct idem_bridge_options options;
    struct idem_log log;
    struct idem_worker **workers;
    pthread_t *threads;
    unsigned started;
    _Atomic unsigned running;
    pthread_t main_thread;
};

struct thread_start {
    struct bridge *bridge;
    struct idem_worker *worker;
};

static void warn(void *arg, const char *text) {
    idem_log_write(arg, IDEM_LOG_WARNING, "config.warning", "%s", text);
}

static int usage(void) {
    (void)fputs(
        "usage: idem-bridge -c PATH [--check]\n"
        "  -c PATH    the configuration\n"
        "  --check    check it, and do nothing else\n"
        "  --version  say which version this is\n"
        "SIGTERM: drain and leave; again: leave at once. SIGHUP: reload the rules.\n"
        "SIGUSR1: log what is under way, and what it waits for.\n",
        stderr);
    return EXIT_REFUSED;
}

/* Returns false where the program is done; *status is its exit status then. */
static bool parse_arguments(struct bridge *bridge, int argc, char **argv, int *status) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c') {
            bridge->path = optarg;
        } else if (option == 'k') {
            bridge->check = true;
        } else if (option == 'v') {
            (void)printf("idem-bridge %s\n", IDEM_VERSION);
            *status = EXIT_SUCCESS;
            return false;
        } else {
            *status = usage();
            return false;
        }
    }
    if (bridge->path == NULL || optind != argc) {
        *status = usage();
        return false;
    }
    return true;
}

static enum idem_code load(struct bridge *bridge, struct idem_error *error) {
    enum idem_code code = idem_digest_init(error);
    if (code == IDEM_OK) {
        code = idem_config_load(&bridge->config, bridge->path, warn, &bridge->log, error);
    }
    if (code == IDEM_OK) {
        bridge->log.level = bridge->config.log.level;
        code = idem_bridge_options_init(&bridge->options, &bridge->config, error);
    }
    if (code == IDEM_OK && !bridge->options.policy.quarantine) {
        idem_log_write(&bridge->log, IDEM_LOG_WARNING, "config.warning",
                       "no bridge.quarantine: what rules reject or set aside is "
                       "rejected at the source queue, which drops it where the queue "
                       "has no dead-letter exchange");
    }
    return code;
}

static void *run_worker(void *arg) {
    struct thread_start start = *(struct thread_start *)arg;
    free(arg);
    idem_worker_run(start.worker);
    (void)atomic_fetch_sub(&start.bridge->running, 1);
    (void)pthread_kill(start.bridge->main_thread, WORKER_ENDED);
    return NULL;
}

static enum idem_code start_thread(struct bridge *bridge, unsigned index) {
    struct thread_start *start = malloc(sizeof *start);
    if (start == NULL) {
        return IDEM_ERR_NOMEM;
    }
    start->bridge = bridge;
    start->worker = bridge->workers[index];
    (void)atomic_fetch_add(&bridge->running, 1);
    if (pthread_create(&bridge->threads[index], NULL, run_worker, start) != 0) {
        (void)atomic_fetch_sub(&bridge->running, 1);
        free(start);
        return IDEM_ERR_NOMEM;
    }
    bridge->started++;
    return IDEM_OK;
}

/* One incarnation for all: a claim of another worker is then one of our own that is alive. */
static uint64_t new_incarnation(void) {
    return (uint64_t)idem_clock_wall_ms() << 20 | (randombytes_random() & 0xFFFFF);
}

static enum idem_code open_workers(struct bridge *bridge, struct idem_error *error) {
    unsigned count = bridge->config.bridge.workers;
    uint64_t incarnation = new_incarnation();
    bridge->workers = calloc(count, sizeof(*bridge->workers));
    bridge->threads = calloc(count, sizeof(*bridge->threads));
    if (bridge->workers == NULL || bridge->threads == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    for (unsigned i = 0; i < count; i++) {
        enum idem_code code = idem_worker_open(&bridge->workers[i], &bridge->options,
                                               &bridge->log, incarnation, error);
        if (code != IDEM_OK) {
            return code;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (start_thread(bridge, i) != IDEM_OK) {
            return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no thread could be started");
        }
    }
    return IDEM_OK;
}

static enum idem_code load_rules(struct bridge *bridge, struct idem_config *config,
                                 struct idem_error *error) {
    enum idem_code code =
        idem_config_load(config, bridge->path, warn, &bridge->log, error);
    return code == IDEM_OK ? idem_bridge_check_rules(config, error) : code;
}

/* Each worker gets rules of its own: nothing is shared, nothing has to be counted. */
static void reload(struct bridge *bridge) {
    for (unsigned i = 0; i < bridge->started; i++) {
        struct idem_error error = IDEM_ERROR_INIT;
        struct idem_config *config = calloc(1, sizeof *config);
        if (config == NULL || load_rules(bridge, config, &error) != IDEM_OK) {
            idem_log_write(&bridge->log, IDEM_LOG_ERROR, "config.kept",
                           "the old rules stay: %s",
                           config == NULL ? "out of memory" : error.text);
            if (config != NULL) {
                idem_config_fini(config);
            }
            free(config);
            return;
        }
        idem_worker_reload(bridge->workers[i], config);
    }
}

static void stop(struct bridge *bridge) {
    for (unsigned i = 0; i < bridge->started; i++) {
        idem_worker_stop(bridge->workers[i]);
    }
}

static void report(struct bridge *bridge) {
    for (unsigned i = 0; i < bridge->started; i++) {
        idem_worker_report(bridge->workers[i]);
    }
}

static void block_signals(sigset_t *set) {
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGUSR1);
    (void)sigaddset(set, WORKER_ENDED);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Until every worker has ended. A worker that hangs in a broker that takes nothing is left behind: what it
 * holds is not acknowledged, so it is not lost. */
static int serve(struct bridge *bridge, const sigset_t *set) {
    bool stopping = false;
    int64_t limit_ms = bridge->config.bridge.drain_ms + GRACE_MS;
    const struct timespec limit = {limit_ms / 1000, (limit_ms % 1000) * 1000000};
    while (atomic_load(&bridge->running) > 0) {
        int signal_number =
            stopping ? sigtimedwait(set, NULL, &limit) : sigwaitinfo(set, NULL);
        if (signal_number == SIGHUP) {
            reload(bridge);
        } else if (signal_number == SIGUSR1) {
            report(bridge);
        } else if (signal_number == SIGTERM || signal_number == SIGINT) {
            if (stopping) {
                _exit(EXIT_FAILURE);
            }
            stopping = true;
            stop(bridge);
        } else if (signal_number < 0 && errno == EAGAIN) {
            idem_log_write(&bridge->log, IDEM_LOG_ERROR, "bridge.stuck",
                           "a worker does not end; leaving without it");
            _exit(EXIT_FAILURE);
        }
    }
    return EXIT_SUCCESS;
}

static void close_all(struct bridge *bridge) {
    for (unsigned i = 0; i < bridge->started; i++) {
        (void)pthread_join(bridge->threads[i], NULL);
    }
    for (unsigned i = 0; bridge->workers != NULL && i < bridge->config.bridge.workers;
         i++) {
        idem_worker_close(bridge->workers[i]);
    }
    free(bridge->workers);
    free(bridge->threads);
}

static int run(struct bridge *bridge, const sigset_t *signals, struct idem_error *error) {
    bridge->main_thread = pthread_self();
    if (open_workers(bridge, error) != IDEM_OK) {
        stop(bridge);
        close_all(bridge);
        idem_log_write(&bridge->log, IDEM_LOG_ERROR, "bridge.start", "%s", error->text);
        return EXIT_FAILURE;
    }
    idem_log_write(&bridge->log, IDEM_LOG_NOTICE, "bridge.started",
                   "version %s, instance %s, queue %s, %zu rules", IDEM_VERSION,
                   bridge->config.instance, bridge->config.bridge.source.queue,
                   bridge->config.rules.count);
    int status = serve(bridge, signals);
    close_all(bridge);
    idem_log_write(&bridge->log, IDEM_LOG_NOTICE, "bridge.stopped", "nothing is lost");
    return status;
}

int main(int argc, char **argv) {
    static struct bridge bridge;
    struct idem_error error = IDEM_ERROR_INIT;
    int status = EXIT_SUCCESS;
    sigset_t signals;
    block_signals(
        &signals); /* from the first moment on: a stop that comes early is not lost */
    bridge.log.sink = idem_log_stderr;
    bridge.log.context = &bridge.config.log.format;
    bridge.log.level = IDEM_LOG_INFO;
    if (!parse_arguments(&bridge, argc, argv, &status)) {
        return status;
    }
    if (load(&bridge, &error) != IDEM_OK) {
        idem_log_write(&bridge.log, IDEM_LOG_ERROR, "config.refused", "%s", error.text);
        status = EXIT_REFUSED;
    } else if (bridge.check) {
        (void)printf("%s: ok\n", bridge.path);
    } else {
        status = run(&bridge, &signals, &error);
    }
    idem_bridge_options_fini(&bridge.options);
    idem_config_fini(&bridge.config);
    return status;
}
