/* SPDX-License-Identifier: MIT
 * idemctl on a terminal: the progress of long work, and the question before what cannot be taken back. */
#define _GNU_SOURCE /* forkpty */

#include "ctl.h"
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char screen[65536];

/* All that is printed until the end; answer is typed when a question stands there. */
static void converse(int terminal, const char *answer) {
    size_t used = 0;
    bool answered = answer == NULL;
    int64_t deadline = testing_deadline();
    while (testing_remaining_ms(deadline) > 0) {
        struct pollfd descriptor = {.fd = terminal, .events = POLLIN};
        (void)poll(&descriptor, 1, testing_remaining_ms(deadline));
        ssize_t got = read(terminal, screen + used, sizeof screen - 1 - used);
        if (got <= 0) {
            return; /* EIO: the other side has gone */
        }
        used += (size_t)got;
        screen[used] = '\0';
        if (!answered && strstr(screen, "Go on? [y/N] ") != NULL) {
            assert_int_equal(write(terminal, answer, strlen(answer)), strlen(answer));
            answered = true;
        }
    }
    fail_msg("no end within the deadline:\n%s", screen);
}

/* Runs idemctl on a terminal of 80 columns; returns its exit status. */
static int on_terminal(const char *answer, const char *const *arguments) {
    char program[FILES_PATH_MAX];
    const char *argv[16] = {program, "-c", ctl_config};
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    int terminal = -1;
    int status = 0;
    process_program(program, sizeof program, "idemctl");
    for (size_t i = 0; arguments[i] != NULL; i++) {
        argv[i + 3] = arguments[i];
    }
    pid_t pid = forkpty(&terminal, NULL, NULL, &size);
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    converse(terminal, answer);
    (void)close(terminal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#define on_terminal(answer, ...)                                                         \
    on_terminal(answer, (const char *const[]){__VA_ARGS__, NULL})

static void assert_shows(const char *text) {
    if (strstr(screen, text) == NULL) {
        fail_msg("\"%s\" is not on the screen:\n%s", text, screen);
    }
}

static void test_a_question_is_asked_and_no_changes_nothing(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(on_terminal("n\n", "forget", "orders", "a"), 6);
    assert_shows("This will forget ");
    assert_shows("the next copy of it is delivered as new. Go on? [y/N] ");
    assert_shows("nothing was changed");
    assert_int_equal(on_terminal("\n", "purge", "--all"), 6);
    assert_shows("This will remove every record of ");
    assert_false(ctl_delivers("orders/1", "{\"id\":\"a\"}"));
}

static void test_yes_goes_on(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(on_terminal("y\n", "forget", "orders", "a"), 0);
    assert_shows("forgotten    done");
    ctl_deliver("orders/1", "{\"id\":\"b\"}");
    assert_int_equal(on_terminal("yes\n", "purge", "--all"), 0);
    assert_shows("removed      1");
}

static void test_yes_on_the_command_line_asks_nothing(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(on_terminal(NULL, "forget", "-y", "orders", "a"), 0);
    assert_null(strstr(screen, "Go on?"));
}

static void test_long_work_shows_how_far_it_is(void **state) {
    (void)state;
    char file[FILES_PATH_MAX + 16];
    (void)snprintf(file, sizeof file, "%s/all", ctl_dir);
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(on_terminal(NULL, "export", file), 0);
    assert_shows("\r\x1b[Kexporting [....");
    assert_shows("   0 %");
    assert_int_equal(on_terminal(NULL, "import", file), 0);
    assert_shows("\r\x1b[Kchecking [....");
    assert_shows("\r\x1b[Kimporting [");
    assert_shows("\r\x1b[K"); /* taken away again: the report stands alone */
    assert_int_equal(on_terminal(NULL, "stats"), 0);
    assert_shows("\r\x1b[Kcounting [");
    assert_int_equal(on_terminal(NULL, "bench", "--seconds", "1"), 0);
    assert_shows("\r\x1b[Kmeasuring  ");
    assert_shows("/s");
}

static void test_without_a_terminal_nothing_is_drawn(void **state) {
    (void)state;
    char file[FILES_PATH_MAX + 16];
    (void)snprintf(file, sizeof file, "%s/all", ctl_dir);
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(ctl_on("export", file), 0);
    assert_does_not_say("\r");
    assert_int_equal(ctl_on("import", file), 0);
    assert_does_not_say("\r");
    assert_int_equal(ctl_on("stats"), 0);
    assert_does_not_say("\r");
}

static void test_an_export_is_not_printed_on_a_terminal(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(on_terminal(NULL, "export", "-"), 2);
    assert_shows("this is no text");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST_BOTH(test_a_question_is_asked_and_no_changes_nothing),
        CTL_TEST_BOTH(test_yes_goes_on),
        CTL_TEST(test_yes_on_the_command_line_asks_nothing),
        CTL_TEST_BOTH(test_long_work_shows_how_far_it_is),
        CTL_TEST(test_without_a_terminal_nothing_is_drawn),
        CTL_TEST(test_an_export_is_not_printed_on_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
