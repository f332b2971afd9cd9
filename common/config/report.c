/* SPDX-License-Identifier: MIT
 * How findings are told: the place, quoted values without passwords, and guesses at typing errors. */
#include "config/reader.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME_SHOWN 200 /* bytes of the file's name: the finding must fit behind it */
#define KEY_SHOWN  64  /* bytes of a key */
#define WORD_MAX   32  /* longer words are nobody's typing error */

/* A cut may have left the beginning of a character of several bytes at the end of the text. */
static void drop_partial_character(char *text) {
    size_t len = strlen(text);
    size_t at = len;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80) {
        at--;
    }
    if (at == 0 || (unsigned char)text[at - 1] < 0xc0) {
        return;
    }
    unsigned char lead = (unsigned char)text[at - 1];
    size_t whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (len - (at - 1) < whole) {
        text[at - 1] = '\0';
    }
}

/* Names and values come from the file: one finding stays one line, whatever they hold. */
static void make_printable(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
}

IDEM_PRINTF(4, 0)
static void compose(const struct idem_config_reader *reader, char *out, size_t size,
                    const char *format, va_list args) {
    size_t len = strlen(reader->name);
    const char *tail = len > NAME_SHOWN ? reader->name + len - NAME_SHOWN : reader->name;
    int used = snprintf(out, size, "%s%s:%d: %s: ", len > NAME_SHOWN ? "..." : "", tail,
                        reader->line, reader->path);
    if (used > 0 && (size_t)used < size) {
        (void)vsnprintf(out + used, size - (size_t)used, format, args);
    }
    drop_partial_character(out);
    make_printable(out);
}

enum idem_code idem_config_refuse(struct idem_config_reader *reader, const char *format,
                                  ...) {
    char text[IDEM_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    compose(reader, text, sizeof text, format, args);
    va_end(args);
    return idem_error_set(reader->error, IDEM_ERR_CONFIG, 0, "%s", text);
}

void idem_config_remark(struct idem_config_reader *reader, const char *format, ...) {
    if (reader->warn == NULL) {
        return;
    }
    char text[IDEM_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    compose(reader, text, sizeof text, format, args);
    va_end(args);
    reader->warn(reader->warn_arg, text);
}

enum idem_code idem_config_nomem(struct idem_config_reader *reader) {
    return idem_error_set(reader->error, IDEM_ERR_NOMEM, 0,
                          "out of memory while a configuration was read");
}

struct range {
    const char *from;
    const char *to;
};

/* user:password@ of a URL. The last '@' counts, so that an unescaped one in the password hides too
 * much rather than too little. */
static struct range userinfo_password(const char *text) {
    struct range none = {NULL, NULL};
    const char *authority = strstr(text, "://");
    if (authority == NULL) {
        return none;
    }
    const char *colon = strchr(authority + 3, ':');
    const char *at = strrchr(authority, '@');
    if (colon == NULL || at == NULL || at < colon) {
        return none;
    }
    return (struct range){colon + 1, at};
}

static struct range parameter_password(const char *text) {
    static const char parameter[] = "password=";
    struct range none = {NULL, NULL};
    const char *found = strstr(text, parameter);
    if (found == NULL) {
        return none;
    }
    found += sizeof parameter - 1;
    return (struct range){found, found + strcspn(found, "& ")};
}

void idem_config_mask(char *out, size_t size, const char *text) {
    const struct range hidden[] = {userinfo_password(text), parameter_password(text)};
    size_t used = 0;
    while (*text != '\0' && used + 1 < size) {
        const char *next = text;
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
            if (hidden[i].from != NULL && text >= hidden[i].from && text < hidden[i].to) {
                next = hidden[i].to;
            }
        }
        if (next > text) {
            out[used++] = '*';
            text = next;
        } else {
            out[used++] = *text++;
        }
    }
    out[used] = '\0';
    drop_partial_character(out);
}

/* A key may be anything, even a URL that was meant to be a value. */
void idem_config_locate(struct idem_config_reader *reader, int line, const char *path,
                        const char *key) {
    reader->line = line;
    const char *element = strstr(path, "[]");
    int head = (int)(element != NULL ? element - path : (ptrdiff_t)strlen(path));
    char index[24] = "";
    char shown[KEY_SHOWN] = "";
    if (element != NULL) {
        (void)snprintf(index, sizeof index, "[%zu]", reader->rule);
    }
    if (key != NULL) {
        idem_config_mask(shown, sizeof shown, key);
    }
    (void)snprintf(reader->path, sizeof reader->path, "%.*s%s%s%s%s", head, path, index,
                   element != NULL ? element + 2 : "",
                   key != NULL && path[0] != '\0' ? "." : "", shown);
}

const char *idem_config_quoted(struct idem_config_quote *quote, const char *text) {
    enum { MOST = sizeof quote->text - sizeof "'...'" };
    char shown[MOST + 8]; /* enough more to see that there is more */
    idem_config_mask(shown, sizeof shown, text);
    bool cut = strlen(shown) > MOST;
    if (cut) {
        shown[MOST] = '\0';
        drop_partial_character(shown);
    }
    (void)snprintf(quote->text, sizeof quote->text, "'%.*s%s'", (int)MOST, shown,
                   cut ? "..." : "");
    return quote->text;
}

static size_t least(size_t a, size_t b, size_t c) {
    size_t least_two = a < b ? a : b;
    return least_two < c ? least_two : c;
}

/* Edit distance of Damerau and Levenshtein, in the form without overlaps: exchanging two neighbours
 * is one edit. Both words are at most WORD_MAX long. */
static size_t distance(const char *a, const char *b) {
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t *spare = before;
        before = above, above = row, row = spare;
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t exchange = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + exchange);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
    }
    return row[width];
}

const char *idem_config_nearest(const char *text, const char *const *words) {
    size_t len = strlen(text);
    size_t best = (len + 1) / 3 + 1; /* a third of the letters may be wrong */
    const char *nearest = NULL;
    if (len > WORD_MAX) {
        return NULL;
    }
    for (; *words != NULL; words++) {
        size_t edits = strlen(*words) <= WORD_MAX ? distance(text, *words) : best;
        if (edits < best) {
            best = edits;
            nearest = *words;
        }
    }
    return nearest;
}
