#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""idemctl beside running programs: top, tail and exporter, with a real broker and a terminal of their own."""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/integration")  # tests are run from the top of the tree
from live import IDEMCTL, PATIENCE, Broker, Exporter, Redis, Tail, Terminal, run, shown, until  # noqa: E402


def tail_prints_duplicates_and_conflicts_of_a_broker():
    broker = Broker()
    tail = Tail("--json", "tail", "--mqtt", broker.address)
    try:
        shown(broker, tail, '{"id":"a"}')
        line = json.loads(tail.lines[0])
        assert line["kind"] == "duplicate" and line["topic"] == "orders/1" and line["bytes"] == 10, line
        assert "payload" not in line and re.match(r"\d{4}-\d\d-\d\dT", line["time"]), line
        broker.publish('{"id":"a","total":2}')
        conflict = until(lambda: [l for l in map(json.loads, list(tail.lines)) if l["kind"] == "quarantine"], "the conflict")
        assert conflict[0]["reason"] == "conflict", conflict
        broker.stop()
        until(lambda: tail.complaints, "the loss is told")
        broker.start()
        before = len(tail.lines)
        until(lambda: broker.publish('{"id":"a"}') or len(tail.lines) > before, "what comes after the broker is back")
        assert tail.close() == 0
    finally:
        tail.close()
        broker.close()


def tail_prints_payloads_only_where_asked_and_escapes_them():
    broker = Broker()
    tail = Tail("tail", "--payload", "--mqtt", broker.address, "-V", "311")
    try:
        shown(broker, tail, '{"id":"b","x":"\x7f"}')
        assert re.match(r'^\S+ duplicate orders/1 18 bytes \{"id":"b","x":"\\x7f"\}$', tail.lines[0]), tail.lines[0]
    finally:
        assert tail.close() == 0
        broker.close()


def tail_ends_when_nobody_reads_any_more():
    broker = Broker()
    try:
        reader, writer = os.pipe()
        process = subprocess.Popen([IDEMCTL, "tail", "--mqtt", broker.address], stdout=writer)
        os.close(writer)
        os.close(reader)
        broker.publish('{"id":"c"}')
        until(lambda: broker.publish('{"id":"c"}') or process.poll() is not None, "the end of tail")
    finally:
        broker.close()


def an_unknown_user_is_told_why():
    broker = Broker(user="alice")
    stranger = Tail("tail", "--mqtt", broker.address)
    try:
        until(lambda: any("ot authori" in line for line in stranger.complaints), "the refusal is told")
        (broker.folder / "password").write_text("secret\n")
        with Exporter("--mqtt", broker.address, "--user", "alice",
                      "--password-file", str(broker.folder / "password")) as exporter:
            until(lambda: "idem_exporter_connected 1" in exporter.get(), "the user is let in")
        with Exporter("--mqtt", broker.address, "--user", "alice", "--password-env", "WORD",
                      environment={"WORD": "secret"}) as exporter:
            until(lambda: "idem_exporter_connected 1" in exporter.get(), "the user is let in")
    finally:
        stranger.close()
        broker.close()


def the_exporter_tells_the_figures_of_a_broker():
    broker = Broker()
    try:
        for _ in range(3):
            broker.publish('{"id":"a"}')
        broker.publish("free", "other/1")
        for command in "exporter", "export":
            with Exporter("--mqtt", broker.address, command=command) as exporter:
                wanted = 'idem_messages_total{rule="orders",verdict="drop"} 2'
                until(lambda: wanted in exporter.get(), "the duplicates")
                text = exporter.get()
                assert 'idem_messages_total{rule="(none)",verdict="deliver"} 1' in text, text
                assert 'idem_message_reasons_total{rule="orders",reason="new"} 1' in text, text
                assert "idem_store_up 1" in text and 'idem_rule_enabled{rule="orders"} 1' in text, text
                assert re.search(r'idem_decision_seconds_bucket\{le="\+Inf"\} 3\n', text), text
                if shutil.which("promtool"):
                    check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
                    assert check.returncode == 0, check.stdout + check.stderr
                assert exporter.get("/") == "status 404"
        with Exporter("--mqtt", broker.address) as exporter:
            until(lambda: "idem_exporter_connected 1" in exporter.get(), "the connection")
            broker.stop()
            until(lambda: "idem_exporter_connected 0" in exporter.get(), "the loss of the broker")
            assert "idem_messages_total" not in exporter.get()
            broker.start()
            until(lambda: 'idem_messages_total{rule="orders",verdict="drop"} 0' in exporter.get(), "the broker is back")
    finally:
        broker.close()


def top_shows_rates_rules_and_the_store():
    broker = Broker()
    terminal = Terminal(str(IDEMCTL), "top", "--mqtt", broker.address)
    try:
        until(lambda: "connected" in terminal.read(), "the connection")
        for _ in range(3):
            broker.publish('{"id":"a"}')
        until(lambda: re.search(r"store embedded: works, 1 keys.*orders.* 1 +2 +0 ", terminal.screen(), re.S),
              "the rule and the store")
        until(lambda: broker.publish('{"id":"a"}') or re.search(r"drop [1-9]|drop 0\.[1-9]", terminal.screen()), "a rate")
        terminal.resize(10, 40)
        terminal.raw = b""
        until(lambda: "q quits" in terminal.read(), "the smaller screen")
        broker.stop()
        until(lambda: "NOT CONNECTED" in terminal.read(), "the loss of the broker")
        terminal.type("q")
        assert terminal.wait() == 0
        assert b"\x1b[?1049l" in terminal.raw, "the terminal is as it was"
    finally:
        broker.close()


def a_broker_on_redis_is_shown_as_well():
    with Redis() as redis:
        broker = Broker(store=redis.url)
        tail = Tail("tail", "--mqtt", broker.address)
        terminal = Terminal(str(IDEMCTL), "top", "--mqtt", broker.address)
        try:
            shown(broker, tail, '{"id":"a"}')
            assert " duplicate/duplicate orders/1 " in tail.lines[0], tail.lines
            until(lambda: "store redis: works, 1 keys" in terminal.screen(), "the store")
            terminal.type("q")
            assert terminal.wait() == 0
            with Exporter("--mqtt", broker.address) as exporter:
                until(lambda: "idem_store_servers_connected 1" in exporter.get(), "the connection to Redis")
        finally:
            assert tail.close() == 0
            broker.close()


def top_gives_the_terminal_back_on_signals():
    broker = Broker()
    try:
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            terminal = Terminal(str(IDEMCTL), "top", "--mqtt", broker.address)
            until(lambda: "connected" in terminal.read(), "the connection")
            os.kill(terminal.pid, number)
            assert terminal.wait() == 0
            assert b"\x1b[?1049l" in terminal.raw, f"the terminal is as it was after {number}"
    finally:
        broker.close()


def top_without_a_terminal_says_what_to_use_instead():
    run = subprocess.run([IDEMCTL, "top", "--mqtt", "127.0.0.1:1"], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=PATIENCE)
    assert run.returncode == 2 and "--json stats" in run.stderr and run.stdout == "", run


STATS = {"version": "9.9", "instance": "edge", "figures": {
    "idem_messages_total": {"orders": {"deliver": 5, "drop": 7}, "(none)": {"deliver": 2}},
    "idem_message_reasons_total": {"orders": {"new": 5, "duplicate": 7}},
    "idem_connection_up": {"source": 1, "sink": 0}, "idem_store_up": 1, "idem_store_keys": 5}, "sightings": []}


class Bridge:
    """What a bridge answers over HTTP, as the test says it."""

    def __init__(self):
        self.stats, self.answer = json.loads(json.dumps(STATS)), None
        bridge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = bridge.answer if bridge.answer is not None else json.dumps(bridge.stats).encode()
                right = self.headers.get("Authorization") == "Bearer word"
                self.send_response(200 if right else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # whoever asked has gone: it has read enough
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.folder = tempfile.TemporaryDirectory()
        self.folder_path = pathlib.Path(self.folder.name)
        self.token = self.folder_path / "token"
        self.token.write_text("word\n")

    @property
    def options(self):
        return ["--http", f"http://127.0.0.1:{self.server.server_port}", "--token-file", str(self.token)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()


def top_shows_a_bridge():
    bridge = Bridge()
    terminal = Terminal(str(IDEMCTL), "top", *bridge.options)
    try:
        until(lambda: re.search(r"orders.* 5 +7 ", terminal.read(), re.S) and "sink DOWN" in terminal.read(), "the bridge")
        assert "(none)" not in terminal.read(), "what no rule took is no rule"
        bridge.answer = b"[" * 100000
        until(lambda: "NOT CONNECTED" in terminal.read(), "what is no answer")
        terminal.type("q")
        assert terminal.wait() == 0
    finally:
        bridge.close()


def tail_prints_what_the_sample_of_a_bridge_shows():
    bridge = Bridge()
    digest = "0123456789abcdef0123456789abcdef"
    old = {"key": digest, "rule": "orders", "reason": "duplicate", "first_seen_ms": 1, "last_seen_ms": 2, "count": 3}
    bridge.stats["sightings"] = [old]
    tail = Tail("--json", "tail", *bridge.options)
    try:
        def risen():
            bridge.stats["sightings"] = [dict(old, count=bridge.stats["sightings"][0]["count"] + 2)]
            time.sleep(0.5)
            return tail.lines
        until(risen, "more of them")
        line = json.loads(tail.lines[0])
        assert line["kind"] == "duplicate" and line["digest"] == digest and line["rule"] == "orders", line
        assert line["count"] >= 2, line
    finally:
        assert tail.close() == 0
        bridge.close()


def lookup_and_stats_take_nothing_on_trust():
    bridge = Bridge()
    config = bridge.folder_path / "idem.yaml"
    config.write_text('store: {url: "memory:"}\nrules:\n'
                      '  - {name: orders, match: {topic: orders/#}, key: "json:/id", scope: global}\n')
    digest = "0123456789abcdef0123456789abcdef"

    def ask(command, *arguments):
        return subprocess.run([IDEMCTL, "-c", config, command, *arguments, *bridge.options], capture_output=True, text=True,
                              timeout=PATIENCE)
    try:
        sighting = {"key": digest, "rule": "orders", "reason": "duplicate", "last_seen_ms": 1767225600000, "count": 3}
        bridge.stats.update(instance="\x1b[2J", sightings=[1, None, sighting, {}, dict(sighting, key="x"),
                                                           dict(sighting, reason=[]), dict(sighting, count=2)])
        lookup = ask("lookup", digest)
        assert lookup.returncode == 0 and "\x1b" not in lookup.stdout, lookup
        assert re.search(r"^bridge\n  at +http.*\n  duplicates 5\n  last_seen  2026-01-01T00:00:00Z\n$", lookup.stdout, re.M), lookup
        bridge.stats["figures"]["idem_messages_total"] = {"orders": [], "\x1b[2J": {"drop": 7}, "a" * 5000: {"drop": "x"}}
        stats = ask("stats")
        assert stats.returncode == 0 and "\x1b" not in stats.stdout and "  store/keys" in stats.stdout, stats
        for answer in b"", b"[" * 100000, b"{}", b"[]", b'"x"', b'{"figures":[]}', b'{"figures":{', b"\x00\xff", b"1" * 5000000:
            bridge.answer = answer
            for run in ask("lookup", digest), ask("stats"):
                assert run.returncode == 7 and run.stderr.startswith("idemctl: http://"), (answer[:20], run)
    finally:
        bridge.close()


def command_lines_that_are_not_right_are_refused():
    for arguments in (["tail"], ["top"], ["exporter"], ["tail", "--mqtt", "host:0"], ["tail", "--mqtt", ":1"],
                      ["tail", "--mqtt", "[::1"], ["tail", "--mqtt", "a", "-V", "4"], ["tail", "--mqtt", "a", "more"],
                      ["tail", "--mqtt", "a", "--http", "http://b"], ["exporter", "--mqtt", "a", "--listen", "here"],
                      ["tail", "--mqtt", "a", "--password-env", "NO_SUCH_VARIABLE"],
                      ["tail", "--mqtt", "a", "--password-file", "/nowhere"]):
        run = subprocess.run([IDEMCTL, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        assert run.returncode == 2 and run.stderr.startswith("idemctl: "), (arguments, run)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = subprocess.run([IDEMCTL, "exporter", "--mqtt", "a", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"],
                             capture_output=True, text=True, timeout=PATIENCE)
        assert run.returncode == 1 and "it cannot be listened at" in run.stderr, run
    for command in "tail", "top", "exporter":
        run = subprocess.run([IDEMCTL, command, "--help"], capture_output=True, text=True, timeout=PATIENCE)
        assert run.returncode == 0 and run.stdout.startswith("usage: idemctl"), run


TESTS = [command_lines_that_are_not_right_are_refused, tail_prints_duplicates_and_conflicts_of_a_broker,
         tail_prints_payloads_only_where_asked_and_escapes_them, tail_ends_when_nobody_reads_any_more,
         tail_prints_what_the_sample_of_a_bridge_shows, an_unknown_user_is_told_why,
         the_exporter_tells_the_figures_of_a_broker, top_shows_rates_rules_and_the_store, top_shows_a_bridge, a_broker_on_redis_is_shown_as_well,
         lookup_and_stats_take_nothing_on_trust,
         top_gives_the_terminal_back_on_signals, top_without_a_terminal_says_what_to_use_instead]


if __name__ == "__main__":
    sys.exit(run(TESTS, "mosquitto", "redis-server"))
