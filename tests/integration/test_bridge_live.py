#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""idemctl top and tail beside a real bridge: on an embedded store, and on Redis."""

import json
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/integration")  # tests are run from the top of the tree
from live import BUILD, IDEMCTL, PATIENCE, SKIPPED, Redis, Tail, Terminal, free_port, run, until  # noqa: E402

CONFIG = """instance: live
store: {{url: "{store}"}}
bridge:
  source: {{url: "{amqp}", queue: live.in}}
  sink: {{url: "{amqp}", routing_key: live.out}}
  quarantine: {{exchange: live.aside}}
  declare: true
http: {{listen: "127.0.0.1:{http}"}}
rules:
  - {{name: orders, match: {{queue: live.in}}, key: "property:idempotency-key", scope: global}}
"""


class Bridge:
    """A bridge of its own, between two queues of the RabbitMQ that all tests share."""

    def __init__(self, folder, store):
        port = (pathlib.Path(os.environ["IDEM_RABBITMQ"]) / "port").read_text().strip()
        self.amqp, self.http = f"amqp://127.0.0.1:{port}", free_port()
        self.options = ["--http", f"http://127.0.0.1:{self.http}"]
        for queue in "live.in", "live.out":
            subprocess.run(["amqp-declare-queue", "-u", self.amqp, "-d", "-q", queue], check=True, capture_output=True)
        (folder / "bridge.yaml").write_text(CONFIG.format(store=store, amqp=self.amqp, http=self.http))
        self.log = open(folder / "log", "ab")
        self.process = subprocess.Popen([BUILD / "idem-bridge", "-c", folder / "bridge.yaml"], stdout=self.log,
                                        stderr=self.log)

    def publish(self, key, body="x"):
        subprocess.run(["amqp-publish", "-u", self.amqp, "-r", "live.in", "-H", f"idempotency-key: {key}", "-b", body],
                       check=True, timeout=PATIENCE)

    def close(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.log.close()
        for queue in "live.in", "live.out":
            subprocess.run(["amqp-delete-queue", "-u", self.amqp, "-q", queue], check=True, capture_output=True)
        return status


def shows_a_bridge(folder, store):
    bridge = Bridge(folder, store)
    terminal = Terminal(str(IDEMCTL), "top", *bridge.options)
    tail = Tail("--json", "tail", *bridge.options)
    try:
        until(lambda: "source up" in terminal.screen() and "sink up" in terminal.screen(), "both connections")
        bridge.publish("a")

        def again():
            bridge.publish("a")
            return tail.lines
        until(again, "a duplicate is shown")
        line = json.loads(tail.lines[0])
        assert line["kind"] == "duplicate" and line["rule"] == "orders" and len(line["digest"]) == 32, line
        bridge.publish("a", "another")
        until(lambda: any(json.loads(line)["kind"] == "conflict" for line in list(tail.lines)), "the conflict")
        until(lambda: re.search(r"orders.* 1 +\d+ ", terminal.screen(), re.S), "the rule")
        terminal.type("q")
        assert terminal.wait() == 0
        terminal = Terminal(str(IDEMCTL), "top", *bridge.options)
        until(lambda: "source up" in terminal.screen(), "the bridge")
    finally:
        assert tail.close() == 0
        assert bridge.close() == 0
    until(lambda: "NOT CONNECTED" in terminal.read(), "the end of the bridge")
    terminal.type("q")
    assert terminal.wait() == 0


def top_and_tail_show_a_bridge_with_an_embedded_store():
    with Redis(start=False) as redis:
        shows_a_bridge(redis.folder, f"embedded://{redis.folder}/store")


def top_and_tail_show_a_bridge_on_redis():
    with Redis() as redis:
        shows_a_bridge(redis.folder, redis.url)


TESTS = [top_and_tail_show_a_bridge_with_an_embedded_store, top_and_tail_show_a_bridge_on_redis]


if __name__ == "__main__":
    sys.exit(SKIPPED if "IDEM_RABBITMQ" not in os.environ else run(TESTS, "amqp-publish", "redis-server"))
