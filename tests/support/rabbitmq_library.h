/* SPDX-License-Identifier: MIT
 * rabbitmq-c under the two names that its headers have had. */
#ifndef TESTS_RABBITMQ_LIBRARY_H
#define TESTS_RABBITMQ_LIBRARY_H

#ifdef __has_include
#if __has_include(<rabbitmq-c/amqp.h>)
#define TESTS_RABBITMQ_C_FOLDER
#endif
#endif
#ifdef TESTS_RABBITMQ_C_FOLDER
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif

#endif
