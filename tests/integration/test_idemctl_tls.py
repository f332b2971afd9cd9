#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""idemctl and a broker that speaks TLS: top, tail, exporter, lookup and stats by --cafile, and what is said where the
broker is vouched for by somebody else."""

import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/integration")  # tests are run from the top of the tree
from live import IDEMCTL, PATIENCE, Broker, Exporter, Tail, Terminal, free_port, run, until  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="idem-tls-")
CERTIFICATES = pathlib.Path(FOLDER.name)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=CERTIFICATES)


def make_certificates():
    """ca vouches for server, which is 127.0.0.1 and nothing else; stranger for nobody."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in "ca", "stranger":
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    openssl("req", *key, "-subj", "/CN=broker", "-keyout", "server.key", "-out", "server.csr")
    (CERTIFICATES / "server.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "server.ext", "-out", "server.pem")
    (CERTIFICATES / "rubbish.pem").write_text("this is no certificate\n")


class TlsBroker(Broker):
    """Has a listener with TLS besides the one that the test publishes by."""

    def __init__(self):
        if not (CERTIFICATES / "server.pem").exists():
            make_certificates()
        self.tls_port = free_port()
        super().__init__(more=f"listener {self.tls_port} 127.0.0.1\nallow_anonymous true\ncafile {CERTIFICATES}/ca.pem\n"
                              f"certfile {CERTIFICATES}/server.pem\nkeyfile {CERTIFICATES}/server.key\n")

    def by(self, authority="ca", host="127.0.0.1"):
        return ["--mqtt", f"{host}:{self.tls_port}", "--cafile", str(CERTIFICATES / f"{authority}.pem")]


def one_shot(broker, command, *arguments):
    return subprocess.run([IDEMCTL, "-c", broker.folder / "idem.yaml", command, *arguments], capture_output=True, text=True,
                          timeout=PATIENCE)


def every_command_that_asks_a_broker_speaks_tls():
    broker = TlsBroker()
    tail = Tail("tail", *broker.by())
    terminal = Terminal(str(IDEMCTL), "top", *broker.by())
    try:
        broker.publish('{"id":"a"}')
        until(lambda: broker.publish('{"id":"a"}') or tail.lines, "a duplicate is shown")
        until(lambda: "connected" in terminal.read(), "the connection")
        until(lambda: "orders" in terminal.screen(), "the rule")
        terminal.type("q")
        assert terminal.wait() == 0
        with Exporter(*broker.by()) as exporter:
            until(lambda: 'verdict="drop"' in exporter.get(), "the figures")
        lookup = one_shot(broker, "lookup", "orders", "a", *broker.by())
        assert lookup.returncode == 0 and "\n  duplicates  " in lookup.stdout, lookup
        stats = one_shot(broker, "stats", *broker.by())
        assert stats.returncode == 0 and "\n  messages/duplicate " in stats.stdout, stats
    finally:
        assert tail.close() == 0, tail.complaints
        broker.close()


def a_broker_that_is_not_vouched_for_is_told_and_not_spoken_to():
    broker = TlsBroker()
    try:
        for arguments, why in ((broker.by("stranger"), "TLS: certificate verify failed"),
                               (broker.by(host="localhost"), "TLS: host name verification failed"),
                               (broker.by("rubbish"), "TLS: Unable to load CA certificates"),
                               (["--mqtt", f"127.0.0.1:{broker.tls_port}"], "does it want TLS (--cafile FILE)?"),
                               (["--mqtt", broker.address, "--cafile", str(CERTIFICATES / "ca.pem")], "TLS: ")):
            lookup = one_shot(broker, "lookup", "orders", "a", *arguments)
            assert lookup.returncode == 7 and why in lookup.stderr, (arguments, lookup)
            tail = Tail("tail", *arguments)
            try:
                until(lambda: any(why in line for line in tail.complaints), f"tail tells: {why}")
                assert "trying again" in tail.complaints[0], tail.complaints
            finally:
                assert tail.close() == 0
        terminal = Terminal(str(IDEMCTL), "top", *broker.by("stranger"))
        until(lambda: "certificate verify failed" in terminal.read(), "top tells why")
        terminal.type("q")
        assert terminal.wait() == 0
        with Exporter(*broker.by("stranger")) as exporter:
            until(lambda: "idem_exporter_connected 0" in exporter.get(), "the exporter has nothing to tell")
    finally:
        broker.close()


def a_file_of_authorities_that_is_not_there_is_a_wrong_command_line():
    for command in "tail", "top", "exporter", "stats":
        wrong = subprocess.run([IDEMCTL, command, "--mqtt", "127.0.0.1:1", "--cafile", "/nonexistent"],
                               capture_output=True, text=True, timeout=PATIENCE)
        assert wrong.returncode == 2 and "--cafile /nonexistent: No such file" in wrong.stderr, (command, wrong)


TESTS = [every_command_that_asks_a_broker_speaks_tls, a_broker_that_is_not_vouched_for_is_told_and_not_spoken_to,
         a_file_of_authorities_that_is_not_there_is_a_wrong_command_line]


if __name__ == "__main__":
    sys.exit(run(TESTS, "mosquitto", "openssl"))
