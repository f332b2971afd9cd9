# SPDX-License-Identifier: MIT
"""What the tests of idemctl beside running programs share: a broker, a terminal, and the commands that go on."""

import fcntl
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.error
import urllib.request

BUILD = pathlib.Path(sys.argv[0]).resolve().parents[2]
IDEMCTL = BUILD / "idemctl"
PATIENCE = 20
SKIPPED = 77
os.environ["PATH"] += ":/usr/sbin:/sbin"
RULES = """instance: live
store: {url: "@STORE@"}
mqtt: {sys_interval: 100ms}
rules:
  - {name: orders, match: {topic: orders/#}, key: "json:/id", scope: global, propagate: {as: idempotency-key}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not in time: {what}")


class Broker:
    """A Mosquitto with the plugin, in a directory of its own."""

    def __init__(self, user=None, store="embedded://@DIR@/store", more=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="idem-live-"))
        self.port, self.process = free_port(), None
        access = f"password_file {self.folder}/passwords\n" if user else "allow_anonymous true\n"
        if user:
            subprocess.run(["mosquitto_passwd", "-b", "-c", self.folder / "passwords", user, "secret"], check=True,
                           stderr=subprocess.DEVNULL)
        (self.folder / "idem.yaml").write_text(RULES.replace("@STORE@", store).replace("@DIR@", str(self.folder)))
        (self.folder / "m.conf").write_text(
            f"user root\nlistener {self.port} 127.0.0.1\n{access}{more}"
            f"plugin {BUILD}/mosquitto_idem.so\nplugin_opt_config {self.folder}/idem.yaml\n")
        self.log = open(self.folder / "log", "ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.folder / "m.conf"], stdout=self.log, stderr=self.log)
        until(self.accepts, "the broker accepts connections")

    def accepts(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def publish(self, payload, topic="orders/1", *more):
        subprocess.run(["mosquitto_pub", "-V", "5", "-p", str(self.port), "-q", "1", "-t", topic, "-m", payload, *more],
                       check=True, timeout=PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.log.close()
        shutil.rmtree(self.folder)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Redis:
    """A Redis on a socket, in a directory of its own; start: or only the directory."""

    def __init__(self, start=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="idem-live-"))
        self.url, self.process = f"unix://{self.folder}/redis.sock", None
        if start:
            self.process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.folder / "redis.sock", "--dir", self.folder,
                 "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
            until(self.accepts, "Redis accepts connections")

    def accepts(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "redis.sock")) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
        shutil.rmtree(self.folder)


class Tail:
    """idemctl tail, whose lines are kept."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([IDEMCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.complaints = [], []
        self.readers = [threading.Thread(target=self.keep, args=pair)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.complaints))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def keep(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join()
        return status


def shown(broker, tail, payload):
    """Publishes copies until tail shows one: when it has subscribed, nobody tells."""
    broker.publish(payload)

    def again():
        broker.publish(payload)
        return tail.lines
    until(again, "a duplicate is shown")


class Exporter:
    def __init__(self, *arguments, command="exporter", environment=None):
        self.port = free_port()
        self.process = subprocess.Popen([IDEMCTL, command, "--listen", f"127.0.0.1:{self.port}", *arguments],
                                        stderr=subprocess.DEVNULL, env=dict(os.environ, **(environment or {})))

    def get(self, path="/metrics"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return f"status {error.code}"
        except urllib.error.URLError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0


class Terminal:
    """A program in a terminal of its own; text is what it has written, without the codes in between."""

    def __init__(self, *command, rows=24, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        self.raw = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        os.set_blocking(self.fd, False)
        try:
            self.raw += os.read(self.fd, 65536)
        except (BlockingIOError, OSError):
            pass
        return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]", b" ", self.raw).decode(errors="replace")

    def screen(self):
        """All that is on it, drawn again."""
        self.raw = b""
        self.type("\x0c")
        return until(lambda: "q quits" in self.read() and self.read(), "the screen")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        def ended():
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (status,)
        status = until(ended, "the end of the program")[0]
        before = None
        while before != len(self.raw):  # what it wrote last
            before = len(self.raw)
            self.read()
        return os.waitstatus_to_exitcode(status)


def run(tests, *programs):
    """The exit status: of a test program that needs these."""
    if not all(map(shutil.which, programs)):
        return SKIPPED
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception as reason:  # the next test tells more
            failed = 1
            print(f"not ok {number} - {test.__name__}\n# {type(reason).__name__}: {reason}", flush=True)
    print(f"1..{len(tests)}")
    return failed
