/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as a stored response. What decodes has to encode to the same bytes. */
#include <idem/result.h>

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char status[] = "status";
    const struct idem_result_spec spec = {.max = 4096, .failed_header = status};
    struct idem_result result;
    if (idem_result_decode(&result, idem_span_of(data, size)) != IDEM_OK) {
        require(result.header_count == 0 && result.payload.len == 0, "not emptied");
        return 0;
    }
    require(idem_result_size(&result) == size, "another size");
    require(idem_result_judge(&spec, &result) < IDEM_RESULT_FATE_COUNT, "no fate");
    uint8_t *again = malloc(size);
    require(again != NULL, "out of memory");
    idem_result_encode(again, &result);
    require(memcmp(again, data, size) == 0, "other bytes");
    free(again);
    return 0;
}
