# SPDX-License-Identifier: MIT
"""A headless Chromium, driven over WebDriver (W3C) and, where that has no word for it, the DevTools protocol."""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, ENTER, SPACE, RIGHT = "\ue004", "\ue007", " ", "\ue014"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, check, seconds=20):
    """Asks until check() gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Browser:
    def __init__(self, width=1240, height=900):
        self.profile = tempfile.mkdtemp(prefix="idem-browser-")
        self.port = free_port()
        self.log = open(os.path.join(self.profile, "chromedriver.log"), "w", encoding="utf-8")
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=self.log, stderr=self.log,
                                       env={**os.environ, "HOME": self.profile})
        self.session = None
        try:
            wait_for("chromedriver", self._is_up)
            options = {"args": FLAGS + [f"--user-data-dir={self.profile}/data", f"--window-size={width},{height}"],
                       "binary": shutil.which("chromium")}
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = f"/session/{answer['sessionId']}"
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.session:
            try:
                self._call("DELETE", self.session)
            except OSError:
                pass
        self.driver.terminate()
        self.driver.wait(20)
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _is_up(self):
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:500]}") from error

    def open(self, url):
        self._call("POST", f"{self.session}/url", {"url": url})

    def run(self, script, *arguments):
        return self._call("POST", f"{self.session}/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        found = self._call("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def click(self, selector):
        self._call("POST", f"{self.session}/element/{self.find(selector)}/click", {})

    def press(self, key):
        """A key on whatever has the focus."""
        self._call("POST", f"{self.session}/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def visible(self, selector):
        return self.run("const e = document.querySelector(arguments[0]);"
                        "return e !== null && e.getClientRects().length > 0", selector)

    def style(self, selector, name):
        return self.run("return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])",
                        selector, name)

    def devtools(self, command, **parameters):
        return self._call("POST", f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def prefer(self, scheme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def be(self, width, height, scale=1, mobile=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                      mobile=mobile)

    def complaints(self):
        """What the console has said since it was asked last: errors and broken policies among it."""
        return self._call("POST", f"{self.session}/se/log", {"type": "browser"})

    def picture(self, path, width, scale=1, mobile=False):
        """The whole page at that width, as if the window were high enough."""
        self.be(width, 800, scale, mobile)
        height = self.run("return document.documentElement.scrollHeight")
        self.be(width, height, scale, mobile)
        self.wait_frames()
        shot = self.devtools("Page.captureScreenshot", format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def wait_frames(self):
        """Until what was changed is on the screen."""
        self._call("POST", f"{self.session}/execute/async", {"script":
            "const done = arguments[0];"
            "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 250);", "args": []})
