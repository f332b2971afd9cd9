/* SPDX-License-Identifier: MIT
 * idemctl exporter: a broker's figures as metrics for Prometheus. */
#include "broker.h"
#include "live.h"
#include "metrics.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN_MS        50
#define HTTP_TIMEOUT_S 10
#define HEADERS_MAX    8192
#define BODY_MAX       1024

static const char help[] =
    "usage: idemctl exporter --mqtt HOST[:PORT] [--listen ADDRESS:PORT] [options]\n\n"
    "Answers GET /metrics with the figures below $SYS/broker/idem/. It has no access\n"
    "control: keep it on the loopback or behind a proxy.\n\n" BROKER_HELP
    "      --listen ADDRESS:PORT 127.0.0.1:9478\n";

struct exporter {
    struct broker_options options;
    struct broker broker;
    struct figures figures;
    struct event_base *base;
    struct evhttp *http;
    char address[64];
    uint16_t port;
};

static void take(void *arg, const struct mosquitto_message *message,
                 const mosquitto_property *properties) {
    struct exporter *exporter = arg;
    (void)properties;
    live_take_figure(&exporter->figures, message);
}

static void answer(struct evhttp_request *request, void *arg) {
    struct exporter *exporter = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    char *text = NULL;
    size_t size = 0;
    if (path == NULL || strcmp(path, "/metrics") != 0) {
        evhttp_send_error(request, HTTP_NOTFOUND, NULL);
        return;
    }
    FILE *out = open_memstream(&text, &size);
    struct evbuffer *body = evbuffer_new();
    if (out == NULL || body == NULL) {
        evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
    } else {
        metrics_write(out, &exporter->figures, exporter->broker.connected);
        (void)fflush(out);
        (void)evbuffer_add(body, text, size);
        (void)evhttp_add_header(evhttp_request_get_output_headers(request),
                                "Content-Type",
                                "text/plain; version=0.0.4; charset=utf-8");
        evhttp_send_reply(request, HTTP_OK, "OK", body);
    }
    if (out != NULL) {
        (void)fclose(out);
    }
    if (body != NULL) {
        evbuffer_free(body);
    }
    free(text);
}

static bool listen_at(struct exporter *exporter) {
    exporter->base = event_base_new();
    exporter->http = exporter->base != NULL ? evhttp_new(exporter->base) : NULL;
    if (exporter->http == NULL) {
        ctl_complain("out of memory");
        return false;
    }
    evhttp_set_allowed_methods(exporter->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_timeout(exporter->http, HTTP_TIMEOUT_S);
    evhttp_set_max_headers_size(exporter->http, HEADERS_MAX);
    evhttp_set_max_body_size(exporter->http, BODY_MAX);
    evhttp_set_gencb(exporter->http, answer, exporter);
    if (evhttp_bind_socket(exporter->http, exporter->address, exporter->port) != 0) {
        ctl_complain("--listen %s:%u: it cannot be listened at", exporter->address,
                     exporter->port);
        return false;
    }
    return true;
}

static void serve(struct exporter *exporter) {
    bool told = false;
    while (!broker_interrupted()) {
        bool connected = exporter->broker.connected;
        broker_turn(&exporter->broker, TURN_MS);
        (void)event_base_loop(exporter->base, EVLOOP_NONBLOCK);
        if (connected && !exporter->broker.connected) {
            figures_fini(&exporter->figures); /* the broker may come back without them */
        }
        bool lost = !exporter->broker.connected && exporter->broker.trouble[0] != '\0';
        if (lost && !told) {
            ctl_complain("%s:%d: %s; trying again", exporter->options.host,
                         exporter->options.port, exporter->broker.trouble);
        }
        told = lost || (told && !exporter->broker.connected);
    }
}

static bool take_option(void *arg, int option, const char *value) {
    struct exporter *exporter = arg;
    if (option != 'l') {
        return broker_option(&exporter->options, option, value);
    }
    if (!live_address(exporter->address, sizeof exporter->address, &exporter->port,
                      value)) {
        ctl_complain("--listen %s: it is ADDRESS:PORT", value);
        return false;
    }
    return true;
}

static bool settle(void *arg, int count, char **words) {
    const struct exporter *exporter = arg;
    if (count > 0 || exporter->options.port == 0) {
        ctl_complain(count > 0 ? "%s is no option of exporter"
                               : "%sname the broker by --mqtt HOST",
                     count > 0 ? words[0] : "");
        return false;
    }
    return true;
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    static const char *const filters[] = {LIVE_FIGURES "#", NULL};
    struct exporter *exporter = arg;
    (void)ctl;
    (void)config;
    broker_catch_signals();
    bool open =
        broker_open(&exporter->broker, &exporter->options, filters, take, exporter) &&
        listen_at(exporter);
    if (open) {
        serve(exporter);
    }
    broker_close(&exporter->broker);
    return open ? CTL_OK : CTL_REFUSED;
}

enum ctl_exit ctl_exporter(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {BROKER_OPTIONS,
                                            BROKER_USER_OPTION,
                                            {"listen", required_argument, NULL, 'l'},
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = "V:h",
                                         .options = options,
                                         .take = take_option,
                                         .settle = settle,
                                         .unconfigured = true,
                                         .run = run};
    struct exporter exporter = {.address = "127.0.0.1", .port = 9478};
    broker_options_init(&exporter.options);
    enum ctl_exit result = ctl_run(ctl, &line, &exporter, argc, argv);
    if (exporter.http != NULL) {
        evhttp_free(exporter.http);
    }
    if (exporter.base != NULL) {
        event_base_free(exporter.base);
    }
    figures_fini(&exporter.figures);
    broker_options_fini(&exporter.options);
    return result;
}

bool ctl_wants_exporter(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--mqtt", strlen("--mqtt")) == 0) {
            return true;
        }
    }
    return false;
}
