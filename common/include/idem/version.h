/* SPDX-License-Identifier: MIT
 * The version of libidem and of the programs built from the same tree. */
#ifndef IDEM_VERSION_H
#define IDEM_VERSION_H

#define IDEM_VERSION "0.1.0"

#endif
