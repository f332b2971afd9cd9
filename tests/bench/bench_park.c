/* SPDX-License-Identifier: MIT
 * The plugin with Redis beside the bare broker, interleaved in one run.
 *   bench_park proxy PORT MS               passes on to PORT, each byte MS later in either direction
 *   bench_park run BARE PLUGIN MESSAGES ROUNDS */
#include "mqtt_load.h"
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 64
#define SINGLES    500
#define PAUSE_US   2000

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_share(double *values, size_t count, double share) {
    qsort(values, count, sizeof *values, by_size);
    return values[(size_t)((double)(count - 1) * share)];
}

static int run_proxy(unsigned port, int delay_ms) {
    struct proxy *proxy = proxy_start(port);
    proxy_delay(proxy, delay_ms);
    (void)printf("%u\n", proxy_port(proxy));
    (void)fflush(stdout);
    (void)pause();
    return 0;
}

/* Messages a second; 0: it went wrong. */
static double rate(uint16_t port, unsigned messages, uint64_t *next_key) {
    struct load load = {.port = port,
                        .messages = messages,
                        .copies = 1,
                        .in_flight = 1000,
                        .payload = 64,
                        .first = *next_key,
                        .subscribe = true,
                        .deliveries = messages};
    *next_key += messages;
    double seconds = load_run(&load);
    return seconds > 0 ? messages / seconds : 0;
}

static bool singles(uint16_t port, uint64_t *next_key, double *us) {
    struct load load = {.port = port,
                        .messages = SINGLES,
                        .copies = 1,
                        .payload = 64,
                        .first = *next_key};
    *next_key += SINGLES;
    return load_latencies(&load, PAUSE_US, us);
}

static int run(uint16_t bare, uint16_t plugin, unsigned messages, unsigned rounds) {
    static double rates[2][ROUNDS_MAX];
    static double us[2][ROUNDS_MAX * SINGLES];
    double ratios[ROUNDS_MAX];
    uint64_t next_key = (uint64_t)time(NULL) << 20;
    for (unsigned i = 0; i < rounds; i++) {
        rates[0][i] = rate(bare, messages, &next_key);
        rates[1][i] = rate(plugin, messages, &next_key);
        if (rates[0][i] <= 0 || rates[1][i] <= 0 ||
            !singles(bare, &next_key, us[0] + (size_t)i * SINGLES) ||
            !singles(plugin, &next_key, us[1] + (size_t)i * SINGLES)) {
            return 1;
        }
        ratios[i] = rates[1][i] / rates[0][i];
    }
    static const char *const names[] = {"bare broker", "plugin, Redis behind the proxy"};
    (void)printf(
        "| Mosquitto, QoS 1, 64 bytes | messages/s, 1000 in flight | ratio | one at "
        "a time: p50 | p99 |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < 2; i++) {
        double p50 = at_share(us[i], (size_t)rounds * SINGLES, 0.5);
        double p99 = at_share(us[i], (size_t)rounds * SINGLES, 0.99);
        (void)printf("| %-30s | %.1f k | %.2f | %.2f ms | %.2f ms |\n", names[i],
                     at_share(rates[i], rounds, 0.5) / 1e3,
                     i == 0 ? 1.0 : at_share(ratios, rounds, 0.5), p50 / 1e3, p99 / 1e3);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "proxy") == 0) {
        return run_proxy((unsigned)strtoul(argv[2], NULL, 10),
                         (int)strtol(argv[3], NULL, 10));
    }
    if (argc != 6 || strcmp(argv[1], "run") != 0) {
        (void)fprintf(
            stderr,
            "usage: bench_park proxy PORT MS | run BARE PLUGIN MESSAGES ROUNDS\n");
        return 2;
    }
    unsigned rounds = (unsigned)strtoul(argv[5], NULL, 10);
    return run((uint16_t)strtoul(argv[2], NULL, 10), (uint16_t)strtoul(argv[3], NULL, 10),
               (unsigned)strtoul(argv[4], NULL, 10),
               rounds < 1            ? 1
               : rounds > ROUNDS_MAX ? ROUNDS_MAX
                                     : rounds);
}
