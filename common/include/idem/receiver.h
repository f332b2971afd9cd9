/* SPDX-License-Identifier: MIT
 * The idempotent receiver: claim -> deliver -> complete or abandon. See docs/design/protocol.md for
 * the crash windows.
 *
 * Threads: a receiver belongs to the thread of its store; counters may be read from any. Callbacks run on
 * it, inside the call that causes them or inside one that lets the store work: see store.h.
 *
 * Blocking: nothing here waits for disk or network; what the store cannot answer at once, it answers later.
 *
 * Time: now_ms is the wall clock, idem_clock_wall_ms(). */
#ifndef IDEM_RECEIVER_H
#define IDEM_RECEIVER_H

#include <idem/identity.h>
#include <idem/store.h>
#include <idem/verdict.h>

#ifdef __cplusplus
extern "C" {
#endif

struct idem_receiver;

/* Whether one more copy can be kept until the store has answered. Must not call the receiver. */
typedef bool idem_receiver_room(void *arg);

/* Whether the copy that claimed the digest is still being delivered, and will be, short of a crash. Asked
 * from within idem_receiver_submit or idem_store_dispatch; must not call the receiver. */
typedef bool idem_receiver_delivering(void *arg, const struct idem_digest *digest);

/* Borrowed by the call that opens, except where it says more. */
struct idem_receiver_options {
    struct idem_store *store; /* borrowed; must outlive the receiver */
    /* Borrowed until replaced by idem_receiver_set_rules. */
    const struct idem_ruleset *rules;
    /* Names the owner of claims; not empty; only its hash is kept. */
    const char *instance;
    uint64_t incarnation; /* new at every start; 0: taken from the clock and randomness */
    bool durable;         /* claims and completions are answered when on disk */
    bool can_hold;        /* the adapter can keep a copy unacknowledged */
    /* Copied. Each claim that fails is a line: see idem_log_limit_open. */
    struct idem_log log;
    /* For adapters that cannot hold, asked about live claims of this very receiver: where true, another
     * copy is a duplicate or a conflict already, else in doubt. NULL: always in doubt. */
    idem_receiver_delivering *delivering;
    void *delivering_arg;
    /* Asked before each claim; where false, the copy is a store failure at once (IDEM_ERR_FULL). NULL:
     * there is always room. */
    idem_receiver_room *room;
    void *room_arg;
    /* The store remembers claims that failed (idem_store_options.recent_keys): a copy that is delivered all
     * the same is to be completed too, so that the next one is known. A receiver that can hold takes another
     * copy meanwhile for in flight. For one that cannot, a claim of its own that turns out to have been made
     * after all, and that nobody is delivering, goes to the next copy. */
    bool completes_unprotected;
    bool keeps_keys; /* idem_receiver_key tells the key of each copy that was claimed */
};

/* One copy on its way: the caller's storage, filled by idem_receiver_submit. Keep it where it is until
 * decided has been called, and until complete or abandon has been called where claimed is true; it
 * holds no pointers into the message. */
struct idem_delivery {
    enum idem_verdict verdict;
    enum idem_reason reason;
    /* Whatever the verdict is: complete must follow when what it asks for (deliver,
     * quarantine, drop) is certain, or abandon when that has failed for certain. */
    bool claimed;
    bool has_identity; /* digest is valid */
    bool deferrable;   /* of the rule: on_store_failure: deliver */
    struct idem_digest digest;
    struct idem_number number;   /* strategy sequence; digest is the one message's then */
    struct idem_digest producer; /* with a number: whose record it is in */
    uint64_t skipped;            /* with a number: how many it leaves out */
    struct idem_digest fingerprint; /* valid with has_fingerprint */
    bool has_fingerprint;
    int64_t ttl_ms; /* what its completion asks for */
    /* Wall clock, of the record that was found; 0 where none was. */
    int64_t first_seen_ms;
    int64_t retry_at_ms; /* HOLD: wall clock, when the lease can have ended */
    /* NULL where none matched, or where the rules were replaced before a later decision;
     * valid until rules are replaced. */
    const struct idem_rule *rule;
    const char *rule_name; /* "" where none matched; valid until the receiver is closed */
    enum idem_code store_code; /* STORE_FAILURE: why */
    bool completed; /* it has been completed: a result may follow, or a withdrawal */
};

/* arg is what was submitted with the copy; delivery is the caller's own. May call the receiver, but not
 * close it. */
typedef void idem_receiver_decided(void *arg, struct idem_delivery *delivery);

/* IDEM_OK; of complete and abandon in store.h the codes; or IDEM_ERR_NOMEM: the claim stays until its lease
 * ends. May call the receiver, but not close it. */
typedef void idem_receiver_settled(void *arg, enum idem_code code);

/* *receiver is the caller's to close, and NULL on error. IDEM_ERR_INVALID (no store, instance or rules, or
 * rules out of range), _NOMEM, _UNSUPPORTED. */
static inline IDEM_MUST_USE enum idem_code
idem_receiver_open(struct idem_receiver **receiver,
                   const struct idem_receiver_options *options, struct idem_error *error);

/* The same for a caller with its own idea of how long the options are; see idem_store_open_sized. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_receiver_open_sized(struct idem_receiver **receiver,
                         const struct idem_receiver_options *options, size_t options_size,
                         struct idem_error *error);

static inline enum idem_code
idem_receiver_open(struct idem_receiver **receiver,
                   const struct idem_receiver_options *options,
                   struct idem_error *error) {
    return idem_receiver_open_sized(receiver, options, sizeof *options, error);
}

/* Copies that the store has not answered yet are never decided, settlements never reported; the claims
 * stay as they are in the store. NULL is accepted. Not from inside a callback. */
IDEM_API void idem_receiver_close(struct idem_receiver *receiver);

/* Decides one copy and calls decided exactly once: before returning where the store answers at once.
 * The message is read before this returns only. Cannot fail: whatever goes wrong is a verdict. */
IDEM_API void idem_receiver_submit(struct idem_receiver *receiver,
                                   const struct idem_message *message, int64_t now_ms,
                                   struct idem_delivery *delivery,
                                   idem_receiver_decided *decided, void *arg);

/* What the delivered copy carries downstream: the property to set (*as) and its value (*text). Call it
 * from decided, or, where decided ran before submit returned, before the next submit: the texts live
 * that long, are terminated and hold no NUL. Returns the length of text; 0: nothing to propagate. */
IDEM_API size_t idem_receiver_propagation(const struct idem_receiver *receiver,
                                          const struct idem_delivery *delivery,
                                          const char *const **as, const char **text);

/* The key of the copy as a text, under the same terms: see idem_key_text. 0: it has none, or the option
 * keeps_keys is off. */
IDEM_API size_t idem_receiver_key(const struct idem_receiver *receiver,
                                  const struct idem_delivery *delivery,
                                  const char **text);

/* Verdict REPLAY: the stored result of the first copy, under the terms of propagation; idem/result.h reads
 * it. False, and an empty span: the record has none (yet), or it could not be had. */
IDEM_API bool idem_receiver_result(const struct idem_receiver *receiver,
                                   const struct idem_delivery *delivery,
                                   struct idem_span *result);

/* The delivery is certain: make the record done. settled may be NULL. Call it before the source is
 * acknowledged, never before the delivery is certain. Clears delivery->claimed; where it is not set,
 * settled gets IDEM_ERR_INVALID. The delivery is not looked at after the call. */
IDEM_API void idem_receiver_complete(struct idem_receiver *receiver,
                                     struct idem_delivery *delivery, int64_t now_ms,
                                     idem_receiver_settled *settled, void *arg);

/* The same, and stores a result with the record, which later copies are answered with; copied, at most
 * IDEM_RESULT_MAX bytes. Also for a copy that was completed without one, whose response has come since: it
 * is added then, unless the record has a result by now. settled as above. */
IDEM_API void idem_receiver_complete_with(struct idem_receiver *receiver,
                                          struct idem_delivery *delivery, int64_t now_ms,
                                          struct idem_span result,
                                          idem_receiver_settled *settled, void *arg);

/* A copy that was completed has come to nothing, as its response says: forget it, so that a retry counts as
 * new. NOT_OWNER: it has a result, or others have it by now. IDEM_ERR_INVALID: it was not completed. */
IDEM_API void idem_receiver_withdraw(struct idem_receiver *receiver,
                                     struct idem_delivery *delivery,
                                     idem_receiver_settled *settled, void *arg);

/* The delivery has failed for certain: forget the claim, so that a retry counts as new. A claim that
 * was taken over with a verdict other than DELIVER is left to its lease instead: see protocol.md. */
IDEM_API void idem_receiver_abandon(struct idem_receiver *receiver,
                                    struct idem_delivery *delivery,
                                    idem_receiver_settled *settled, void *arg);

/* Replaces the rules, which are borrowed; the old ones may be freed afterwards. Deliveries on their way keep
 * what they need; counters of rules are kept by name. IDEM_ERR_NOMEM, _INVALID, _UNSUPPORTED: the old rules
 * stay. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_receiver_set_rules(struct idem_receiver *receiver, const struct idem_ruleset *rules,
                        struct idem_error *error);

/* Takes a rule out, or puts it back: while it is out, messages are judged as if it were not there, and those that
 * it would have taken are counted as bypassed. Until the rules are replaced. IDEM_ERR_NOT_FOUND: no rule has
 * that name. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_receiver_enable_rule(struct idem_receiver *receiver, const char *name, bool enabled);

/* The number by which records name an instance: see struct idem_owner. Pure. */
IDEM_API uint64_t idem_instance_number(const char *instance);

/* Counters only rise. Rule "" stands for messages that no rule matched. */
struct idem_rule_counts {
    char name[IDEM_NAME_MAX + 1];
    uint64_t by_reason[IDEM_REASON_COUNT];
    uint64_t by_verdict[IDEM_VERDICT_COUNT];
    uint64_t bypassed; /* messages that it would have taken, had it not been taken out */
    bool disabled;     /* it is out now: idem_receiver_enable_rule */
    uint64_t without_result; /* verdict replay, and there was no result */
};
struct idem_receiver_counts {
    uint64_t by_reason[IDEM_REASON_COUNT];
    uint64_t by_verdict[IDEM_VERDICT_COUNT];
    uint64_t completed;
    uint64_t abandoned;
    uint64_t settle_failures; /* complete or abandon that the store did not accept */
    uint64_t without_result;
    uint64_t results; /* stored with a completion, or after it */
};

/* Any thread. rules receives up to rules_max rows; returns how many there are in all. */
IDEM_API size_t idem_receiver_read_counts(const struct idem_receiver *receiver,
                                          struct idem_receiver_counts *total,
                                          struct idem_rule_counts *rules,
                                          size_t rules_max);

#ifdef __cplusplus
}
#endif

#endif
