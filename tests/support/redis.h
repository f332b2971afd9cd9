/* SPDX-License-Identifier: MIT
 * A private Redis server for tests: own directory, free port and a socket; stopped by its own pid. */
#ifndef TESTS_REDIS_H
#define TESTS_REDIS_H

#include "files.h"
#include "testing.h"

#include <hiredis/hiredis.h>
#include <sys/types.h>

struct redis_server {
    char dir[FILES_PATH_MAX]; /* "": not made yet */
    char socket[FILES_PATH_MAX + 32];
    unsigned port;
    pid_t pid; /* 0: not running */
    const char *const *options;
    char config[FILES_PATH_MAX + 32]; /* a file of its own, named first; "": none */
    bool borrowed_dir;                /* somebody else removes it */
};

bool redis_installed(void);

/* Starts a server and waits until it answers. options: more words for its command line, ended by NULL, or
 * NULL; they have to stay. A zeroed server gets a directory; one that has run before keeps its
 * directory and its port. */
void redis_start(struct redis_server *server, const char *const *options);
/* Options of one that keeps what it has answered, whatever kills it. */
extern const char *const redis_durable[];
/* In a directory of somebody else's. */
void redis_start_in(struct redis_server *server, const char *dir);

/* Ends it with SIGTERM, or at once; it may be started again. */
void redis_stop(struct redis_server *server);
void redis_kill(struct redis_server *server);

/* SIGSTOP and SIGCONT. */
void redis_freeze(struct redis_server *server);
void redis_thaw(struct redis_server *server);

/* Ends it where it runs, and removes its directory. */
void redis_remove(struct redis_server *server);

/* Asks it on a connection of its own; the format is hiredis'. Free the reply. */
redisReply *redis_ask(const struct redis_server *server, const char *format, ...);
/* The same, for its effect or for an integer. */
long long redis_tell(const struct redis_server *server, const char *format, ...);

/* A port of the loopback interface that nobody listened to a moment ago. */
unsigned redis_free_port(void);

#endif
