/* SPDX-License-Identifier: MIT
 * The Redis store beside a bare hiredis loop: bench_redis SOCKET [CLAIMS [ROUNDS]]. One connection each,
 * the same depth of pipeline, in turns within one run. Empties the server's database. */
#include "sample.h"

#include <idem/clock.h>
#include <idem/store.h>

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEPTH      64
#define ROUNDS_MAX 99
#define LEASE_MS   30000
#define PRODUCERS  1000
#define TTL_MS     INT64_C(259200000)

struct figures {
    double rate;   /* operations a second */
    double cpu_us; /* of this process, for each */
};

struct load {
    struct idem_store *store;
    int64_t now_ms;
    uint64_t next;
    uint64_t answered;
    uint64_t wrong;
    bool complete; /* each claim is followed by its completion */
    bool numbered; /* of PRODUCERS that count, instead of keys */
};

static redisContext *bare;

static void give_up(const char *what) {
    (void)fprintf(stderr, "bench_redis: %s\n", what);
    exit(EXIT_FAILURE);
}

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static struct idem_digest digest_of(uint64_t n) {
    struct idem_digest digest;
    uint64_t words[2] = {mix(n + 1), mix(~n)};
    memcpy(digest.bytes, words, sizeof words);
    return digest;
}

static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static struct figures figures_of(uint64_t count, int64_t start_ns, double start_cpu) {
    double seconds = (double)(idem_clock_monotonic_ns() - start_ns) / 1e9;
    return (struct figures){(double)count / seconds,
                            (cpu_seconds() - start_cpu) * 1e6 / (double)count};
}

static void flush_database(void) {
    redisReply *reply = redisCommand(bare, "FLUSHDB");
    if (reply == NULL) {
        give_up(bare->errstr);
    }
    freeReplyObject(reply);
}

static long long info_number(const char *section, const char *field) {
    redisReply *reply = redisCommand(bare, "INFO %s", section);
    const char *at =
        reply != NULL && reply->str != NULL ? strstr(reply->str, field) : NULL;
    long long number = at != NULL ? atoll(at + strlen(field)) : 0;
    freeReplyObject(reply);
    return number;
}

static void append_set(uint64_t n) {
    static const char value[54] = "as many bytes as a pending record with a fingerprint";
    char key[23] = "idem:{";
    struct idem_digest digest = digest_of(n);
    memcpy(key + 6, digest.bytes, sizeof digest.bytes);
    key[22] = '}';
    const char *words[] = {"SET", key, value, "NX", "PX", "30000"};
    const size_t lengths[] = {3, sizeof key, sizeof value, 2, 2, 5};
    if (redisAppendCommandArgv(bare, 6, words, lengths) != REDIS_OK) {
        give_up(bare->errstr);
    }
}

static struct figures run_bare(uint64_t count) {
    int64_t start_ns = idem_clock_monotonic_ns();
    double start_cpu = cpu_seconds();
    for (uint64_t n = 0; n < count;) {
        uint64_t end = n + DEPTH < count ? n + DEPTH : count;
        for (uint64_t i = n; i < end; i++) {
            append_set(i);
        }
        for (; n < end; n++) {
            void *reply = NULL;
            if (redisGetReply(bare, &reply) != REDIS_OK) {
                give_up(bare->errstr);
            }
            freeReplyObject(reply);
        }
    }
    return figures_of(count, start_ns, start_cpu);
}

static struct idem_digest record_of(const struct load *load, uint64_t n) {
    return digest_of(load->numbered ? n % PRODUCERS : n);
}

static struct idem_number number_of(const struct load *load, uint64_t n) {
    return (struct idem_number){.present = load->numbered,
                                .message = digest_of(~n),
                                .value = n / PRODUCERS,
                                .window = 64};
}

static const struct idem_owner owner = {.instance = 0x1234, .incarnation = 1};

static void completed(void *arg, const struct idem_answer *answer) {
    struct load *load = arg;
    load->wrong += answer->code != IDEM_OK;
    load->answered++;
}

/* The claim's callback carries the load only: completions are for digests in the order of the claims, and
 * Redis answers in that order too. */
static void claimed(void *arg, const struct idem_answer *answer) {
    struct load *load = arg;
    load->wrong += answer->code != IDEM_OK || answer->outcome != IDEM_CLAIM_NEW;
    if (!load->complete) {
        load->answered++;
        return;
    }
    uint64_t n = load->next++;
    struct idem_completion completion = {.digest = record_of(load, n),
                                         .number = number_of(load, n),
                                         .owner = owner,
                                         .now_ms = load->now_ms,
                                         .ttl_ms = TTL_MS};
    idem_store_complete(load->store, &completion, completed, load);
}

static void claim(struct load *load, uint64_t n) {
    struct idem_claim claim = {.digest = record_of(load, n),
                               .number = number_of(load, n),
                               .terms = {.ttl_ms = TTL_MS},
                               .fingerprint = digest_of(~n),
                               .has_fingerprint = true,
                               .owner = owner,
                               .now_ms = load->now_ms,
                               .lease_ms = LEASE_MS};
    idem_store_claim(load->store, &claim, claimed, load);
}

static struct figures run_store(struct idem_store *store, uint64_t count, bool complete,
                                bool numbered) {
    struct load load = {.store = store,
                        .now_ms = idem_clock_wall_ms(),
                        .complete = complete,
                        .numbered = numbered};
    struct pollfd descriptor = {.fd = idem_store_poll_fd(store), .events = POLLIN};
    int64_t start_ns = idem_clock_monotonic_ns();
    double start_cpu = cpu_seconds();
    for (uint64_t n = 0; n < count;) {
        uint64_t end = n + DEPTH < count ? n + DEPTH : count;
        for (; n < end; n++) {
            claim(&load, n);
        }
        idem_store_dispatch(store); /* sends them all */
        while (load.answered < end) {
            (void)poll(&descriptor, 1, 10000);
            idem_store_dispatch(store);
        }
    }
    if (load.wrong > 0) {
        give_up("operations were refused");
    }
    return figures_of(count, start_ns, start_cpu);
}

static void show(const char *name, const struct figures *figures, size_t rounds) {
    double rates[ROUNDS_MAX];
    double cpu[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        rates[i] = figures[i].rate;
        cpu[i] = figures[i].cpu_us;
    }
    double rate = sample_at(rates, rounds, 0.5); /* which sorts them */
    (void)printf("%-44s %9.0f a second (%.0f .. %.0f)  %5.2f us of processor time\n",
                 name, rate, rates[0], rates[rounds - 1], sample_at(cpu, rounds, 0.5));
}

static void show_ratio(const char *name, const struct figures *a, const struct figures *b,
                       size_t rounds) {
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        ratios[i] = a[i].rate / b[i].rate;
    }
    double ratio = sample_at(ratios, rounds, 0.5);
    (void)printf("%-44s %9.2f (%.2f .. %.2f)\n", name, ratio, ratios[0],
                 ratios[rounds - 1]);
}

static struct idem_store *open_store(const char *socket) {
    char url[512];
    struct idem_store *store = NULL;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)snprintf(url, sizeof url, "unix://%s?timeout=10s", socket);
    struct idem_store_options options = {.url = url};
    if (idem_store_open(&store, &options, &error) != IDEM_OK) {
        give_up(error.text);
    }
    return store;
}

static double bytes_per_key(struct idem_store *store, uint64_t count, bool complete) {
    flush_database();
    long long before = info_number("memory", "used_memory:");
    (void)run_store(store, count, complete, false);
    return (double)(info_number("memory", "used_memory:") - before) / (double)count;
}

int main(int argc, char **argv) {
    struct figures plain[ROUNDS_MAX];
    struct figures claims[ROUNDS_MAX];
    struct figures pairs[ROUNDS_MAX];
    struct figures numbers[ROUNDS_MAX];
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;
    bare = argc > 1 ? redisConnectUnix(argv[1]) : NULL;
    if (bare == NULL || bare->err != 0 || count == 0 || rounds == 0 ||
        rounds > ROUNDS_MAX) {
        give_up("usage: bench_redis SOCKET [CLAIMS [ROUNDS]]");
    }
    struct idem_store *store = open_store(argv[1]);
    for (size_t i = 0; i < rounds; i++) {
        flush_database();
        plain[i] = run_bare(count);
        flush_database();
        claims[i] = run_store(store, count, false, false);
        flush_database();
        pairs[i] = run_store(store, count, true, false);
        flush_database();
        numbers[i] = run_store(store, count, true, true);
    }
    (void)printf("Redis, one connection, %d deep, %" PRIu64 " keys, %zu rounds\n", DEPTH,
                 count, rounds);
    show("bare hiredis: SET NX PX", plain, rounds);
    show("store: claim", claims, rounds);
    show("store: claim, then complete", pairs, rounds);
    show("store: the same with numbers of 1000 producers", numbers, rounds);
    show_ratio("store : bare, claims alone", claims, plain, rounds);
    show_ratio("keys : numbers, claim and complete", pairs, numbers, rounds);
    (void)printf("%-44s %9.0f pending, %.0f done\n", "bytes of Redis memory for each key",
                 bytes_per_key(store, count, false), bytes_per_key(store, count, true));
    idem_store_close(store);
    redisFree(bare);
    return EXIT_SUCCESS;
}
