/* SPDX-License-Identifier: MIT
 * HTTP by hand, so that a request can be anything. */
#include "http.h"
#include "files.h"
#include "process.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int http_connect(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* What comes until the end, or an error, which is one, too. */
static char *read_all(int fd) {
    int64_t deadline = testing_deadline();
    size_t used = 0;
    size_t room = 65536;
    char *text = malloc(room + 1);
    assert_non_null(text);
    for (;;) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, testing_remaining_ms(deadline)) != 1) {
            fail_msg("the server does not answer");
        }
        ssize_t got = recv(fd, text + used, room - used, 0);
        if (got <= 0) {
            text[used] = '\0';
            return text;
        }
        used += (size_t)got;
        if (used == room) {
            room *= 2;
            text = realloc(text, room + 1);
            assert_non_null(text);
        }
    }
}

struct http_reply http_exchange(unsigned port, const char *request, size_t length) {
    struct http_reply reply = {.status = 0};
    int fd = http_connect(port);
    assert_true(fd >= 0);
    for (size_t sent = 0; sent < length;) {
        ssize_t written = send(fd, request + sent, length - sent, MSG_NOSIGNAL);
        if (written <= 0) {
            break; /* it has had enough, and may have said so */
        }
        sent += (size_t)written;
    }
    reply.text = read_all(fd);
    (void)close(fd);
    reply.headers = reply.text;
    reply.body = strstr(reply.text, "\r\n\r\n");
    if (reply.body == NULL) {
        reply.body = reply.text + strlen(reply.text);
    } else {
        reply.body[2] = '\0';
        reply.body += 4;
    }
    if (sscanf(reply.headers, "HTTP/1.%*1[01] %d ", &reply.status) != 1) {
        reply.status = 0;
    }
    return reply;
}

struct http_reply http_ask(unsigned port, const char *method, const char *path,
                           const char *headers) {
    char request[4096];
    int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\n%s\r\n", method,
                          path, headers != NULL ? headers : "Host: localhost\r\n");
    assert_true(length > 0 && (size_t)length < sizeof request);
    return http_exchange(port, request, (size_t)length);
}

struct http_reply http_get(unsigned port, const char *path) {
    return http_ask(port, "GET", path, NULL);
}

char *http_body(unsigned port, const char *path, int status) {
    struct http_reply reply = http_get(port, path);
    if (reply.status != status) {
        fail_msg("%s: %s%s", path, reply.headers, reply.body);
    }
    char *body = strdup(reply.body);
    assert_non_null(body);
    http_free(&reply);
    return body;
}

void http_await(unsigned port, const char *path, int status) {
    int64_t deadline = testing_deadline();
    for (;;) {
        int fd = http_connect(port);
        if (fd >= 0) {
            (void)close(fd);
            struct http_reply reply = http_get(port, path);
            bool there = reply.status == status;
            if (!there && testing_remaining_ms(deadline) == 0) {
                fail_msg("%s: not %d but %s%s", path, status, reply.headers, reply.body);
            }
            http_free(&reply);
            if (there) {
                return;
            }
        }
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

long http_figure(unsigned port, const char *name) {
    char wanted[160];
    char *text = http_body(port, "/metrics", 200);
    (void)snprintf(wanted, sizeof wanted, "\n%s ", name);
    const char *at = strstr(text, wanted);
    long value = at != NULL ? strtol(at + strlen(wanted), NULL, 10) : -1;
    free(text);
    return value;
}

void http_await_figure(unsigned port, const char *name, long value) {
    int64_t deadline = testing_deadline();
    for (long now = -1; now != value; testing_pause()) {
        now = http_figure(port, name);
        if (now != value && testing_remaining_ms(deadline) == 0) {
            fail_msg("%s is %ld, not %ld", name, now, value);
        }
    }
}

void http_check_metrics(unsigned port) {
    char dir[FILES_PATH_MAX];
    char command[FILES_PATH_MAX + 64];
    char log[FILES_PATH_MAX + 16];
    int status = -1;
    char *text = http_body(port, "/metrics", 200);
    files_make_dir(dir);
    files_write(dir, "metrics", text);
    (void)snprintf(log, sizeof log, "%s/log", dir);
    (void)snprintf(command, sizeof command, "promtool check metrics <%s/metrics", dir);
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    struct process_options options = {argv, NULL, log};
    assert_true(process_wait(process_start(&options), &status));
    char *said = files_read(log);
    if (status != 0 || said[0] != '\0') {
        fail_msg("promtool: %d %s", status, said);
    }
    free(said);
    free(text);
    files_remove_dir(dir);
}

void http_free(struct http_reply *reply) {
    free(reply->text);
    reply->text = NULL;
}
