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

static size_t base_of(size_t shape) {
    while (shapes[shape].with_plugin) {
        shape--;
    }
    return shape;
}

static double run_shape(const struct shape *shape, uint16_t bare, uint16_t plugin,
                        unsigned messages, uint64_t *next_key) {
    unsigned count = messages * shape->share / 100;
    struct load load = {
        .port = shape->with_plugin ? plugin : bare,
        .messages = count,
        .copies = shape->copies,
        .in_flight = shape->in_flight,
        .payload = 64,
        .first = *next_key,
        .subscribe = shape->subscribe,
        .deliveries = count / shape->copies,
    };
    *next_key += count;
    double seconds = load_run(&load);
    return seconds > 0 ? count / seconds : -1;
}

static void print_row(size_t shape, double rates[][ROUNDS_MAX], unsigned rounds) {
    double ratios[ROUNDS_MAX];
    double sorted[ROUNDS_MAX];
    size_t base = base_of(shape);
    for (unsigned i = 0; i < rounds; i++) {
        ratios[i] = rates[shape][i] / rates[base][i];
        sorted[i] = rates[shape][i];
    }
    double rate = sample_at(sorted, rounds, 0.5);
    double ratio = sample_at(ratios, rounds, 0.5);
    (void)printf("| %-36s | %8.1f k | %5.2f | %5.2f - %.2f |\n", shapes[shape].name,
                 rate / 1000, ratio, ratios[0], ratios[rounds - 1]);
}

int main(int argc, char **argv) {
    static double rates[SHAPE_COUNT][ROUNDS_MAX];
    if (argc != 5) {
        (void)fprintf(stderr,
                      "usage: bench_mqtt BARE_PORT PLUGIN_PORT MESSAGES ROUNDS\n");
        return 2;
    }
    uint16_t bare = (uint16_t)strtoul(argv[1], NULL, 10);
    uint16_t plugin = (uint16_t)strtoul(argv[2], NULL, 10);
    unsigned messages = (unsigned)strtoul(argv[3], NULL, 10);
    unsigned rounds = (unsigned)strtoul(argv[4], NULL, 10);
    uint64_t next_key = (uint64_t)time(NULL) << 20;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t shape = 0; shape < SHAPE_COUNT; shape++) {
            rates[shape][round] =
                run_shape(&shapes[shape], bare, plugin, messages, &next_key);
            if (rates[shape][round] <= 0) {
                (void)fprintf(stderr, "bench: failed: %s\n", shapes[shape].name);
                return 1;
            }
        }
        (void)fprintf(stderr, "bench: round %u of %u\n", round + 1, rounds);
    }
    (void)printf("| %-36s | messages/s | ratio | spread      |\n",
                 "Mosquitto, QoS 1, 64 bytes");
    (void)printf("|---|---|---|---|\n");
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++) {
        print_row(shape, rates, rounds);
    }
    return 0;
}
