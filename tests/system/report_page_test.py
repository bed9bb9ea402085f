"""The page of `ktlsim report` in a real browser: it is clicked through, and its pixels are looked at.

Chromium is driven over its debugging pipe (descriptors 3 and 4, messages that end with a zero byte). Without Chromium,
Chart.js or the command the test says `skipped`.
"""

import base64
import collections
import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

KTLSIM = os.environ.get("KTLSIM", "/nonexistent")
CHART_JS = "/usr/share/javascript/chart.js/chart.min.js"
LIMIT_S = 60

BLUE, ORANGE = (0x2f, 0x7d, 0xe0), (0xe0, 0x66, 0x2a)


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, folder):
        # Out of the way of 3 and 4, which the shell makes of them.
        ends = (*os.pipe(), *os.pipe())
        to_browser, self.write_end, self.read_end, to_test = (
            fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
        for end in ends:
            os.close(end)

        self.log = open(os.path.join(folder, "chromium.log"), "w+b")
        # Chromium's sandbox and its use of /dev/shm need what a container does not give.
        self.child = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{to_test}', "bash", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-pipe", "--hide-scrollbars", "--force-color-profile=srgb",
             "--user-data-dir=" + os.path.join(folder, "profile")],
            pass_fds=(to_browser, to_test), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={**os.environ, "HOME": folder})
        os.close(to_browser)
        os.close(to_test)
        self.pending = b""
        self.number = 0
        self.session = None
        self.events = []

    def read(self):
        limit = time.monotonic() + LIMIT_S
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.read_end], [], [], max(0.0, limit - time.monotonic()))
            part = os.read(self.read_end, 1 << 20) if ready else b""
            if not part:
                self.log.seek(0)
                raise AssertionError("chromium " + ("ended" if ready else "does not answer") + ": "
                                     + self.log.read().decode(errors="replace")[-2000:])
            self.pending += part
        message, _, self.pending = self.pending.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url, width, height):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Runtime.enable")
        self.call("Network.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def settle(self):
        """Until the browser has drawn twice."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def box(self, selector):
        return self.evaluate(
            "(() => { const e = document.querySelector(" + json.dumps(selector) + "); e.scrollIntoView({block: 'center'});"
            " const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")

    def click(self, selector):
        x, y, width, height = self.box(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x + width / 2, y=y + height / 2, button="left",
                      clickCount=1)
        self.settle()

    def picture(self, selector):
        """What is on the screen where the element is."""
        x, y, width, height = self.box(selector)
        self.settle()
        # A clip is counted from the document's beginning.
        left, top = self.evaluate("[scrollX, scrollY]")
        x, y = x + left, y + top
        data = self.call("Page.captureScreenshot", format="png",
                         clip={"x": x, "y": y, "width": width, "height": height, "scale": 1})["data"]
        return Picture(base64.b64decode(data))

    def end(self):
        self.child.kill()
        self.child.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        self.log.close()


class Picture:
    """The pixels of a PNG of 8 bits per channel (PNG specification, 9.2 and 11.2)."""

    def __init__(self, png):
        at, data = 8, b""
        while at < len(png):
            length, kind = struct.unpack(">I4s", png[at:at + 8])
            body = png[at + 8:at + 8 + length]
            if kind == b"IHDR":
                self.width, self.height, depth, colour = struct.unpack(">IIBB", body[:10])
                assert depth == 8 and colour in (2, 6), (depth, colour)
                self.step = 3 if colour == 2 else 4
            elif kind == b"IDAT":
                data += body
            at += 12 + length
        raw, stride, before = zlib.decompress(data), self.width * self.step, bytes(self.width * self.step)
        self.rows = []
        for row in range(self.height):
            start = row * (stride + 1)
            before = self.unfilter(raw[start], bytearray(raw[start + 1:start + 1 + stride]), before)
            self.rows.append(before)

    def unfilter(self, kind, line, above):
        step = self.step
        if kind == 2:
            return bytearray((new + old) & 255 for new, old in zip(line, above))
        for i in range(len(line)) if kind else ():
            left = line[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + above[i]) // 2) & 255
            else:
                guess = left + above[i] - corner
                line[i] = (line[i] + min((left, above[i], corner), key=lambda near: abs(guess - near))) & 255
        return line

    def count(self, colour, off=24):
        """Pixels that have this colour, nearly."""
        found = collections.Counter()
        for line in self.rows:
            found.update(zip(line[0::self.step], line[1::self.step], line[2::self.step]))
        return sum(times for pixel, times in found.items()
                   if all(abs(is_ - wanted) <= off for is_, wanted in zip(pixel, colour)))

    def corner(self):
        return tuple(self.rows[0][:3])


def result(rate, p50, repeats):
    """What `ktlsim load` would have written."""
    def latency(scale):
        return {"count": 100, "p50": p50 * scale, "p90": p50 * 2 * scale, "p99": p50 * 4 * scale,
                "p999": p50 * 8 * scale, "max": p50 * 9 * scale}

    whole = {"latency_ns": latency(1), "buckets": [[p50 * (i + 1) // 8, 1000 // (i + 1)] for i in range(40)]}
    lanes = [{"role": "", "lane": lane, "completed": 10, "queued": {"mean_about_ns": 1000},
              "served": {"mean_about_ns": 300000}, "notified": {"mean_about_ns": 500}} for lane in
             ("record", "handshake")]
    return {"schema": "ktlsim-load/2", "started": "2026-01-02T03:04:05Z", "valid": True, "reasons": [],
            "host": {"cpu_model": "a CPU", "kernel": "Linux"}, "command_line": ["ktlsim", "load", "<b>bold</b>"],
            "calls": {"lanes": lanes},
            "operations": [{
                "operation": "request", "count": 1000, "errors": 0, "phases": {"tls_handshake": whole, "whole": whole},
                "time_series": [{"repeat": 1, "at_s": i / 10, "length_s": 0.1, "operations": rate / 10 + i % 3,
                                 "p99_ns": p50 * 4} for i in range(20)],
                "repeats": [{"rate_per_s": rate + i, "client_cpu_ns_per_operation": p50 / 9,
                             "latency_ns": latency(1 + i / 100)} for i in range(repeats)]}]}


class ReportPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.access(KTLSIM, os.X_OK):
            raise unittest.SkipTest("the command is not built")
        cls.temporary = tempfile.TemporaryDirectory(prefix="ktlsim-report-", ignore_cleanup_errors=True)
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = cls.temporary.name
        for name, content in (("before", result(1000, 100000, 4)), ("after", result(1300, 80000, 4))):
            with open(cls.path(name + ".json"), "w", encoding="utf-8") as file:
                json.dump(content, file)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def report(self, *arguments):
        return subprocess.run([KTLSIM, "report", *arguments], capture_output=True, text=True, check=False,
                              timeout=LIMIT_S)

    def test_drawings_need_nothing_and_are_xml(self):
        done = self.report(self.path("before.json"), self.path("after.json"), "--svg", self.path("svg"))
        self.assertEqual(done.returncode, 0, done.stderr)
        names = sorted(os.listdir(self.path("svg")))
        self.assertIn("latency-percentiles.svg", names)
        self.assertIn("where-time-went.svg", names)
        import xml.dom.minidom  # pylint: disable=import-outside-toplevel
        for name in names:
            drawing = xml.dom.minidom.parse(os.path.join(self.path("svg"), name))
            self.assertEqual(drawing.documentElement.tagName, "svg")

    def test_mistakes_are_named(self):
        before = self.path("before.json")
        for arguments, message in (
                ((before,), "say what to make"),
                ((before, "-o", self.path("x.html"), "--chart-js", "/nonexistent"), "libjs-chart.js"),
                ((self.path("none.json"), "-o", self.path("x.html")), "none.json"),
                ((KTLSIM, "-o", self.path("x.html")), "no JSON object"),
                ((before, "--svg", self.path("none/svg")), "No such file")):
            done = self.report(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(message, done.stderr)
        self.assertFalse(os.path.exists(self.path("x.html")))

    def test_page_in_a_browser(self):
        if not os.access("/usr/bin/chromium", os.X_OK):
            self.skipTest("chromium is not installed")
        if not os.path.exists(CHART_JS):
            self.skipTest("Chart.js (libjs-chart.js) is not installed")
        done = self.report("before=" + self.path("before.json"), "after=" + self.path("after.json"), "-o",
                           self.path("page.html"))
        self.assertEqual(done.returncode, 0, done.stderr)
        browser = Browser(self.folder)
        try:
            browser.open("file://" + self.path("page.html"), 520, 800)
            self.click_through(browser)
            self.look_at_a_phone(browser)
        finally:
            browser.end()

    def click_through(self, browser):
        self.assertEqual(browser.evaluate("document.documentElement.dataset.theme"), "light")
        charts = browser.evaluate("[...document.querySelectorAll('section canvas')].map((c) => c.closest('section').id)")
        self.assertEqual(charts[0], "latency-percentiles")
        self.assertGreaterEqual(len(charts), 7)
        for chart in charts:
            picture = browser.picture(f"#{chart} canvas")
            self.assertGreater(picture.count(BLUE), 100, chart)
            if chart != "latency-against-load":
                self.assertGreater(picture.count(ORANGE), 100, chart)
        self.assertIn("% fewer us, 95 % interval", browser.evaluate("document.body.innerText"))
        # What a result says is text.
        self.assertEqual(browser.evaluate("document.querySelectorAll('b').length"), 0)

        curve = "#latency-percentiles canvas"
        browser.click("#run-1")
        picture = browser.picture(curve)
        self.assertGreater(picture.count(BLUE), 100)
        self.assertEqual(picture.count(ORANGE), 0)
        self.assertFalse(browser.evaluate("[...document.querySelectorAll('#operations tbody tr')]"
                                          ".some((row) => row.dataset.run === '1' && !row.hidden)"))
        browser.click("#run-1")
        self.assertGreater(browser.picture(curve).count(ORANGE), 100)

        self.assertEqual(browser.picture(curve).corner(), (255, 255, 255))
        browser.click("#theme")
        self.assertLess(max(browser.picture(curve).corner()), 64)
        self.assertGreater(browser.picture(curve).count(BLUE), 100)
        browser.click("#theme")
        self.assertEqual(browser.picture(curve).corner(), (255, 255, 255))

        shown = "[...document.querySelectorAll('main section')].filter((s) => !s.hidden).map((s) => s.id)"
        browser.click("button[data-part='rate-over-time']")
        self.assertEqual(browser.evaluate(shown), ["rate-over-time"])
        self.assertGreater(browser.picture("#rate-over-time canvas").count(BLUE), 100)
        browser.click("button[data-part='']")
        self.assertGreaterEqual(len(browser.evaluate(shown)), 9)

        asked = [event["params"]["request"]["url"] for event in browser.events
                 if event.get("method") == "Network.requestWillBeSent"]
        self.assertEqual([url for url in asked if not re.match("file:|data:", url)], [])
        self.assertEqual([event for event in browser.events if event.get("method") == "Runtime.exceptionThrown"], [])

    def look_at_a_phone(self, browser):
        browser.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        browser.settle()
        # Wide tables scroll by themselves; the page does not.
        self.assertLessEqual(browser.evaluate("document.documentElement.scrollWidth"), 360)
        self.assertEqual(browser.evaluate("document.documentElement.dataset.theme"), "dark")
        picture = browser.picture("#latency-percentiles canvas")
        self.assertLess(picture.width, 361)
        self.assertGreater(picture.count(BLUE), 50)
        self.assertLess(max(picture.corner()), 64)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
