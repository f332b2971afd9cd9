/* SPDX-License-Identifier: MIT
 * The store interface: the written contract between the receiver and every backend.
 *
 * Asynchronous in form: an operation is submitted and answered by a callback, exactly once. A backend
 * that can answer at once (memory, embedded) runs the callback before the submitting call returns,
 * except for operations marked durable, which the embedded store answers from idem_store_dispatch()
 * once the group that holds them is on disk.
 *
 * Threads: one handle belongs to one thread at a time; callbacks run on it, inside the submitting call or
 * a later one that lets the store work: idem_store_dispatch(), iterate, sync, close. They may submit
 * operations, and must not close the store. Two handles may be used by two threads at once.
 *
 * Time: every operation is told the wall-clock time in milliseconds (now_ms: idem_clock_wall_ms());
 * backends do not ask the clock for expiry.
 *
 * Ownership: the struct of an operation and what it points to are read before the submitting call returns.
 * An answer and what it points to are borrowed until its callback returns. */
#ifndef IDEM_STORE_H
#define IDEM_STORE_H

#include <idem/digest.h>
#include <idem/error.h>
#include <idem/log.h>
#include <idem/number.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who holds a claim: a hash of the instance's name, and a number that is new at every start. A record
 * with our instance and another incarnation was left by ourselves before a crash. */
struct idem_owner {
    uint64_t instance;
    uint64_t incarnation;
};

/* The longest result that a store takes, in bytes: IDEM_ERR_INVALID beyond it. */
#define IDEM_RESULT_MAX (1024 * 1024)

enum idem_record_state {
    IDEM_RECORD_NONE = 0,
    IDEM_RECORD_PENDING = 1,  /* claimed, not yet known to be delivered */
    IDEM_RECORD_DONE = 2,     /* delivered for certain */
    IDEM_RECORD_SEQUENCE = 3, /* what is known of a producer's numbers: see sequence.h */
};

struct idem_record {
    enum idem_record_state state;
    bool has_fingerprint;
    struct idem_digest fingerprint; /* valid with has_fingerprint */
    /* Pending: the holder; done: who completed it (instance only kept). */
    struct idem_owner owner;
    int64_t first_seen_ms; /* wall clock: when the key was first claimed */
    /* Wall clock. Pending: end of the lease; done: expiry. Live while now < until. */
    int64_t until_ms;
    /* Stored result, or the state of a sequence; borrowed until the callback returns; may
     * be empty. */
    struct idem_span result;
};

enum idem_claim_outcome {
    IDEM_CLAIM_NEW, /* nothing live was there: the claim is ours */
    IDEM_CLAIM_TAKEN_OVER, /* ours now; its holder died or its lease ran out: the copy is in doubt */
    IDEM_CLAIM_IN_FLIGHT, /* someone (perhaps we ourselves) holds a live claim; nothing changed */
    IDEM_CLAIM_DONE, /* a live done record; nothing changed but its end, where the claim extends it */
    IDEM_CLAIM_FENCED, /* numbers only: its epoch is older than the producer's; nothing changed */
    IDEM_CLAIM_GAP, /* numbers only: leaves others out, and the terms do not accept that */
    IDEM_CLAIM_OUTCOME_COUNT
};

struct idem_answer {
    enum idem_code code;             /* IDEM_OK, or why the operation did not succeed */
    enum idem_claim_outcome outcome; /* claim only, and only with IDEM_OK */
    uint64_t skipped; /* NEW and GAP, of a number: how many it leaves out */
    /* Claim: what was there before (NEW: state NONE); lookup: what is there. Undefined unless code is
     * IDEM_OK, or the operation is a claim of a store with recent_keys: see there. */
    struct idem_record record;
};

/* arg is what was submitted with the operation. */
typedef void idem_store_done(void *arg, const struct idem_answer *answer);

/* A claim of a number is made in the record of its producer, which digest names: state SEQUENCE. It is
 * answered as if each number had a record of its own, and record tells of that one: PENDING with the
 * holder, the end of its lease and, about, the time of the claim; or DONE. Two things are not as exact as
 * for a key: when a number was first seen, and a lease, which later claims of its owner may lengthen by a
 * quarter. */
struct idem_claim {
    struct idem_digest digest;
    struct idem_number number; /* of strategy sequence; fingerprints are not kept then */
    struct idem_sequence_terms terms; /* with a number */
    struct idem_digest fingerprint;
    bool has_fingerprint; /* false: none is kept */
    /* Answer only when a crash of this process or machine cannot undo the claim. */
    bool durable;
    /* The copy is delivered even where this fails (on_store_failure: deliver): with recent_keys its claim is
     * then remembered. */
    bool deferrable;
    struct idem_owner owner;
    int64_t now_ms;
    int64_t lease_ms; /* > 0; counted from now */
    /* A sliding window: a live done record of no other fingerprint is kept until now + extend_ms at least.
     * 0: it ends when it would have ended. */
    int64_t extend_ms;
    /* What its completion will ask for: for stores in which both are one step. */
    int64_t ttl_ms;
    /* Of a done record the result is wanted: with recent_keys, which do not hold any, the store behind is
     * asked. Where that does not answer, a key that is remembered as done is answered without its result. */
    bool wants_result;
};

struct idem_completion {
    struct idem_digest digest;
    struct idem_number number; /* as it was claimed */
    struct idem_owner owner;   /* must hold the pending record */
    int64_t now_ms;
    int64_t ttl_ms; /* > 0; counted from now */
    bool durable;   /* as of a claim */
    /* With recent_keys, and durable: IDEM_OK already where it is only remembered, to be written when the
     * store answers again. What is not durable is always deferrable. */
    bool deferrable;
    /* Copied; none with a number. Of what is owed with recent_keys it is not kept. */
    struct idem_span result;
};

struct idem_abandonment {
    struct idem_digest digest;
    struct idem_number number; /* as it was claimed */
    struct idem_owner owner;
    /* Also a done record that this instance completed and that has no result. */
    bool completed;
};

/* A record of another store, as it was there. */
struct idem_restoration {
    struct idem_digest digest;
    struct idem_record record; /* any state but NONE; its result is copied */
    int64_t now_ms;
    bool durable; /* as of a claim */
};

/* A pending record whose lease has ended still tells that its delivery is in doubt: stores keep it this
 * much longer. */
#define IDEM_DOUBT_KEPT_MS (INT64_C(72) * 60 * 60 * 1000)

/* Whether a record of this state and end tells nothing any more, and stores may remove it. Pure. */
IDEM_API bool idem_record_expired(enum idem_record_state state, int64_t until_ms,
                                  int64_t now_ms);

/* What a backend does not have is 0. Counts of events are since the store was opened. */
struct idem_store_stats {
    uint64_t keys;  /* records on disk or in memory, expired ones included until purged */
    uint64_t bytes; /* of memory or disk that they use */
    uint64_t memory_entries; /* in the in-process front */
    uint64_t memory_bytes;
    uint64_t commits; /* groups made durable */
    uint64_t commit_failures;
    uint64_t purged; /* expired records removed */
    uint64_t map_growths;
    bool failing;           /* the last attempt to make records durable failed */
    uint64_t servers;       /* that are known to belong to the store */
    uint64_t connected;     /* ... to which there is a connection that takes operations */
    uint64_t breakers_open; /* ... that have failed and are not asked at present */
    uint64_t
        owed; /* with recent_keys: completions that the store behind has yet to be told */
};

/* Return false to stop. Both pointers are borrowed until the call returns. */
typedef bool idem_store_visit(void *arg, const struct idem_digest *digest,
                              const struct idem_record *record);

struct idem_store;

/* What a backend implements. Reached through the functions below, which check the arguments. poll_fd,
 * dispatch and sync are NULL where everything is answered at once, and nothing is left to make durable. */
struct idem_store_ops {
    const char *name;

    /* One atomic step: see the outcomes. A pending record is taken over when its lease has run out
     * (now >= until) or when its owner is another incarnation of the claimer's instance; first_seen
     * is kept. IDEM_ERR_FULL, _IO, _UNAVAILABLE: nothing is claimed. IDEM_ERR_TIMEOUT: the key MAY be
     * claimed, or (durable) IS claimed but not durable yet. Never waits for disk or network in the
     * submitting call. A done record that could not be extended is DONE all the same. A number also
     * IDEM_ERR_FULL where its producer has too many open ones, far apart: see sequence.h. */
    void (*claim)(struct idem_store *store, const struct idem_claim *claim,
                  idem_store_done *done, void *arg);

    /* pending of this owner -> done. Repeating it succeeds, and changes nothing but this: where it brings
     * a result, and the record has none, it adds it. NOT_OWNER: another holds or completed it;
     * NOT_FOUND: nothing is there (the lease ended and it was purged). TIMEOUT: as for claim. A number
     * of an epoch that is over by now succeeds: its copies are fenced. */
    void (*complete)(struct idem_store *store, const struct idem_completion *completion,
                     idem_store_done *done, void *arg);

    /* pending of this owner -> nothing, so that a retry is treated as new. A done record is left
     * alone, unless the abandonment says completed: NOT_OWNER. Nothing there: NOT_FOUND. */
    void (*abandon)(struct idem_store *store, const struct idem_abandonment *abandonment,
                    idem_store_done *done, void *arg);

    /* The live record, or NOT_FOUND. Changes nothing. */
    void (*lookup)(struct idem_store *store, const struct idem_digest *digest,
                   int64_t now_ms, idem_store_done *done, void *arg);

    /* Removes whatever is recorded, pending or done. NOT_FOUND where nothing is. */
    void (*forget)(struct idem_store *store, const struct idem_digest *digest,
                   idem_store_done *done, void *arg);

    /* Takes over what another store knows, in one atomic step; for tools that move records. OK: the record
     * is there as it was given, or joined with what was there. NOT_OWNER: what is there knows more, and has
     * not changed. NOT_FOUND: the record has expired. What joins, and what knows more: see step.h. _FULL,
     * _IO, _UNAVAILABLE: nothing has changed; TIMEOUT: as for claim. */
    void (*restore)(struct idem_store *store, const struct idem_restoration *restoration,
                    idem_store_done *done, void *arg);

    /* Visits each record that was live at now_ms, once, in no particular order: with a time in the past those
     * too that have ended since, as long as the backend has them. MAY block; for tools, not for hot paths.
     * IDEM_ERR_UNSUPPORTED: the backend cannot. _UNAVAILABLE, _TIMEOUT, _IO, _FORMAT, _NOMEM: some records may
     * have been visited. IDEM_OK as well where the visitor stopped it. */
    enum idem_code (*iterate)(struct idem_store *store, int64_t now_ms,
                              idem_store_visit *visit, void *arg,
                              struct idem_error *error);

    /* What is known now: asks no server. *stats is zeroed before. */
    void (*stats)(struct idem_store *store, struct idem_store_stats *stats);

    /* Readable when dispatch has work; -1: never (everything is answered at once). The store's own, and
     * the same until it is closed: wait for it, and neither read nor close it. */
    int (*poll_fd)(struct idem_store *store);

    /* Runs the callbacks that are due. Never blocks, except that a host's name in the URL is looked up for
     * each new connection. */
    void (*dispatch)(struct idem_store *store);

    /* Blocks until everything accepted so far is durable, or failed; a store on a network for a few
     * timeouts of an operation at most (IDEM_ERR_TIMEOUT). For shutdown and tests. */
    enum idem_code (*sync)(struct idem_store *store, struct idem_error *error);

    /* Makes everything accepted durable, answers what is open, frees. Blocks on disk; a store on a network
     * as sync does, and with recent_keys for three seconds more. */
    void (*close)(struct idem_store *store);

    /* Whether an operation upon the key would be refused at once, since its server is known not to answer:
     * asks no server. NULL: as the stats say of all of them. */
    bool (*refuses)(const struct idem_store *store, const struct idem_digest *digest);
};

/* What a sequence record knows of its producer. */
struct idem_sequence_report {
    uint64_t epoch; /* the latest one */
    bool has_mark;
    uint64_t mark; /* the highest number that was delivered for certain */
    bool has_top;
    uint64_t top;      /* the highest one that was ever claimed */
    size_t claimed;    /* numbers that are claimed and not settled */
    size_t given_back; /* numbers whose delivery failed, and that have not come again */
};

/* The longest state of a sequence record, in bytes. */
#define IDEM_SEQUENCE_STATE_MAX 8192

/* For tools: what is in a sequence record, and what a claim of a number would be answered if its producer
 * had this record, or none (state NONE). Changes nothing. IDEM_ERR_FORMAT: it is no sequence. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_sequence_preview(const struct idem_record *record, const struct idem_claim *claim,
                      struct idem_answer *answer, struct idem_sequence_report *report);

/* Embedded in the backend's own struct as its first member. */
struct idem_store {
    const struct idem_store_ops *ops;
};

/* Borrowed by the call that opens, except where it says more. Zero is the default of each but url. */
struct idem_store_options {
    /* memory: | embedded:///PATH[?map=64MiB&commit=10ms&front=524288] | redis://... |
     * unix:///PATH: see docs/guide/redis.md. */
    const char *url;
    /* For tools beside a running program: lookup, iterate and stats only. */
    bool read_only;
    /* A store written under another secret is refused; NULL: not checked. */
    const struct idem_secret *secret;
    /* How long an operation may stay unanswered where the URL does not say (timeout=); 0: as the backend
     * thinks. Backends without a network have no use for it. */
    int64_t deadline_ms;
    /* Keys that this process remembers in front of a store on the network: known ones are answered
     * without asking, also while it is down, and what is completed then is written later. A claim that fails
     * is answered with its code and, in record, the live claim of this handle if there is one. 0: none. */
    size_t recent_keys;
    /* With recent_keys: how long a claim that another owner holds is asked again before it is answered
     * IDEM_CLAIM_IN_FLIGHT. */
    int64_t patience_ms;
    struct idem_log log; /* copied */
};

/* Opens the backend that the URL names. Blocks on disk, or for the first answer of a server, at most until
 * both timeouts of the URL have passed: one that cannot be reached may come later, and is no error. *store is
 * the caller's to close, and NULL on error.
 * IDEM_ERR_INVALID (URL), _UNSUPPORTED (a backend that this build lacks), _BUSY, _FORMAT, _VERSION,
 * _IO, _NOMEM; the text says what to do. */
static inline IDEM_MUST_USE enum idem_code
idem_store_open(struct idem_store **store, const struct idem_store_options *options,
                struct idem_error *error);

/* The same for a caller with its own idea of how long the options are: what it does not know is zero. So
 * options may grow at their end without breaking a program that was built before.
 * IDEM_ERR_UNSUPPORTED: the program is newer than the library, and uses an option that came later. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_store_open_sized(struct idem_store **store, const struct idem_store_options *options,
                      size_t options_size, struct idem_error *error);

static inline enum idem_code idem_store_open(struct idem_store **store,
                                             const struct idem_store_options *options,
                                             struct idem_error *error) {
    return idem_store_open_sized(store, options, sizeof *options, error);
}

/* Whether a URL is well-formed and names a known backend, without opening it: IDEM_OK, or else
 * IDEM_ERR_INVALID and what is wrong. Does not block. */
IDEM_API IDEM_MUST_USE enum idem_code idem_store_url_check(const char *url,
                                                           struct idem_error *error);

/* Whether the URL names a store on the network: which can be away, answers later, and can be opened several
 * times. False for what is no URL. */
IDEM_API bool idem_store_url_is_remote(const char *url);

/* Answers what is open, by callbacks, before it frees: see the operation. Blocks. NULL is accepted. */
IDEM_API void idem_store_close(struct idem_store *store);

/* The operations of the contract above, and on its terms. What is outside its documented range, times beyond
 * what a record can hold included, is answered with IDEM_ERR_INVALID at once, and changes nothing. done is
 * required; each code comes through it. */
IDEM_API void idem_store_claim(struct idem_store *store, const struct idem_claim *claim,
                               idem_store_done *done, void *arg);
IDEM_API void idem_store_complete(struct idem_store *store,
                                  const struct idem_completion *completion,
                                  idem_store_done *done, void *arg);
IDEM_API void idem_store_abandon(struct idem_store *store,
                                 const struct idem_abandonment *abandonment,
                                 idem_store_done *done, void *arg);
IDEM_API void idem_store_lookup(struct idem_store *store,
                                const struct idem_digest *digest, int64_t now_ms,
                                idem_store_done *done, void *arg);
IDEM_API void idem_store_forget(struct idem_store *store,
                                const struct idem_digest *digest, idem_store_done *done,
                                void *arg);
IDEM_API void idem_store_restore(struct idem_store *store,
                                 const struct idem_restoration *restoration,
                                 idem_store_done *done, void *arg);
IDEM_API IDEM_MUST_USE enum idem_code
idem_store_iterate(struct idem_store *store, int64_t now_ms, idem_store_visit *visit,
                   void *arg, struct idem_error *error);
IDEM_API void idem_store_read_stats(struct idem_store *store,
                                    struct idem_store_stats *stats);
IDEM_API int idem_store_poll_fd(struct idem_store *store);
IDEM_API void idem_store_dispatch(struct idem_store *store);
IDEM_API IDEM_MUST_USE enum idem_code idem_store_sync(struct idem_store *store,
                                                      struct idem_error *error);

#ifdef __cplusplus
}
#endif

#endif
