/* SPDX-License-Identifier: MIT
 * The first words on a connection. */
#include "store/redis/greeting.h"
#include "store/redis/command.h"
#include "store/redis/info.h"
#include "store/redis/layout.h"
#include "store/redis/script.h"

#include <stdlib.h>

enum step {
    STEP_AUTH,
    STEP_SELECT,
    STEP_INFO,
    STEP_SAVE,
    STEP_CHECK_WRITE,
    STEP_CHECK_READ,
    STEP_SCRIPT, /* one for each */
    STEP_MASTER, /* to a sentinel */
};

struct greeting {
    struct idem_request base;
    const struct idem_session_options *options;
    enum step step;
    enum idem_script script;
    bool last;
};

enum warning {
    WARNED_EVICTS = 1,
    WARNED_FORGETS = 2,
    WARNED_VERSION = 4,
};

static void refuse(struct idem_session *session, enum idem_code code, const char *what) {
    (void)idem_error_set(&session->broken, code, 0, "%s", what);
}

/* With the server's own words, which are bytes from outside. */
static void refuse_with(struct idem_session *session, enum idem_code code,
                        const char *what, const redisReply *reply) {
    struct idem_span text = idem_reply_text(reply);
    (void)idem_error_set(&session->broken, code, 0, "%s: %.*s", what,
                         text.len > 200 ? 200 : (int)text.len, (const char *)text.data);
}

static void warn(struct idem_session *session, enum warning warning, const char *event,
                 const char *text) {
    if ((session->warned & warning) == 0) {
        session->warned |= warning;
        idem_log_write(session->options->log, IDEM_LOG_WARNING, event, "%s", text);
    }
}

static void write_auth(const struct idem_redis_location *location,
                       struct idem_bytes *out) {
    bool user = location->user[0] != '\0';
    idem_command_begin(out, user ? 3 : 2);
    idem_command_text(out, "AUTH");
    if (user) {
        idem_command_text(out, location->user);
    }
    idem_command_text(out, location->password);
}

static void write_select(unsigned database, struct idem_bytes *out) {
    idem_command_begin(out, 2);
    idem_command_text(out, "SELECT");
    idem_command_number(out, database);
}

static void write_check(const struct idem_session_options *options,
                        struct idem_bytes *out) {
    idem_command_begin(out, 3);
    idem_command_text(out, "SETNX");
    idem_command_text(out, IDEM_LAYOUT_CHECK);
    idem_command_word(out, options->check.bytes, sizeof options->check.bytes);
}

static void greeting_write(const struct idem_request *request,
                           const struct idem_server *server, struct idem_bytes *out) {
    const struct greeting *greeting = (const struct greeting *)request;
    const struct idem_redis_location *location = greeting->options->location;
    (void)server;
    switch (greeting->step) {
    case STEP_AUTH:
        write_auth(location, out);
        return;
    case STEP_SELECT:
        write_select(location->database, out);
        return;
    case STEP_INFO:
        idem_command_texts(out, (const char *const[]){"INFO", NULL});
        return;
    case STEP_SAVE:
        idem_command_texts(out, (const char *const[]){"CONFIG", "GET", "save", NULL});
        return;
    case STEP_SCRIPT:
        idem_command_texts(out, (const char *const[]){"SCRIPT", "LOAD",
                                                      idem_script_text(greeting->script),
                                                      NULL});
        return;
    case STEP_CHECK_WRITE:
        write_check(greeting->options, out);
        return;
    case STEP_CHECK_READ:
        idem_command_texts(out, (const char *const[]){"GET", IDEM_LAYOUT_CHECK, NULL});
        return;
    case STEP_MASTER:
        idem_command_texts(out,
                           (const char *const[]){"SENTINEL", "get-master-addr-by-name",
                                                 location->master, NULL});
        return;
    }
}

static bool is_error(const redisReply *reply) {
    return reply->type == REDIS_REPLY_ERROR;
}

static bool error_begins(const redisReply *reply, const char *prefix) {
    return is_error(reply) && reply->len >= strlen(prefix) &&
           memcmp(reply->str, prefix, strlen(prefix)) == 0;
}

static void hear_kind(struct idem_session *session, const struct idem_info *info) {
    bool wanted_cluster = session->options->location->kind == IDEM_REDIS_CLUSTER;
    if (info->sentinel) {
        refuse(session, IDEM_ERR_INVALID,
               "that is a sentinel, not a server; use redis+sentinel://HOST/MASTER");
    } else if (info->cluster != wanted_cluster) {
        refuse(session, IDEM_ERR_INVALID,
               wanted_cluster
                   ? "that is no node of a Redis Cluster; use redis://"
                   : "that is a node of a Redis Cluster; use redis+cluster://");
    } else if (info->loading) {
        refuse(session, IDEM_ERR_UNAVAILABLE, "the server is still loading its data");
    } else if (info->replica && !session->options->read_only && !wanted_cluster) {
        refuse(session, IDEM_ERR_UNAVAILABLE,
               "that is a replica, which cannot be written");
    }
}

static void hear_info(struct idem_session *session, const redisReply *reply) {
    struct idem_info info;
    if (error_begins(reply, "NOAUTH")) {
        refuse(session, IDEM_ERR_INVALID,
               "the server wants a password: redis://:PASSWORD@HOST or USER:PASSWORD@");
        return;
    }
    idem_info_read(&info, idem_reply_text(reply));
    if (info.version_major == 0) {
        warn(session, WARNED_VERSION, "store.unknown",
             "Redis does not tell what it is (INFO): it is treated as an old one, and "
             "whether "
             "it may evict keys is not known");
    }
    session->server.claims_natively = info.version_major >= 7;
    session->server.appends = info.appends;
    session->bytes = info.memory_bytes;
    if (info.evicts) {
        warn(
            session, WARNED_EVICTS, "store.evicts",
            "Redis may evict records when memory runs short, and each one lost may let a "
            "duplicate through: set maxmemory-policy noeviction");
    }
    hear_kind(session, &info);
}

/* ["save", "3600 1 ..."]; an empty value means that no snapshots are made. Many hosts forbid CONFIG. */
static void hear_save(struct idem_session *session, const redisReply *reply) {
    if (!session->server.appends && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements == 2 &&
        idem_reply_is(reply->element[1], REDIS_REPLY_STRING, "")) {
        warn(session, WARNED_FORGETS, "store.forgets",
             "Redis keeps nothing on disk: a restart forgets every key, and duplicates "
             "get "
             "through until they are learnt again; set appendonly yes");
    }
}

static void hear_script(struct idem_session *session, enum idem_script script,
                        const redisReply *reply) {
    struct idem_server *server = &session->server;
    if (error_begins(reply, "NOAUTH")) {
        refuse(session, IDEM_ERR_INVALID, "the server wants a password");
    }
    server->script_known[script] =
        reply->type == REDIS_REPLY_STRING && reply->len == IDEM_SHA_LENGTH;
    if (server->script_known[script]) {
        memcpy(server->script_sha[script], reply->str, IDEM_SHA_LENGTH);
    }
}

static void hear_check(struct idem_session *session, const redisReply *reply) {
    session->server.holds_check = reply->type == REDIS_REPLY_STRING;
    struct idem_span check =
        idem_span_of(session->options->check.bytes, IDEM_DIGEST_SIZE);
    if (reply->type == REDIS_REPLY_STRING &&
        !idem_span_equal(idem_reply_text(reply), check)) {
        refuse(session, IDEM_ERR_FORMAT,
               "the keys there were written under another secret and would never be "
               "recognised; use that secret_file, or another database");
    }
}

static void hear_master(struct idem_session *session, const redisReply *reply) {
    struct idem_endpoint endpoint = {.port = 0};
    bool pair = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[0]->type == REDIS_REPLY_STRING &&
                reply->element[1]->type == REDIS_REPLY_STRING;
    if (reply->type == REDIS_REPLY_NIL) {
        refuse(session, IDEM_ERR_INVALID, "the sentinel knows no master of that name");
    } else if (!pair || !idem_endpoint_of(&endpoint, idem_reply_text(reply->element[0]),
                                          idem_reply_text(reply->element[1]))) {
        refuse_with(session, IDEM_ERR_UNAVAILABLE, "the sentinel names no master", reply);
    } else {
        idem_session_found(session, &endpoint);
    }
}

static void hear(struct idem_session *session, const struct greeting *greeting,
                 const redisReply *reply) {
    switch (greeting->step) {
    case STEP_AUTH:
        if (is_error(reply)) {
            refuse_with(session, IDEM_ERR_INVALID, "the server refuses the password",
                        reply);
        }
        return;
    case STEP_SELECT:
        if (is_error(reply)) {
            refuse_with(session, IDEM_ERR_INVALID, "the server refuses the database",
                        reply);
        }
        return;
    case STEP_INFO:
        hear_info(session, reply);
        return;
    case STEP_SAVE:
        hear_save(session, reply);
        return;
    case STEP_SCRIPT:
        hear_script(session, greeting->script, reply);
        return;
    case STEP_CHECK_WRITE: /* whatever it says: the value is read next */
        return;
    case STEP_CHECK_READ:
        hear_check(session, reply);
        return;
    case STEP_MASTER:
        hear_master(session, reply);
        return;
    }
}

static enum idem_request_next greeting_answered(struct idem_request *request,
                                                struct idem_session *session,
                                                const redisReply *reply) {
    const struct greeting *greeting = (const struct greeting *)request;
    hear(session, greeting, reply);
    if (greeting->last && session->broken.code == IDEM_OK) {
        idem_session_greeted(session);
    }
    return IDEM_REQUEST_OVER;
}

static void greeting_failed(struct idem_request *request, enum idem_code code) {
    (void)request;
    (void)code;
}

static void greeting_release(struct idem_request *request) {
    free(request);
}

static const struct idem_request_kind greeting_kind = {
    .internal = true,
    .write = greeting_write,
    .answered = greeting_answered,
    .failed = greeting_failed,
    .release = greeting_release,
};

static enum idem_code say(struct idem_session *session, enum step step,
                          enum idem_script script, bool last) {
    struct greeting *greeting = calloc(1, sizeof *greeting);
    if (greeting == NULL) {
        return IDEM_ERR_NOMEM;
    }
    *greeting = (struct greeting){.base.kind = &greeting_kind,
                                  .options = session->options,
                                  .step = step,
                                  .script = script,
                                  .last = last};
    idem_session_write(session, &greeting->base, INT64_MAX);
    return IDEM_OK;
}

static enum idem_code say_scripts(struct idem_session *session) {
    enum idem_code code = IDEM_OK;
    for (int i = 0; i < IDEM_SCRIPT_COUNT && code == IDEM_OK; i++) {
        bool last = i + 1 == IDEM_SCRIPT_COUNT;
        code = say(session, STEP_SCRIPT, (enum idem_script)i, last);
    }
    return code;
}

enum idem_code idem_greeting_server(struct idem_session *session) {
    const struct idem_session_options *options = session->options;
    struct {
        bool wanted;
        enum step step;
    } steps[] = {
        {options->location->password[0] != '\0', STEP_AUTH},
        {options->location->database != 0, STEP_SELECT},
        {true, STEP_INFO},
        {true, STEP_SAVE},
        {options->has_check && !options->read_only, STEP_CHECK_WRITE},
        {options->has_check, STEP_CHECK_READ},
    };
    enum idem_code code = IDEM_OK;
    memset(&session->server, 0, sizeof session->server);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == IDEM_OK; i++) {
        if (steps[i].wanted) {
            code = say(session, steps[i].step, IDEM_SCRIPT_COUNT, false);
        }
    }
    return code == IDEM_OK ? say_scripts(session) : code;
}

enum idem_code idem_greeting_sentinel(struct idem_session *session) {
    return say(session, STEP_MASTER, IDEM_SCRIPT_COUNT, false);
}
