/* SPDX-License-Identifier: MIT
 * A private Mosquitto: own directory, free port, the plugin or not; started, stopped, killed, restarted. */
#include "broker.h"
#include "container.h"
#include "files.h"
#include "instrument.h"
#include "process.h"

#include <errno.h>
#include <libgen.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_SHOWN_MAX 16384 /* bytes of its end */

struct broker {
    char dir[FILES_PATH_MAX];
    char log[FILES_PATH_MAX + 16];
    unsigned ports[2];
    pid_t pid; /* 0: not running */
    size_t mark;
    bool shared;
    struct broker *next;
};

/* What a test leaves behind when it fails half-way: the teardowns take it from here. */
static struct broker *brokers;

static const char open_listener[] = "listener @PORT@ 127.0.0.1\n"
                                    "allow_anonymous true\n";
static const char with_plugin[] = "plugin @PLUGIN@\n"
                                  "plugin_opt_config @DIR@/idem.yaml\n";

static const char *first_readable(const char *const *paths) {
    for (; *paths != NULL; paths++) {
        if (access(*paths, R_OK) == 0) {
            return *paths;
        }
    }
    return NULL;
}

static const char *program(void) {
    static const char *const paths[] = {"/usr/sbin/mosquitto",
                                        "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto",
                                        "/usr/local/bin/mosquitto", NULL};
    const char *chosen = getenv("IDEM_MOSQUITTO");
    return chosen != NULL && chosen[0] != '\0' ? chosen : first_readable(paths);
}

bool broker_installed(void) {
    const char *path = program();
    return path != NULL && access(path, X_OK) == 0;
}

const char *broker_dynsec(void) {
    static const char *const paths[] = {
        "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
        "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
        "/usr/lib/arm-linux-gnueabihf/mosquitto_dynamic_security.so",
        "/usr/lib/mosquitto_dynamic_security.so",
        "/usr/lib64/mosquitto_dynamic_security.so",
        "/usr/local/lib/mosquitto_dynamic_security.so",
        NULL};
    return first_readable(paths);
}

/* The plugin of the build that this test program belongs to: BUILD/tests/KIND/test_x. */
static void plugin_path(char *path, size_t size) {
    const char *chosen = container_wanted() ? "/usr/local/lib/idem/mosquitto_idem.so"
                                            : getenv("IDEM_PLUGIN");
    if (chosen != NULL && chosen[0] != '\0') {
        (void)snprintf(path, size, "%s", chosen);
        return;
    }
    char self[FILES_PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = '\0';
    (void)snprintf(path, size, "%s/mosquitto_idem.so", dirname(dirname(dirname(self))));
}

static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        fail_msg("no free port: %s", strerror(errno));
    }
    (void)close(fd);
    return ntohs(address.sin_port);
}

static char *expand(const struct broker *broker, const char *text) {
    char plugin[FILES_PATH_MAX + 32];
    char ports[2][16];
    plugin_path(plugin, sizeof plugin);
    (void)snprintf(ports[0], sizeof ports[0], "%u", broker->ports[0]);
    (void)snprintf(ports[1], sizeof ports[1], "%u", broker->ports[1]);
    const char *dynsec = broker_dynsec();
    const char *const words[][2] = {{"@DIR@", broker->dir},
                                    {"@PLUGIN@", plugin},
                                    {"@PORT@", ports[0]},
                                    {"@PORT2@", ports[1]},
                                    {"@DYNSEC@", dynsec != NULL ? dynsec : "absent"}};
    char *result = strdup(text);
    assert_non_null(result);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *next = files_replace(result, words[i][0], words[i][1]);
        free(result);
        result = next;
    }
    return result;
}

void broker_file(struct broker *broker, const char *name, const char *text) {
    char *expanded = expand(broker, text);
    files_write(broker->dir, name, expanded);
    free(expanded);
}

static void write_conf(struct broker *broker, const struct broker_options *options) {
    char text[8192];
    bool plain = options->conf == NULL;
    int length = snprintf(
        text, sizeof text, "%slog_dest stderr\nlog_type all\nlog_timestamp false\n%s%s%s",
        geteuid() == 0 ? "user root\n" : "", plain ? open_listener : options->conf,
        plain && options->idem != NULL ? with_plugin : "",
        options->more != NULL ? options->more : "");
    assert_in_range(length, 0, sizeof text - 1);
    broker_file(broker, "mosquitto.conf", text);
}

struct broker *broker_create(const struct broker_options *options) {
    struct broker *broker = calloc(1, sizeof *broker);
    assert_non_null(broker);
    broker->shared = options->shared;
    broker->next = brokers;
    brokers = broker;
    files_make_dir(broker->dir);
    (void)snprintf(broker->log, sizeof broker->log, "%s/log", broker->dir);
    broker->ports[0] = free_port();
    broker->ports[1] = free_port();
    write_conf(broker, options);
    if (options->idem != NULL) {
        broker_file(broker, "idem.yaml", options->idem);
    }
    return broker;
}

const char *broker_dir(const struct broker *broker) {
    return broker->dir;
}

unsigned broker_port(const struct broker *broker) {
    return broker->ports[0];
}

unsigned broker_port2(const struct broker *broker) {
    return broker->ports[1];
}

static void launch(struct broker *broker) {
    struct instrument instrument;
    instrument_broker(&instrument, program(), broker->dir);
    struct process_options options = {instrument.argv, instrument.environment,
                                      broker->log};
    assert_int_equal(broker->pid, 0);
    broker->pid = process_start_image("idem-mosquitto", &options);
}

static bool accepts_connections(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool accepted =
        fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return accepted;
}

static bool comes_up(struct broker *broker, int *status) {
    int64_t deadline = testing_deadline();
    while (!accepts_connections(broker->ports[0])) {
        if (!process_running(broker->pid, status)) {
            broker->pid = 0;
            return false;
        }
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("the broker is not ready in time");
        }
        testing_pause();
    }
    return true;
}

void broker_start(struct broker *broker) {
    int status = 0;
    launch(broker);
    if (!comes_up(broker, &status)) {
        fail_msg("the broker ended at start with wait status 0x%x", (unsigned)status);
    }
}

struct broker *broker_run(const struct broker_options *options) {
    struct broker *broker = broker_create(options);
    broker_start(broker);
    return broker;
}

int broker_refuses(struct broker *broker) {
    int status = 0;
    launch(broker);
    if (comes_up(broker, &status)) {
        fail_msg("the broker came up, and should have refused to");
    }
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool ends_well(struct broker *broker) {
    int status = 0;
    pid_t pid = broker->pid;
    broker->pid = 0;
    process_signal(pid, SIGCONT); /* a test may have failed while it was paused */
    process_signal(pid, SIGTERM);
    bool in_time = process_wait(pid, &status);
    if (!in_time || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "the broker ended %s, wait status 0x%x\n",
                      in_time ? "badly" : "not at all", (unsigned)status);
        return false;
    }
    return true;
}

void broker_stop(struct broker *broker) {
    assert_true(ends_well(broker));
}

void broker_kill(struct broker *broker) {
    int status = 0;
    process_signal(broker->pid, SIGKILL);
    assert_true(process_wait(broker->pid, &status));
    broker->pid = 0;
}

void broker_pause(struct broker *broker) {
    process_freeze(broker->pid, true);
}

void broker_resume(struct broker *broker) {
    process_freeze(broker->pid, false);
}

void broker_fill_disk(struct broker *broker, bool full) {
    process_fill_disk(broker->pid, full);
}

static char *log_since_mark(const struct broker *broker) {
    char *log = files_read(broker->log);
    size_t length = strlen(log);
    size_t mark = broker->mark < length ? broker->mark : length;
    memmove(log, log + mark, length - mark + 1);
    return log;
}

bool broker_logged(const struct broker *broker, const char *text) {
    char *log = log_since_mark(broker);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

void broker_mark(struct broker *broker) {
    char *log = files_read(broker->log);
    broker->mark = strlen(log);
    free(log);
}

void broker_expect_log(struct broker *broker, const char *text) {
    int64_t deadline = testing_deadline();
    while (!broker_logged(broker, text)) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("the broker's log does not say \"%s\"", text);
        }
        testing_pause();
    }
}

void broker_reload(struct broker *broker) {
    broker_mark(broker);
    process_signal(broker->pid, SIGHUP);
    broker_expect_log(broker, "Reloading config");
}

static void show_log(const struct broker *broker) {
    const char *wanted = getenv("IDEM_SHOW_LOG");
    if (wanted == NULL || strcmp(wanted, "1") != 0) {
        return;
    }
    char *log = files_read(broker->log);
    size_t length = strlen(log);
    char *rest = NULL;
    (void)fprintf(stderr, "-- log of the broker on port %u\n", broker->ports[0]);
    for (char *line = strtok_r(
             length > LOG_SHOWN_MAX ? log + length - LOG_SHOWN_MAX : log, "\n", &rest);
         line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        (void)fprintf(stderr, "   | %s\n", line);
    }
    free(log);
}

static bool broker_close(struct broker *broker) {
    bool well = broker->pid == 0 || ends_well(broker);
    show_log(broker);
    files_remove_dir(broker->dir);
    free(broker);
    return well;
}

bool broker_tidy(bool everything) {
    bool well = true;
    struct broker **at = &brokers;
    while (*at != NULL) {
        struct broker *broker = *at;
        if (everything || !broker->shared) {
            *at = broker->next;
            well = broker_close(broker) && well;
        } else {
            at = &broker->next;
        }
    }
    return well;
}
