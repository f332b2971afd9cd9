/* SPDX-License-Identifier: MIT
 * Mosquitto with the plugin beside the bare broker, interleaved in one run, as ratios. */
#include "mqtt_load.h"
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS_MAX 64

struct shape {
    const char *name;
    bool with_plugin;
    unsigned copies;
    bool subscribe;
    unsigned in_flight;
    unsigned share; /* of the messages of a round, in per cent: slow shapes send fewer */
};

/* Each row is compared with the bare broker's row of the same in_flight and subscribe. */
static const struct shape shapes[] = {
    {"bare broker", false, 1, true, 1000, 100},
    {"plugin, all keys new", true, 1, true, 1000, 100},
    {"plugin, 50 % duplicates", true, 2, true, 1000, 100},
    {"bare broker, no subscriber", false, 1, false, 1000, 100},
    {"plugin, all keys new, no subscriber", true, 1, false, 1000, 100},
    {"bare broker, one at a time", false, 1, true, 1, 10},
    {"plugin, all keys new, one at a time", true, 1, true, 1, 10},
};
#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])

struct broker {
    uint16_t port;
    pid_t pid;
};

/* What a shape came to in one round. */
struct result {
    double rate;   /* messages a second */
    double cpu_us; /* of the broker's process a message, the store's writer with it */
};

static size_t base_of(size_t shape) {
    while (shapes[shape].with_plugin) {
        shape--;
    }
    return shape;
}

static bool run_shape(const struct shape *shape, const struct broker *broker,
                      unsigned messages, uint64_t *next_key, struct result *result) {
    unsigned count = messages * shape->share / 100;
    struct load load = {
        .port = broker->port,
        .messages = count,
        .copies = shape->copies,
        .in_flight = shape->in_flight,
        .payload = 64,
        .first = *next_key,
        .subscribe = shape->subscribe,
        .deliveries = count / shape->copies,
    };
    *next_key += count;
    double before_us = sample_cpu_us(broker->pid);
    double seconds = load_run(&load);
    double after_us = sample_cpu_us(broker->pid);
    result->rate = count / seconds;
    result->cpu_us = (after_us - before_us) / count;
    return seconds > 0 && before_us >= 0 && after_us >= before_us;
}

static void print_row(size_t shape, struct result results[][ROUNDS_MAX],
                      unsigned rounds) {
    double rates[ROUNDS_MAX];
    double costs[ROUNDS_MAX];
    double ratios[ROUNDS_MAX];
    size_t base = base_of(shape);
    for (unsigned i = 0; i < rounds; i++) {
        rates[i] = results[shape][i].rate;
        costs[i] = results[shape][i].cpu_us;
        ratios[i] = rates[i] / results[base][i].rate;
    }
    double ratio = sample_at(ratios, rounds, 0.5);
    (void)printf("| %-36s | %8.1f k | %5.2f | %5.2f - %.2f | %6.1f |\n",
                 shapes[shape].name, sample_at(rates, rounds, 0.5) / 1000, ratio,
                 ratios[0], ratios[rounds - 1], sample_at(costs, rounds, 0.5));
}

static struct broker broker_of(char **argv) {
    return (struct broker){.port = (uint16_t)strtoul(argv[0], NULL, 10),
                           .pid = (pid_t)strtol(argv[1], NULL, 10)};
}

int main(int argc, char **argv) {
    static struct result results[SHAPE_COUNT][ROUNDS_MAX];
    if (argc != 7) {
        (void)fprintf(stderr, "usage: bench_mqtt BARE_PORT BARE_PID PLUGIN_PORT "
                              "PLUGIN_PID MESSAGES ROUNDS\n");
        return 2;
    }
    const struct broker brokers[] = {broker_of(argv + 1), broker_of(argv + 3)};
    unsigned messages = (unsigned)strtoul(argv[5], NULL, 10);
    unsigned rounds = (unsigned)strtoul(argv[6], NULL, 10);
    uint64_t next_key = (uint64_t)time(NULL) << 20;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t shape = 0; shape < SHAPE_COUNT; shape++) {
            if (!run_shape(&shapes[shape], &brokers[shapes[shape].with_plugin], messages,
                           &next_key, &results[shape][round])) {
                return 1;
            }
        }
        (void)fprintf(stderr, "bench: round %u of %u\n", round + 1, rounds);
    }
    (void)printf("| %-36s | messages/s | ratio | spread      | cpu us |\n",
                 "Mosquitto, QoS 1, 64 bytes");
    (void)printf("|---|---|---|---|---|\n");
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++) {
        print_row(shape, results, rounds);
    }
    return 0;
}
