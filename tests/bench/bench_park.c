/* SPDX-License-Identifier: MIT
 * The plugin with Redis beside the bare broker, interleaved in one run.
 *   bench_park proxy PORT MS               passes on to PORT, each byte MS later in either direction
 *   bench_park run BARE BARE_PID PLUGIN PLUGIN_PID REDIS_PID MESSAGES ROUNDS */
#include "mqtt_load.h"
#include "proxy.h"
#include "sample.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 64
#define SINGLES    500
#define PAUSE_US   2000
#define FROZEN     500 /* messages of the unrelated client, and of one that waits for Redis */
#define FROZEN_US                                                                        \
    4000 /* between two of them: 2 s of them in all, twice the store's deadline */
#define BROKERS      2
#define ROUND_MOST_S 600 /* then something hangs */

struct broker {
    const char *name;
    uint16_t port;
    pid_t pid;
    double rates[ROUNDS_MAX];
    double cpu_us[ROUNDS_MAX];
    double singles[ROUNDS_MAX * SINGLES];
    double
        others[ROUNDS_MAX * FROZEN]; /* the unrelated client's, while Redis is stopped */
};

static struct broker brokers[BROKERS] = {
    {.name = "bare broker"},
    {.name = "plugin, Redis behind the proxy"},
};
static pid_t redis_pid;
static uint64_t next_key;

static int run_proxy(unsigned port, int delay_ms) {
    struct proxy *proxy = proxy_start(port);
    proxy_delay(proxy, delay_ms);
    (void)printf("%u\n", proxy_port(proxy));
    (void)fflush(stdout);
    (void)pause();
    return 0;
}

static struct load load_of(const struct broker *broker, unsigned messages) {
    struct load load = {.port = broker->port,
                        .messages = messages,
                        .copies = 1,
                        .in_flight = 1000,
                        .payload = 64,
                        .first = next_key,
                        .subscribe = true,
                        .deliveries = messages};
    next_key += messages;
    return load;
}

static bool at_full_speed(struct broker *broker, unsigned round, unsigned messages) {
    struct load load = load_of(broker, messages);
    double before_us = sample_cpu_us(broker->pid);
    double seconds = load_run(&load);
    double after_us = sample_cpu_us(broker->pid);
    broker->rates[round] = messages / seconds;
    broker->cpu_us[round] = (after_us - before_us) / messages;
    return seconds > 0 && before_us >= 0 && after_us >= before_us;
}

static bool one_at_a_time(struct broker *broker, unsigned round) {
    struct load load = load_of(broker, SINGLES);
    return load_latencies(&load, PAUSE_US, broker->singles + (size_t)round * SINGLES);
}

static void *wait_for_redis(void *arg) {
    static double us[FROZEN];
    const struct load *load = arg;
    return load_latencies(load, FROZEN_US, us) ? arg : NULL;
}

/* One client waits for Redis, which is stopped; the other one's topic has no rule. */
static bool beside_a_stopped_redis(struct broker *broker, unsigned round) {
    struct load waiting = load_of(broker, FROZEN);
    struct load other = load_of(broker, FROZEN);
    pthread_t thread;
    void *went_well = NULL;
    other.unrelated = true;
    if (kill(redis_pid, SIGSTOP) != 0 ||
        pthread_create(&thread, NULL, wait_for_redis, &waiting) != 0) {
        return false;
    }
    bool well =
        load_latencies(&other, FROZEN_US, broker->others + (size_t)round * FROZEN);
    well = kill(redis_pid, SIGCONT) == 0 && well;
    return pthread_join(thread, &went_well) == 0 && well && went_well != NULL;
}

static bool settle_down(void) {
    const struct timespec breath = {.tv_sec = 2}; /* the breaker closes again */
    return nanosleep(&breath, NULL) == 0;
}

static bool run_round(unsigned round, unsigned messages) {
    bool well = true;
    for (size_t i = 0; i < BROKERS && well; i++) {
        well = at_full_speed(&brokers[i], round, messages);
    }
    for (size_t i = 0; i < BROKERS && well; i++) {
        well = one_at_a_time(&brokers[i], round);
    }
    for (size_t i = 0; i < BROKERS && well; i++) {
        well = beside_a_stopped_redis(&brokers[i], round);
    }
    return well && settle_down();
}

static void show(struct broker *broker, const double *base, unsigned rounds) {
    double ratios[ROUNDS_MAX];
    size_t singles = (size_t)rounds * SINGLES;
    size_t others = (size_t)rounds * FROZEN;
    for (unsigned i = 0; i < rounds; i++) {
        ratios[i] = broker->rates[i] / base[i];
    }
    double ratio = sample_at(ratios, rounds, 0.5); /* which sorts them */
    (void)printf("| %-30s | %.1f k | %.2f | %.2f - %.2f | %.1f us | %.2f ms | %.2f ms | "
                 "%.2f ms |\n",
                 broker->name, sample_at(broker->rates, rounds, 0.5) / 1e3, ratio,
                 ratios[0], ratios[rounds - 1], sample_at(broker->cpu_us, rounds, 0.5),
                 sample_at(broker->singles, singles, 0.5) / 1e3,
                 sample_at(broker->singles, singles, 0.99) / 1e3,
                 sample_at(broker->others, others, 0.99) / 1e3);
}

static int run(unsigned messages, unsigned rounds) {
    double base[ROUNDS_MAX];
    next_key = (uint64_t)time(NULL) << 20;
    for (unsigned round = 0; round < rounds; round++) {
        (void)alarm(ROUND_MOST_S);
        if (!run_round(round, messages)) {
            (void)fprintf(stderr, "bench_park: round %u failed\n", round + 1);
            return EXIT_FAILURE;
        }
        (void)fprintf(stderr, "bench: parked, round %u of %u\n", round + 1, rounds);
    }
    memcpy(base, brokers[0].rates, sizeof base);
    (void)printf(
        "| Mosquitto, QoS 1, 64 bytes | messages/s, 1000 in flight | ratio | "
        "spread | broker's processor time a message | one at a time: p50 | p99 | "
        "an unrelated client while Redis is stopped: p99 |\n"
        "|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < BROKERS; i++) {
        show(&brokers[i], base, rounds);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "proxy") == 0) {
        return run_proxy((unsigned)strtoul(argv[2], NULL, 10),
                         (int)strtol(argv[3], NULL, 10));
    }
    if (argc != 9 || strcmp(argv[1], "run") != 0) {
        (void)fprintf(stderr,
                      "usage: bench_park proxy PORT MS | run BARE BARE_PID PLUGIN "
                      "PLUGIN_PID REDIS_PID MESSAGES ROUNDS\n");
        return 2;
    }
    for (size_t i = 0; i < BROKERS; i++) {
        brokers[i].port = (uint16_t)strtoul(argv[2 + 2 * i], NULL, 10);
        brokers[i].pid = (pid_t)strtol(argv[3 + 2 * i], NULL, 10);
    }
    redis_pid = (pid_t)strtol(argv[6], NULL, 10);
    unsigned long rounds = strtoul(argv[8], NULL, 10);
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    return run((unsigned)strtoul(argv[7], NULL, 10), (unsigned)rounds);
}
