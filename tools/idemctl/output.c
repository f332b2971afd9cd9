/* SPDX-License-Identifier: MIT
 * Printing, for people or as JSON. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ctl_complain(const char *format, ...) {
    va_list args;
    (void)fputs("idemctl: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

static void print_members(struct json_object *object, const char *indent, int width);

static void print_line(const char *indent, int width, const char *name,
                       struct json_object *value) {
    struct json_object *element;
    switch (json_object_get_type(value)) {
    case json_type_null:
        break;
    case json_type_array:
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            element = json_object_array_get_idx(value, i);
            (void)printf("%s%-*s %s\n", indent, width, i == 0 ? name : "",
                         json_object_get_string(element));
        }
        break;
    case json_type_object:
        (void)printf("%s%s\n", indent, name);
        print_members(value, "  ", 0);
        break;
    case json_type_boolean:
    case json_type_double:
    case json_type_int:
    case json_type_string:
        (void)printf("%s%-*s %s\n", indent, width, name, json_object_get_string(value));
        break;
    }
}

/* Names as wide as the longest of them, and as width at least. */
static void print_members(struct json_object *object, const char *indent, int width) {
    json_object_object_foreach(object, each, unused) {
        int length = (int)strlen(each);
        (void)unused;
        width = length > width ? length : width;
    }
    json_object_object_foreach(object, name, value) {
        print_line(indent, width, name, value);
    }
}

bool ctl_print_json_line(struct json_object *object) {
    if (object == NULL) {
        ctl_complain("out of memory");
        return false;
    }
    bool written = printf("%s\n", json_object_to_json_string_ext(
                                      object, JSON_C_TO_STRING_PLAIN |
                                                  JSON_C_TO_STRING_NOSLASHESCAPE)) > 0;
    (void)json_object_put(object);
    return written;
}

void ctl_print(const struct ctl *ctl, struct json_object *object) {
    if (object == NULL) {
        ctl_complain("out of memory");
        return;
    }
    if (ctl->json) {
        (void)printf("%s\n",
                     json_object_to_json_string_ext(
                         object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                     JSON_C_TO_STRING_NOSLASHESCAPE));
    } else {
        print_members(object, "", 12);
    }
    (void)json_object_put(object);
}
