/* SPDX-License-Identifier: MIT
 * The user's statement: a message's values, in the form that each parameter's type wants. */
#include "statement.h"

#include <idem/digest.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 65535 /* more parameters no statement can have */

void idem_statement_fini(struct idem_statement *statement) {
    free(statement->room);
    statement->room = NULL;
}

/* Types whose binary form is the bytes themselves (pg_type.dat): nothing is copied, nothing has to be
 * terminated, and the server judges what is in them. */
static bool takes_bytes(Oid type) {
    static const Oid types[] = {17 /* bytea */, 25 /* text */, 114 /* json */,
                                1042 /* char(n) */, 1043 /* varchar */};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

#define BYTEA 17

/* What is written for one message. Until all is there, values in the room are known by their offsets, since
 * the room can move. */
struct binding {
    struct idem_statement *statement;
    struct idem_pg_session_values *values;
    size_t used;
    size_t at[IDEM_PG_VALUES_MAX]; /* 1 + offset; 0: not in the room */
};

static bool reserve(struct binding *binding, size_t more) {
    struct idem_statement *statement = binding->statement;
    if (statement->size - binding->used >= more && statement->room != NULL) {
        return true;
    }
    size_t size = 2 * (binding->used + more);
    uint8_t *room = realloc(statement->room, size);
    if (room == NULL) {
        return false;
    }
    statement->room = room;
    statement->size = size;
    return true;
}

static void put_null(struct binding *binding, size_t i) {
    binding->values->formats[i] = 0;
    binding->values->lengths[i] = 0;
    binding->values->values[i] = NULL;
}

static const char *put_bytes(struct binding *binding, size_t i, struct idem_span value,
                             bool in_room) {
    binding->values->formats[i] = 1;
    binding->values->lengths[i] = (int)value.len;
    binding->values->values[i] = value.len > 0 ? (const char *)value.data : "";
    if (in_room) {
        binding->at[i] = 1 + binding->used;
        binding->used += value.len;
    }
    return NULL;
}

static const char *put_text(struct binding *binding, size_t i, struct idem_span value,
                            size_t in_room) {
    if (value.len > 0 && memchr(value.data, 0, value.len) != NULL) {
        return "22021";
    }
    size_t from = in_room > 0 ? binding->used : 0;
    binding->used += in_room;
    if (!reserve(binding, value.len + 1)) {
        return "53200";
    }
    const uint8_t *data = in_room > 0 ? binding->statement->room + from : value.data;
    uint8_t *to = binding->statement->room + binding->used;
    if (value.len > 0) {
        memcpy(to, data, value.len);
    }
    to[value.len] = '\0';
    binding->values->formats[i] = 0;
    binding->values->lengths[i] = 0;
    binding->at[i] = 1 + binding->used;
    binding->used += value.len + 1;
    return NULL;
}

static const char *put_digest(struct binding *binding, size_t i,
                              const struct idem_digest *digest) {
    char hex[IDEM_DIGEST_HEX_SIZE];
    idem_digest_hex(digest, hex);
    return put_text(binding, i, idem_span_text(hex), 0);
}

static const char *put(struct binding *binding, size_t i,
                       const struct idem_parameter_source *source, Oid type) {
    const struct idem_parameter *parameter = &binding->statement->parameters[i];
    struct idem_parameter_source from = *source;
    struct idem_span value;
    size_t in_room = 0;
    if (!reserve(binding, source->message->payload.len + IDEM_PARAMETER_ROOM_MIN)) {
        return "53200";
    }
    from.room = binding->statement->room + binding->used;
    switch (idem_parameter_value(parameter, &from, &value, &in_room)) {
    case IDEM_PARAMETER_ABSENT:
        put_null(binding, i);
        return NULL;
    case IDEM_PARAMETER_TOO_LARGE:
        return "54000";
    case IDEM_PARAMETER_THERE:
        break;
    }
    if (parameter->kind == IDEM_PARAMETER_DIGEST && type != BYTEA) {
        return put_digest(binding, i, source->digest);
    }
    return takes_bytes(type) ? put_bytes(binding, i, value, in_room > 0)
                             : put_text(binding, i, value, in_room);
}

const char *idem_statement_bind(struct idem_statement *statement,
                                const struct idem_parameter_source *source,
                                const Oid *types, struct idem_pg_session_values *values) {
    struct binding binding = {statement, values, 0, {0}};
    const char *trouble = NULL;
    memset(values, 0, sizeof *values);
    values->count = statement->count;
    for (size_t i = 0; i < statement->count && trouble == NULL; i++) {
        trouble = put(&binding, i, source, types[i]);
    }
    for (size_t i = 0; i < statement->count; i++) {
        if (binding.at[i] > 0) {
            values->values[i] = (const char *)statement->room + binding.at[i] - 1;
        }
    }
    return trouble;
}

/* The first byte behind a quoted text; a doubled quote begins the next one, which is as good. */
static const char *after_quote(const char *at) {
    const char *end = strchr(at + 1, *at);
    return end != NULL ? end + 1 : at + strlen(at);
}

static const char *after_comment(const char *at) {
    const char *end = at[0] == '-' ? strchr(at, '\n') : strstr(at + 2, "*/");
    return end != NULL ? end + (at[0] == '-' ? 1 : 2) : at + strlen(at);
}

static const char *read_number(const char *at, size_t *highest) {
    size_t number = 0;
    for (; isdigit((unsigned char)*at) != 0; at++) {
        number = number < NUMBER_MAX ? number * 10 + (size_t)(*at - '0') : number;
    }
    *highest = number > *highest ? number : *highest;
    return at;
}

size_t idem_statement_parameters(const char *sql) {
    size_t highest = 0;
    const char *at = sql;
    while (*at != '\0') {
        if (*at == '\'' || *at == '"') {
            at = after_quote(at);
        } else if ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*')) {
            at = after_comment(at);
        } else if (at[0] == '$' && isdigit((unsigned char)at[1]) != 0) {
            at = read_number(at + 1, &highest);
        } else {
            at++;
        }
    }
    return highest;
}
