/* SPDX-License-Identifier: MIT
 * A private Redis server for tests. */
#include "redis.h"
#include "process.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 64

static const char *program(void) {
    static const char *const paths[] = {"/usr/bin/redis-server",
                                        "/usr/local/bin/redis-server",
                                        "/usr/bin/valkey-server", NULL};
    const char *chosen = getenv("IDEM_REDIS_SERVER");
    if (chosen != NULL && chosen[0] != '\0') {
        return chosen;
    }
    for (const char *const *path = paths; *path != NULL; path++) {
        if (access(*path, X_OK) == 0) {
            return *path;
        }
    }
    return NULL;
}

const char *const redis_durable[] = {
    "--save", "", "--appendonly", "yes", "--appendfsync", "always", NULL};

bool redis_installed(void) {
    return program() != NULL;
}

unsigned redis_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        fail_msg("no free port: %s", strerror(errno));
    }
    (void)close(fd);
    return ntohs(address.sin_port);
}

static redisContext *try_connect(const struct redis_server *server) {
    redisContext *context = redisConnectUnix(server->socket);
    if (context != NULL && context->err != 0) {
        redisFree(context);
        context = NULL;
    }
    return context;
}

/* Any reply will do: one that wants a password is up as well. */
static bool answers(const struct redis_server *server) {
    redisContext *context = try_connect(server);
    if (context == NULL) {
        return false;
    }
    redisReply *reply = redisCommand(context, "PING");
    bool up = reply != NULL && !(reply->type == REDIS_REPLY_ERROR &&
                                 strncmp(reply->str, "LOADING", 7) == 0);
    freeReplyObject(reply);
    redisFree(context);
    return up;
}

static void await_start(struct redis_server *server, const char *log) {
    int64_t deadline = testing_deadline();
    int status = 0;
    while (!answers(server)) {
        if (!process_running(server->pid, &status) ||
            testing_remaining_ms(deadline) == 0) {
            char *text = files_read(log);
            server->pid = 0;
            fail_msg("redis-server does not start: %s", text);
        }
        testing_pause();
    }
}

static void run(struct redis_server *server) {
    char port[16];
    char log[FILES_PATH_MAX + 32];
    (void)snprintf(port, sizeof port, "%u", server->port);
    (void)snprintf(log, sizeof log, "%s/redis.log", server->dir);
    const char *const common[] = {
        "--port",           port,  "--bind", "127.0.0.1", "--unixsocket", server->socket,
        "--unixsocketperm", "700", "--dir",  server->dir, "--daemonize",  "no",
        "--logfile",        ""};
    const char *argv[WORDS_MAX] = {program(), server->config};
    size_t count = server->config[0] != '\0' ? 2 : 1;
    memcpy(argv + count, common, sizeof common);
    count += sizeof common / sizeof common[0];
    for (const char *const *word = server->options; word != NULL && *word != NULL;
         word++) {
        assert_true(count < WORDS_MAX - 1);
        argv[count++] = *word;
    }
    argv[count] = NULL;
    struct process_options process = {.argv = argv, .log = log};
    server->pid = process_start(&process);
    await_start(server, log);
}

void redis_start(struct redis_server *server, const char *const *options) {
    assert_true(redis_installed());
    server->options = options;
    if (server->dir[0] == '\0') {
        files_make_dir(server->dir);
    }
    if (server->port == 0) {
        server->port = redis_free_port();
    }
    (void)snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->dir);
    run(server);
}

void redis_start_in(struct redis_server *server, const char *dir) {
    static const char *const options[] = {"--save", "", "--appendonly", "no", NULL};
    (void)snprintf(server->dir, sizeof server->dir, "%s", dir);
    server->borrowed_dir = true;
    redis_start(server, options);
}

static void end(struct redis_server *server, int signal_number) {
    int status = 0;
    if (server->pid > 0) {
        (void)kill(server->pid, SIGCONT);
        (void)kill(server->pid, signal_number);
        (void)process_wait(server->pid, &status);
        server->pid = 0;
    }
}

void redis_stop(struct redis_server *server) {
    end(server, SIGTERM);
}

void redis_kill(struct redis_server *server) {
    end(server, SIGKILL);
}

void redis_freeze(struct redis_server *server) {
    process_freeze(server->pid, true);
}

void redis_thaw(struct redis_server *server) {
    process_freeze(server->pid, false);
}

void redis_remove(struct redis_server *server) {
    redis_kill(server);
    if (server->dir[0] != '\0' && !server->borrowed_dir) {
        files_remove_dir(server->dir);
    }
    memset(server, 0, sizeof *server);
}

static redisReply *ask(const struct redis_server *server, const char *format,
                       va_list arguments) {
    redisReply *reply = NULL;
    int64_t deadline = testing_deadline();
    while (reply == NULL) { /* a sentinel that promotes a replica cuts its clients off */
        va_list again;
        va_copy(again, arguments);
        redisContext *context = try_connect(server);
        assert_non_null(context);
        reply = redisvCommand(context, format, again);
        redisFree(context);
        va_end(again);
        assert_true(reply != NULL || testing_remaining_ms(deadline) > 0);
    }
    return reply;
}

redisReply *redis_ask(const struct redis_server *server, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = ask(server, format, arguments);
    va_end(arguments);
    return reply;
}

long long redis_tell(const struct redis_server *server, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = ask(server, format, arguments);
    va_end(arguments);
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_msg("redis: %s: %s", format, reply->str);
    }
    long long integer = reply->integer;
    freeReplyObject(reply);
    return integer;
}
