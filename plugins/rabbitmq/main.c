/* SPDX-License-Identifier: MIT
 * idem-bridge -c PATH [--check]: the program around the workers, and what signals mean to it. */
#include "http/server.h"
#include "service.h"
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

#define EXIT_REFUSED     2    /* usage, or the configuration */
#define GRACE_MS         3000 /* after the deadline: for closing connections and the store */
#define WORKER_ENDED     SIGUSR2 /* our own: from another it means nothing */
#define TICK_MS          5000    /* a look at the log's repeats, and at the workers */
#define FEEDS_A_WATCHDOG 3 /* how often the manager is told in the time that it allows */

/* Each of their lines tells of something else: none is a repeat. */
static const char *const each_counts[] = {"copy.in_doubt", "config.warning",
                                          "bridge.figures", "bridge.standing", NULL};

struct bridge {
    const char *path;
    bool check;
    struct idem_config config;
    struct idem_bridge_options options;
    struct idem_log log;
    struct idem_log_limit *limit;
    struct idem_service service;
    struct idem_worker **workers;
    pthread_t *threads;
    unsigned started;
    _Atomic unsigned running;
    pthread_t main_thread;
    struct idem_http *http; /* NULL: none */
    int64_t started_ms;
    _Atomic unsigned open_workers; /* that may be observed */
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

/* One incarnation for all: a claim of another worker is then one of our own that is alive. In mode rpc it is
 * also the one of the time before a restart: see rpc.h. */
static uint64_t new_incarnation(void) {
    return (uint64_t)idem_clock_wall_ms() << 20 | (randombytes_random() & 0xFFFFF);
}

static int64_t tick_ms(const struct bridge *bridge) {
    int64_t feed_ms = bridge->service.watchdog_ms / FEEDS_A_WATCHDOG;
    return bridge->service.watchdog_ms > 0 && feed_ms < TICK_MS ? feed_ms : TICK_MS;
}

/* A worker that is well turns between any two looks at it. */
static int64_t pulse_ms(const struct bridge *bridge) {
    int64_t every_ms = tick_ms(bridge) / 2;
    return every_ms > 0 ? every_ms : 1;
}

/* On the web server's thread. */
static void observe(void *arg, struct idem_observation *observation) {
    struct bridge *bridge = arg;
    unsigned count = atomic_load(&bridge->open_workers);
    observation->instance = bridge->config.instance;
    observation->queue = bridge->config.bridge.source.queue;
    observation->started_ms = bridge->started_ms;
    observation->starting = count < bridge->config.bridge.workers;
    for (unsigned i = 0; i < count; i++) {
        idem_worker_observe(bridge->workers[i], observation);
    }
}

/* Where the file does not ask for it, a port that is taken must not keep messages from being delivered:
 * mostly another bridge has it. */
static enum idem_code open_http(struct bridge *bridge, struct idem_error *error) {
    const struct idem_config *config = &bridge->config;
    struct idem_error cause = IDEM_ERROR_INIT;
    const struct idem_http_options options = {
        .listen = config->http.listen,
        .token = bridge->options.http_token.password,
        .log = bridge->log,
        .observe = observe,
        .arg = bridge,
    };
    if (config->http.listen == NULL) {
        return IDEM_OK;
    }
    if (idem_http_open(&bridge->http, &options, &cause) == IDEM_OK) {
        return idem_http_start(bridge->http, error);
    }
    if (config->http.listen_given) {
        return idem_error_set(error, cause.code, cause.sys_errno,
                              "http.listen: %s; choose another port, or off", cause.text);
    }
    idem_log_write(&bridge->log, IDEM_LOG_WARNING, "http.none",
                   "no page and no metrics: %s; give each bridge an http.listen of its "
                   "own, or off",
                   cause.text);
    return IDEM_OK;
}

static enum idem_code open_workers(struct bridge *bridge, struct idem_error *error) {
    unsigned count = bridge->config.bridge.workers;
    uint64_t incarnation = bridge->options.rpc ? IDEM_RPC_INCARNATION : new_incarnation();
    for (unsigned i = 0; i < count; i++) {
        enum idem_code code = idem_worker_open(&bridge->workers[i], &bridge->options,
                                               &bridge->log, incarnation, error);
        if (code == IDEM_OK && bridge->service.watchdog_ms > 0) {
            code = idem_worker_pulse(bridge->workers[i], pulse_ms(bridge));
        }
        if (code != IDEM_OK) {
            return code;
        }
        atomic_store(&bridge->open_workers, i + 1);
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

static void reload_and_tell(struct bridge *bridge) {
    idem_service_tell(&bridge->service, "RELOADING=1\nMONOTONIC_USEC=%lld",
                      (long long)idem_clock_monotonic_ns() / 1000);
    reload(bridge);
    idem_service_tell(&bridge->service, "READY=1");
}

static int64_t drain_limit_ms(const struct bridge *bridge) {
    return bridge->config.bridge.drain_ms + GRACE_MS;
}

static void stop_and_tell(struct bridge *bridge) {
    idem_service_tell(&bridge->service,
                      "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%lld",
                      (long long)drain_limit_ms(bridge) * 1000);
    stop(bridge);
}

/* The manager is told that all is well when every worker's loop has turned since the last time, and not by a
 * timer that would go on while a worker hangs. */
static void feed_watchdog(struct bridge *bridge) {
    bool all = true;
    for (unsigned i = 0; i < bridge->started; i++) {
        all = idem_worker_turned(bridge->workers[i]) && all;
    }
    if (all && bridge->service.watchdog_ms > 0) {
        idem_service_tell(&bridge->service, "WATCHDOG=1");
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

/* What is to be done every tick_ms. */
static void tick(struct bridge *bridge) {
    idem_log_limit_flush(bridge->limit);
    feed_watchdog(bridge);
}

static int wait_for_signal(const sigset_t *set, int64_t until_ns) {
    int64_t left_ns = until_ns - idem_clock_monotonic_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    const struct timespec left = {left_ns / 1000000000, left_ns % 1000000000};
    return sigtimedwait(set, NULL, &left);
}

static void leave_stuck(const struct bridge *bridge) {
    idem_log_write(&bridge->log, IDEM_LOG_ERROR, "bridge.stuck",
                   "a worker does not end; leaving without it");
    _exit(EXIT_FAILURE);
}

/* Until every worker has ended. A worker that hangs in a broker that takes nothing is left behind: what it
 * holds is not acknowledged, so it is not lost. */
static int serve(struct bridge *bridge, const sigset_t *set) {
    int64_t stop_by_ns = INT64_MAX; /* INT64_MAX: not stopping */
    int64_t tick_ns = idem_clock_monotonic_ns();
    while (atomic_load(&bridge->running) > 0) {
        int signal_number =
            wait_for_signal(set, tick_ns < stop_by_ns ? tick_ns : stop_by_ns);
        int64_t now_ns = idem_clock_monotonic_ns();
        if (signal_number == SIGHUP) {
            reload_and_tell(bridge);
        } else if (signal_number == SIGUSR1) {
            report(bridge);
        } else if (signal_number == SIGTERM || signal_number == SIGINT) {
            if (stop_by_ns != INT64_MAX) {
                _exit(EXIT_FAILURE);
            }
            stop_by_ns = now_ns + drain_limit_ms(bridge) * 1000000;
            stop_and_tell(bridge);
        } else if (now_ns >= stop_by_ns && atomic_load(&bridge->running) > 0) {
            leave_stuck(bridge);
        }
        if (now_ns >= tick_ns) {
            tick_ns = now_ns + tick_ms(bridge) * 1000000;
            tick(bridge);
        }
    }
    return EXIT_SUCCESS;
}

static void close_all(struct bridge *bridge) {
    idem_http_close(bridge->http); /* it looks at the workers */
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

/* Ready when both brokers have been tried once: one that cannot be reached yet is waited for, and a start that
 * failed for it would only be tried again. Whether all ends are up is for the log, and for /readyz. */
static void say_started(struct bridge *bridge) {
    if (bridge->options.rpc && bridge->config.secret_file == NULL) {
        idem_log_write(&bridge->log, IDEM_LOG_WARNING, "reply.secret",
                       "no secret_file: whoever can publish to the queue of replies can "
                       "answer for the worker");
    }
    idem_log_write(&bridge->log, IDEM_LOG_NOTICE, "bridge.started",
                   "version %s, instance %s, queue %s, %zu rules", IDEM_VERSION,
                   bridge->config.instance, bridge->config.bridge.source.queue,
                   bridge->config.rules.count);
    idem_service_tell(&bridge->service, "READY=1\nSTATUS=%u workers on queue %.100s",
                      bridge->started, bridge->config.bridge.source.queue);
}

static enum idem_code open_all(struct bridge *bridge, struct idem_error *error) {
    unsigned count = bridge->config.bridge.workers;
    bridge->workers = calloc(count, sizeof(*bridge->workers));
    bridge->threads = calloc(count, sizeof(*bridge->threads));
    if (bridge->workers == NULL || bridge->threads == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    enum idem_code code = open_http(bridge, error);
    return code == IDEM_OK ? open_workers(bridge, error) : code;
}

static int run(struct bridge *bridge, const sigset_t *signals, struct idem_error *error) {
    bridge->main_thread = pthread_self();
    idem_service_init(&bridge->service);
    bridge->started_ms = idem_clock_wall_ms();
    if (open_all(bridge, error) != IDEM_OK) {
        stop(bridge);
        close_all(bridge);
        idem_log_write(&bridge->log, IDEM_LOG_ERROR, "bridge.start", "%s", error->text);
        return EXIT_FAILURE;
    }
    say_started(bridge);
    int status = serve(bridge, signals);
    close_all(bridge);
    idem_log_write(&bridge->log, IDEM_LOG_NOTICE, "bridge.stopped", "nothing is lost");
    return status;
}

static enum idem_code open_log(struct bridge *bridge, struct idem_error *error) {
    const struct idem_log plain = {.sink = idem_log_stderr,
                                   .context = &bridge->config.log.format};
    bridge->log.sink = idem_log_limit_sink;
    bridge->log.level = IDEM_LOG_INFO;
    enum idem_code code = idem_log_limit_open(&bridge->limit, &plain, each_counts, error);
    bridge->log.context = bridge->limit;
    return code;
}

static int work(struct bridge *bridge, const sigset_t *signals) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (load(bridge, &error) != IDEM_OK) {
        idem_log_write(&bridge->log, IDEM_LOG_ERROR, "config.refused", "%s", error.text);
        return EXIT_REFUSED;
    }
    if (bridge->check) {
        (void)printf("%s: ok\n", bridge->path);
        return EXIT_SUCCESS;
    }
    return run(bridge, signals, &error);
}

int main(int argc, char **argv) {
    static struct bridge bridge = {.service.fd = -1};
    struct idem_error error = IDEM_ERROR_INIT;
    int status = EXIT_SUCCESS;
    sigset_t signals;
    block_signals(
        &signals); /* from the first moment on: a stop that comes early is not lost */
    if (!parse_arguments(&bridge, argc, argv, &status)) {
        return status;
    }
    if (open_log(&bridge, &error) != IDEM_OK) {
        (void)fprintf(stderr, "idem-bridge: %s\n", error.text);
        return EXIT_FAILURE;
    }
    status = work(&bridge, &signals);
    idem_log_limit_close(bridge.limit);
    idem_service_fini(&bridge.service);
    idem_bridge_options_fini(&bridge.options);
    idem_config_fini(&bridge.config);
    return status;
}
