/* SPDX-License-Identifier: MIT
 * Rules as the configuration compiles them: what matches, what the key is, and what to do then. A set that
 * nobody changes may be read by any number of threads; nothing here blocks. Owned members come from malloc
 * and are freed by the fini of what holds them; each fini accepts what is zeroed. */
#ifndef IDEM_RULE_H
#define IDEM_RULE_H

#include <idem/message.h>
#include <idem/number.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IDEM_RULES_MAX         256
#define IDEM_EXTRACTORS_MAX    16 /* of one key, fingerprint or scope */
#define IDEM_KEY_MAX           4096 /* bytes of one extracted value; longer counts as missing */
#define IDEM_JSON_MAX          (1u << 20) /* bytes of a payload that is parsed as JSON */
#define IDEM_JSON_DEPTH_MAX    32  /* nesting of a payload that is parsed as JSON */
#define IDEM_NAME_MAX          128 /* bytes of a rule's name, a property's name, a hop */
#define IDEM_PROPAGATED_MAX    4   /* properties that carry the key on */
#define IDEM_RESULT_VALUES_MAX 16  /* of a header that tells failed responses */

enum idem_strategy {
    IDEM_STRATEGY_NATURAL,
    IDEM_STRATEGY_KEY,
    IDEM_STRATEGY_SEQUENCE,
};

enum idem_extractor_kind {
    IDEM_EXTRACT_PROPERTY,       /* property:NAME */
    IDEM_EXTRACT_MESSAGE_ID,     /* message-id */
    IDEM_EXTRACT_CORRELATION_ID, /* correlation-id */
    IDEM_EXTRACT_TOPIC_LEVEL,    /* topic:N */
    IDEM_EXTRACT_ROUTING_KEY,    /* routing-key, topic: the whole of it */
    IDEM_EXTRACT_JSON,           /* json:/POINTER */
    IDEM_EXTRACT_CLIENT,         /* client */
    IDEM_EXTRACT_USER,           /* user */
    IDEM_EXTRACT_PAYLOAD,        /* payload: its hash */
    IDEM_EXTRACT_PAYLOAD_SHA256, /* payload-sha256: in lower-case hexadecimal digits */
    IDEM_EXTRACT_TEXT,           /* text:LITERAL */
};

struct idem_extractor {
    enum idem_extractor_kind kind;
    char *text; /* owned: property name, JSON pointer or literal; NULL for the others */
    unsigned level; /* topic:N, from 1 */
};

/* joined false: the first extractor that yields a value wins. joined true: all must yield. */
struct idem_key_spec {
    bool joined;
    size_t count;
    struct idem_extractor *items; /* owned */
};

enum idem_scope_kind {
    IDEM_SCOPE_GLOBAL,
    IDEM_SCOPE_RULE,
    IDEM_SCOPE_PRINCIPAL, /* the user, else the client id */
    IDEM_SCOPE_BY,        /* a group: the values that by yields */
};

struct idem_scope {
    enum idem_scope_kind kind;
    struct idem_key_spec by; /* IDEM_SCOPE_BY only */
};

/* What a rule does in one situation; which are allowed where, the configuration schema says. */
enum idem_action {
    IDEM_ACTION_DELIVER,
    IDEM_ACTION_DROP,
    IDEM_ACTION_REJECT,
    IDEM_ACTION_QUARANTINE,
    IDEM_ACTION_REPLAY,
    IDEM_ACTION_REFUSE,
    IDEM_ACTION_HOLD,
};

struct idem_policies {
    enum idem_action on_missing_key;
    enum idem_action on_duplicate;
    enum idem_action on_conflict;
    enum idem_action on_in_flight;
    enum idem_action on_in_doubt;
    enum idem_action on_store_failure;
    enum idem_action on_fenced; /* strategy sequence */
    enum idem_action on_gap;    /* the same; DELIVER accepts it */
};

/* What the ttl counts from. */
enum idem_ttl_from {
    IDEM_TTL_FROM_FIRST, /* the first copy, once its delivery is certain: a fixed window */
    IDEM_TTL_FROM_LAST,  /* the latest copy: each repeat makes the window longer */
};

/* Empty parts match everything; all given parts must match. Owned strings, NULL where not given. */
struct idem_match {
    char *topic;        /* MQTT topic filter; matches IDEM_PROTOCOL_MQTT only */
    char *queue;        /* AMQP pattern over the queue's name */
    char *routing_key;  /* AMQP topic pattern */
    char *header_name;  /* property that must be there ... */
    char *header_value; /* ... with this value; NULL: any */
};

struct idem_propagate {
    char *as[IDEM_PROPAGATED_MAX +
             1]; /* owned: properties to set; NULL ends them; none: do not propagate */
    char *hop;   /* owned: NULL: the key as it came; else derived for this hop */
};

/* A ttl that a message may bring along: whole milliseconds in a property. */
struct idem_ttl_header {
    char *name;     /* owned: of the property; NULL: the rule's ttl for every message */
    int64_t min_ms; /* shorter ones are made this long; never within the lease */
    int64_t max_ms; /* longer ones are made this short; 0: the rule's ttl */
};

/* What the first number of a producer, or of an epoch, may be. */
enum idem_unknown {
    IDEM_UNKNOWN_ACCEPT,       /* any */
    IDEM_UNKNOWN_REQUIRE_ZERO, /* another than 0 leaves those before it out */
};

struct idem_sequence_spec {
    struct idem_key_spec producer;
    struct idem_key_spec epoch; /* count 0: no epochs */
    struct idem_key_spec number;
    unsigned window; /* 0: strictly rising */
    unsigned wrap;   /* bits after which numbers start at 0 again; 0: 64-bit, never */
    enum idem_unknown on_unknown;
    int64_t hold_ms;       /* on_gap: hold: the longest that a number waits for others, */
    unsigned hold_numbers; /* and the most that it waits for */
};

/* What becomes of the response to a request, under a rule that replays it. */
struct idem_result_spec {
    unsigned max;        /* bytes of a stored result: payload, properties and all */
    char *failed_header; /* owned: NULL: no response counts as failed */
    /* Owned: the values of it that say so, "4*" being all that begin with 4; NULL ends them; none: any. */
    char *failed_values[IDEM_RESULT_VALUES_MAX + 1];
    bool store_failed; /* failed ones are stored and replayed like any other */
};

struct idem_rule {
    char *name; /* owned, unique in its set */
    struct idem_match match;
    enum idem_strategy strategy;
    struct idem_key_spec key;
    struct idem_scope scope;
    int64_t ttl_ms; /* > 0, as the lease, unless the strategy is natural */
    enum idem_ttl_from ttl_from;
    struct idem_ttl_header ttl_header;
    int64_t lease_ms; /* how long a claim keeps other copies out */
    /* count 0: none; always joined; absent values count as absent. */
    struct idem_key_spec fingerprint;
    struct idem_policies policies;
    struct idem_propagate propagate;
    struct idem_sequence_spec sequence; /* IDEM_STRATEGY_SEQUENCE only */
    struct idem_result_spec result;     /* on_duplicate: replay only */
    int line;                           /* in the configuration file, for messages */
};

struct idem_ruleset {
    struct idem_rule *rules; /* owned */
    size_t count;
    struct idem_secret secret;
};

/* The first rule that matches, borrowed from the set, or NULL. Pure; bounded by rules x topic length. */
IDEM_API const struct idem_rule *idem_ruleset_match(const struct idem_ruleset *set,
                                                    const struct idem_message *message);

/* The same, as if those rules were not there for which `without` is true; NULL: all are there. */
IDEM_API const struct idem_rule *
idem_ruleset_match_without(const struct idem_ruleset *set,
                           const struct idem_message *message, const bool *without);

/* How many milliseconds this message is remembered once it has been delivered: what it asks for, within the
 * bounds of the rule, else the rule's ttl. Whatever else the property may hold counts as absent. Pure. */
IDEM_API int64_t idem_rule_ttl(const struct idem_rule *rule,
                               const struct idem_message *message);

/* On what terms numbers are claimed under a rule of strategy sequence. An adapter that cannot keep a copy
 * back (can_hold) cannot wait for what is missing either. Pure. */
IDEM_API struct idem_sequence_terms idem_rule_terms(const struct idem_rule *rule,
                                                    bool can_hold);

/* They free what is owned, not the struct itself. */
IDEM_API void idem_ruleset_fini(struct idem_ruleset *set);
IDEM_API void idem_rule_fini(struct idem_rule *rule);
IDEM_API void idem_key_spec_fini(struct idem_key_spec *spec);

/* Parses one extractor of the configuration ("property:NAME", "json:/a/b", "topic:2", ...), whose text is
 * then the caller's to free. On error there is none, and the error's says what forms are known.
 * IDEM_ERR_INVALID, IDEM_ERR_NOMEM. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_extractor_parse(struct idem_extractor *extractor, const char *text,
                     struct idem_error *error);

/* MQTT topic filters (OASIS MQTT 5.0, section 4.7): + and #, and no match of a leading wildcard with
 * a $-topic. The filter must be valid. Pure. */
IDEM_API bool idem_topic_matches(struct idem_span filter, struct idem_span topic);
IDEM_API bool idem_topic_filter_valid(struct idem_span filter);

/* AMQP topic patterns (AMQP 0-9-1, topic exchanges): words between dots, * one word, # none or more. Pure. */
IDEM_API bool idem_pattern_matches(struct idem_span pattern, struct idem_span words);

#ifdef __cplusplus
}
#endif

#endif
