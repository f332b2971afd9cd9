/* SPDX-License-Identifier: MIT
 * The parameters of a sink's statement: words, and their values. */
#include <idem/parameter.h>

#include "key/extract.h"
#include "key/json.h"

#include <stdlib.h>

static const struct {
    const char *word;
    enum idem_parameter_kind kind;
} words[] = {
    {"key", IDEM_PARAMETER_KEY},
    {"digest", IDEM_PARAMETER_DIGEST},
    {"payload", IDEM_PARAMETER_PAYLOAD},
};

enum idem_code idem_parameter_parse(struct idem_parameter *parameter, const char *text,
                                    struct idem_error *error) {
    struct idem_error cause = IDEM_ERROR_INIT;
    memset(parameter, 0, sizeof *parameter);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].word) == 0) {
            parameter->kind = words[i].kind;
            return IDEM_OK;
        }
    }
    parameter->kind = IDEM_PARAMETER_EXTRACTOR;
    enum idem_code code = idem_extractor_parse(&parameter->extractor, text, &cause);
    return code == IDEM_OK
               ? IDEM_OK
               : idem_error_set(error, code, 0,
                                "%s; a parameter can also be key or digest", cause.text);
}

void idem_parameter_fini(struct idem_parameter *parameter) {
    free(parameter->extractor.text);
    parameter->extractor.text = NULL;
}

static enum idem_parameter_status there(bool is) {
    return is ? IDEM_PARAMETER_THERE : IDEM_PARAMETER_ABSENT;
}

static enum idem_parameter_status json_value(const struct idem_parameter_source *source,
                                             const char *pointer, struct idem_span *value,
                                             size_t *used) {
    struct idem_span document = source->message->payload;
    if (document.len > IDEM_JSON_MAX) {
        return IDEM_PARAMETER_TOO_LARGE;
    }
    bool found = idem_json_find(document, pointer, source->room, document.len, value);
    *used = found && value->data == source->room ? value->len : 0;
    return there(found);
}

static enum idem_parameter_status extracted(const struct idem_parameter_source *source,
                                            const struct idem_extractor *extractor,
                                            struct idem_span *value, size_t *used) {
    if (extractor->kind == IDEM_EXTRACT_JSON) {
        return json_value(source, extractor->text, value, used);
    }
    if (extractor->kind == IDEM_EXTRACT_PAYLOAD_SHA256) {
        idem_extract_sha256(source->message->payload, (char *)source->room);
        *used = IDEM_SHA256_HEX_SIZE - 1;
        *value = idem_span_of(source->room, *used);
        return IDEM_PARAMETER_THERE;
    }
    *value = idem_extract_field(source->message, extractor);
    return there(value->len > 0);
}

enum idem_parameter_status
idem_parameter_value(const struct idem_parameter *parameter,
                     const struct idem_parameter_source *source, struct idem_span *value,
                     size_t *used) {
    *value = idem_span_of(NULL, 0);
    *used = 0;
    switch (parameter->kind) {
    case IDEM_PARAMETER_KEY:
        *value = source->key;
        return there(value->len > 0);
    case IDEM_PARAMETER_DIGEST:
        if (source->digest != NULL) {
            *value = idem_span_of(source->digest->bytes, IDEM_DIGEST_SIZE);
        }
        return there(value->len > 0);
    case IDEM_PARAMETER_PAYLOAD:
        *value = source->message->payload;
        return IDEM_PARAMETER_THERE;
    case IDEM_PARAMETER_EXTRACTOR:
        return extracted(source, &parameter->extractor, value, used);
    }
    return IDEM_PARAMETER_ABSENT;
}
