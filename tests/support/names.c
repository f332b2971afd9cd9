/* SPDX-License-Identifier: MIT
 * The C library's calls, with names of the tests' own in front of them. */
#define _GNU_SOURCE /* getaddrinfo_a */
#include "names.h"
#include "testing.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 8
#define ASKED_MAX 256

struct name {
    const char *host;
    const char *const *addresses;
    bool silent;
};

struct question {
    struct gaicb *request;
    const struct name *name;
    bool answered;
};

static struct name names[NAMES_MAX];
static size_t name_count;
static struct question questions[ASKED_MAX];
static unsigned asked;

int __real_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **addresses);
int __real_getaddrinfo_a(int mode, struct gaicb *list[], int count,
                         struct sigevent *notice);
int __real_gai_error(struct gaicb *request);
int __real_gai_cancel(struct gaicb *request);
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **addresses);
int __wrap_getaddrinfo_a(int mode, struct gaicb *list[], int count,
                         struct sigevent *notice);
int __wrap_gai_error(struct gaicb *request);
int __wrap_gai_cancel(struct gaicb *request);

static struct name *find(const char *host) {
    for (size_t i = 0; i < name_count; i++) {
        if (strcmp(names[i].host, host) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

static struct question *question_of(const struct gaicb *request) {
    for (size_t i = 0; i < ASKED_MAX; i++) {
        if (questions[i].request == request) {
            return &questions[i];
        }
    }
    return NULL;
}

void names_reset(void) {
    name_count = 0;
    asked = 0;
}

void names_add(const char *host, const char *const *addresses) {
    assert_true(name_count < NAMES_MAX);
    names[name_count++] = (struct name){.host = host, .addresses = addresses};
}

void names_silence(const char *host, bool silent) {
    struct name *name = find(host);
    assert_non_null(name);
    name->silent = silent;
}

unsigned names_asked(void) {
    return asked;
}

/* Whoever waits for a name here waits for ever with a silent one. */
int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **addresses) {
    if (find(host) != NULL && (hints->ai_flags & AI_NUMERICHOST) == 0) {
        fail_msg("%s is looked up by a call that waits", host);
    }
    return __real_getaddrinfo(host, service, hints, addresses);
}

static void answer(struct question *question) {
    struct gaicb *request = question->request;
    struct addrinfo **end = &request->ar_result;
    struct addrinfo hints = *request->ar_request;
    hints.ai_flags |= AI_NUMERICHOST;
    *end = NULL;
    for (const char *const *at = question->name->addresses; *at != NULL; at++) {
        assert_int_equal(__real_getaddrinfo(*at, request->ar_service, &hints, end), 0);
        end = &(*end)->ai_next;
    }
    question->answered = true;
}

int __wrap_getaddrinfo_a(int mode, struct gaicb *list[], int count,
                         struct sigevent *notice) {
    const struct name *name = find(list[0]->ar_name);
    struct question *before = question_of(list[0]);
    asked++;
    if (before != NULL) {
        before->request = NULL; /* another one, at the same place in memory */
    }
    if (name == NULL) {
        return __real_getaddrinfo_a(mode, list, count, notice);
    }
    assert_int_equal(mode, GAI_NOWAIT);
    assert_int_equal(count, 1);
    struct question *question = question_of(NULL);
    assert_non_null(question);
    *question = (struct question){.request = list[0], .name = name};
    return 0;
}

int __wrap_gai_error(struct gaicb *request) {
    struct question *question = question_of(request);
    if (question == NULL) {
        return __real_gai_error(request);
    }
    if (question->name->silent && !question->answered) {
        return EAI_INPROGRESS;
    }
    if (!question->answered) {
        answer(question);
    }
    return request->ar_result != NULL ? 0 : EAI_NONAME;
}

/* What the resolver works at cannot be taken back from it. */
int __wrap_gai_cancel(struct gaicb *request) {
    struct question *question = question_of(request);
    if (question == NULL) {
        return __real_gai_cancel(request);
    }
    return question->answered ? EAI_ALLDONE : EAI_NOTCANCELED;
}
