/* SPDX-License-Identifier: MIT
 * A private PostgreSQL server for tests. */

#include "postgres.h"
#include "process.h"
#include "redis.h"

#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 32

/* The newest version that is installed. */
static bool find_program(const char *name, char *path, size_t size) {
    glob_t found;
    char pattern[128];
    (void)snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name);
    if (glob(pattern, 0, NULL, &found) != 0) {
        return false;
    }
    (void)snprintf(path, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return true;
}

bool postgres_installed(void) {
    char path[FILES_PATH_MAX];
    return find_program("postgres", path, sizeof path);
}

/* PostgreSQL refuses to run as root. */
static const struct passwd *unprivileged(void) {
    const struct passwd *user = getpwnam("postgres");
    return user != NULL ? user : getpwnam("nobody");
}

static size_t change_user(const char **argv, char *uid, char *gid) {
    if (geteuid() != 0) {
        return 0;
    }
    const struct passwd *user = unprivileged();
    assert_non_null(user);
    (void)snprintf(uid, 32, "--reuid=%u", (unsigned)user->pw_uid);
    (void)snprintf(gid, 32, "--regid=%u", (unsigned)user->pw_gid);
    const char *const words[] = {
        "/usr/bin/setpriv", uid, gid, "--clear-groups",
        "--pdeathsig=INT"}; /* a change of user forgets the one of process_start */
    memcpy(argv, words, sizeof words);
    return sizeof words / sizeof words[0];
}

/* words are ended by NULL; the first is the name of a program of PostgreSQL's. */
static pid_t launch(const struct postgres_server *server, const char *const *words) {
    char program[FILES_PATH_MAX];
    char log[FILES_PATH_MAX + 16];
    char uid[32];
    char gid[32];
    const char *argv[WORDS_MAX];
    size_t count = change_user(argv, uid, gid);
    assert_true(find_program(words[0], program, sizeof program));
    argv[count++] = program;
    for (const char *const *word = words + 1; *word != NULL; word++) {
        assert_true(count < WORDS_MAX - 1);
        argv[count++] = *word;
    }
    argv[count] = NULL;
    (void)snprintf(log, sizeof log, "%s/log", server->dir);
    struct process_options options = {.argv = argv, .log = log};
    return process_start(&options);
}

static void fail_with_log(const struct postgres_server *server, const char *what) {
    char path[FILES_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/log", server->dir);
    char *text = files_read(path);
    size_t length = strlen(text);
    fail_msg("%s: %s", what, length > 2000 ? text + length - 2000 : text);
}

static void make_cluster(struct postgres_server *server) {
    char data[FILES_PATH_MAX + 16];
    int status = 0;
    files_make_dir(server->dir);
    if (geteuid() == 0) {
        const struct passwd *user = unprivileged();
        assert_non_null(user);
        assert_int_equal(chown(server->dir, user->pw_uid, user->pw_gid), 0);
    }
    (void)snprintf(data, sizeof data, "%s/data", server->dir);
    const char *const words[] = {"initdb",    "-D",           data,          "-U", "idem",
                                 "--no-sync", "--auth=trust", "--no-locale", "-E", "UTF8",
                                 NULL};
    pid_t pid = launch(server, words);
    if (!process_wait(pid, &status) || status != 0) {
        fail_with_log(server, "initdb failed");
    }
    files_write(data, "pg_hba.conf",
                "host all guarded 127.0.0.1/32 scram-sha-256\n"
                "host all all 127.0.0.1/32 trust\n");
}

static PGconn *connect_to(const struct postgres_server *server, const char *database) {
    char url[POSTGRES_URL_MAX + 32];
    (void)snprintf(url, sizeof url, "postgresql://idem@127.0.0.1:%u/%s?connect_timeout=5",
                   server->port, database);
    return PQconnectdb(url);
}

static bool answers(const struct postgres_server *server, const char *database) {
    PGconn *connection = connect_to(server, database);
    bool up = PQstatus(connection) == CONNECTION_OK;
    PQfinish(connection);
    return up;
}

static void run(struct postgres_server *server) {
    char data[FILES_PATH_MAX + 16];
    char port[16];
    (void)snprintf(data, sizeof data, "%s/data", server->dir);
    (void)snprintf(port, sizeof port, "%u", server->port);
    const char *const words[] = {"postgres",
                                 "-D",
                                 data,
                                 "-p",
                                 port,
                                 "-h",
                                 "127.0.0.1",
                                 "-k",
                                 server->dir,
                                 server->durable ? "-cfsync=on" : "-cfsync=off",
                                 "-cmax_connections=50",
                                 "-cdeadlock_timeout=100ms",
                                 "-cmax_prepared_transactions=5",
                                 NULL};
    server->pid = launch(server, words);
}

/* One that was killed leaves processes behind that end by themselves, soon; until then it does not start. */
static void await_start(struct postgres_server *server) {
    int64_t deadline = testing_deadline();
    int status = 0;
    while (!answers(server, "postgres")) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_with_log(server, "PostgreSQL does not start");
        }
        if (!process_running(server->pid, &status)) {
            run(server);
        }
        testing_pause();
    }
}

static void make_database(const struct postgres_server *server) {
    PGconn *connection = connect_to(server, "postgres");
    PQclear(PQexec(connection, "CREATE ROLE guarded LOGIN PASSWORD 'let me in'"));
    PGresult *result = PQexec(connection, "CREATE DATABASE idem");
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(connection);
}

void postgres_start(struct postgres_server *server) {
    bool fresh = server->dir[0] == '\0';
    if (fresh) {
        server->port = redis_free_port();
        make_cluster(server);
    }
    run(server);
    await_start(server);
    if (fresh) {
        make_database(server);
    }
}

static void end(struct postgres_server *server, int signal_number) {
    int status = 0;
    if (server->pid > 0) {
        (void)kill(server->pid, signal_number);
        (void)process_wait(server->pid, &status);
        server->pid = 0;
    }
}

void postgres_stop(struct postgres_server *server) {
    end(server, SIGINT);
}

/* Its children, first: each is a session or a helper, and none may be left to finish what it began. */
void postgres_kill(struct postgres_server *server) {
    char path[64];
    char text[4096] = "";
    (void)kill(server->pid, SIGSTOP);
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server->pid,
                   (int)server->pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    char *at = text;
    for (long child = strtol(at, &at, 10); child > 0; child = strtol(at, &at, 10)) {
        (void)kill((pid_t)child, SIGKILL);
    }
    end(server, SIGKILL);
}

void postgres_remove(struct postgres_server *server) {
    postgres_stop(server);
    if (server->dir[0] != '\0') {
        files_remove_dir(server->dir);
        server->dir[0] = '\0';
    }
}

void postgres_url(const struct postgres_server *server, char *text) {
    (void)snprintf(text, POSTGRES_URL_MAX, "postgresql://idem@127.0.0.1:%u/idem",
                   server->port);
}

PGconn *postgres_connect(const struct postgres_server *server) {
    PGconn *connection = connect_to(server, "idem");
    if (PQstatus(connection) != CONNECTION_OK) {
        fail_msg("no connection to PostgreSQL: %s", PQerrorMessage(connection));
    }
    return connection;
}

char *postgres_text(const struct postgres_server *server, const char *sql) {
    PGconn *connection = postgres_connect(server);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    }
    char *text = strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    assert_non_null(text);
    PQclear(result);
    PQfinish(connection);
    return text;
}

void postgres_do(const struct postgres_server *server, const char *sql) {
    free(postgres_text(server, sql));
}

long long postgres_number(const struct postgres_server *server, const char *sql) {
    char *text = postgres_text(server, sql);
    long long number = strtoll(text, NULL, 10);
    free(text);
    return number;
}

void postgres_await(const struct postgres_server *server, const char *sql,
                    long long number) {
    int64_t deadline = testing_deadline();
    long long seen;
    while ((seen = postgres_number(server, sql)) != number) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("%s: %lld and not %lld", sql, seen, number);
        }
        testing_pause();
    }
}
