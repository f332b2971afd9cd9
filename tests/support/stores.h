/* SPDX-License-Identifier: MIT
 * Stores for tests: opened in a private directory, asked one operation at a time,
 * answered at once. */
#ifndef TESTS_STORES_H
#define TESTS_STORES_H

#include "files.h"
#include "redis_tls.h"
#include "testing.h"

#include <idem/store.h>

/* One way to run the contract: a backend by its URL. %s in the URL is the private
 * directory; one that begins with unix: gets a Redis server in there, which hides from
 * the user shy (password pw) what it is; rediss: alone stands for one over TLS. */
struct stores_variant {
    const char *name;
    const char *url;
    bool sync_each;     /* sync after each change, so that lookups read the disk */
    bool keeps;         /* records survive closing */
    unsigned slowness;  /* many operations are divided by this, to stay within seconds */
    bool hides_size;    /* the server does not tell how much memory it uses */
    size_t recent_keys; /* remembered in front of it */
};

/* IDEM_CONTRACT_URL in the environment adds one more. Returns their number. */
size_t stores_variants(const struct stores_variant **variants);

struct stores_box {
    struct idem_store *store;
    struct redis_server redis; /* where the URL asks for one */
    struct redis_tls tls;
    bool sync_each;
    size_t recent_keys;
    char dir[FILES_PATH_MAX];
    char url[6 * FILES_PATH_MAX];
    struct idem_log log; /* set before opening, where the test wants one */
};

/* Fail the test where they do not succeed. box is zeroed, or has its log set. */
void stores_make(struct stores_box *box, const char *url);
void stores_open(struct stores_box *box);
void stores_close(struct stores_box *box);
/* Closes what is open, and removes the directory. */
void stores_remove(struct stores_box *box);

/* Opens the box's URL once more, read only if so wanted; the caller judges. */
enum idem_code stores_try(struct stores_box *box, bool read_only,
                          struct idem_store **store, struct idem_error *error);

/* An answer with a result of its own (cut to this size). */
#define STORES_RESULT_MAX 256
struct stores_answer {
    int calls; /* how often the callback has run */
    struct idem_answer answer;
    uint8_t result[STORES_RESULT_MAX];
};
/* An idem_store_done for a struct stores_answer. */
void stores_note(void *arg, const struct idem_answer *answer);
/* Dispatches until it has been called; fails after a deadline, or when it is called
 * twice. */
void stores_await(struct idem_store *store, const struct stores_answer *answer);

/* The n-th digest; distinct and spread as real ones are. */
struct idem_digest stores_digest(uint64_t n);

/* Operations. Those with an outcome or record return the answer; the others its code. */
extern const struct idem_owner stores_me; /* the claimer where no other is named */
extern const struct idem_owner
    stores_me_restarted; /* the same instance after a restart */
extern const struct idem_owner stores_other;
struct idem_claim stores_claim_of(uint64_t n, const struct idem_owner *owner,
                                  int64_t now_ms, int64_t lease_ms);
struct stores_answer stores_claim_as(struct stores_box *box,
                                     const struct idem_claim *claim);
struct idem_answer stores_claim(struct stores_box *box, uint64_t n,
                                const struct idem_owner *owner, int64_t now_ms,
                                int64_t lease_ms);
enum idem_code stores_complete(struct stores_box *box, uint64_t n,
                               const struct idem_owner *owner, int64_t now_ms,
                               int64_t ttl_ms);
/* By stores_me, with a result. */
enum idem_code stores_complete_with(struct stores_box *box, uint64_t n, int64_t now_ms,
                                    int64_t ttl_ms, struct idem_span result);
/* Durable, by stores_me, without waiting for the answer; the lease is 1000 ms. */
void stores_submit_claim(struct stores_box *box, uint64_t n, int64_t now_ms,
                         struct stores_answer *answer);
void stores_submit_completion(struct stores_box *box, uint64_t n, int64_t now_ms,
                              int64_t ttl_ms, struct stores_answer *answer);
enum idem_code stores_abandon(struct stores_box *box, uint64_t n,
                              const struct idem_owner *owner);
enum idem_code stores_forget(struct stores_box *box, uint64_t n);
enum idem_code stores_restore(struct stores_box *box,
                              const struct idem_restoration *restoration);
struct stores_answer stores_lookup(struct stores_box *box, uint64_t n, int64_t now_ms);
void stores_sync(struct stores_box *box);
/* Claims and completes. */
void stores_put_done(struct stores_box *box, uint64_t n, int64_t now_ms, int64_t ttl_ms);

#endif
