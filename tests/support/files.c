/* SPDX-License-Identifier: MIT
 * Temporary directories and whole text files for tests. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "files.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void files_make_dir(char *path) {
    const char *parent = getenv("TMPDIR");
    (void)snprintf(path, FILES_PATH_MAX, "%s/idem-test-XXXXXX",
                   parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (mkdtemp(path) == NULL) {
        fail_msg("mkdtemp %s: %s", path, strerror(errno));
    }
}

static int remove_entry(const char *path, const struct stat *status, int kind,
                        struct FTW *position) {
    (void)status;
    (void)kind;
    (void)position;
    (void)remove(path);
    return 0;
}

void files_remove_dir(const char *path) {
    (void)nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void files_write(const char *dir, const char *name, const char *text) {
    char path[2 * FILES_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        fail_msg("cannot write %s: %s", path, strerror(errno));
    }
}

char *files_read(const char *path) {
    size_t length = 0;
    size_t room = 4096;
    char *text = malloc(room + 1);
    FILE *file = fopen(path, "r");
    while (file != NULL && text != NULL) {
        size_t got = fread(text + length, 1, room - length, file);
        length += got;
        if (got == 0) {
            break;
        }
        if (length == room) {
            room *= 2;
            char *bigger = realloc(text, room + 1);
            if (bigger == NULL) {
                free(text);
            }
            text = bigger;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    assert_non_null(text);
    text[length] = '\0';
    return text;
}

static size_t occurrences(const char *text, const char *what) {
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL;
         at = strstr(at + strlen(what), what)) {
        count++;
    }
    return count;
}

char *files_replace(const char *text, const char *from, const char *to) {
    size_t room = strlen(text) + occurrences(text, from) * strlen(to) + 1;
    char *result = malloc(room);
    assert_non_null(result);
    char *out = result;
    for (const char *hit = strstr(text, from); hit != NULL; hit = strstr(text, from)) {
        memcpy(out, text, (size_t)(hit - text));
        out += hit - text;
        memcpy(out, to, strlen(to));
        out += strlen(to);
        text = hit + strlen(from);
    }
    memcpy(out, text, strlen(text) + 1);
    return result;
}
