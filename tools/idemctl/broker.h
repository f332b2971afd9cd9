/* SPDX-License-Identifier: MIT
 * A connection to a Mosquitto: options of the command line, and a client that comes back after failures. */
#ifndef IDEM_CTL_BROKER_H
#define IDEM_CTL_BROKER_H

#include "command.h"

#include <mosquitto.h>

struct broker_options {
    char host[256];
    int port; /* 0: no broker was named */
    const char *user;
    char *password; /* owned */
    const char *ca_file;
    int version; /* MQTT_PROTOCOL_V311 or _V5 */
};

/* Rows of a getopt table. */
enum {
    BROKER_OPTION_MQTT = 512,
    BROKER_OPTION_USER,
    BROKER_OPTION_PASSWORD_FILE,
    BROKER_OPTION_PASSWORD_ENV,
    BROKER_OPTION_CA_FILE,
};
#define BROKER_OPTIONS                                                                   \
    {"mqtt", required_argument, NULL, BROKER_OPTION_MQTT},                               \
        {"mqtt-user", required_argument, NULL, BROKER_OPTION_USER},                      \
        {"password-file", required_argument, NULL, BROKER_OPTION_PASSWORD_FILE},         \
        {"password-env", required_argument, NULL, BROKER_OPTION_PASSWORD_ENV},           \
        {"cafile", required_argument, NULL, BROKER_OPTION_CA_FILE}, {                    \
        "protocol-version", required_argument, NULL, 'V'                                 \
    }
/* The shorter form, where --user is not the publisher of a message. */
#define BROKER_USER_OPTION                                                               \
    { "user", required_argument, NULL, BROKER_OPTION_USER }
#define BROKER_HELP_WITH(user)                                                           \
    "      --mqtt HOST[:PORT]    a Mosquitto with the plugin; [ADDRESS]:PORT for IPv6\n" \
    "      " user "with --password-file FILE or --password-env VARIABLE\n"               \
    "      --cafile FILE         TLS: who vouches for the broker\n"                      \
    "  -V, --protocol-version N  5 (the default) or 311\n"
#define BROKER_HELP BROKER_HELP_WITH("--user NAME           ")

void broker_options_init(struct broker_options *options);
void broker_options_fini(struct broker_options *options);

/* Takes one of the options above; false, and a complaint, where its value is not right, or false alone where
 * it is none of them (getopt has said why). */
bool broker_option(struct broker_options *options, int option, const char *value);

/* The first line of a file, which takes the place of *word; complains under the option's name. */
bool broker_read_word(char **word, const char *option, const char *path);

/* A message; all of it is borrowed until the call returns. properties: MQTT 5. */
typedef void broker_message(void *arg, const struct mosquitto_message *message,
                            const mosquitto_property *properties);

struct broker {
    struct mosquitto *client;
    const struct broker_options *options;
    const char *const *filters; /* NULL ends them */
    broker_message *message;
    void *arg;
    bool connected;
    bool was_connected;
    int64_t again_ms; /* of the monotonic clock: when to connect again */
    int64_t pause_ms;
    char trouble[256]; /* why there is no connection; "" where there is one */
    char cause[128];   /* the first error that the library has told of this attempt */
};

/* Connects at the first turn. Complains where there can be no client. broker_close in any case. */
bool broker_open(struct broker *broker, const struct broker_options *options,
                 const char *const *filters, broker_message *message, void *arg);
void broker_close(struct broker *broker);

/* Waits for what comes, at most wait_ms, and takes it; connects where there is no connection. */
void broker_turn(struct broker *broker, int wait_ms);

/* Sleeps; a signal ends it. */
void broker_pause(int wait_ms);

/* Until SIGINT or SIGTERM: true from the first one on. */
void broker_catch_signals(void);
bool broker_interrupted(void);

#endif
