/* SPDX-License-Identifier: MIT
 * The cost of a decision on the caller's thread, with many live keys; memory, disk, and opening time. */
#include <idem/clock.h>
#include <idem/receiver.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PRODUCERS 1000
#define TTL_MS    ((int64_t)72 * 3600 * 1000)

struct bench {
    struct idem_store *store;
    struct idem_receiver *receiver;
    bool numbered; /* strategy sequence: the key is a number of one of PRODUCERS */
};

static void decided(void *arg, struct idem_delivery *delivery) {
    *(struct idem_delivery **)arg = delivery;
}

/* One message as the plugin sees it: a JSON payload of 64 bytes, its id the key, fingerprinted. */
static bool one(struct bench *bench, uint64_t key, enum idem_reason expected,
                int64_t *took_ns) {
    char payload[65];
    char topic[32];
    struct idem_delivery delivery;
    struct idem_delivery *answer = NULL;
    struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                   .client = idem_span_text("bench")};
    uint64_t producer = bench->numbered ? key % PRODUCERS : 0;
    uint64_t id = bench->numbered ? key / PRODUCERS : key;
    (void)snprintf(topic, sizeof topic, "bench/%06" PRIu64, producer);
    message.topic = idem_span_text(topic);
    int used =
        snprintf(payload, sizeof payload, "{\"id\":\"%016" PRIu64 "\",\"pad\":\"", id);
    memset(payload + used, 'x', 64 - (size_t)used);
    memcpy(payload + 62, "\"}", 2);
    message.payload = idem_span_of(payload, 64);

    int64_t started = idem_clock_monotonic_ns();
    int64_t now_ms = idem_clock_wall_ms();
    idem_receiver_submit(bench->receiver, &message, now_ms, &delivery, decided, &answer);
    if (answer != NULL && delivery.claimed) {
        idem_receiver_complete(bench->receiver, &delivery, now_ms, NULL, NULL);
    }
    *took_ns = idem_clock_monotonic_ns() - started;
    return answer != NULL && delivery.reason == expected;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool measure(struct bench *bench, const char *name, uint64_t first, size_t count,
                    enum idem_reason expected) {
    int64_t *took = calloc(count, sizeof *took);
    bool right = took != NULL;
    for (size_t i = 0; right && i < count; i++) {
        right = one(bench, first + i, expected, &took[i]);
        /* About 40,000 messages a second, as a busy broker has: the writer thread keeps up. */
        for (int64_t until = idem_clock_monotonic_ns() + 20000;
             right && idem_clock_monotonic_ns() < until;) {
        }
    }
    if (right) {
        qsort(took, count, sizeof *took, by_size);
        (void)printf(
            "| %-32s | %6.2f | %6.2f | %8.2f | %8.2f |\n", name,
            (double)took[count / 2] / 1000, (double)took[count * 99 / 100] / 1000,
            (double)took[count * 9999 / 10000] / 1000, (double)took[count - 1] / 1000);
    } else {
        (void)fprintf(stderr, "bench: %s: a wrong verdict\n", name);
    }
    free(took);
    return right;
}

static bool fill(struct bench *bench, uint64_t count) {
    struct idem_error error = IDEM_ERROR_INIT;
    int64_t took;
    for (uint64_t i = 0; i < count; i++) {
        if (!one(bench, i, IDEM_REASON_NEW, &took)) {
            (void)fprintf(stderr, "bench: filling: a wrong verdict\n");
            return false;
        }
        if (i % 50000 == 49999 && idem_store_sync(bench->store, &error) != IDEM_OK) {
            (void)fprintf(stderr, "bench: %s\n", error.text);
            return false;
        }
    }
    return true;
}

static bool open_store(struct bench *bench, const char *url, double *ms) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store_options options = {.url = url};
    int64_t started = idem_clock_monotonic_ns();
    if (idem_store_open(&bench->store, &options, &error) != IDEM_OK) {
        (void)fprintf(stderr, "bench: %s\n", error.text);
        return false;
    }
    *ms = (double)(idem_clock_monotonic_ns() - started) / 1e6;
    return true;
}

static bool open_receiver(struct bench *bench, const struct idem_ruleset *rules) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_receiver_options options = {
        .store = bench->store, .rules = rules, .instance = "bench"};
    if (idem_receiver_open(&bench->receiver, &options, &error) != IDEM_OK) {
        (void)fprintf(stderr, "bench: %s\n", error.text);
        return false;
    }
    return true;
}

static bool run(const char *url, uint64_t keys, size_t samples,
                const struct idem_ruleset *rules) {
    struct bench bench = {.numbered = rules->rules->strategy == IDEM_STRATEGY_SEQUENCE};
    struct idem_store_stats stats;
    double ms = 0;
    bool right = open_store(&bench, url, &ms) && open_receiver(&bench, rules) &&
                 fill(&bench, keys);
    if (right) {
        (void)printf("| %-32s | median | p99    | p99.99   | max      |\n",
                     "decision, microseconds");
        (void)printf("|---|---|---|---|---|\n");
        right = measure(&bench, "new key (claim and complete)", keys, samples,
                        IDEM_REASON_NEW) &&
                measure(&bench, "duplicate", keys / 3, samples, IDEM_REASON_DUPLICATE);
        idem_store_read_stats(bench.store, &stats);
        (void)printf(
            "\nkeys %" PRIu64 ", disk %.1f bytes/key, front %" PRIu64 " entries, %.1f "
            "bytes/entry, %.2f bytes/live key\n",
            stats.keys, (double)stats.bytes / (double)stats.keys, stats.memory_entries,
            stats.memory_entries == 0
                ? 0
                : (double)stats.memory_bytes / (double)stats.memory_entries,
            (double)stats.memory_bytes / (double)stats.keys);
    }
    idem_receiver_close(bench.receiver);
    idem_store_close(bench.store);
    if (right && open_store(&bench, url, &ms)) {
        idem_store_read_stats(bench.store, &stats);
        (void)printf("opening a store of %" PRIu64 " keys: %.1f ms\n", stats.keys, ms);
        idem_store_close(bench.store);
    }
    return right;
}

int main(int argc, char **argv) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_extractor id;
    if (argc < 4 || (argc == 5 && strcmp(argv[4], "sequence") != 0)) {
        (void)fprintf(stderr,
                      "usage: bench_decision STORE_URL KEYS SAMPLES [sequence]\n");
        return 2;
    }
    if (idem_digest_init(&error) != IDEM_OK ||
        idem_extractor_parse(&id, "json:/id", &error) != IDEM_OK) {
        (void)fprintf(stderr, "bench: %s\n", error.text);
        return 1;
    }
    struct idem_extractor payload = {.kind = IDEM_EXTRACT_PAYLOAD};
    struct idem_rule rule = {
        .name = (char[]){"orders"},
        .match = {.topic = (char[]){"bench/#"}},
        .strategy = IDEM_STRATEGY_KEY,
        .key = {.count = 1, .items = &id},
        .scope = {.kind = IDEM_SCOPE_GLOBAL},
        .ttl_ms = TTL_MS,
        .lease_ms = 30000,
        .fingerprint = {.joined = true, .count = 1, .items = &payload},
        .policies = {.on_duplicate = IDEM_ACTION_DROP}};
    struct idem_extractor level = {.kind = IDEM_EXTRACT_TOPIC_LEVEL, .level = 2};
    if (argc == 5) {
        rule.strategy = IDEM_STRATEGY_SEQUENCE;
        rule.sequence.producer = (struct idem_key_spec){.count = 1, .items = &level};
        rule.sequence.number = rule.key;
        rule.sequence.window = 64;
    }
    struct idem_ruleset rules = {.rules = &rule, .count = 1};
    idem_secret_default(&rules.secret);
    bool right =
        run(argv[1], strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), &rules);
    free(id.text);
    return right ? 0 : 1;
}
