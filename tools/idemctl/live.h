/* SPDX-License-Identifier: MIT
 * What the commands share that look at running programs. */
#ifndef IDEM_CTL_LIVE_H
#define IDEM_CTL_LIVE_H

#include "broker.h"
#include "figures.h"

#define LIVE_FIGURES "$SYS/broker/idem/"

enum ctl_exit ctl_exporter(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_tail(const struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_top(const struct ctl *ctl, int argc, char **argv);

/* `export --mqtt` is the exporter as well. */
bool ctl_wants_exporter(int argc, char **argv);

/* ADDRESS:PORT, with an IPv6 address in brackets. */
bool live_address(char *address, size_t size, uint16_t *port, const char *text);

/* A message below LIVE_FIGURES; others are left out. */
void live_take_figure(struct figures *figures, const struct mosquitto_message *message);

/* Where to look: one of the two. */
struct live_source {
    struct broker_options broker;
    const char *url; /* of a bridge; NULL: none */
    char *token;     /* owned */
};

enum { LIVE_OPTION_HTTP = 600, LIVE_OPTION_TOKEN_FILE };
#define LIVE_OPTIONS                                                                     \
    BROKER_OPTIONS, {"http", required_argument, NULL, LIVE_OPTION_HTTP}, {               \
        "token-file", required_argument, NULL, LIVE_OPTION_TOKEN_FILE                    \
    }
#define LIVE_HELP_WITH(broker)                                                           \
    broker "      --http URL            a bridge: http://127.0.0.1:9477\n"               \
           "      --token-file FILE     what its http.token_file has\n"
#define LIVE_HELP LIVE_HELP_WITH(BROKER_HELP)

void live_source_init(struct live_source *source);
void live_source_fini(struct live_source *source);
/* Whether it is one of these; another command has its own besides. */
bool live_is_option(int option);
bool live_option(struct live_source *source, int option, const char *value);
/* Whether exactly one is named, and nothing is left over on the command's line; complains. */
bool live_source_settle(const struct live_source *source, const char *command, int count,
                        char **words);

/* JSON that comes from anywhere, in bounds; NULL: it is none. */
struct json_object *live_parse(const void *bytes, size_t size);

/* A member of an object; "" where there is no such text. Borrowed from it. */
const char *live_text(struct json_object *object, const char *name);

/* GET of a path below the URL, parsed as JSON; NULL, and why, where there is no such answer. Blocks for at most
 * five seconds. */
struct json_object *live_get(const struct live_source *source, const char *path,
                             char *trouble, size_t size);

#endif
