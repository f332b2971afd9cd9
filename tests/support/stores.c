/* SPDX-License-Identifier: MIT
 * Stores for tests. */
#include "stores.h"

#include <idem/clock.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct idem_owner stores_me = {.instance = 0x1111, .incarnation = 7};
const struct idem_owner stores_me_restarted = {.instance = 0x1111, .incarnation = 8};
const struct idem_owner stores_other = {.instance = 0x2222, .incarnation = 7};

size_t stores_variants(const struct stores_variant **variants) {
    static struct stores_variant all[] = {
        {"memory", "memory:", false, false, 1, false, 0},
        {"embedded, changes in memory", "embedded://%s/store?commit=10s", false, true, 1,
         false, 0},
        {"embedded, changes on disk", "embedded://%s/store?map=1MiB", true, true, 200,
         false, 0},
        {"embedded, groups all the time", "embedded://%s/store?commit=1ms", false, true,
         1, false, 0},
        {"redis", "unix://%s/redis.sock?timeout=10s", false, true, 10, false, 0},
        {"redis, not known to be new", "unix://shy:pw@%s/redis.sock?timeout=10s", false,
         true, 10, true, 0},
        {"redis over TLS", "rediss:", false, true, 10, false, 0},
        {"recent keys before memory", "memory:", false, false, 1, false, 1024},
        {"recent keys before redis", "unix://%s/redis.sock?timeout=10s", false, true, 10,
         false, 1024},
        {"IDEM_CONTRACT_URL", NULL, false, true, 1, false, 0},
    };
    size_t count = sizeof all / sizeof all[0];
    all[count - 1].url = getenv("IDEM_CONTRACT_URL");
    *variants = all;
    return all[count - 1].url != NULL ? count : count - 1;
}

/* One certificate that is its own authority: making it takes milliseconds. */
static void start_tls(struct stores_box *box) {
    redis_tls_certify(box->dir, "server", NULL, "IP:127.0.0.1");
    (void)snprintf(box->redis.dir, sizeof box->redis.dir, "%s", box->dir);
    box->redis.borrowed_dir = true;
    redis_tls_start(&box->redis, &box->tls, box->dir, "server", NULL, NULL);
    (void)snprintf(box->url, sizeof box->url,
                   "rediss://127.0.0.1:%u?timeout=10s&ca=%s/server.pem", box->tls.port,
                   box->dir);
}

void stores_make(struct stores_box *box, const char *url) {
    files_make_dir(box->dir);
    const char *dir = strstr(url, "%s");
    if (dir != NULL) {
        (void)snprintf(box->url, sizeof box->url, "%.*s%s%s", (int)(dir - url), url,
                       box->dir, dir + 2);
    } else {
        (void)snprintf(box->url, sizeof box->url, "%s", url);
    }
    if (strncmp(url, "unix:", 5) == 0) {
        redis_start_in(&box->redis, box->dir);
        (void)redis_tell(&box->redis, "ACL SETUSER shy on >pw ~* +@all -info");
    }
    if (strcmp(url, "rediss:") == 0) {
        start_tls(box);
    }
    stores_open(box);
}

enum idem_code stores_try(struct stores_box *box, bool read_only,
                          struct idem_store **store, struct idem_error *error) {
    struct idem_secret secret;
    *error = (struct idem_error)IDEM_ERROR_INIT;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    idem_secret_default(&secret);
    struct idem_store_options options = {.url = box->url,
                                         .read_only = read_only,
                                         .secret = &secret,
                                         .recent_keys = box->recent_keys,
                                         .log = box->log};
    return idem_store_open(store, &options, error);
}

void stores_open(struct stores_box *box) {
    struct idem_error error;
    if (stores_try(box, false, &box->store, &error) != IDEM_OK) {
        fail_msg("%s: %s", box->url, error.text);
    }
}

void stores_close(struct stores_box *box) {
    idem_store_close(box->store);
    box->store = NULL;
}

void stores_remove(struct stores_box *box) {
    stores_close(box);
    redis_remove(&box->redis);
    files_remove_dir(box->dir);
}

void stores_note(void *arg, const struct idem_answer *answer) {
    struct stores_answer *note = arg;
    struct idem_span result = answer->record.result;
    note->calls++;
    note->answer = *answer;
    if (answer->code == IDEM_OK && result.len > 0) {
        size_t len = result.len < STORES_RESULT_MAX ? result.len : STORES_RESULT_MAX;
        memcpy(note->result, result.data, len);
    }
    note->answer.record.result.data = NULL; /* borrowed: not after this call */
}

void stores_await(struct idem_store *store, const struct stores_answer *answer) {
    int64_t deadline = testing_deadline();
    while (answer->calls == 0 && testing_remaining_ms(deadline) > 0) {
        struct pollfd descriptor = {.fd = idem_store_poll_fd(store), .events = POLLIN};
        (void)poll(&descriptor, 1, testing_remaining_ms(deadline));
        idem_store_dispatch(store);
    }
    assert_int_equal(answer->calls, 1);
}

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct idem_digest stores_digest(uint64_t n) {
    struct idem_digest digest;
    uint64_t words[2] = {mix(n + 1), mix(~n)};
    memcpy(digest.bytes, words, sizeof words);
    return digest;
}

void stores_sync(struct stores_box *box) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_store_sync(box->store, &error) != IDEM_OK) {
        fail_msg("sync: %s", error.text);
    }
}

static void changed(struct stores_box *box) {
    if (box->sync_each) {
        stores_sync(box);
    }
}

struct idem_claim stores_claim_of(uint64_t n, const struct idem_owner *owner,
                                  int64_t now_ms, int64_t lease_ms) {
    struct idem_claim claim = {
        .digest = stores_digest(n),
        .fingerprint = stores_digest(~n),
        .has_fingerprint = true,
        .owner = *owner,
        .now_ms = now_ms,
        .lease_ms = lease_ms,
    };
    return claim;
}

struct stores_answer stores_claim_as(struct stores_box *box,
                                     const struct idem_claim *claim) {
    struct stores_answer note = {.calls = 0};
    idem_store_claim(box->store, claim, stores_note, &note);
    stores_await(box->store, &note);
    changed(box);
    return note;
}

struct idem_answer stores_claim(struct stores_box *box, uint64_t n,
                                const struct idem_owner *owner, int64_t now_ms,
                                int64_t lease_ms) {
    struct idem_claim claim = stores_claim_of(n, owner, now_ms, lease_ms);
    return stores_claim_as(box, &claim).answer;
}

enum idem_code stores_complete(struct stores_box *box, uint64_t n,
                               const struct idem_owner *owner, int64_t now_ms,
                               int64_t ttl_ms) {
    struct stores_answer note = {.calls = 0};
    struct idem_completion completion = {
        .digest = stores_digest(n), .owner = *owner, .now_ms = now_ms, .ttl_ms = ttl_ms};
    idem_store_complete(box->store, &completion, stores_note, &note);
    stores_await(box->store, &note);
    changed(box);
    return note.answer.code;
}

enum idem_code stores_complete_with(struct stores_box *box, uint64_t n, int64_t now_ms,
                                    int64_t ttl_ms, struct idem_span result) {
    struct stores_answer note = {.calls = 0};
    struct idem_completion completion = {.digest = stores_digest(n),
                                         .owner = stores_me,
                                         .now_ms = now_ms,
                                         .ttl_ms = ttl_ms,
                                         .result = result};
    idem_store_complete(box->store, &completion, stores_note, &note);
    stores_await(box->store, &note);
    changed(box);
    return note.answer.code;
}

void stores_submit_claim(struct stores_box *box, uint64_t n, int64_t now_ms,
                         struct stores_answer *answer) {
    struct idem_claim claim = {.digest = stores_digest(n),
                               .durable = true,
                               .owner = stores_me,
                               .now_ms = now_ms,
                               .lease_ms = 1000};
    idem_store_claim(box->store, &claim, stores_note, answer);
}

void stores_submit_completion(struct stores_box *box, uint64_t n, int64_t now_ms,
                              int64_t ttl_ms, struct stores_answer *answer) {
    struct idem_completion completion = {.digest = stores_digest(n),
                                         .durable = true,
                                         .owner = stores_me,
                                         .now_ms = now_ms,
                                         .ttl_ms = ttl_ms};
    idem_store_complete(box->store, &completion, stores_note, answer);
}

enum idem_code stores_abandon(struct stores_box *box, uint64_t n,
                              const struct idem_owner *owner) {
    struct stores_answer note = {.calls = 0};
    struct idem_abandonment abandonment = {.digest = stores_digest(n), .owner = *owner};
    idem_store_abandon(box->store, &abandonment, stores_note, &note);
    stores_await(box->store, &note);
    changed(box);
    return note.answer.code;
}

enum idem_code stores_forget(struct stores_box *box, uint64_t n) {
    struct stores_answer note = {.calls = 0};
    struct idem_digest digest = stores_digest(n);
    idem_store_forget(box->store, &digest, stores_note, &note);
    stores_await(box->store, &note);
    changed(box);
    return note.answer.code;
}

enum idem_code stores_restore(struct stores_box *box,
                              const struct idem_restoration *restoration) {
    struct stores_answer note = {.calls = 0};
    idem_store_restore(box->store, restoration, stores_note, &note);
    stores_await(box->store, &note);
    changed(box);
    return note.answer.code;
}

struct stores_answer stores_lookup(struct stores_box *box, uint64_t n, int64_t now_ms) {
    struct stores_answer note = {.calls = 0};
    struct idem_digest digest = stores_digest(n);
    idem_store_lookup(box->store, &digest, now_ms, stores_note, &note);
    stores_await(box->store, &note);
    return note;
}

void stores_put_done(struct stores_box *box, uint64_t n, int64_t now_ms, int64_t ttl_ms) {
    struct idem_answer answer = stores_claim(box, n, &stores_me, now_ms, 1000);
    assert_int_equal(answer.code, IDEM_OK);
    assert_int_equal(answer.outcome, IDEM_CLAIM_NEW);
    assert_int_equal(stores_complete(box, n, &stores_me, now_ms, ttl_ms), IDEM_OK);
}
