/* SPDX-License-Identifier: MIT
 * A connection to a Mosquitto. */
#include "broker.h"

#include <idem/clock.h>

#include <errno.h>
#include <mqtt_protocol.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_LEAST_MS 200
#define PAUSE_MOST_MS  5000
#define KEEPALIVE_S    15
#define WORD_MAX       4096

/* ---- options ---- */

void broker_options_init(struct broker_options *options) {
    memset(options, 0, sizeof *options);
    options->version = MQTT_PROTOCOL_V5;
}

void broker_options_fini(struct broker_options *options) {
    free(options->password);
}

static bool take_port(struct broker_options *options, const char *text) {
    char *end = NULL;
    long port = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || port < 1 || port > 65535) {
        return false;
    }
    options->port = (int)port;
    return true;
}

/* HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT. */
static bool take_address(struct broker_options *options, const char *text) {
    bool bracket = text[0] == '[';
    const char *start = bracket ? text + 1 : text;
    size_t length = strcspn(start, bracket ? "]" : ":");
    const char *rest = start + length + (bracket && start[length] == ']' ? 1 : 0);
    options->port = 1883;
    if (length == 0 || length >= sizeof options->host ||
        (bracket && start[length] != ']') ||
        (*rest != '\0' && (*rest != ':' || !take_port(options, rest + 1)))) {
        ctl_complain("--mqtt %s: it is HOST or HOST:PORT", text);
        return false;
    }
    memcpy(options->host, start, length);
    options->host[length] = '\0';
    return true;
}

bool broker_read_word(char **word, const char *option, const char *path) {
    char line[WORD_MAX];
    FILE *file = fopen(path, "r");
    bool read = file != NULL && fgets(line, sizeof line, file) != NULL;
    if (!read) {
        ctl_complain("%s %s: %s", option, path,
                     file == NULL ? strerror(errno) : "it is empty");
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (read) {
        line[strcspn(line, "\r\n")] = '\0';
        free(*word);
        *word = strdup(line);
    }
    return read && *word != NULL;
}

static bool take_password(struct broker_options *options, const char *variable) {
    const char *value = getenv(variable);
    if (value == NULL) {
        ctl_complain("--password-env %s: there is no such variable", variable);
        return false;
    }
    free(options->password);
    options->password = strdup(value);
    return options->password != NULL;
}

bool broker_option(struct broker_options *options, int option, const char *value) {
    switch (option) {
    case BROKER_OPTION_MQTT:
        return take_address(options, value);
    case BROKER_OPTION_USER:
        options->user = value;
        return true;
    case BROKER_OPTION_PASSWORD_FILE:
        return broker_read_word(&options->password, "--password-file", value);
    case BROKER_OPTION_PASSWORD_ENV:
        return take_password(options, value);
    case BROKER_OPTION_CA_FILE:
        options->ca_file = value;
        if (access(value, R_OK) != 0) {
            ctl_complain("--cafile %s: %s", value, strerror(errno));
            return false;
        }
        return true;
    case 'V':
        options->version =
            strcmp(value, "311") == 0 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5;
        if (strcmp(value, "311") != 0 && strcmp(value, "5") != 0) {
            ctl_complain("-V %s: it is 5 or 311", value);
            return false;
        }
        return true;
    default:
        return false;
    }
}

/* ---- the client ---- */

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

static void later(struct broker *broker, const char *why) {
    (void)snprintf(broker->trouble, sizeof broker->trouble, "%s", why);
    broker->connected = false;
    broker->again_ms = now_ms() + broker->pause_ms;
    broker->pause_ms =
        broker->pause_ms * 2 < PAUSE_MOST_MS ? broker->pause_ms * 2 : PAUSE_MOST_MS;
}

/* "OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed": what is behind the last colon says it. */
static void on_log(struct mosquitto *client, void *arg, int level, const char *text) {
    struct broker *broker = arg;
    const char *colon = strrchr(text, ':');
    (void)client;
    if (level == MOSQ_LOG_ERR && broker->cause[0] == '\0') {
        const char *start = colon != NULL ? colon + 1 : text;
        (void)snprintf(broker->cause, sizeof broker->cause, "%s",
                       start + strspn(start, " "));
    }
}

static void on_connect(struct mosquitto *client, void *arg, int rc) {
    struct broker *broker = arg;
    if (rc != 0) {
        later(broker, broker->options->version == MQTT_PROTOCOL_V5
                          ? mosquitto_reason_string(rc)
                          : mosquitto_connack_string(rc));
        return;
    }
    broker->connected = true;
    broker->was_connected = true;
    broker->trouble[0] = '\0';
    broker->pause_ms = PAUSE_LEAST_MS;
    for (size_t i = 0; broker->filters[i] != NULL; i++) {
        (void)mosquitto_subscribe(client, NULL, broker->filters[i], 1);
    }
}

static void on_message(struct mosquitto *client, void *arg,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    (void)client;
    struct broker *broker = arg;
    broker->message(broker->arg, message, properties);
}

static bool prepare(struct broker *broker) {
    const struct broker_options *options = broker->options;
    int rc =
        mosquitto_int_option(broker->client, MOSQ_OPT_PROTOCOL_VERSION, options->version);
    if (rc == MOSQ_ERR_SUCCESS && options->user != NULL) {
        rc = mosquitto_username_pw_set(broker->client, options->user, options->password);
    }
    if (rc == MOSQ_ERR_SUCCESS && options->ca_file != NULL) {
        rc = mosquitto_tls_set(broker->client, options->ca_file, NULL, NULL, NULL, NULL);
    }
    if (rc != MOSQ_ERR_SUCCESS) {
        ctl_complain("%s%s%s", options->ca_file != NULL ? options->ca_file : "",
                     options->ca_file != NULL ? ": " : "", mosquitto_strerror(rc));
    }
    return rc == MOSQ_ERR_SUCCESS;
}

bool broker_open(struct broker *broker, const struct broker_options *options,
                 const char *const *filters, broker_message *message, void *arg) {
    memset(broker, 0, sizeof *broker);
    broker->options = options;
    broker->filters = filters;
    broker->message = message;
    broker->arg = arg;
    broker->pause_ms = PAUSE_LEAST_MS;
    (void)mosquitto_lib_init();
    broker->client = mosquitto_new(NULL, true, broker);
    if (broker->client == NULL) {
        ctl_complain("out of memory");
        return false;
    }
    mosquitto_log_callback_set(broker->client, on_log);
    mosquitto_connect_callback_set(broker->client, on_connect);
    mosquitto_message_v5_callback_set(broker->client, on_message);
    return prepare(broker);
}

void broker_close(struct broker *broker) {
    if (broker->client != NULL) {
        if (broker->connected) {
            (void)mosquitto_disconnect(broker->client);
        }
        mosquitto_destroy(broker->client);
        broker->client = NULL;
    }
    (void)mosquitto_lib_cleanup();
}

void broker_pause(int wait_ms) {
    struct timespec time = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
    (void)nanosleep(&time, NULL);
}

/* A listener that wants TLS hangs up on who speaks without. Newer versions of libmosquitto call an error of TLS
 * a protocol error of the system. */
static void failed(struct broker *broker, int rc) {
    int number = errno;
    bool tls = broker->options->ca_file != NULL &&
               (rc == MOSQ_ERR_TLS || (rc == MOSQ_ERR_ERRNO && number == EPROTO));
    char why[sizeof broker->cause + 64];
    bool plain = broker->options->ca_file == NULL && !broker->was_connected;
    if (tls) {
        (void)snprintf(why, sizeof why, "TLS: %s",
                       broker->cause[0] != '\0'
                           ? broker->cause
                           : "no handshake; does it speak TLS there?");
    } else if (rc == MOSQ_ERR_CONN_LOST && plain) {
        (void)snprintf(why, sizeof why, "it hung up: does it want TLS (--cafile FILE)?");
    } else {
        (void)snprintf(why, sizeof why, "%s",
                       rc == MOSQ_ERR_ERRNO ? strerror(number) : mosquitto_strerror(rc));
    }
    later(broker, why);
}

void broker_turn(struct broker *broker, int wait_ms) {
    const struct broker_options *options = broker->options;
    if (mosquitto_socket(broker->client) < 0) {
        if (now_ms() < broker->again_ms) {
            broker_pause(wait_ms);
            return;
        }
        broker->cause[0] = '\0';
        int rc =
            mosquitto_connect(broker->client, options->host, options->port, KEEPALIVE_S);
        if (rc != MOSQ_ERR_SUCCESS) {
            failed(broker, rc);
            return;
        }
    }
    int rc = mosquitto_loop(broker->client, wait_ms, 1);
    if (rc != MOSQ_ERR_SUCCESS && broker->trouble[0] == '\0') {
        failed(broker, rc);
    }
    broker->connected = broker->connected && mosquitto_socket(broker->client) >= 0;
}

/* ---- the end ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

void broker_catch_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

bool broker_interrupted(void) {
    return interrupted != 0;
}
