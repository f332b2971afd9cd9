/* SPDX-License-Identifier: MIT
 * Parsing of redis://, rediss://, unix://, redis+sentinel:// and redis+cluster:// URLs. */
#include "store/redis/location.h"
#include "store/url.h"

#include <stdio.h>
#include <string.h>

#define PORT_DEFAULT          6379
#define SENTINEL_PORT_DEFAULT 26379

struct scheme {
    const char *prefix;
    enum idem_redis_kind kind;
    bool tls;
    bool socket;
};

static const struct scheme schemes[] = {
    {"redis://", IDEM_REDIS_SINGLE, false, false},
    {"rediss://", IDEM_REDIS_SINGLE, true, false},
    {"unix://", IDEM_REDIS_SINGLE, false, true},
    {"redis+sentinel://", IDEM_REDIS_SENTINEL, false, false},
    {"rediss+sentinel://", IDEM_REDIS_SENTINEL, true, false},
    {"redis+cluster://", IDEM_REDIS_CLUSTER, false, false},
    {"rediss+cluster://", IDEM_REDIS_CLUSTER, true, false},
};

static enum idem_code refuse(struct idem_error *error, const char *what) {
    return idem_error_set(error, IDEM_ERR_INVALID, 0, "store URL: %s", what);
}

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Undoes percent encoding (RFC 3986). False: too long, a broken escape, or a NUL. */
static bool unescape(char *out, size_t room, const char *text, size_t length) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int value = (unsigned char)text[i];
        if (text[i] == '%') {
            int high = i + 2 < length ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            value = 16 * high + low;
            i += 2;
        }
        if (value == 0 || used + 1 >= room) {
            return false;
        }
        out[used++] = (char)value;
    }
    out[used] = '\0';
    return true;
}

static bool parse_port(uint16_t *port, const char *text, size_t length) {
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || value > 65535) {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return length > 0 && value > 0 && value <= 65535;
}

bool idem_endpoint_parse(struct idem_endpoint *endpoint, const char *text, size_t length,
                         uint16_t default_port) {
    *endpoint = (struct idem_endpoint){.port = default_port};
    const char *end = text + length;
    const char *host_end = NULL;
    const char *colon = NULL;
    if (length > 0 && text[0] == '[') {
        text++;
        host_end = memchr(text, ']', (size_t)(end - text));
        if (host_end == NULL) {
            return false;
        }
        colon = host_end + 1;
    } else {
        host_end = memchr(text, ':', length);
        host_end = host_end != NULL ? host_end : end;
        colon = host_end;
    }
    if (colon < end && (*colon != ':' || !parse_port(&endpoint->port, colon + 1,
                                                     (size_t)(end - colon - 1)))) {
        return false;
    }
    return host_end > text && unescape(endpoint->host, sizeof endpoint->host, text,
                                       (size_t)(host_end - text));
}

bool idem_endpoint_of(struct idem_endpoint *endpoint, struct idem_span host,
                      struct idem_span port) {
    *endpoint = (struct idem_endpoint){.port = 0};
    if (host.len == 0 || host.len >= sizeof endpoint->host ||
        memchr(host.data, '\0', host.len) != NULL) {
        return false;
    }
    memcpy(endpoint->host, host.data, host.len);
    return parse_port(&endpoint->port, (const char *)port.data, port.len);
}

void idem_endpoint_text(const struct idem_endpoint *endpoint, char *text) {
    bool brackets = strchr(endpoint->host, ':') != NULL;
    if (endpoint->path[0] != '\0') {
        (void)snprintf(text, IDEM_ENDPOINT_TEXT_MAX, "%s", endpoint->path);
    } else {
        (void)snprintf(text, IDEM_ENDPOINT_TEXT_MAX, "%s%s%s:%u", brackets ? "[" : "",
                       endpoint->host, brackets ? "]" : "", (unsigned)endpoint->port);
    }
}

/* user:password@ at the front; *rest is what follows. */
static bool take_credentials(struct idem_redis_location *location, const char **rest,
                             const char *end) {
    const char *at = NULL;
    for (const char *c = *rest; c < end; c++) {
        at = *c == '@' ? c : at;
    }
    if (at == NULL) {
        return true;
    }
    const char *colon = memchr(*rest, ':', (size_t)(at - *rest));
    const char *user_end = colon != NULL ? colon : at;
    bool fits = unescape(location->user, sizeof location->user, *rest,
                         (size_t)(user_end - *rest));
    if (colon != NULL) {
        fits = fits && unescape(location->password, sizeof location->password, colon + 1,
                                (size_t)(at - colon - 1));
    }
    *rest = at + 1;
    return fits && location->password[0] != '\0';
}

static bool take_endpoints(struct idem_redis_location *location, const char *text,
                           const char *end) {
    uint16_t port =
        location->kind == IDEM_REDIS_SENTINEL ? SENTINEL_PORT_DEFAULT : PORT_DEFAULT;
    while (location->endpoint_count < IDEM_REDIS_ENDPOINTS_MAX) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *one_end = comma != NULL ? comma : end;
        if (!idem_endpoint_parse(&location->endpoints[location->endpoint_count++], text,
                                 (size_t)(one_end - text), port)) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        text = comma + 1;
    }
    return false;
}

static bool parse_database(unsigned *database, const char *text, const char *end) {
    uint16_t number = 0;
    bool zero = end - text == 1 && *text == '0';
    if (!zero && !parse_port(&number, text, (size_t)(end - text))) {
        return false;
    }
    *database = number;
    return true;
}

/* What follows the host: /DB, or /MASTER[/DB] with sentinels, nothing with a cluster. */
static enum idem_code parse_path(struct idem_redis_location *location, const char *path,
                                 const char *end, struct idem_error *error) {
    path = path < end ? path + 1 : path;
    if (location->kind == IDEM_REDIS_SENTINEL) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        const char *name_end = slash != NULL ? slash : end;
        if (name_end == path || !unescape(location->master, sizeof location->master, path,
                                          (size_t)(name_end - path))) {
            return refuse(error, "redis+sentinel:// needs the name of the master: "
                                 "redis+sentinel://HOST[,HOST...]/MASTER[/DB]");
        }
        path = slash != NULL ? slash + 1 : end;
    }
    if (path == end) {
        return IDEM_OK;
    }
    if (location->kind == IDEM_REDIS_CLUSTER) {
        return refuse(error, "a Redis Cluster has database 0 only; leave the path out");
    }
    if (!parse_database(&location->database, path, end)) {
        return refuse(error, "the database must be a number from 0 to 65535");
    }
    return IDEM_OK;
}

static enum idem_code parse_authority(struct idem_redis_location *location,
                                      const char *text, const char *end,
                                      struct idem_error *error) {
    const char *path = memchr(text, '/', (size_t)(end - text));
    const char *authority_end = path != NULL ? path : end;
    if (!take_credentials(location, &text, authority_end)) {
        return refuse(error, "credentials are USER:PASSWORD@ or :PASSWORD@, with "
                             "percent-escapes for @ / : ? and %");
    }
    if (!take_endpoints(location, text, authority_end)) {
        return refuse(error,
                      "hosts are HOST[:PORT] or [IPV6][:PORT], with commas between");
    }
    if (location->kind == IDEM_REDIS_SINGLE && location->endpoint_count != 1) {
        return refuse(error, "redis:// takes one host; several need redis+sentinel:// or "
                             "redis+cluster://");
    }
    return parse_path(location, path != NULL ? path : end, end, error);
}

static enum idem_code parse_socket(struct idem_redis_location *location, const char *text,
                                   const char *end, struct idem_error *error) {
    const char *slash = memchr(text, '/', (size_t)(end - text));
    if (slash == NULL || !take_credentials(location, &text, slash) || text != slash) {
        return refuse(error, "a socket is unix://[USER:PASSWORD@]/ABSOLUTE/PATH");
    }
    struct idem_endpoint *endpoint = &location->endpoints[0];
    location->endpoint_count = 1;
    if (!unescape(endpoint->path, sizeof endpoint->path, slash, (size_t)(end - slash))) {
        return refuse(error, "the path of a socket has at most 103 bytes");
    }
    return IDEM_OK;
}

static const struct idem_url_unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {NULL, 0}};
static const struct idem_url_unit no_units[] = {{"", 1}, {NULL, 0}};

enum parameter {
    DB, /* of sockets, whose URLs have no other place for it */
    TIMEOUT,
    CONNECT_TIMEOUT,
    IDLE,
    WAIT_REPLICAS,
    CA, /* these are of TLS */
    CERT,
    KEY,
    INSECURE,
    PARAMETER_COUNT
};

static void take_numbers(struct idem_redis_location *location,
                         const struct idem_url_parameter *parameters) {
    location->timeout_ms = (int64_t)parameters[TIMEOUT].value;
    location->timeout_given = parameters[TIMEOUT].given;
    location->connect_timeout_ms = (int64_t)parameters[CONNECT_TIMEOUT].value;
    location->idle_ms = (int64_t)parameters[IDLE].value;
    location->wait_replicas = (unsigned)parameters[WAIT_REPLICAS].value;
}

static bool take_path(char path[IDEM_TLS_PATH_MAX], struct idem_span text) {
    return unescape(path, IDEM_TLS_PATH_MAX, (const char *)text.data, text.len);
}

static enum idem_code take_tls(struct idem_tls_options *options,
                               const struct idem_url_parameter *parameters,
                               struct idem_error *error) {
    const struct idem_url_parameter *insecure = &parameters[INSECURE];
    options->insecure = idem_span_equal(insecure->text, idem_span_text("yes"));
    if (insecure->given && !options->insecure &&
        !idem_span_equal(insecure->text, idem_span_text("no"))) {
        return refuse(error, "insecure must be yes or no");
    }
    if (parameters[CERT].given != parameters[KEY].given) {
        return refuse(error, "cert=PATH and key=PATH belong together");
    }
    if (!take_path(options->ca, parameters[CA].text) ||
        !take_path(options->certificate, parameters[CERT].text) ||
        !take_path(options->key, parameters[KEY].text)) {
        return refuse(error, "ca, cert and key must be paths of at most 255 bytes");
    }
    if (options->insecure && options->ca[0] != '\0') {
        return refuse(error, "insecure=yes checks no certificate: leave ca=PATH out");
    }
    return IDEM_OK;
}

static enum idem_code parse_query(struct idem_redis_location *location, const char *query,
                                  bool socket, struct idem_error *error) {
    const char *seconds = "a time from 1ms to 60s, such as 50ms";
    struct idem_url_parameter parameters[PARAMETER_COUNT] = {
        [DB] = {"db", no_units, 0, 65535, "a number from 0 to 65535", 0, false, {0}},
        [TIMEOUT] = {"timeout", time_units, 1, 60000, seconds, 1000, false, {0}},
        [CONNECT_TIMEOUT] =
            {"connect_timeout", time_units, 1, 60000, seconds, 1000, false, {0}},
        [IDLE] = {"idle",
                  time_units,
                  100,
                  3600000,
                  "a time from 100ms to 60m, such as 15s",
                  15000,
                  false,
                  {0}},
        [WAIT_REPLICAS] =
            {"wait_replicas", no_units, 0, 16, "a number from 0 to 16", 0, false, {0}},
        [CA] = {.name = "ca", .form = "a path"},
        [CERT] = {.name = "cert", .form = "a path"},
        [KEY] = {.name = "key", .form = "a path"},
        [INSECURE] = {.name = "insecure", .form = "yes or no"},
    };
    int first = socket ? DB : TIMEOUT;
    int end = location->tls ? PARAMETER_COUNT : CA;
    enum idem_code code =
        idem_url_parameters(query, parameters + first, (size_t)(end - first), error);
    take_numbers(location, parameters);
    if (socket) {
        location->database = (unsigned)parameters[DB].value;
    }
    return code == IDEM_OK ? take_tls(&location->tls_options, parameters, error) : code;
}

static const struct scheme *scheme_of(const char *url) {
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

enum idem_code idem_redis_locate(struct idem_redis_location *location, const char *url,
                                 struct idem_error *error) {
    const struct scheme *scheme = scheme_of(url);
    if (scheme == NULL) {
        return refuse(error, "known forms are redis://[USER:PASSWORD@]HOST[:PORT][/DB], "
                             "rediss://..., unix:///PATH[?db=N], "
                             "redis+sentinel://HOST[,HOST...]/MASTER[/DB], "
                             "redis+cluster://HOST[,HOST...]");
    }
    *location = (struct idem_redis_location){.kind = scheme->kind, .tls = scheme->tls};
    const char *text = url + strlen(scheme->prefix);
    const char *query = strchr(text, '?');
    const char *end = query != NULL ? query : text + strlen(text);
    enum idem_code code = scheme->socket ? parse_socket(location, text, end, error)
                                         : parse_authority(location, text, end, error);
    if (code == IDEM_OK && query != NULL) {
        query++;
    }
    if (code == IDEM_OK) {
        code = parse_query(location, query, scheme->socket, error);
    }
    if (code == IDEM_OK && scheme->tls) {
        code = idem_tls_available(error);
    }
    return code;
}
