/* SPDX-License-Identifier: MIT
 * The version of libidem and of the programs built from the same tree. */
#ifndef IDEM_VERSION_H
#define IDEM_VERSION_H

#include <idem/error.h>

/* Of these headers. What may change between two versions: docs/guide/library.md. */
#define IDEM_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library that the program has found at run time; static. Any thread. */
IDEM_API const char *idem_version(void);

#ifdef __cplusplus
}
#endif

#endif
