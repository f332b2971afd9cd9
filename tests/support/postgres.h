/* SPDX-License-Identifier: MIT
 * A private PostgreSQL server for tests: own directory and port, never as root; stopped by its own pid. */
#ifndef TESTS_POSTGRES_H
#define TESTS_POSTGRES_H

#include "files.h"
#include "testing.h"

#include <libpq-fe.h>
#include <sys/types.h>

struct postgres_server {
    char dir[FILES_PATH_MAX]; /* "": not made yet */
    unsigned port;
    pid_t pid;    /* 0: not running */
    bool durable; /* waits for the disk, as a server that matters does */
};

bool postgres_installed(void);

/* Starts a server and waits until it answers. A zeroed one gets a directory, a database and a user that are
 * both called idem, and one called guarded, who needs the password "let me in"; one that has run before
 * keeps what it has. */
void postgres_start(struct postgres_server *server);

/* Ends it with SIGINT (sessions are cut off), or it and all its processes with SIGKILL, at once. */
void postgres_stop(struct postgres_server *server);
void postgres_kill(struct postgres_server *server);

/* Ends it where it runs, and removes its directory. */
void postgres_remove(struct postgres_server *server);

/* postgresql://idem@127.0.0.1:PORT/idem; text holds POSTGRES_URL_MAX bytes. */
#define POSTGRES_URL_MAX 128
void postgres_url(const struct postgres_server *server, char *text);

/* Executes SQL on a connection of its own: for its effect, or for the first column of its first row. */
void postgres_do(const struct postgres_server *server, const char *sql);
long long postgres_number(const struct postgres_server *server, const char *sql);

/* The same as text; free it. */
char *postgres_text(const struct postgres_server *server, const char *sql);

/* Waits until the query gives that number. */
void postgres_await(const struct postgres_server *server, const char *sql,
                    long long number);

/* A connection for whatever a test wants to keep open; PQfinish it. */
PGconn *postgres_connect(const struct postgres_server *server);

#endif
