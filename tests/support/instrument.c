/* SPDX-License-Identifier: MIT
 * How the broker is run so that valgrind or the sanitizers see what the plugin does in it.
 *
 * A sanitized plugin wants its run-time library to be the first that the process loads; the broker is
 * not linked with it, so it is preloaded. Which file that is, this program knows: it was built with
 * the same flags and has the library loaded itself. Leaks are valgrind's business: LeakSanitizer
 * would report what the broker itself leaves behind. */
#include "instrument.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

/* The path of the run-time library in this process, or NULL; text holds size bytes. */
static const char *find_runtime(char *text, size_t size) {
    static const char *const runtimes[] = {"libasan.so", "libtsan.so", "libclang_rt.asan",
                                           "libclang_rt.tsan"};
    const char *found = NULL;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && found == NULL && fgets(text, (int)size, maps) != NULL) {
        char *path = strchr(text, '/');
        for (size_t i = 0; path != NULL && i < sizeof runtimes / sizeof *runtimes; i++) {
            if (strstr(path, runtimes[i]) != NULL) {
                path[strcspn(path, "\n")] = '\0';
                found = path;
                break;
            }
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return found;
}

static const char **put(const char **at, const char *word) {
    *at = word;
    return at + 1;
}

static void set_environment(struct instrument *instrument) {
    const char **at = instrument->environment;
    const char *runtime = find_runtime(instrument->runtime, sizeof instrument->runtime);
    if (runtime != NULL) {
        at = put(put(at, "LD_PRELOAD"), runtime);
        at = put(put(at, "ASAN_OPTIONS"), "detect_leaks=0:exitcode=99");
        at = put(put(at, "UBSAN_OPTIONS"),
                 "halt_on_error=1:print_stacktrace=1:exitcode=99");
        at = put(put(at, "TSAN_OPTIONS"), "exitcode=99");
    }
    *at = NULL;
}

/* What Mosquitto 2.0.11 itself leaves behind, with settings per listener. */
static const char suppressions[] = "{\n"
                                   "  broker_configuration\n"
                                   "  Memcheck:Leak\n"
                                   "  match-leak-kinds: definite\n"
                                   "  ...\n"
                                   "  fun:config__read\n"
                                   "  fun:config__parse_args\n"
                                   "}\n";

void instrument_broker(struct instrument *instrument, const char *program,
                       const char *dir) {
    const char **at = instrument->argv;
    (void)snprintf(instrument->conf, sizeof instrument->conf, "%s/mosquitto.conf", dir);
    if (testing_valgrind()) {
        (void)snprintf(instrument->suppressions, sizeof instrument->suppressions,
                       "--suppressions=%s/valgrind.supp", dir);
        files_write(dir, "valgrind.supp", suppressions);
        at = put(put(at, "/usr/bin/valgrind"), "--quiet");
        at = put(put(at, "--leak-check=full"), "--errors-for-leak-kinds=definite");
        at = put(put(at, "--show-leak-kinds=definite"), "--error-exitcode=99");
        at = put(put(at, "--keep-debuginfo=yes"), instrument->suppressions);
    }
    at = put(put(put(at, program), "-c"), instrument->conf);
    *at = NULL;
    set_environment(instrument);
}
