/* SPDX-License-Identifier: MIT
 * What the configuration says about the bridge, checked and ready to use. */
#ifndef IDEM_RABBITMQ_OPTIONS_H
#define IDEM_RABBITMQ_OPTIONS_H

#include "address.h"
#include "transfer.h"

#include <idem/config.h>
#include <idem/parameter.h>

/* Mode rpc: the number that owns claims, the same at every start. */
#define IDEM_RPC_INCARNATION 1

/* A sink that is a database. */
struct idem_bridge_database {
    bool present;
    struct idem_address login; /* user and password only, where they are not the URL's */
    struct idem_parameter parameters[IDEM_EXTRACTORS_MAX];
    size_t parameter_count;
};

struct idem_bridge_options {
    const struct idem_config *config; /* borrowed */
    struct idem_addresses source;
    struct idem_addresses sink; /* none where it is a database */
    struct idem_bridge_database database;
    struct idem_transfer_policy policy;
    struct idem_address
        http_token; /* password only; none where nobody is asked for one */
    size_t window;  /* most publishes that are not confirmed */
    bool rpc;
};

/* Refuses what the schema accepts and this program cannot do. *options is initialised whatever happens;
 * fini it in any case. IDEM_ERR_CONFIG, _UNSUPPORTED, _IO (the password's file), _NOMEM. */
IDEM_MUST_USE enum idem_code idem_bridge_options_init(struct idem_bridge_options *options,
                                                      const struct idem_config *config,
                                                      struct idem_error *error);
void idem_bridge_options_fini(struct idem_bridge_options *options);

/* Whether the bridge can do what the rules ask for; asked again when they are reloaded. */
IDEM_MUST_USE enum idem_code idem_bridge_check_rules(const struct idem_config *config,
                                                     struct idem_error *error);

#endif
