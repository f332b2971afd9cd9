/* SPDX-License-Identifier: MIT
 * What it costs to find the stored response of a repeat, beside dropping the repeat: on the caller's thread, in
 * turns, in one store that holds as many of the one as of the other. */
#include <idem/clock.h>
#include <idem/receiver.h>
#include <idem/result.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TTL_MS   ((int64_t)72 * 3600 * 1000)
#define RESPONSE 1024 /* bytes of a stored one */

struct bench {
    struct idem_store *store;
    struct idem_receiver *receiver;
    uint8_t response[RESPONSE];
};

static void decided(void *arg, struct idem_delivery *delivery) {
    *(struct idem_delivery **)arg = delivery;
}

static bool answered(const struct bench *bench, const struct idem_delivery *delivery) {
    struct idem_span stored;
    struct idem_result result;
    return idem_receiver_result(bench->receiver, delivery, &stored) &&
           idem_result_decode(&result, stored) == IDEM_OK && stored.len == RESPONSE;
}

/* One request as the plugin sees it, up to where its adapter would act. */
static bool one(struct bench *bench, const char *topic, uint64_t id,
                enum idem_reason expected, int64_t *took_ns) {
    char payload[65];
    struct idem_delivery delivery;
    struct idem_delivery *answer = NULL;
    (void)snprintf(payload, sizeof payload,
                   "{\"id\":\"%016" PRIu64 "\",\"pad\":\"%030d\"}", id, 0);
    const struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                         .client = idem_span_text("bench"),
                                         .topic = idem_span_text(topic),
                                         .payload = idem_span_text(payload)};
    int64_t started = idem_clock_monotonic_ns();
    idem_receiver_submit(bench->receiver, &message, idem_clock_wall_ms(), &delivery,
                         decided, &answer);
    bool right = answer != NULL && delivery.reason == expected;
    if (right && delivery.verdict == IDEM_VERDICT_REPLAY) {
        right = answered(bench, &delivery);
    }
    *took_ns = idem_clock_monotonic_ns() - started;
    if (right && delivery.claimed) {
        bool replays = topic[0] == 'r';
        idem_receiver_complete_with(bench->receiver, &delivery, idem_clock_wall_ms(),
                                    idem_span_of(bench->response, replays ? RESPONSE : 0),
                                    NULL, NULL);
    }
    return right;
}

static bool fill(struct bench *bench, uint64_t keys) {
    struct idem_error error = IDEM_ERROR_INIT;
    int64_t took;
    for (uint64_t id = 0; id < keys; id++) {
        if (!one(bench, "drop", id, IDEM_REASON_NEW, &took) ||
            !one(bench, "replay", id, IDEM_REASON_NEW, &took)) {
            return false;
        }
        if (id % 2000 == 1999 && idem_store_sync(bench->store, &error) != IDEM_OK) {
            (void)fprintf(stderr, "bench: %s\n", error.text);
            return false;
        }
    }
    return true;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool round_of(struct bench *bench, uint64_t keys, size_t samples) {
    int64_t *dropped = calloc(samples, sizeof *dropped);
    int64_t *replayed = calloc(samples, sizeof *replayed);
    bool right = dropped != NULL && replayed != NULL;
    for (size_t i = 0; right && i < samples; i++) {
        uint64_t id = (i * UINT64_C(7919)) % keys;
        right = one(bench, "drop", id, IDEM_REASON_DUPLICATE, &dropped[i]) &&
                one(bench, "replay", id, IDEM_REASON_DUPLICATE, &replayed[i]);
    }
    if (right) {
        qsort(dropped, samples, sizeof *dropped, by_size);
        qsort(replayed, samples, sizeof *replayed, by_size);
        double drop = (double)dropped[samples / 2] / 1000;
        double replay = (double)replayed[samples / 2] / 1000;
        (void)printf("| %6.2f | %6.2f | %5.2f |\n", drop, replay, replay / drop);
    }
    free(dropped);
    free(replayed);
    return right;
}

/* A whole response: a content type, a status, and the rest of it payload. */
static void make_response(struct bench *bench) {
    static const uint8_t payload[RESPONSE];
    struct idem_result result = {
        .fields = {[IDEM_RESULT_CONTENT_TYPE] = idem_span_text("application/json")},
        .header_count = 1,
        .headers = {{IDEM_RESULT_TEXT, idem_span_text("status"), idem_span_text("200")}}};
    result.payload = idem_span_of(payload, RESPONSE - idem_result_size(&result));
    idem_result_encode(bench->response, &result);
}

static bool open_bench(struct bench *bench, const char *url,
                       const struct idem_ruleset *rules) {
    struct idem_error error = IDEM_ERROR_INIT;
    const struct idem_store_options store = {.url = url};
    if (idem_store_open(&bench->store, &store, &error) != IDEM_OK) {
        (void)fprintf(stderr, "bench: %s\n", error.text);
        return false;
    }
    const struct idem_receiver_options options = {
        .store = bench->store, .rules = rules, .instance = "bench"};
    if (idem_receiver_open(&bench->receiver, &options, &error) != IDEM_OK) {
        (void)fprintf(stderr, "bench: %s\n", error.text);
        return false;
    }
    make_response(bench);
    return true;
}

static bool run(const char *url, uint64_t keys, size_t samples, unsigned rounds,
                const struct idem_ruleset *rules) {
    static struct bench bench;
    bool right = open_bench(&bench, url, rules) && fill(&bench, keys);
    (void)printf(
        "| a repeat dropped, µs | answered with 1 KiB, µs | ratio |\n|---|---|---|\n");
    for (unsigned i = 0; right && i < rounds; i++) {
        right = round_of(&bench, keys, samples);
    }
    if (!right) {
        (void)fprintf(stderr, "bench: a wrong verdict or result\n");
    }
    idem_receiver_close(bench.receiver);
    idem_store_close(bench.store);
    return right;
}

int main(int argc, char **argv) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_extractor id;
    if (argc != 5) {
        (void)fprintf(stderr, "usage: bench_replay STORE_URL KEYS SAMPLES ROUNDS\n");
        return 2;
    }
    if (idem_digest_init(&error) != IDEM_OK ||
        idem_extractor_parse(&id, "json:/id", &error) != IDEM_OK) {
        (void)fprintf(stderr, "bench: %s\n", error.text);
        return 1;
    }
    struct idem_extractor payload = {.kind = IDEM_EXTRACT_PAYLOAD};
    static char names[2][8] = {"drop", "replay"};
    struct idem_rule rules[2];
    for (int i = 0; i < 2; i++) {
        rules[i] = (struct idem_rule){
            .name = names[i],
            .match = {.topic = names[i]},
            .strategy = IDEM_STRATEGY_KEY,
            .key = {.count = 1, .items = &id},
            .scope = {.kind = IDEM_SCOPE_RULE},
            .ttl_ms = TTL_MS,
            .lease_ms = 30000,
            .fingerprint = {.joined = true, .count = 1, .items = &payload},
            .policies = {.on_duplicate = i == 0 ? IDEM_ACTION_DROP : IDEM_ACTION_REPLAY}};
    }
    struct idem_ruleset set = {.rules = rules, .count = 2};
    idem_secret_default(&set.secret);
    bool right = run(argv[1], strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
                     (unsigned)strtoul(argv[4], NULL, 10), &set);
    free(id.text);
    return right ? 0 : 1;
}
