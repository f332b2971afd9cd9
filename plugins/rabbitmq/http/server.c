/* SPDX-License-Identifier: MIT
 * The web server: its thread, its routes, and what every answer says. */
#include "server.h"

#include "access.h"
#include "assets.h"
#include "door.h"
#include "render.h"

#include <idem/clock.h>

#include <errno.h>
#include <event2/keyvalq_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HEADERS_MAX 8192 /* bytes, the request line included */
#define BODY_MAX    1024 /* nobody has a use for one */
#define IDLE_S      5    /* without a byte */

/* Nothing but what comes from here, nothing written into the page itself. */
#define POLICY                                                                           \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "          \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#define TEXT_TYPE "text/plain; charset=utf-8"
#define JSON_TYPE "application/json"

struct idem_http {
    struct idem_http_options options;
    struct event_base *base;
    struct evhttp *http;
    struct idem_door door;
    struct event *stop;
    int stop_fd;
    pthread_t thread;
    bool running;
    const char *query;            /* of the request that is being answered; NULL: none */
    struct idem_observation seen; /* the same */
};

struct answer {
    int status;
    const char *type;
    struct evbuffer *body;
};

struct route {
    const char *path;
    bool open; /* tells nothing that needs a token */
    void (*answer)(struct idem_http *http, struct answer *answer);
};

static void say(struct answer *answer, int status, const char *text) {
    answer->status = status;
    answer->type = TEXT_TYPE;
    (void)evbuffer_drain(answer->body, evbuffer_get_length(answer->body));
    (void)evbuffer_add(answer->body, text, strlen(text));
}

/* key: the one that is asked for; NULL: all. */
static const struct idem_observation *observe(struct idem_http *http,
                                              const struct idem_digest *key) {
    memset(&http->seen, 0, sizeof http->seen);
    http->seen.one_key = key != NULL;
    http->seen.key = key != NULL ? *key : http->seen.key;
    http->seen.now_ms = idem_clock_wall_ms();
    http->options.observe(http->options.arg, &http->seen);
    return &http->seen;
}

static void finish(struct answer *answer, const char *type, bool whole) {
    answer->type = type;
    if (!whole) {
        say(answer, HTTP_INTERNAL, "out of memory\n");
    }
}

static void metrics(struct idem_http *http, struct answer *answer) {
    finish(answer, "text/plain; version=0.0.4; charset=utf-8",
           idem_render_metrics(answer->body, observe(http, NULL)));
}

/* "key=DIGEST", or nothing. False: what it names is no digest. */
static bool read_key(const char *query, struct idem_digest *key, bool *named) {
    struct evkeyvalq members;
    *named = false;
    if (query == NULL || evhttp_parse_query_str(query, &members) != 0) {
        return true;
    }
    const char *value = evhttp_find_header(&members, "key");
    *named = value != NULL;
    bool right = value == NULL || idem_digest_parse(key, value);
    evhttp_clear_headers(&members);
    return right;
}

static void stats(struct idem_http *http, struct answer *answer) {
    struct idem_digest key;
    bool named = false;
    if (!read_key(http->query, &key, &named)) {
        say(answer, HTTP_BADREQUEST, "key is a digest of 32 hexadecimal digits\n");
        return;
    }
    finish(answer, JSON_TYPE,
           idem_render_stats(answer->body, observe(http, named ? &key : NULL)));
}

/* The process lives, and answers. */
static void healthz(struct idem_http *http, struct answer *answer) {
    (void)http;
    say(answer, HTTP_OK, "ok\n");
}

static void readyz(struct idem_http *http, struct answer *answer) {
    struct idem_health health = idem_health_of(observe(http, NULL));
    answer->status = health.count == 0 ? HTTP_OK : HTTP_SERVUNAVAIL;
    finish(answer, JSON_TYPE, idem_render_health(answer->body, &health));
}

static const struct route routes[] = {
    {"/metrics", false, metrics},
    {"/api/stats", false, stats},
    {"/healthz", true, healthz},
    {"/readyz", true, readyz},
};

static const char *path_of(const struct evhttp_request *request) {
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    return path != NULL ? path : "";
}

static const char *query_of(const struct evhttp_request *request) {
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    return uri != NULL ? evhttp_uri_get_query(uri) : NULL;
}

static const struct route *find_route(const char *path) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

/* The page: the same for everybody, without a figure in it. */
static const struct idem_asset *find_asset(const char *path) {
    for (size_t i = 0; i < idem_asset_count; i++) {
        if (strcmp(idem_assets[i].path, path) == 0) {
            return &idem_assets[i];
        }
    }
    return NULL;
}

static void serve(const struct idem_asset *asset, struct answer *answer) {
    answer->status = HTTP_OK;
    finish(answer, asset->type,
           evbuffer_add_reference(answer->body, asset->bytes, asset->length, NULL,
                                  NULL) == 0);
}

static bool may_read(const struct idem_http *http, struct evhttp_request *request) {
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    return http->options.token == NULL ||
           idem_access_token(evhttp_find_header(headers, "Authorization"),
                             http->options.token);
}

static void add_header(struct evhttp_request *request, const char *name,
                       const char *value) {
    (void)evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

/* What is asked, by whom, and the answer to it. */
static void decide(struct idem_http *http, struct evhttp_request *request,
                   struct answer *answer) {
    const struct route *route = find_route(path_of(request));
    const struct idem_asset *asset = find_asset(path_of(request));
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    if (http->options.token == NULL &&
        !idem_access_host(evhttp_request_get_host(request))) {
        say(answer, 421,
            "ask for 127.0.0.1, [::1] or localhost: without "
            "http.token_file there is no other host\n");
    } else if (route == NULL && asset == NULL) {
        say(answer, HTTP_NOTFOUND, "there is nothing here\n");
    } else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        say(answer, HTTP_BADMETHOD, "this can only be read: GET or HEAD\n");
        add_header(request, "Allow", "GET, HEAD");
    } else if (asset != NULL) {
        serve(asset, answer);
    } else if (!route->open && !may_read(http, request)) {
        say(answer, 401, "a token is needed: Authorization: Bearer TOKEN\n");
        add_header(request, "WWW-Authenticate", "Bearer realm=\"idem-bridge\"");
    } else {
        answer->status = HTTP_OK;
        http->query = query_of(request);
        route->answer(http, answer);
    }
}

/* A connection is for one request: so none lasts for long. */
static void reply(struct evhttp_request *request, const struct answer *answer) {
    char length[24];
    bool head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
    (void)snprintf(length, sizeof length, "%zu", evbuffer_get_length(answer->body));
    add_header(request, "Content-Type", answer->type);
    add_header(request, "Content-Length", length);
    add_header(request, "Connection", "close");
    add_header(request, "Cache-Control", "no-store");
    add_header(request, "Content-Security-Policy", POLICY);
    add_header(request, "X-Content-Type-Options", "nosniff");
    add_header(request, "Cross-Origin-Resource-Policy", "same-origin");
    add_header(request, "Referrer-Policy", "no-referrer");
    evhttp_send_reply(request, answer->status, NULL, head ? NULL : answer->body);
}

static void on_request(struct evhttp_request *request, void *arg) {
    struct answer answer = {.status = HTTP_INTERNAL, .body = evbuffer_new()};
    if (answer.body == NULL) {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
        return;
    }
    decide(arg, request, &answer);
    reply(request, &answer);
    evbuffer_free(answer.body);
}

static void on_stop(evutil_socket_t fd, short what, void *arg) {
    struct idem_http *http = arg;
    (void)fd;
    (void)what;
    (void)event_base_loopbreak(http->base);
}

static void *run(void *arg) {
    struct idem_http *http = arg;
    (void)event_base_dispatch(http->base);
    return NULL;
}

/* ADDRESS:PORT, or [ADDRESS]:PORT. */
static enum idem_code listen_at(struct idem_http *http, struct idem_error *error) {
    const char *listen = http->options.listen;
    const char *colon = strrchr(listen, ':');
    char host[256];
    bool brackets = listen[0] == '[';
    int length = (int)(colon - listen) - (brackets ? 2 : 0);
    (void)snprintf(host, sizeof host, "%.*s", length, listen + (brackets ? 1 : 0));
    errno = 0;
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(
        http->http, host, (ev_uint16_t)strtoul(colon + 1, NULL, 10));
    if (bound == NULL) {
        int cause = errno;
        return idem_error_set(error, cause == EADDRINUSE ? IDEM_ERR_BUSY : IDEM_ERR_IO,
                              cause, "%s: %s", listen,
                              cause != 0 ? strerror(cause) : "the name is not known");
    }
    return idem_door_init(&http->door, http->base, http->http, bound);
}

static enum idem_code open_server(struct idem_http *http, struct idem_error *error) {
    http->base = event_base_new();
    http->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->base == NULL || http->stop_fd < 0) {
        return IDEM_ERR_NOMEM;
    }
    http->stop = event_new(http->base, http->stop_fd, EV_READ, on_stop, http);
    http->http = evhttp_new(http->base);
    if (http->stop == NULL || event_add(http->stop, NULL) != 0 || http->http == NULL) {
        return IDEM_ERR_NOMEM;
    }
    evhttp_set_max_headers_size(http->http, HEADERS_MAX);
    evhttp_set_max_body_size(http->http, BODY_MAX);
    evhttp_set_timeout(http->http, IDLE_S);
    evhttp_set_allowed_methods(http->http, UINT16_MAX); /* so that we say no ourselves */
    evhttp_set_gencb(http->http, on_request, http);
    return listen_at(http, error);
}

enum idem_code idem_http_open(struct idem_http **http,
                              const struct idem_http_options *options,
                              struct idem_error *error) {
    struct idem_http *opened = calloc(1, sizeof *opened);
    *http = NULL;
    if (opened == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    opened->options = *options;
    opened->stop_fd = -1;
    enum idem_code code = open_server(opened, error);
    if (code != IDEM_OK) {
        idem_http_close(opened);
        return code == IDEM_ERR_NOMEM ? idem_error_set(error, code, 0, "out of memory")
                                      : code;
    }
    *http = opened;
    return IDEM_OK;
}

enum idem_code idem_http_start(struct idem_http *http, struct idem_error *error) {
    if (pthread_create(&http->thread, NULL, run, http) != 0) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no thread could be started");
    }
    http->running = true;
    return IDEM_OK;
}

void idem_http_close(struct idem_http *http) {
    if (http == NULL) {
        return;
    }
    if (http->running) {
        (void)eventfd_write(http->stop_fd, 1);
        (void)pthread_join(http->thread, NULL);
    }
    idem_door_fini(&http->door);
    if (http->http != NULL) {
        evhttp_free(http->http);
    }
    if (http->stop != NULL) {
        event_free(http->stop);
    }
    if (http->stop_fd >= 0) {
        (void)close(http->stop_fd);
    }
    if (http->base != NULL) {
        event_base_free(http->base);
    }
    free(http);
}
