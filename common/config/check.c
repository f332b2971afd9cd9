/* SPDX-License-Identifier: MIT
 * What one key alone cannot know: how the keys of the whole file, and of the sink, go together. */
#include "config/reader.h"

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

enum idem_code idem_config_check(struct idem_config_reader *reader) {
    struct idem_config *config = reader->config;
    config->bridge.present = idem_config_place(reader, "bridge", 0);
    if (config->rules.count == 0) {
        (void)idem_config_place(reader, "rules", 1);
        idem_config_remark(reader, "no rules: every message passes");
    }
    return config->bridge.present ? check_sink(reader) : IDEM_OK;
}
