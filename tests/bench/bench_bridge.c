/* SPDX-License-Identifier: MIT
 * The bridge beside RabbitMQ's own Shovel, queue to queue: bench_bridge RABBITMQ BRIDGE REDIS DIR [MESSAGES
 * [ROUNDS]]. RABBITMQ is the directory of a tests/rabbitmq.sh with rabbitmq_shovel, BRIDGE the program, REDIS
 * a socket, DIR is for stores. In turns within one run. For throughput every queue is full before its
 * contender starts, and the time is that between a tenth and all of the messages at the other end; for
 * latency 1000 messages a second go through a contender that is idle otherwise. A contender that makes no
 * headway for 20 seconds ends the run, and what is known about it is printed. */
#include "amqp_load.h"
#include "sample.h"

#include <idem/clock.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 99
#define LOOK_NS    10000000
#define STALL_NS   (INT64_C(20) * 1000000000)
#define END_NS     (INT64_C(30) * 1000000000)
#define PER_SECOND 1000
#define PACED      3000 /* messages of a round */

enum contender { BARE, SHOVEL, NATURAL, EMBEDDED, REDIS, CONTENDER_COUNT };
static const char *const names[CONTENDER_COUNT] = {
    [BARE] = "no bridge: published and consumed",
    [SHOVEL] = "Shovel, on-confirm",
    [NATURAL] = "bridge, rule natural",
    [EMBEDDED] = "bridge, embedded store",
    [REDIS] = "bridge, Redis",
};

enum queue_type { CLASSIC, QUORUM, TYPE_COUNT };
static const char *const types[TYPE_COUNT] = {[CLASSIC] = "classic", [QUORUM] = "quorum"};

/* Of one contender, by round. */
struct figures {
    double rates[ROUNDS_MAX];     /* messages a second */
    double cpu_us[ROUNDS_MAX];    /* of the bridge, for each */
    double pauses_ms[ROUNDS_MAX]; /* the longest time without any arriving */
};

static struct figures figures[TYPE_COUNT][CONTENDER_COUNT];
static double latencies_us[CONTENDER_COUNT][ROUNDS_MAX * PACED];
static const char *rabbitmq;
static const char *program;
static const char *redis;
static const char *dir; /* the caller's, who removes it */
static unsigned port;
static unsigned messages = 30000;

static bool control(const char *arguments) {
    char command[2048];
    (void)snprintf(command, sizeof command,
                   "exec timeout 60 tests/rabbitmq.sh ctl '%s' -q %s >&2", rabbitmq,
                   arguments);
    return system(command) == 0;
}

static void start_shovel(void) {
    char arguments[1024];
    (void)snprintf(arguments, sizeof arguments,
                   "set_parameter shovel bench '{"
                   "\"src-protocol\": \"amqp091\", \"dest-protocol\": \"amqp091\", "
                   "\"src-uri\": \"amqp://127.0.0.1:%u\", \"src-queue\": \"in\", "
                   "\"dest-uri\": \"amqp://127.0.0.1:%u\", \"dest-queue\": \"out\", "
                   "\"ack-mode\": \"on-confirm\", \"src-prefetch-count\": 1000}'",
                   port, port);
    if (!control(arguments)) {
        amqp_load_give_up("the shovel cannot be declared");
    }
}

static void configure(enum contender contender, const char *path) {
    static unsigned stores;
    char store[512];
    if (contender == REDIS) {
        (void)snprintf(store, sizeof store, "unix://%s", redis);
    } else {
        (void)snprintf(store, sizeof store, "embedded://%s/store%u", dir, stores++);
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        amqp_load_give_up(path);
    }
    (void)fprintf(
        file,
        "instance: bench\nstore: {url: '%s', deadline: 1s}\nbridge:\n"
        "  source: {url: 'amqp://127.0.0.1:%u', queue: in, prefetch: 1000}\n"
        "  sink: {url: 'amqp://127.0.0.1:%u', routing_key: out}\n"
        "rules:\n  - {name: bench, match: {queue: in}, %s}\nlog: {level: warning}\n",
        store, port, port,
        contender == NATURAL ? "strategy: natural"
                             : "key: property:idempotency-key, scope: global");
    if (fclose(file) != 0) {
        amqp_load_give_up(path);
    }
}

static pid_t start_bridge(enum contender contender) {
    char path[1024];
    char log[1024];
    (void)snprintf(path, sizeof path, "%s/bridge.yaml", dir);
    configure(contender, path);
    pid_t pid = fork();
    if (pid == 0) {
        (void)snprintf(log, sizeof log, "%s/bridge.log", dir);
        if (freopen(log, "w", stderr) == NULL) {
            _exit(126);
        }
        (void)execl(program, "idem-bridge", "-c", path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* 0: no process of ours. */
static pid_t start(enum contender contender) {
    if (contender == SHOVEL) {
        start_shovel();
    }
    return contender > SHOVEL ? start_bridge(contender) : 0;
}

_Noreturn static void give_up_with_log(const char *what) {
    char command[1100];
    (void)snprintf(command, sizeof command, "exec tail -n 40 '%s/bridge.log' >&2", dir);
    (void)!system(command);
    amqp_load_give_up(what);
}

static void end_bridge(pid_t pid) {
    const struct timespec look = {0, LOOK_NS};
    int64_t limit_ns = idem_clock_monotonic_ns() + END_NS;
    int status = 0;
    pid_t ended = kill(pid, SIGTERM) == 0 ? 0 : -1;
    while (ended == 0 && idem_clock_monotonic_ns() < limit_ns) {
        (void)nanosleep(&look, NULL);
        ended = waitpid(pid, &status, WNOHANG);
    }
    if (ended == 0) {
        (void)kill(pid, SIGKILL);
        give_up_with_log("the bridge does not end");
    }
    if (ended != pid || status != 0) {
        give_up_with_log("the bridge failed");
    }
}

static void end(enum contender contender, pid_t pid) {
    if (pid > 0) {
        end_bridge(pid);
    } else if (contender == SHOVEL && !control("clear_parameter shovel bench")) {
        amqp_load_give_up("the shovel cannot be cleared");
    }
}

/* Who waits for whom: queues and connections (blocked, flow) as the broker sees them, and what the threads
 * of the bridge are in. */
_Noreturn static void stalled(enum contender contender, pid_t pid, unsigned there) {
    char command[256];
    (void)fprintf(stderr, "bench_bridge: %s: nothing arrives any more after %u of %u\n",
                  names[contender], there, messages);
    (void)control("list_queues name messages_ready messages_unacknowledged consumers");
    (void)control("list_connections name state send_pend");
    (void)control("list_channels name prefetch_count messages_unconfirmed "
                  "messages_unacknowledged");
    (void)snprintf(command, sizeof command,
                   "cd /proc/%d/task && grep -H . */comm */wchan */syscall >&2",
                   (int)pid);
    if (pid > 0 && (system(command) != 0 || kill(pid, SIGKILL) != 0)) {
        (void)fprintf(stderr, "bench_bridge: the bridge has ended\n");
    }
    give_up_with_log("stalled");
}

static double measure(enum contender contender, pid_t pid, double *pause_ms) {
    const struct timespec look = {0, LOOK_NS};
    int64_t start_ns = 0;
    int64_t now_ns = idem_clock_monotonic_ns();
    int64_t moved_ns = now_ns;
    unsigned first = 0;
    unsigned there = 0;
    *pause_ms = 0;
    while (there < messages) {
        (void)nanosleep(&look, NULL);
        unsigned before = there;
        there = amqp_load_depth("out");
        now_ns = idem_clock_monotonic_ns();
        double still_ms = (double)(now_ns - moved_ns) / 1e6;
        if (there == before && now_ns - moved_ns > STALL_NS) {
            stalled(contender, pid, there);
        }
        moved_ns = there != before ? now_ns : moved_ns;
        if (start_ns != 0 && still_ms > *pause_ms) {
            *pause_ms = still_ms;
        }
        if (start_ns == 0 && there >= messages / 10) {
            first = there;
            start_ns = now_ns;
        }
    }
    return (double)(messages - first) * 1e9 / (double)(now_ns - start_ns);
}

static void run(enum queue_type type, enum contender contender, size_t round) {
    struct figures *of = &figures[type][contender];
    amqp_load_renew("in", types[type]);
    amqp_load_renew("out", types[type]);
    amqp_load_fill("in", messages);
    pid_t pid = start(contender);
    of->rates[round] = measure(contender, pid, &of->pauses_ms[round]);
    double cpu_us = pid > 0 ? sample_cpu_us(pid) : 0;
    of->cpu_us[round] = cpu_us / messages;
    end(contender, pid);
    (void)fprintf(stderr, "bench: round %zu, %s, %s: %.0f/s\n", round + 1, types[type],
                  names[contender], of->rates[round]);
}

static void run_paced(enum contender contender, size_t round) {
    amqp_load_renew("in", types[CLASSIC]);
    amqp_load_renew("out", types[CLASSIC]);
    pid_t pid = start(contender);
    amqp_load_latencies(contender == BARE ? "out" : "in", "out", PER_SECOND, PACED,
                        latencies_us[contender] + round * PACED);
    end(contender, pid);
}

static void show_ratio(const struct figures *of, const struct figures *to,
                       size_t rounds) {
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        ratios[i] = of->rates[i] / to->rates[i];
    }
    double middle = sample_at(ratios, rounds, 0.5); /* which sorts them */
    (void)printf(" %.2f | %.2f - %.2f |", middle, ratios[0], ratios[rounds - 1]);
}

static void show_throughput(enum queue_type type, size_t rounds) {
    (void)printf(
        "\n| %s queues, %u messages of %d bytes | messages/s | of Shovel | "
        "spread | of natural | spread | processor time a message | longest pause "
        "|\n|---|---|---|---|---|---|---|---|\n",
        types[type], messages, AMQP_LOAD_BODY);
    for (enum contender a = SHOVEL; a < CONTENDER_COUNT; a++) {
        const struct figures *of = &figures[type][a];
        struct figures sorted = *of;
        (void)printf("| %-24s | %.0f |", names[a], sample_at(sorted.rates, rounds, 0.5));
        show_ratio(of, &figures[type][SHOVEL], rounds);
        show_ratio(of, &figures[type][NATURAL], rounds);
        if (a == SHOVEL) {
            (void)printf(" - |");
        } else {
            (void)printf(" %.1f us |", sample_at(sorted.cpu_us, rounds, 0.5));
        }
        (void)printf(" %.0f ms |\n", sample_at(sorted.pauses_ms, rounds, 1));
    }
}

static void show_latency(size_t rounds) {
    double bare[2] = {0, 0};
    (void)printf(
        "\n| classic queues, %d messages a second | p50 | added | p99 | added |\n"
        "|---|---|---|---|---|\n",
        PER_SECOND);
    for (enum contender a = BARE; a < CONTENDER_COUNT; a++) {
        double p50 = sample_at(latencies_us[a], rounds * PACED, 0.5) / 1e3;
        double p99 = sample_at(latencies_us[a], rounds * PACED, 0.99) / 1e3;
        if (a == BARE) {
            bare[0] = p50;
            bare[1] = p99;
        }
        (void)printf("| %s | %.1f ms | %.1f ms | %.1f ms | %.1f ms |\n", names[a], p50,
                     p50 - bare[0], p99, p99 - bare[1]);
    }
}

static void read_port(void) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/port", rabbitmq);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%u", &port) != 1) {
        amqp_load_give_up("RABBITMQ has no port: is it running?");
    }
    (void)fclose(file);
}

static void run_round(size_t round) {
    for (enum queue_type type = CLASSIC; type < TYPE_COUNT; type++) {
        for (enum contender a = SHOVEL; a < CONTENDER_COUNT; a++) {
            run(type, a, round);
        }
    }
    for (enum contender a = BARE; a < CONTENDER_COUNT; a++) {
        run_paced(a, round);
    }
}

int main(int argc, char **argv) {
    if (argc < 5) {
        amqp_load_give_up(
            "usage: bench_bridge RABBITMQ BRIDGE REDIS DIR [MESSAGES [ROUNDS]]");
    }
    rabbitmq = argv[1];
    program = argv[2];
    redis = argv[3];
    dir = argv[4];
    messages = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : messages;
    size_t rounds = argc > 6 ? strtoul(argv[6], NULL, 10) : 5;
    if (messages < 1000 || rounds == 0 || rounds > ROUNDS_MAX) {
        amqp_load_give_up("no figures can be had");
    }
    read_port();
    amqp_load_open(port);
    for (size_t round = 0; round < rounds; round++) {
        run_round(round);
    }
    (void)printf("RabbitMQ, queue to queue, %zu rounds\n", rounds);
    for (enum queue_type type = CLASSIC; type < TYPE_COUNT; type++) {
        show_throughput(type, rounds);
    }
    show_latency(rounds);
    amqp_load_close();
    return EXIT_SUCCESS;
}
