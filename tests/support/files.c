/* SPDX-License-Identifier: MIT
 * Temporary directories and whole text files for tests. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void files_make_dir(char *path) {
    const char *parent = getenv("TMPDIR");
    (void)snprintf(path, FILES_PATH_MAX, "%s/idem-test-XXXXXX",
                   parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (mkdtemp(path) == NULL) {
        fail_msg("mkdtemp %s: %s", path, strerror(errno));
    }
}

void files_remove_dir(const char *path) {
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char inner[2 * FILES_PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (unlink(inner) != 0) {
            files_remove_dir(inner);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
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
    struct stat status = {.st_size = 0};
    FILE *file = fopen(path, "r");
    if (file != NULL && fstat(fileno(file), &status) != 0) {
        fail_msg("cannot read %s: %s", path, strerror(errno));
    }
    char *text = calloc(1, (size_t)status.st_size + 1);
    if (text != NULL && file != NULL) {
        text[fread(text, 1, (size_t)status.st_size, file)] = '\0';
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    assert_non_null(text);
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
