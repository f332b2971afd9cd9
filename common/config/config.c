/* SPDX-License-Identifier: MIT
 * Reading a configuration: the file, its text, and what belongs to it outside of the file. */
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum idem_code set_instance(struct idem_config_reader *reader) {
    const struct idem_schema_row *row = idem_schema_find("instance");
    char name[256] = "";
    if (reader->config->instance != NULL) {
        return IDEM_OK;
    }
    idem_config_locate(reader, 1, row->path, NULL);
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') {
        return idem_config_refuse(reader, "this host has no name; write instance: NAME");
    }
    return idem_config_set_text(reader, row, reader->config, name);
}

static enum idem_code read_document(struct idem_config_reader *reader) {
    enum idem_code code = idem_config_walk(reader);
    if (code == IDEM_OK) {
        code = set_instance(reader);
    }
    return code == IDEM_OK ? idem_config_check(reader) : code;
}

static void open_reader(struct idem_config_reader *reader, struct idem_config *config,
                        const char *name, idem_config_warn *warn, void *arg,
                        struct idem_error *error) {
    memset(reader, 0, sizeof *reader);
    reader->name = name;
    reader->config = config;
    reader->warn = warn;
    reader->warn_arg = arg;
    reader->error = error;
}

static enum idem_code parse(struct idem_config_reader *reader, const char *text,
                            size_t length) {
    enum idem_code code = idem_digest_init(reader->error);
    if (code == IDEM_OK) {
        idem_secret_default(&reader->config->rules.secret);
        code = idem_config_replace(reader, &reader->config->path, reader->name);
    }
    if (code == IDEM_OK) {
        code = idem_config_document(reader, text, length);
    }
    if (code != IDEM_OK) {
        return code;
    }
    code = read_document(reader);
    yaml_document_delete(&reader->document);
    return code;
}

enum idem_code idem_config_parse(struct idem_config *config, const char *name,
                                 const char *text, size_t length, idem_config_warn *warn,
                                 void *arg, struct idem_error *error) {
    struct idem_config_reader reader;
    memset(config, 0, sizeof *config);
    open_reader(&reader, config, name, warn, arg, error);
    return parse(&reader, text, length);
}

static enum idem_code refuse_file(const char *path, struct idem_error *error) {
    int reason = errno;
    return idem_error_set(error, IDEM_ERR_IO, reason, "%.300s: cannot be read: %s", path,
                          strerror(reason));
}

/* One byte more than is allowed is read, so that a longer file is known as one. */
static enum idem_code read_file(const char *path, char *text, size_t *length,
                                struct idem_error *error) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return refuse_file(path, error);
    }
    enum idem_code code = IDEM_OK;
    *length = fread(text, 1, IDEM_CONFIG_FILE_MAX + 1, file);
    if (ferror(file)) {
        code = refuse_file(path, error);
    }
    (void)fclose(file);
    return code;
}

/* A relative path starts at the folder of the configuration: a broker's working folder is anyone's
 * guess. */
static enum idem_code resolve_secret_file(struct idem_config_reader *reader) {
    const char *slash = strrchr(reader->name, '/');
    char **file = &reader->config->secret_file;
    if (slash == NULL || (*file)[0] == '/') {
        return IDEM_OK;
    }
    size_t folder = (size_t)(slash - reader->name) + 1;
    size_t length = strlen(*file);
    char *whole = malloc(folder + length + 1);
    if (whole == NULL) {
        return idem_config_nomem(reader);
    }
    memcpy(whole, reader->name, folder);
    memcpy(whole + folder, *file, length + 1);
    free(*file);
    *file = whole;
    return IDEM_OK;
}

static enum idem_code load_secret(struct idem_config_reader *reader) {
    struct idem_error inner = IDEM_ERROR_INIT;
    const struct idem_schema_row *row = idem_schema_find("secret_file");
    if (reader->config->secret_file == NULL) {
        return IDEM_OK;
    }
    enum idem_code code = resolve_secret_file(reader);
    if (code != IDEM_OK) {
        return code;
    }
    code = idem_secret_load(&reader->config->rules.secret, reader->config->secret_file,
                            &inner);
    if (code == IDEM_OK) {
        return IDEM_OK;
    }
    idem_config_locate(reader, *idem_config_given(reader, row), row->path, NULL);
    return idem_config_refuse(reader, "%s", inner.text);
}

enum idem_code idem_config_load(struct idem_config *config, const char *path,
                                idem_config_warn *warn, void *arg,
                                struct idem_error *error) {
    struct idem_config_reader reader;
    size_t length = 0;
    memset(config, 0, sizeof *config);
    open_reader(&reader, config, path, warn, arg, error);
    char *text = malloc(IDEM_CONFIG_FILE_MAX + 1);
    if (text == NULL) {
        return idem_config_nomem(&reader);
    }
    enum idem_code code = read_file(path, text, &length, error);
    if (code == IDEM_OK) {
        code = parse(&reader, text, length);
    }
    free(text);
    return code == IDEM_OK ? load_secret(&reader) : code;
}

static void endpoint_fini(struct idem_endpoint_config *endpoint) {
    for (size_t i = 0; i < IDEM_URLS_MAX; i++) {
        free(endpoint->urls[i]);
    }
    free(endpoint->user_env);
    free(endpoint->password_env);
    free(endpoint->password_file);
    free(endpoint->ca_file);
    free(endpoint->certificate);
    free(endpoint->private_key);
    free(endpoint->queue);
    free(endpoint->exchange);
    free(endpoint->routing_key);
    free(endpoint->statement);
    free(endpoint->inbox);
    for (size_t i = 0; i < endpoint->parameter_count; i++) {
        free(endpoint->parameters[i]);
    }
}

void idem_config_fini(struct idem_config *config) {
    free(config->path);
    free(config->instance);
    free(config->secret_file);
    free(config->store.url);
    idem_ruleset_fini(&config->rules);
    endpoint_fini(&config->bridge.source);
    endpoint_fini(&config->bridge.sink);
    free(config->bridge.replies.queue);
    free(config->bridge.quarantine_exchange);
    free(config->http.listen);
    free(config->http.token_file);
    free(config->mqtt.handover);
    memset(config, 0, sizeof *config);
}
