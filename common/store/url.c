/* SPDX-License-Identifier: MIT
 * Parsing of a URL's parameters. */
#include "store/url.h"

#define NUMBER_MAX (UINT64_MAX / 10 - 9)

static struct idem_url_parameter *parameter_called(struct idem_url_parameter *parameters,
                                                   size_t count, struct idem_span name) {
    for (size_t i = 0; i < count; i++) {
        if (idem_span_equal(idem_span_text(parameters[i].name), name)) {
            return &parameters[i];
        }
    }
    return NULL;
}

/* Takes the digits off the front of text. */
static bool take_number(struct idem_span *text, uint64_t *number) {
    size_t digits = 0;
    *number = 0;
    while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9') {
        if (*number > NUMBER_MAX) {
            return false;
        }
        *number = *number * 10 + (uint64_t)(text->data[digits] - '0');
        digits++;
    }
    text->data += digits;
    text->len -= digits;
    return digits > 0;
}

static bool parse_value(struct idem_url_parameter *parameter, struct idem_span text) {
    uint64_t number = 0;
    if (parameter->units == NULL) {
        parameter->text = text;
        return text.len > 0;
    }
    if (!take_number(&text, &number)) {
        return false;
    }
    const struct idem_url_unit *unit = parameter->units;
    while (unit->name != NULL && !idem_span_equal(idem_span_text(unit->name), text)) {
        unit++;
    }
    if (unit->name == NULL || number > parameter->most / unit->factor) {
        return false;
    }
    parameter->value = number * unit->factor;
    return parameter->value >= parameter->least;
}

static enum idem_code parse_one(struct idem_span pair,
                                struct idem_url_parameter *parameters, size_t count,
                                struct idem_error *error) {
    const uint8_t *equals = pair.len > 0 ? memchr(pair.data, '=', pair.len) : NULL;
    size_t name_len = equals != NULL ? (size_t)(equals - pair.data) : pair.len;
    struct idem_span name = idem_span_of(pair.data, name_len);
    struct idem_url_parameter *parameter = parameter_called(parameters, count, name);
    if (parameter == NULL) {
        return idem_error_set(
            error, IDEM_ERR_INVALID, 0, "store URL: unknown parameter '%.*s'",
            (int)(name_len > 40 ? 40 : name_len), (const char *)name.data);
    }
    if (parameter->given) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "store URL: parameter %s is given twice", parameter->name);
    }
    parameter->given = true;
    struct idem_span value = {NULL, 0};
    if (equals != NULL) {
        value = idem_span_of(equals + 1, pair.len - name_len - 1);
    }
    if (!parse_value(parameter, value)) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0, "store URL: %s must be %s",
                              parameter->name, parameter->form);
    }
    return IDEM_OK;
}

enum idem_code idem_url_parameters(const char *query,
                                   struct idem_url_parameter *parameters, size_t count,
                                   struct idem_error *error) {
    while (query != NULL) {
        const char *end = strchr(query, '&');
        size_t len = end != NULL ? (size_t)(end - query) : strlen(query);
        enum idem_code code =
            parse_one(idem_span_of(query, len), parameters, count, error);
        if (code != IDEM_OK) {
            return code;
        }
        query = end != NULL ? end + 1 : NULL;
    }
    return IDEM_OK;
}
