/* SPDX-License-Identifier: MIT
 * Temporary directories and whole text files for tests. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include "testing.h"

#define FILES_PATH_MAX 512

/* A new private directory under TMPDIR, else /tmp; path holds FILES_PATH_MAX bytes. */
void files_make_dir(char *path);

/* Removes a directory and all that is in it; what cannot be removed stays. */
void files_remove_dir(const char *path);

void files_write(const char *dir, const char *name, const char *text);

/* The whole file, terminated; free it. An absent file is an empty one. */
char *files_read(const char *path);

/* A copy of text in which each occurrence of from is to; free it. */
char *files_replace(const char *text, const char *from, const char *to);

#endif
