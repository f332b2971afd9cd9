/* SPDX-License-Identifier: MIT
 * Redis servers with TLS for tests. */
#include "redis_tls.h"
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PATH_ROOM (FILES_PATH_MAX + 32)

static void path_of(char path[PATH_ROOM], const char *dir, const char *name,
                    const char *suffix) {
    (void)snprintf(path, PATH_ROOM, "%s/%s%s", dir, name, suffix);
}

static void run_openssl(const char *const *argv, const char *log) {
    int status = 0;
    struct process_options options = {.argv = argv, .log = log};
    pid_t pid = process_start(&options);
    bool ended = process_wait(pid, &status);
    if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char *text = files_read(log);
        fail_msg("openssl: %s", text);
        free(text);
    }
}

void redis_tls_certify(const char *dir, const char *name, const char *issuer,
                       const char *alternatives) {
    char key[PATH_ROOM];
    char certificate[PATH_ROOM];
    char issuer_key[PATH_ROOM];
    char issuer_certificate[PATH_ROOM];
    char log[PATH_ROOM];
    char subject[64];
    char extension[256];
    path_of(key, dir, name, ".key");
    path_of(certificate, dir, name, ".pem");
    path_of(issuer_key, dir, issuer != NULL ? issuer : "", ".key");
    path_of(issuer_certificate, dir, issuer != NULL ? issuer : "", ".pem");
    path_of(log, dir, "openssl", ".log");
    (void)snprintf(subject, sizeof subject, "/CN=%s", name);
    (void)snprintf(extension, sizeof extension, "subjectAltName=%s", alternatives);
    const char *argv[] = {"/usr/bin/openssl",
                          "req",
                          "-x509",
                          "-newkey",
                          "ec",
                          "-pkeyopt",
                          "ec_paramgen_curve:P-256",
                          "-nodes",
                          "-days",
                          "2",
                          "-subj",
                          subject,
                          "-addext",
                          extension,
                          "-keyout",
                          key,
                          "-out",
                          certificate,
                          issuer != NULL ? "-CA" : NULL,
                          issuer_certificate,
                          "-CAkey",
                          issuer_key,
                          NULL};
    run_openssl(argv, log);
}

void redis_tls_start(struct redis_server *server, struct redis_tls *tls, const char *dir,
                     const char *name, const char *authority, const char *const *more) {
    tls->port = redis_free_port();
    (void)snprintf(tls->port_text, sizeof tls->port_text, "%u", tls->port);
    path_of(tls->certificate, dir, name, ".pem");
    path_of(tls->key, dir, name, ".key");
    path_of(tls->authority, dir, authority != NULL ? authority : name, ".pem");
    const char *const own[] = {"--tls-port",
                               tls->port_text,
                               "--tls-cert-file",
                               tls->certificate,
                               "--tls-key-file",
                               tls->key,
                               "--tls-ca-cert-file",
                               tls->authority,
                               "--tls-auth-clients",
                               authority != NULL ? "yes" : "no",
                               "--save",
                               "",
                               "--appendonly",
                               "no"};
    size_t count = sizeof own / sizeof own[0];
    memcpy(tls->options, own, sizeof own);
    for (; more != NULL && *more != NULL; more++) {
        assert_true(count < sizeof tls->options / sizeof tls->options[0] - 1);
        tls->options[count++] = *more;
    }
    tls->options[count] = NULL;
    redis_start(server, tls->options);
}
