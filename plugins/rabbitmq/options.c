/* SPDX-License-Identifier: MIT
 * What the configuration says about the bridge, checked and ready to use. */
#include "options.h"

#include "postgres/session.h"
#include "postgres/statement.h"
#include "postgres/table.h"

#define TOKEN_MIN 16 /* bytes */

static enum idem_code unsupported(const struct idem_config *config,
                                  const struct idem_rule *rule, const char *key,
                                  const char *text, struct idem_error *error) {
    return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0, "%s:%d: %s: rule %s: %s",
                          config->path, rule->line, key, rule->name, text);
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_database(const struct idem_config *config) {
    return config->bridge.present && begins(config->bridge.sink.urls[0], "postgres");
}

static bool is_rpc(const struct idem_config *config) {
    return config->bridge.mode == IDEM_BRIDGE_RPC;
}

enum idem_code idem_bridge_check_rules(const struct idem_config *config,
                                       struct idem_error *error) {
    for (size_t i = 0; i < config->rules.count; i++) {
        const struct idem_rule *rule = &config->rules.rules[i];
        if (rule->match.topic != NULL) {
            continue; /* matches no AMQP message */
        }
        if (rule->strategy == IDEM_STRATEGY_SEQUENCE && is_database(config)) {
            return unsupported(config, rule, "strategy",
                               "a PostgreSQL sink keeps keys, not marks; use key, for "
                               "example {all: [PRODUCER, NUMBER]}",
                               error);
        }
        if (rule->ttl_from == IDEM_TTL_FROM_LAST && is_database(config)) {
            return unsupported(config, rule, "ttl_from",
                               "a PostgreSQL sink writes a record once, with its effect; "
                               "use ttl_from: first",
                               error);
        }
        if (rule->policies.on_duplicate == IDEM_ACTION_REPLAY && !is_rpc(config)) {
            return unsupported(config, rule, "on_duplicate",
                               "the bridge sees results to replay in bridge.mode: rpc "
                               "only; use that, or drop or quarantine",
                               error);
        }
    }
    return IDEM_OK;
}

/* A store in this process has one owner: one thread. */
static enum idem_code check_workers(const struct idem_config *config,
                                    struct idem_error *error) {
    if (config->bridge.workers > 1 && !is_database(config) &&
        !idem_store_url_is_remote(config->store.url)) {
        return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                              "%s: bridge.workers: %u workers need a store that each of "
                              "them can open, such as redis://; with memory: and "
                              "embedded:// use workers: 1",
                              config->path, config->bridge.workers);
    }
    return IDEM_OK;
}

static enum idem_code read_credentials(struct idem_address *address,
                                       const struct idem_endpoint_config *end,
                                       struct idem_error *error) {
    enum idem_code code = IDEM_OK;
    if (end->password_file != NULL && end->password_env != NULL) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "password_file and password_env exclude each other");
    }
    if (end->user_env != NULL) {
        code = idem_address_read_variable(&address->user, end->user_env, error);
    }
    if (code == IDEM_OK && end->password_env != NULL) {
        code = idem_address_read_variable(&address->password, end->password_env, error);
    }
    if (code == IDEM_OK && end->password_file != NULL) {
        code = idem_address_read_password(address, end->password_file, error);
    }
    return code;
}

static enum idem_code read_url(struct idem_address *address, const char *url,
                               const struct idem_endpoint_config *end,
                               struct idem_error *error) {
    enum idem_code code = idem_address_parse(address, url, error);
    address->ca_file = end->ca_file;
    address->certificate = end->certificate;
    address->private_key = end->private_key;
    if (code == IDEM_OK && (end->certificate == NULL) != (end->private_key == NULL)) {
        code = idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "certificate and private_key need each other");
    }
    return code == IDEM_OK ? read_credentials(address, end, error) : code;
}

static enum idem_code read_end(struct idem_addresses *addresses,
                               const struct idem_config *config,
                               const struct idem_endpoint_config *end, const char *name,
                               struct idem_error *error) {
    struct idem_error cause = IDEM_ERROR_INIT;
    enum idem_code code = IDEM_OK;
    for (char *const *url = end->urls; *url != NULL && code == IDEM_OK; url++) {
        code = read_url(&addresses->list[addresses->count++], *url, end, &cause);
    }
    if (code != IDEM_OK) {
        return idem_error_set(error, code, cause.sys_errno, "%s: bridge.%s: %s",
                              config->path, name, cause.text);
    }
    return IDEM_OK;
}

static enum idem_code read_parameters(struct idem_bridge_database *database,
                                      const struct idem_endpoint_config *sink,
                                      struct idem_error *error) {
    enum idem_code code = IDEM_OK;
    for (size_t i = 0; i < sink->parameter_count && code == IDEM_OK; i++) {
        struct idem_parameter *parameter =
            &database->parameters[database->parameter_count++];
        code = idem_parameter_parse(parameter, sink->parameters[i], error);
    }
    return code;
}

static enum idem_code check_database(const struct idem_endpoint_config *sink,
                                     struct idem_error *error) {
    size_t parameters = idem_statement_parameters(sink->statement);
    if (sink->ca_file != NULL || sink->certificate != NULL || sink->private_key != NULL) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "ca_file, certificate and private_key are for amqps://; "
                              "write sslmode=verify-full, sslrootcert=, sslcert= and "
                              "sslkey= into the URL");
    }
    if (sink->urls[1] != NULL) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "url: several servers of one database go into one URL: "
                              "postgresql://HOST1,HOST2/DATABASE"
                              "?target_session_attrs=read-write");
    }
    if (!idem_pg_table_name_valid(sink->inbox)) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "inbox: not the name of a table; write NAME or "
                              "SCHEMA.NAME, each of a-z, 0-9 and _, %d at most",
                              IDEM_PG_TABLE_NAME_MAX);
    }
    if (parameters != sink->parameter_count) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "statement: it has %zu parameters ($1 to $%zu), but "
                              "parameters lists %zu",
                              parameters, parameters, sink->parameter_count);
    }
    return idem_pg_session_check_url(sink->urls[0], error);
}

static enum idem_code read_database(struct idem_bridge_database *database,
                                    const struct idem_config *config,
                                    struct idem_error *error) {
    const struct idem_endpoint_config *sink = &config->bridge.sink;
    struct idem_error cause = IDEM_ERROR_INIT;
    database->present = true;
    enum idem_code code = check_database(sink, &cause);
    if (code == IDEM_OK) {
        code = read_credentials(&database->login, sink, &cause);
    }
    if (code == IDEM_OK) {
        code = read_parameters(database, sink, &cause);
    }
    return code == IDEM_OK
               ? IDEM_OK
               : idem_error_set(error, code, cause.sys_errno, "%s: bridge.sink: %s",
                                config->path, cause.text);
}

/* One that can be guessed would be worse than none: it would look like a guard. */
static enum idem_code read_token(struct idem_address *token,
                                 const struct idem_config *config,
                                 struct idem_error *error) {
    struct idem_error cause = IDEM_ERROR_INIT;
    if (config->http.token_file == NULL || config->http.listen == NULL) {
        return IDEM_OK;
    }
    enum idem_code code =
        idem_address_read_password(token, config->http.token_file, &cause);
    if (code == IDEM_OK && strlen(token->password) < TOKEN_MIN) {
        code = idem_error_set(&cause, IDEM_ERR_CONFIG, 0,
                              "%s: a token has %d bytes at least; make one with: "
                              "openssl rand -hex 32",
                              config->http.token_file, TOKEN_MIN);
    }
    return code == IDEM_OK
               ? IDEM_OK
               : idem_error_set(error, code, cause.sys_errno, "%s: http.token_file: %s",
                                config->path, cause.text);
}

enum idem_code idem_bridge_options_init(struct idem_bridge_options *options,
                                        const struct idem_config *config,
                                        struct idem_error *error) {
    memset(options, 0, sizeof *options);
    options->config = config;
    if (!config->bridge.present) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "%s: bridge: is missing; idem-bridge needs a source and a "
                              "sink",
                              config->path);
    }
    options->policy.quarantine = config->bridge.quarantine_exchange != NULL;
    options->policy.attempts_max = config->bridge.attempts;
    options->rpc = is_rpc(config);
    options->window = config->bridge.source.prefetch;
    enum idem_code code = idem_bridge_check_rules(config, error);
    if (code == IDEM_OK) {
        code = check_workers(config, error);
    }
    if (code == IDEM_OK) {
        code = read_token(&options->http_token, config, error);
    }
    if (code == IDEM_OK) {
        code =
            read_end(&options->source, config, &config->bridge.source, "source", error);
    }
    if (code == IDEM_OK) {
        code = is_database(config) ? read_database(&options->database, config, error)
                                   : read_end(&options->sink, config,
                                              &config->bridge.sink, "sink", error);
    }
    return code;
}

static void fini_addresses(struct idem_addresses *addresses) {
    for (size_t i = 0; i < addresses->count; i++) {
        idem_address_fini(&addresses->list[i]);
    }
}

void idem_bridge_options_fini(struct idem_bridge_options *options) {
    fini_addresses(&options->source);
    fini_addresses(&options->sink);
    idem_address_fini(&options->database.login);
    idem_address_fini(&options->http_token);
    for (size_t i = 0; i < options->database.parameter_count; i++) {
        idem_parameter_fini(&options->database.parameters[i]);
    }
}
