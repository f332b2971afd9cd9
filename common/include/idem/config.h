/* SPDX-License-Identifier: MIT
 * The one YAML file of all programs, parsed by one schema that also knows defaults and documentation. */
#ifndef IDEM_CONFIG_H
#define IDEM_CONFIG_H

#include <idem/log.h>
#include <idem/rule.h>

#ifdef __cplusplus
extern "C" {
#endif

enum idem_store_wait {
    IDEM_WAIT_DEFAULT, /* park for a remote store, at once for an embedded one */
    IDEM_WAIT_PARK,
    IDEM_WAIT_BLOCK,
};

/* What the plugin's control topic lets those do whom the broker lets publish there. */
enum idem_control_mode {
    IDEM_CONTROL_READ,
    IDEM_CONTROL_OFF,
    IDEM_CONTROL_FULL, /* also what changes something */
};

enum idem_bridge_mode {
    IDEM_BRIDGE_FORWARD, /* hands messages on */
    IDEM_BRIDGE_RPC,     /* hands requests on, and their replies back */
};

#define IDEM_URLS_MAX 8

/* An AMQP end, or a database sink. Owned strings; NULL where not given. Secrets are not in here, unless a
 * URL has them: only where they are found. */
struct idem_endpoint_config {
    char *urls[IDEM_URLS_MAX + 1]; /* tried in turn; NULL ends them */
    char *user_env;                /* name of an environment variable */
    char *password_env;            /* the same */
    char *password_file;
    char *ca_file; /* TLS: who vouches for the broker; NULL: the system's authorities */
    char *certificate; /* TLS: ours, with private_key */
    char *private_key;
    char *queue;
    char *exchange;
    char *routing_key;
    unsigned prefetch; /* messages */
    char *statement;
    char *parameters[IDEM_EXTRACTORS_MAX]; /* "key", or an extractor that parses */
    size_t parameter_count;
    char *inbox;    /* a database: the table of records */
    unsigned batch; /* messages in one transaction at most */
};

/* What each key means: docs/reference/configuration.md. Strings are owned. Nothing in it changes after
 * loading, so threads may share it. */
struct idem_config {
    char *path; /* where it was read from */
    char *instance;
    char *secret_file; /* NULL: the public default secret */
    struct {
        char *url;
        enum idem_store_wait wait;
        int64_t deadline_ms; /* the longest that one message waits for an answer */
        unsigned park_messages;
        unsigned park_bytes;
        unsigned recent_keys; /* remembered in front of a remote store */
    } store;
    struct idem_ruleset rules;
    struct {
        bool present;
        struct idem_endpoint_config source;
        struct idem_endpoint_config sink;
        enum idem_bridge_mode mode;
        struct {
            char *queue; /* mode rpc only */
            unsigned prefetch;
        } replies;
        char *quarantine_exchange;
        bool declare;      /* makes queues and exchanges that are not there */
        unsigned attempts; /* failed deliveries of a message before it is quarantined */
        int64_t drain_ms;  /* the longest that a stop waits for what is under way */
        int64_t
            stalled_after_ms; /* nothing moves for as long: that is logged; 0: never */
        unsigned workers;
    } bridge;
    struct {
        char *listen;      /* ADDRESS:PORT; NULL: off */
        bool listen_given; /* false: it is the default, and may be taken by another */
        char *token_file;  /* NULL: nobody is asked for a token */
    } http;
    struct {
        int64_t sys_interval_ms; /* how often figures go to $SYS/broker/idem/; 0: never */
        char *handover;          /* NULL: not given */
        unsigned replay_requests; /* that wait for their response at a time, at most, */
        unsigned replay_bytes;    /* and the memory that they take */
        enum idem_control_mode control;
    } mqtt;
    struct {
        enum idem_log_format format;
        enum idem_log_level level;
    } log;
};

/* Receives findings that do not refuse the file, such as a short ttl: text is borrowed. Called while the
 * file is read. */
typedef void idem_config_warn(void *arg, const char *text);

/* Reads, checks and compiles the file, the secret file included. Blocks on disk. warn may be NULL. Initialises
 * *config whatever happens; call idem_config_fini in any case. IDEM_ERR_CONFIG: the text begins
 * "FILE:LINE: key: ...". IDEM_ERR_IO: the file cannot be read. IDEM_ERR_NOMEM. */
IDEM_API IDEM_MUST_USE enum idem_code idem_config_load(struct idem_config *config,
                                                       const char *path,
                                                       idem_config_warn *warn, void *arg,
                                                       struct idem_error *error);

/* The same from memory, text of length bytes; name stands for the file in messages. The secret file is not
 * read: the set has the public default secret. Does not block. */
IDEM_API IDEM_MUST_USE enum idem_code idem_config_parse(struct idem_config *config,
                                                        const char *name,
                                                        const char *text, size_t length,
                                                        idem_config_warn *warn, void *arg,
                                                        struct idem_error *error);

/* Frees what it owns, not the struct itself; the rules with it. Accepts a zeroed one. */
IDEM_API void idem_config_fini(struct idem_config *config);

#ifdef __cplusplus
}
#endif

#endif
