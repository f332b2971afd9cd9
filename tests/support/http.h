/* SPDX-License-Identifier: MIT
 * An HTTP client that can also misbehave. Talks to 127.0.0.1. */
#ifndef TESTS_HTTP_H
#define TESTS_HTTP_H

#include "testing.h"

struct http_reply {
    int status;    /* 0: the server closed the connection without one */
    char *text;    /* all of it; free it by http_free */
    char *headers; /* within text: from the status line on, terminated */
    char *body;    /* within text, terminated */
};

/* A connected socket; -1: refused. */
int http_connect(unsigned port);

/* Sends these bytes and reads until the server closes. Fails after a deadline. */
struct http_reply http_exchange(unsigned port, const char *request, size_t length);

/* METHOD PATH HTTP/1.1, with these header lines ("A: b\r\n"; NULL: none but Host). */
struct http_reply http_ask(unsigned port, const char *method, const char *path,
                           const char *headers);
struct http_reply http_get(unsigned port, const char *path);

/* The same, and fails unless it is answered with that status; returns the body, to be freed. */
char *http_body(unsigned port, const char *path, int status);

/* Until path is answered with that status. */
void http_await(unsigned port, const char *path, int status);

/* The whole part of the value behind "NAME " at /metrics; -1: there is none. */
long http_figure(unsigned port, const char *name);
/* Until it has that value. */
void http_await_figure(unsigned port, const char *name, long value);

/* Fails unless promtool accepts what /metrics says. */
void http_check_metrics(unsigned port);

void http_free(struct http_reply *reply);

#endif
