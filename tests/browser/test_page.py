#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bridge's live page in a real browser: what it shows, in which state, to whom. Output is TAP. With
--pictures FOLDER, pictures of each state are left there, for a person to look at."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from amqp import Publisher  # noqa: E402
from webdriver import RIGHT, SPACE, TAB, Browser, free_port, wait_for  # noqa: E402

BRIDGE = pathlib.Path(__file__).resolve().parents[2] / "idem-bridge"
WIDTH, PHONE = 1240, 390
EXPECTED_NOISE = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "status of 401", "ERR_EMPTY_RESPONSE")

# Text against what is behind it (WCAG 2.1, contrast ratio), for each element with text of its own.
CONTRAST = """
const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (e) => { for (; e; e = e.parentElement) {
  const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; }
  return parse(getComputedStyle(document.documentElement).backgroundColor); };
return [...document.querySelectorAll('body *')].filter((e) => e.getClientRects().length > 0 &&
    !e.matches('.zero, .hidden') && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => { const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + ' ' + e.textContent.trim().slice(0, 30)]; })
  .filter(([ratio]) => ratio < 4.5);
"""
# How many pixels of the throughput's chart have the colour of a verdict.
COLOURED = """
const canvas = document.getElementById(arguments[0]);
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let count = 0;
for (let i = 0; i < data.length; i += 4) {
  const [r, g, b, a] = data.slice(i, i + 4);
  count += a > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 60 ? 1 : 0;
}
return count;
"""


class Bridge:
    """A bridge of the test, in a folder of its own."""

    def __init__(self, name, rabbitmq, http="127.0.0.1", sink_port=None, more="", rpc=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="idem-page-"))
        self.port = free_port()
        self.queue = f"page.{name}"
        self.process = None
        (self.dir / "idem.yaml").write_text(f"""
instance: edge-1
store: {{url: "embedded://{self.dir}/store"}}
bridge:
  source: {{url: "amqp://127.0.0.1:{rabbitmq}", queue: {self.queue}}}
  sink: {{url: "amqp://127.0.0.1:{sink_port or rabbitmq}", routing_key: {self.queue}.out}}
  quarantine: {{exchange: page.aside}}
  declare: true
{f"  mode: rpc{chr(10)}  replies: {self.queue}.replies" if rpc else ""}
http: {{listen: "{http}:{self.port}"{more.replace("@DIR@", str(self.dir))}}}
rules:
  - name: payments
    match: {{queue: {self.queue}, header: payment}}
    key: message-id
  - name: orders
    match: {{queue: {self.queue}}}
    key: message-id
    scope: rule
    fingerprint: payload
""")

    def start(self):
        log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen([BRIDGE, "-c", self.dir / "idem.yaml"], stdout=log, stderr=log)
        wait_for("the bridge's start", self.has_started)

    def has_started(self):
        if self.process.poll() is not None:
            raise AssertionError((self.dir / "log").read_text())
        return "bridge.started" in (self.dir / "log").read_text()

    def end(self, how):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)

    def remove(self):
        self.end(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"


class Page:
    """What the tests share: a browser on a bridge with nothing delivered yet, and a way to send it messages."""

    def __init__(self, rabbitmq, pictures):
        self.rabbitmq = rabbitmq
        self.pictures = pictures
        self.bridges = []
        self.browser = None
        self.publisher = Publisher(rabbitmq)
        self.sent = 0
        self.bridge = self.make("main")
        self.publisher.declare(f"{self.bridge.queue}.out")
        self.browser = Browser(WIDTH)

    def make(self, name, **options):
        bridge = Bridge(name, self.rabbitmq, **options)
        self.bridges.append(bridge)
        return bridge

    def close(self):
        if self.browser:
            self.browser.close()
        self.publisher.close()
        for bridge in self.bridges:
            bridge.remove()

    def send(self, count, copies=1, body="order"):
        """count new messages, each so many times."""
        for _ in range(count):
            self.sent += 1
            for _ in range(copies):
                self.publisher.publish(self.bridge.queue, f"{body} {self.sent}", f"order-{self.sent}")

    def await_state(self, state):
        wait_for(f"state {state}", lambda: self.browser.text("#state") == state, 30)

    def await_text(self, selector, text):
        wait_for(f"{text} in {selector}", lambda: text in self.browser.text(selector), 30)

    def picture(self, name, **options):
        if self.pictures:
            self.browser.picture(os.path.join(self.pictures, f"{name}.png"), options.pop("width", WIDTH), **options)
            self.browser.be(WIDTH, 900)

    def assert_calm(self):
        """The console has nothing to say but what a test has provoked."""
        for one in self.browser.complaints():
            if one["level"] == "SEVERE" and not any(noise in one["message"] for noise in EXPECTED_NOISE):
                raise AssertionError(one["message"])


def equal(found, expected):
    assert found == expected, f"{found!r}, not {expected!r}"


def row(page, name):
    """The numbers of a rule's row, by the titles of their columns."""
    titles = page.browser.run("return [...document.getElementById('rules').closest('table')"
                              ".querySelectorAll('thead th')].map(e => e.innerText)")
    for cells in page.browser.run("return [...document.querySelectorAll('#rules tr')]"
                                  ".map(r => [...r.children].map(c => c.innerText))"):
        if cells[0] == name:
            return dict(zip(titles, cells))
    raise AssertionError(f"no rule {name}")


def nothing_has_come_yet_and_the_page_says_so(page):
    page.bridge.start()
    page.browser.open(page.bridge.url)
    page.await_state("Ready")
    page.await_text("#who", "edge-1, from the queue page.main")
    equal(page.browser.texts("#ends li"), ["source", "sink", "store"])
    page.await_text("#rate", "0")
    equal(page.browser.text("#share"), "–")
    equal(page.browser.text("#latency"), "–")
    assert page.browser.visible("#throughput-empty") and page.browser.visible("#store-empty")
    page.await_text("#seen", "No duplicate since the start")
    equal(row(page, "orders")["Delivered"], "0")
    equal(page.browser.visible("#notice"), False)
    equal(page.browser.visible("#rpc"), False)
    page.picture("empty")


def figures_move_with_the_messages(page):
    for _ in range(20):
        page.send(10)
        page.send(4, copies=3)
        page.browser.wait_frames()
    page.publisher.publish(page.bridge.queue, "another order", "order-1")
    delivered = page.sent
    wait_for("the deliveries", lambda: row(page, "orders")["Delivered"] == str(delivered), 30)
    wait_for("the duplicates", lambda: row(page, "orders")["Duplicates"] == "160", 30)
    equal(row(page, "orders")["Dropped"], "160")
    wait_for("the conflict", lambda: row(page, "orders")["Conflicts"] == "1", 30)
    equal(row(page, "orders")["Set aside"], "1")
    equal(row(page, "payments")["Delivered"], "0")
    equal(page.browser.text("#share"), "36 %")
    assert "ms" in page.browser.text("#latency") or "µs" in page.browser.text("#latency"), page.browser.text("#latency")
    page.send(3)
    wait_for("a rate", lambda: float(page.browser.text("#rate")) > 0, 30)
    wait_for("calm", lambda: float(page.browser.text("#rate")) == 0, 30)


def charts_are_drawn(page):
    for chart in ("throughput", "store"):
        wait_for(f"colour in {chart}", lambda: page.browser.run(COLOURED, chart) > 20, 10)
        equal(page.browser.visible(f"#{chart}-empty"), False)
    assert "delivered" in page.browser.run("return document.getElementById('throughput').getAttribute('aria-label')")
    equal([text.split(" ")[0] for text in page.browser.texts("#legend li")][:2], ["delivered", "dropped"])
    page.picture("light")


def the_latest_come_first_without_keys_or_payloads(page):
    rows = page.browser.run("return [...document.querySelectorAll('#seen tr')].map(r => [...r.children]"
                            ".map(c => c.innerText))")
    equal(len(rows), 60)
    equal([rows[0][1], rows[0][2], rows[0][3]], ["conflict", "orders", "1"])
    equal([rows[1][1], rows[1][3]], ["duplicate", "2"])
    assert all(len(cells[5]) == 32 and set(cells[5]) <= set("0123456789abcdef") for cells in rows), rows[0]
    assert "order-1" not in page.browser.text("body") and "another order" not in page.browser.text("body")


def the_keyboard_reaches_everything_and_shows_where_it_is(page):
    focused = ("const e = document.activeElement, s = getComputedStyle(e), f = getComputedStyle(e.closest('fieldset') || e);"
               "return [e.id || e.name || e.getAttribute('aria-labelledby') || e.getAttribute('href') || e.tagName,"
               "s.outlineStyle !== 'none' || f.outlineStyle !== 'none']")
    seen = []
    page.browser.run("document.activeElement.blur()")
    for _ in range(12):
        page.browser.press(TAB)
        name, visible = page.browser.run(focused)
        assert visible or name == "BODY", f"nothing shows that {name} has the focus"
        seen.append(name)
        if name == "which" and seen.count("which") == 1:
            page.browser.press(RIGHT)
            page.browser.press(RIGHT)
    for wanted in ("pause", "rules-title", "which", "seen-title", "/metrics", "/api/stats", "/licences.txt"):
        assert wanted in seen, f"{wanted} is not among {seen}"
    equal(set(page.browser.texts("#seen tr td:nth-child(2)")), {"conflict"})
    page.browser.click("input[value=all] + span")


def paused_the_page_stands_still(page):
    page.browser.run("document.getElementById('pause').focus()")
    page.browser.press(SPACE)
    page.await_state("Paused")
    equal(page.browser.run("return document.getElementById('pause').getAttribute('aria-pressed')"), "true")
    before = page.browser.text("#rules")
    page.send(5)
    page.browser.wait_frames()
    equal(page.browser.text("#rules"), before)
    page.browser.press(SPACE)
    page.await_state("Ready")
    wait_for("news", lambda: page.browser.text("#rules") != before)


def dark_and_light_can_both_be_read(page):
    grounds = []
    for scheme in ("light", "dark"):
        page.browser.prefer(scheme)
        page.browser.wait_frames()
        grounds.append(page.browser.style("body", "background-color"))
        wait_for("colour", lambda: page.browser.run(COLOURED, "throughput") > 20, 10)
        equal(page.browser.run(CONTRAST), [])
        if scheme == "dark":
            page.picture("dark")
    assert grounds[0] != grounds[1], grounds


def a_phone_shows_all_of_it(page):
    page.browser.be(PHONE, 844, 2, True)
    page.browser.wait_frames()
    wide = page.browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    equal(wide, 0)
    equal(page.browser.run("return [...document.querySelectorAll('.tiles dd span')].filter(e => "
                           "e.scrollWidth > e.clientWidth + 1).map(e => e.id)"), [])
    page.picture("phone", width=PHONE, scale=2, mobile=True)
    page.browser.be(WIDTH, 900)
    page.browser.prefer("light")


def everything_has_a_name(page):
    equal(page.browser.run("""
      const unnamed = [...document.querySelectorAll('button, input, canvas, [role=region], table th')].filter((e) =>
        !(e.innerText || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || (e.labels && e.labels.length)));
      const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
      return [unnamed.map((e) => e.outerHTML.slice(0, 80)), ids.filter((id, i) => ids.indexOf(id) !== i),
        document.querySelectorAll('h1').length, document.documentElement.lang,
        document.querySelectorAll('th:not([scope])').length]"""), [[], [], 1, "en", 0])


def a_bridge_that_is_gone_is_said_to_be_and_comes_back(page):
    page.bridge.end(signal.SIGKILL)
    page.await_state("Disconnected")
    page.await_text("#notice", "no connection. It is asked again every second. What is below is what was known last.")
    assert float(page.browser.style("main", "opacity")) < 1
    assert "(disconnected)" in page.browser.run("return document.title")
    page.picture("disconnected")
    page.bridge.start()
    page.await_state("Ready")
    equal(page.browser.visible("#notice"), False)
    page.send(1, copies=2)
    wait_for("figures of the new process", lambda: row(page, "orders")["Delivered"] == "1", 30)


def what_is_missing_is_named(page):
    bridge = page.make("half", sink_port=free_port())
    bridge.start()
    page.browser.open(bridge.url)
    page.await_state("Not ready")
    page.await_text("#notice", "Messages cannot go their way. Missing: sink.")
    equal(page.browser.texts("#ends li"), ["source", "sink: down", "store"])
    assert page.browser.run("return document.title").startswith("(not ready)")
    page.picture("not-ready")


def requests_and_answers_are_shown_in_mode_rpc(page):
    bridge = page.make("rpc", rpc=True)
    page.publisher.declare(f"{bridge.queue}.out")
    page.publisher.declare(f"{bridge.queue}.replies")
    bridge.start()
    page.browser.open(bridge.url)
    page.await_state("Ready")
    equal(page.browser.visible("#rpc"), True)
    page.await_text("#rpc-awaiting", "0 waiting")
    page.publisher.publish(bridge.queue, "an order", "order-1")
    wait_for("the delivery", lambda: row(page, "orders")["Delivered"] == "1", 30)
    for tile in ("requests", "reply", "replay", "unstored", "stray", "unanswerable"):
        equal(page.browser.text(f"#rpc-{tile}"), "0")
    page.picture("rpc")


def a_token_is_asked_for_and_kept_in_the_tab_only(page):
    bridge = page.make("locked", http="0.0.0.0", more=", token_file: '@DIR@/token'")
    (bridge.dir / "token").write_text("0123456789abcdef\n")
    bridge.start()
    page.browser.open(bridge.url)
    page.await_state("Locked")
    page.picture("locked")
    for token, state in (("wrong", "Locked"), ("0123456789abcdef", "Ready")):
        page.browser.run("document.getElementById('token').value = arguments[0];"
                         "document.getElementById('token-form').requestSubmit()", token)
        if state == "Locked":
            page.await_text("#notice", "That is not the token.")
        page.await_state(state)
    equal(page.browser.visible("#token-form"), False)
    page.browser.open(bridge.url)
    page.await_state("Ready")
    equal(page.browser.run("return [localStorage.length, document.cookie]"), [0, ""])


def the_policy_lets_nothing_else_run(page):
    page.browser.open(page.bridge.url)
    page.await_state("Ready")
    page.assert_calm()
    page.browser.run("""
      window.broken = [];
      document.addEventListener('securitypolicyviolation', (e) => window.broken.push(e.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.body.append(script);
      document.body.insertAdjacentHTML('beforeend', '<p style="color: red">x</p><img src="http://127.0.0.1:1/x.png">');
      fetch('http://127.0.0.1:1/').catch(() => {});""")
    wait_for("refusals", lambda: len(page.browser.run("return window.broken")) >= 4)
    equal(page.browser.run("return window.ran === undefined"), True)
    equal(sorted(set(page.browser.run("return window.broken"))),
          ["connect-src", "img-src", "script-src-elem", "style-src-attr"])
    page.browser.complaints()


TESTS = [
    nothing_has_come_yet_and_the_page_says_so,
    figures_move_with_the_messages,
    charts_are_drawn,
    the_latest_come_first_without_keys_or_payloads,
    the_keyboard_reaches_everything_and_shows_where_it_is,
    paused_the_page_stands_still,
    dark_and_light_can_both_be_read,
    a_phone_shows_all_of_it,
    everything_has_a_name,
    a_bridge_that_is_gone_is_said_to_be_and_comes_back,
    what_is_missing_is_named,
    requests_and_answers_are_shown_in_mode_rpc,
    a_token_is_asked_for_and_kept_in_the_tab_only,
    the_policy_lets_nothing_else_run,
]


def missing(what):
    print(f"# {what} is not there", flush=True)
    return 1 if os.environ.get("CI") == "true" else 77


def main():
    pictures = sys.argv[2] if sys.argv[1:2] == ["--pictures"] else None
    directory = os.environ.get("IDEM_RABBITMQ")
    if not directory:
        return missing("a RabbitMQ (IDEM_RABBITMQ)")
    if not (shutil.which("chromedriver") and shutil.which("chromium")):
        return missing("Chromium and its driver")
    page = Page(int((pathlib.Path(directory) / "port").read_text()), pictures)
    failed = 0
    try:
        print(f"1..{len(TESTS)}")
        for number, test in enumerate(TESTS, 1):
            try:
                test(page)
                page.assert_calm()
                print(f"ok {number} - {test.__name__}", flush=True)
            except Exception:  # noqa: BLE001 the others have their turn
                failed += 1
                print(f"not ok {number} - {test.__name__}\n{traceback.format_exc()}", flush=True)
    finally:
        page.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
