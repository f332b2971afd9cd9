/* SPDX-License-Identifier: MIT
 * What one key alone cannot know: how the keys of the whole file, and of the sink, go together. */
#include "config/reader.h"

#include <arpa/inet.h>
#include <stdio.h>

bool idem_config_place(struct idem_config_reader *reader, const char *path, int line) {
    const struct idem_schema_row *row = idem_schema_find(path);
    int given = *idem_config_given(reader, row);
    idem_config_locate(reader, given != 0 ? given : line, path, NULL);
    return given != 0;
}

static enum idem_code check_sink(struct idem_config_reader *reader) {
    static const char *const amqp_only[] = {"bridge.sink.exchange",
                                            "bridge.sink.routing_key", NULL};
    static const char *const database_only[] = {
        "bridge.sink.statement", "bridge.sink.parameters", "bridge.sink.inbox",
        "bridge.sink.batch", NULL};
    bool database = strncmp(reader->config->bridge.sink.urls[0], "amqp", 4) != 0;
    const char *const *wrong = database ? amqp_only : database_only;
    for (; *wrong != NULL; wrong++) {
        if (idem_config_place(reader, *wrong, 0)) {
            return idem_config_refuse(reader,
                                      "has no meaning with the sink's URL, which "
                                      "is for %s; remove it",
                                      database ? "PostgreSQL" : "AMQP");
        }
    }
    int line = *idem_config_given(reader, idem_schema_find("bridge.sink"));
    if (database && !idem_config_place(reader, "bridge.sink.statement", line)) {
        return idem_config_refuse(reader, "is missing; a PostgreSQL sink needs it, as in "
                                          "INSERT INTO orders(id, body) VALUES ($1, $2)");
    }
    return IDEM_OK;
}

/* Names but localhost are looked up at start, and may be anything by then. */
static bool is_loopback(const char *listen) {
    unsigned char ipv4[4];
    char host[256];
    size_t length = (size_t)(strrchr(listen, ':') - listen);
    (void)snprintf(host, sizeof host, "%.*s", (int)length, listen);
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, ipv4) == 1 && ipv4[0] == 127);
}

static enum idem_code check_http(struct idem_config_reader *reader) {
    struct idem_config *config = reader->config;
    config->http.listen_given = idem_config_place(reader, "http.listen", 0);
    if (config->http.listen != NULL && config->http.token_file == NULL &&
        !is_loopback(config->http.listen)) {
        return idem_config_refuse(reader,
                                  "others than this machine could read it; name a file "
                                  "with a token in http.token_file, or keep to the "
                                  "loopback (127.0.0.1, [::1], localhost)");
    }
    return IDEM_OK;
}

static enum idem_code check_mode(struct idem_config_reader *reader) {
    bool rpc = reader->config->bridge.mode == IDEM_BRIDGE_RPC;
    bool amqp = strncmp(reader->config->bridge.sink.urls[0], "amqp", 4) == 0;
    bool replies = idem_config_place(reader, "bridge.replies", 0);
    if (replies && !rpc) {
        return idem_config_refuse(reader,
                                  "has no meaning in mode: forward; remove it, or "
                                  "use mode: rpc");
    }
    int line = *idem_config_given(reader, idem_schema_find("bridge.mode"));
    (void)idem_config_place(reader, "bridge.mode", line);
    if (rpc && !amqp) {
        return idem_config_refuse(reader, "rpc needs a worker that replies; a PostgreSQL "
                                          "sink does not: use an amqp:// sink");
    }
    if (rpc && !replies) {
        (void)idem_config_place(reader, "bridge.replies", line);
        return idem_config_refuse(reader,
                                  "is missing; mode: rpc needs it, as in replies: "
                                  "{queue: payments.replies}");
    }
    return IDEM_OK;
}

enum idem_code idem_config_check(struct idem_config_reader *reader) {
    struct idem_config *config = reader->config;
    config->bridge.present = idem_config_place(reader, "bridge", 0);
    if (config->rules.count == 0) {
        (void)idem_config_place(reader, "rules", 1);
        idem_config_remark(reader, "no rules: every message passes");
    }
    enum idem_code code = check_http(reader);
    if (code == IDEM_OK && config->bridge.present) {
        code = check_sink(reader);
    }
    return code == IDEM_OK && config->bridge.present ? check_mode(reader) : code;
}
