/* SPDX-License-Identifier: MIT
 * From text to a YAML document of bounded size.
 *
 * The text is parsed twice. First its events alone are looked at, which takes no memory that grows
 * with it: only what is within the limits, has no aliases (they would make a small text a huge
 * document) and no tags (they would change what a value means) is loaded as a document then. */
#include "config/reader.h"

static void start(yaml_parser_t *parser, const char *text, size_t length) {
    yaml_parser_set_input_string(parser, (const unsigned char *)text, length);
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
}

static int line_of_byte(const char *text, size_t length, size_t offset) {
    int line = 1;
    for (size_t i = 0; i < offset && i < length; i++) {
        line += text[i] == '\n';
    }
    return line;
}

/* What libyaml found wrong. Its texts are constants and hold nothing of the file. Its loader forgets
 * to say so when it runs out of memory in some places: then there is no error at all. */
static enum idem_code refuse_syntax(struct idem_config_reader *reader,
                                    const yaml_parser_t *parser, const char *text,
                                    size_t length) {
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be parsed";
    if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR) {
        return idem_config_nomem(reader);
    }
    if (parser->error == YAML_READER_ERROR) {
        int line = line_of_byte(text, length, parser->problem_offset);
        idem_config_locate(reader, line, "syntax", NULL);
        return idem_config_refuse(
            reader, "%s; the file must be UTF-8 text without control characters",
            problem);
    }
    idem_config_locate(reader, (int)parser->problem_mark.line + 1, "syntax", NULL);
    return idem_config_refuse(reader,
                              "%s%s%s; look at the indentation (spaces, no tabs), the "
                              "colons, brackets and quotes up to this line",
                              problem, parser->context != NULL ? " " : "",
                              parser->context != NULL ? parser->context : "");
}

struct extent {
    unsigned documents;
    unsigned depth;
    unsigned nodes;
};

static enum idem_code check_plain(struct idem_config_reader *reader, const void *anchor,
                                  const void *tag) {
    if (anchor != NULL) {
        return idem_config_refuse(reader, "anchors (&) are not taken; write the value "
                                          "where it is needed");
    }
    if (tag != NULL) {
        return idem_config_refuse(reader,
                                  "tags (!) are not taken; write the value alone");
    }
    return IDEM_OK;
}

static enum idem_code enter(struct idem_config_reader *reader, struct extent *extent) {
    if (++extent->depth > IDEM_CONFIG_DEPTH_MAX) {
        return idem_config_refuse(reader, "nested too deeply; at most %d levels",
                                  IDEM_CONFIG_DEPTH_MAX);
    }
    return IDEM_OK;
}

static enum idem_code check_shape(struct idem_config_reader *reader,
                                  const yaml_event_t *event, struct extent *extent) {
    enum idem_code code = IDEM_OK;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++extent->documents == 1
                   ? IDEM_OK
                   : idem_config_refuse(reader, "a second document begins here; one file "
                                                "holds one configuration");
    case YAML_ALIAS_EVENT:
        return idem_config_refuse(reader, "aliases (*) are not taken; write the value "
                                          "again, or put quotes around it");
    case YAML_SCALAR_EVENT:
        return check_plain(reader, event->data.scalar.anchor, event->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        code = check_plain(reader, event->data.sequence_start.anchor,
                           event->data.sequence_start.tag);
        return code != IDEM_OK ? code : enter(reader, extent);
    case YAML_MAPPING_START_EVENT:
        code = check_plain(reader, event->data.mapping_start.anchor,
                           event->data.mapping_start.tag);
        return code != IDEM_OK ? code : enter(reader, extent);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        extent->depth--;
        return IDEM_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return IDEM_OK;
    }
    return IDEM_OK;
}

static enum idem_code check_event(struct idem_config_reader *reader,
                                  const yaml_event_t *event, struct extent *extent) {
    idem_config_locate(reader, (int)event->start_mark.line + 1, "document", NULL);
    if (++extent->nodes > IDEM_CONFIG_NODES_MAX) {
        return idem_config_refuse(reader, "too many values; at most %d",
                                  IDEM_CONFIG_NODES_MAX);
    }
    return check_shape(reader, event, extent);
}

static enum idem_code check_events(struct idem_config_reader *reader,
                                   yaml_parser_t *parser, const char *text,
                                   size_t length) {
    struct extent extent = {0, 0, 0};
    enum idem_code code = IDEM_OK;
    bool more = true;
    while (more && code == IDEM_OK) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return refuse_syntax(reader, parser, text, length);
        }
        code = check_event(reader, &event, &extent);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return code;
}

static enum idem_code load(struct idem_config_reader *reader, yaml_parser_t *parser,
                           const char *text, size_t length) {
    if (!yaml_parser_load(parser, &reader->document)) {
        return refuse_syntax(reader, parser, text, length);
    }
    return IDEM_OK;
}

typedef enum idem_code pass(struct idem_config_reader *reader, yaml_parser_t *parser,
                            const char *text, size_t length);

static enum idem_code with_parser(struct idem_config_reader *reader, const char *text,
                                  size_t length, pass *run) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return idem_config_nomem(reader);
    }
    start(&parser, text, length);
    enum idem_code code = run(reader, &parser, text, length);
    yaml_parser_delete(&parser);
    return code;
}

enum idem_code idem_config_document(struct idem_config_reader *reader, const char *text,
                                    size_t length) {
    if (length > IDEM_CONFIG_FILE_MAX) {
        idem_config_locate(reader, 1, "document", NULL);
        return idem_config_refuse(reader,
                                  "longer than %u bytes; a configuration is "
                                  "shorter than that",
                                  IDEM_CONFIG_FILE_MAX);
    }
    enum idem_code code = with_parser(reader, text, length, check_events);
    return code != IDEM_OK ? code : with_parser(reader, text, length, load);
}
