/* SPDX-License-Identifier: MIT
 * idemctl bench: claims and completes new keys for some seconds, and says how long each took.
 *
 * The keys are digests of a secret that is drawn for the run, so they meet no others; they are forgotten at the end,
 * and expire soon where that could not be done. An embedded store belongs to one program: in its place a
 * scratch store beside it, on the same disk and with the same parameters, is measured and removed. */
#include "progress.h"
#include "store.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EMBEDDED     "embedded://"
#define TTL_MS       INT64_C(60000)
#define DEPTH_MAX    4096
#define SECOND_NS    INT64_C(1000000000)
#define BUCKET_BITS  5 /* a latency is known to a part in 32 */
#define BUCKET_COUNT (64 << BUCKET_BITS)

static const char help[] =
    "usage: idemctl -c CONFIG bench [options]\n\n"
    "      --seconds N           how long (5)\n"
    "      --depth N             how many are on their way at once (64)\n"
    "      --relaxed             do not wait until each is durable\n";

/* How often a latency was seen: logarithmic, with linear parts. */
struct latencies {
    uint64_t counts[BUCKET_COUNT];
    uint64_t total;
};

struct bench {
    uint64_t seconds;
    uint64_t depth;
    bool relaxed;
    struct idem_store *store;
    char *scratch; /* owned: the path of a store that is removed again; NULL: none */
    char *url;     /* owned: of what is measured */
    struct idem_secret secret;
    struct idem_owner owner;
    struct progress progress;
    uint64_t started; /* keys */
    uint64_t completed;
    size_t open;
    int64_t until_ns;
    enum idem_code code; /* the first failure */
    uint64_t failures;
    bool full; /* what is in memory must go to disk first: the disk is what is measured */
    struct latencies claims;
    struct latencies completions;
};

/* One key on its way. */
struct trip {
    struct bench *bench;
    struct idem_digest digest;
    int64_t since_ns;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
    (void)number;
    interrupted = 1;
}

static size_t bucket_of(uint64_t ns) {
    unsigned shift = 0;
    while (ns >> shift >= UINT64_C(2) << BUCKET_BITS) {
        shift++;
    }
    return ((size_t)shift << BUCKET_BITS) + (size_t)(ns >> shift);
}

static double bucket_us(size_t bucket) {
    size_t parts = (size_t)1 << BUCKET_BITS;
    size_t shift = bucket < 2 * parts ? 0 : (bucket >> BUCKET_BITS) - 1;
    return (double)((uint64_t)(bucket - (shift << BUCKET_BITS)) << shift) / 1000;
}

static void note_latency(struct latencies *latencies, int64_t since_ns) {
    uint64_t ns = (uint64_t)(idem_clock_monotonic_ns() - since_ns);
    latencies->counts[bucket_of(ns)]++;
    latencies->total++;
}

static double percentile_us(const struct latencies *latencies, double part) {
    uint64_t rank = (uint64_t)(part * (double)latencies->total);
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        seen += latencies->counts[i];
        if (seen > rank || (seen == latencies->total && seen > 0)) {
            return bucket_us(i);
        }
    }
    return 0;
}

static void digest_at(const struct bench *bench, uint64_t n, struct idem_digest *digest) {
    struct idem_span number = idem_span_of(&n, sizeof n);
    idem_digest_of(digest, &bench->secret, IDEM_DOMAIN_KEY, &number, 1);
}

static void fail(struct trip *trip, enum idem_code code) {
    struct bench *bench = trip->bench;
    if (code == IDEM_ERR_FULL && bench->scratch != NULL) {
        bench->full = true;
    } else {
        bench->code = bench->code == IDEM_OK ? code : bench->code;
        bench->failures++;
    }
    bench->open--;
    free(trip);
}

static void completed(void *arg, const struct idem_answer *answer) {
    struct trip *trip = arg;
    struct bench *bench = trip->bench;
    if (answer->code != IDEM_OK) {
        fail(trip, answer->code);
        return;
    }
    note_latency(&bench->completions, trip->since_ns);
    bench->completed++;
    bench->open--;
    free(trip);
}

static void claimed(void *arg, const struct idem_answer *answer) {
    struct trip *trip = arg;
    struct bench *bench = trip->bench;
    if (answer->code != IDEM_OK || answer->outcome != IDEM_CLAIM_NEW) {
        fail(trip, answer->code != IDEM_OK ? answer->code : IDEM_ERR_NOT_OWNER);
        return;
    }
    note_latency(&bench->claims, trip->since_ns);
    trip->since_ns = idem_clock_monotonic_ns();
    struct idem_completion completion = {.digest = trip->digest,
                                         .owner = bench->owner,
                                         .now_ms = idem_clock_wall_ms(),
                                         .ttl_ms = TTL_MS,
                                         .durable = !bench->relaxed};
    idem_store_complete(bench->store, &completion, completed, trip);
}

static bool start_trip(struct bench *bench) {
    struct trip *trip = calloc(1, sizeof *trip);
    if (trip == NULL) {
        bench->code = IDEM_ERR_NOMEM;
        return false;
    }
    trip->bench = bench;
    digest_at(bench, bench->started++, &trip->digest);
    struct idem_claim claim = {.digest = trip->digest,
                               .durable = !bench->relaxed,
                               .owner = bench->owner,
                               .now_ms = idem_clock_wall_ms(),
                               .lease_ms = TTL_MS,
                               .ttl_ms = TTL_MS};
    bench->open++;
    trip->since_ns = idem_clock_monotonic_ns();
    idem_store_claim(bench->store, &claim, claimed, trip);
    return true;
}

static bool goes_on(const struct bench *bench) {
    return !interrupted && bench->code == IDEM_OK &&
           idem_clock_monotonic_ns() < bench->until_ns;
}

/* As many on their way as asked for; where the store answers at once, the clock is looked at all the same. */
static int64_t measure(struct bench *bench) {
    int64_t started_ns = idem_clock_monotonic_ns();
    int64_t length_ns = (int64_t)bench->seconds * SECOND_NS;
    bench->until_ns = started_ns + length_ns;
    progress_start(&bench->progress, "measuring", 0);
    while (goes_on(bench)) {
        for (uint64_t i = 0; i < bench->depth && bench->open < bench->depth; i++) {
            if (bench->full || !start_trip(bench)) {
                break;
            }
        }
        if (bench->full && store_sync(bench->store) != CTL_OK) {
            break;
        }
        bench->full = false;
        if (bench->open > 0) {
            store_wait(bench->store);
        }
        progress_at(&bench->progress, bench->completed);
    }
    while (bench->open > 0) {
        store_wait(bench->store);
    }
    progress_end(&bench->progress);
    return idem_clock_monotonic_ns() - started_ns;
}

static void forgotten(void *arg, const struct idem_answer *answer) {
    (void)answer;
    (*(size_t *)arg)--;
}

/* What could not be forgotten expires within a minute. */
static void clean_up(struct bench *bench) {
    size_t open = 0;
    if (bench->scratch != NULL) {
        return;
    }
    progress_start(&bench->progress, "cleaning up", bench->started);
    for (uint64_t n = 0; n < bench->started; n++) {
        struct idem_digest digest;
        digest_at(bench, n, &digest);
        open++;
        idem_store_forget(bench->store, &digest, forgotten, &open);
        while (open > DEPTH_MAX) {
            store_wait(bench->store);
        }
        progress_at(&bench->progress, n);
    }
    while (open > 0) {
        store_wait(bench->store);
    }
    progress_end(&bench->progress);
}

static void add_latencies(struct json_object *report, const char *what,
                          const struct latencies *latencies) {
    static const struct {
        const char *name;
        double part;
    } percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        char name[32];
        char text[32];
        (void)snprintf(name, sizeof name, "%s_%s", what, percentiles[i].name);
        (void)snprintf(text, sizeof text, "%.3f ms",
                       percentile_us(latencies, percentiles[i].part) / 1000);
        ctl_add(report, name, text);
    }
}

static void report(const struct ctl *ctl, const struct idem_config *config,
                   const struct bench *bench, int64_t length_ns) {
    struct json_object *object = json_object_new_object();
    char name[256];
    char rate[32];
    store_name(config, name, sizeof name);
    ctl_add(object, "store", name);
    if (bench->scratch != NULL) {
        ctl_add(object, "measured", "a scratch store beside it");
    }
    ctl_add(object, "durable", bench->relaxed ? "no" : "yes");
    ctl_add_count(object, "depth", bench->depth);
    ctl_add_count(object, "keys", bench->completed);
    (void)snprintf(rate, sizeof rate, "%.0f",
                   (double)bench->completed * 1e9 / (double)length_ns);
    ctl_add(object, "keys_per_s", rate);
    add_latencies(object, "claim", &bench->claims);
    add_latencies(object, "done", &bench->completions);
    ctl_print(ctl, object);
}

/* PATH.bench-PID, with the parameters of the URL. */
static bool name_scratch(struct bench *bench, const char *url) {
    size_t size = strlen(url) + 32;
    bench->url = malloc(size);
    if (bench->url == NULL) {
        return false;
    }
    if (strncmp(url, EMBEDDED, strlen(EMBEDDED)) != 0) {
        (void)snprintf(bench->url, size, "%s", url);
        return true;
    }
    const char *path = url + strlen(EMBEDDED);
    size_t length = strcspn(path, "?");
    bench->scratch = malloc(size);
    if (bench->scratch == NULL) {
        return false;
    }
    (void)snprintf(bench->scratch, size, "%.*s.bench-%ld", (int)length, path,
                   (long)getpid());
    (void)snprintf(bench->url, size, EMBEDDED "%s%s", bench->scratch, path + length);
    return true;
}

static void remove_scratch(struct bench *bench) {
    if (bench->scratch == NULL) {
        return;
    }
    size_t size = strlen(bench->scratch) + sizeof "-lock";
    char *lock = malloc(size);
    (void)unlink(bench->scratch);
    if (lock != NULL) {
        (void)snprintf(lock, size, "%s-lock", bench->scratch);
        (void)unlink(lock);
        free(lock);
    }
}

static enum ctl_exit open_measured(struct bench *bench,
                                   const struct idem_config *config) {
    struct idem_config own = *config;
    if (!name_scratch(bench, config->store.url)) {
        ctl_complain("out of memory");
        return CTL_STORE;
    }
    own.store.url = bench->url;
    randombytes_buf(&bench->secret, sizeof bench->secret);
    randombytes_buf(&bench->owner, sizeof bench->owner);
    return store_open_scratch(&own, &bench->store);
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct bench *bench = arg;
    enum ctl_exit result = open_measured(bench, config);
    if (result == CTL_OK) {
        (void)signal(SIGINT, interrupt);
        (void)signal(SIGTERM, interrupt);
        int64_t length_ns = measure(bench);
        clean_up(bench);
        idem_store_close(bench->store);
        if (bench->code != IDEM_OK) {
            result = store_complain(bench->code);
            ctl_complain("%" PRIu64 " keys failed, %" PRIu64 " did not", bench->failures,
                         bench->completed);
        } else {
            report(ctl, config, bench, length_ns);
        }
    }
    remove_scratch(bench);
    return result;
}

static bool take(void *arg, int option, const char *value) {
    struct bench *bench = arg;
    switch (option) {
    case 's':
        return ctl_parse_count("--seconds", value, 1, 3600, &bench->seconds);
    case 'd':
        return ctl_parse_count("--depth", value, 1, DEPTH_MAX, &bench->depth);
    case 'r':
        bench->relaxed = true;
        return true;
    default:
        return false;
    }
}

enum ctl_exit ctl_bench(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"depth", required_argument, NULL, 'd'},
                                            {"relaxed", no_argument, NULL, 'r'},
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {
        .help = help, .letters = "h", .options = options, .take = take, .run = run};
    struct bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL) {
        ctl_complain("out of memory");
        return CTL_STORE;
    }
    bench->seconds = 5;
    bench->depth = 64;
    enum ctl_exit result = ctl_run(ctl, &line, bench, argc, argv);
    free(bench->url);
    free(bench->scratch);
    free(bench);
    return result;
}
