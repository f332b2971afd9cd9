/* SPDX-License-Identifier: MIT
 * Sorting of digests: beside qsort and memcmp. */
#include "store/embedded/sort.h"

#include "stores.h"

#include <stdlib.h>
#include <string.h>

#define MANY 200000

static int compare_bytes(const void *a, const void *b) {
    return memcmp(a, b, IDEM_DIGEST_SIZE);
}

/* The first alike bytes of all of them are the same. */
static void assert_sorted_alike(size_t count, size_t alike) {
    struct idem_digest *digests = calloc(count + 1, sizeof *digests);
    struct idem_digest *expected = calloc(count + 1, sizeof *expected);
    assert_non_null(digests);
    assert_non_null(expected);
    for (size_t i = 0; i < count; i++) {
        digests[i] = stores_digest(i);
        memset(digests[i].bytes, 0x5a, alike);
    }
    memcpy(expected, digests, count * sizeof *digests);
    qsort(expected, count, sizeof *expected, compare_bytes);
    idem_digests_sort(digests, count);
    assert_memory_equal(digests, expected, (count + 1) * sizeof *digests);
    free(digests);
    free(expected);
}

static void any_number_of_digests_is_sorted(void **state) {
    (void)state;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    for (size_t count = 0; count < 100; count++) {
        assert_sorted_alike(count, 0);
    }
    assert_sorted_alike(4095, 0);
    assert_sorted_alike(MANY, 0);
}

/* Also where all come into one pile, and where the first eight bytes tell nothing. */
static void digests_that_begin_alike_are_sorted(void **state) {
    (void)state;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    for (size_t alike = 1; alike <= IDEM_DIGEST_SIZE; alike++) {
        assert_sorted_alike(10, alike);
        assert_sorted_alike(5000, alike);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_digests_is_sorted),
        cmocka_unit_test(digests_that_begin_alike_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
