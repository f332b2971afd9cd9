/* SPDX-License-Identifier: MIT
 * Where a broker is and who we are there. */
#define _POSIX_C_SOURCE 200809L

#include "address.h"

#include "rabbit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX 1024

/* The library's parser writes into the text that it is given and points into it. It answers a vhost that
 * is not there with "/", and one that is empty ("amqp://host/") with "". */
enum idem_code idem_address_parse(struct idem_address *address, const char *url,
                                  struct idem_error *error) {
    struct amqp_connection_info info;
    memset(address, 0, sizeof *address);
    address->text = strdup(url);
    if (address->text == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    if (amqp_parse_url(address->text, &info) != AMQP_STATUS_OK || info.host[0] == '\0') {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "the URL is malformed; write "
                              "amqp://USER:PASSWORD@HOST:PORT/VHOST, special "
                              "characters as %%XX");
    }
    address->host = info.host;
    address->port = info.port;
    address->vhost = info.vhost[0] == '\0' ? "/" : info.vhost;
    address->user = info.user;
    address->password = info.password;
    address->tls = info.ssl != 0;
    return IDEM_OK;
}

enum idem_code idem_address_read_password(struct idem_address *address, const char *path,
                                          struct idem_error *error) {
    char line[PASSWORD_MAX + 2];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return idem_error_set(error, IDEM_ERR_IO, errno, "%s: %s", path, strerror(errno));
    }
    const char *got = fgets(line, sizeof line, file);
    (void)fclose(file);
    size_t length = got != NULL ? strcspn(line, "\r\n") : 0;
    if (length == 0 || length > PASSWORD_MAX) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "%s: the first line is the password; it has 1 to %d bytes",
                              path, PASSWORD_MAX);
    }
    line[length] = '\0';
    address->secret = strdup(line);
    if (address->secret == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    address->password = address->secret;
    return IDEM_OK;
}

enum idem_code idem_address_read_variable(const char **value, const char *name,
                                          struct idem_error *error) {
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    size_t length = text != NULL ? strlen(text) : 0;
    if (length == 0 || length > PASSWORD_MAX) {
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "the environment variable %s is not set, empty or longer "
                              "than %d bytes",
                              name, PASSWORD_MAX);
    }
    *value = text;
    return IDEM_OK;
}

void idem_address_fini(struct idem_address *address) {
    free(address->text);
    free(address->secret);
    memset(address, 0, sizeof *address);
}
