/* SPDX-License-Identifier: MIT
 * Whichever allocation fails, a configuration is refused cleanly and nothing is left behind. */
#include <idem/config.h>

#include "files.h"
#include "testing.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0 /* the sanitizers bring an allocator of their own */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC
/* Volatile, since compilers know that malloc changes nothing that they can see. */
static volatile bool watching;
static volatile long
    until_failure;         /* while watching: the allocation that fails, counted */
static volatile long live; /* blocks taken and not given back while watching */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static bool fails(void) {
    if (watching) {
        until_failure = until_failure - 1;
    }
    return watching && until_failure == 0;
}

static void *taken(void *block) {
    live += watching && block != NULL;
    return block;
}

/* Visible outside of the program: libyaml and libc are to find these instead of their own. */
IDEM_API void *malloc(size_t size) {
    return fails() ? NULL : taken(__libc_malloc(size));
}

IDEM_API void *calloc(size_t count, size_t size) {
    return fails() ? NULL : taken(__libc_calloc(count, size));
}

IDEM_API void *realloc(void *block, size_t size) {
    if (fails()) {
        return NULL;
    }
    return block == NULL ? taken(__libc_realloc(block, size))
                         : __libc_realloc(block, size);
}

IDEM_API void free(void *block) {
    live -= watching && block != NULL;
    __libc_free(block);
}

/* Not under valgrind, which puts an allocator of its own in the place of this one. */
static bool in_use(void) {
    live = 0;
    watching = true;
    void *volatile block = malloc(1);
    bool counted = live == 1;
    free(block);
    watching = false;
    return counted;
}

static enum idem_code parse(const char *text, long failing) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    until_failure = failing;
    live = 0;
    watching = true;
    enum idem_code code =
        idem_config_parse(&config, "f.yaml", text, strlen(text), NULL, NULL, &error);
    idem_config_fini(&config);
    watching = false;
    return code;
}

static void every_failed_allocation_is_refused_without_a_leak(void **state) {
    (void)state;
    if (!in_use()) {
        skip();
    }
    char *text = files_read("examples/idem.yaml");
    enum idem_code code = IDEM_ERR_NOMEM;
    long failing = 0;
    assert_int_equal(parse(text, 0),
                     IDEM_OK); /* libsodium has what it needs after this */
    while (code == IDEM_ERR_NOMEM) {
        code = parse(text, ++failing);
        assert_int_equal(live, 0);
    }
    assert_int_equal(code, IDEM_OK);
    assert_true(failing > 500);
    free(text);
}
#else
static void every_failed_allocation_is_refused_without_a_leak(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_refused_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
