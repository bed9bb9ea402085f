"""Tests of the comparison itself: figures, what it reads, and that each server takes its configuration.

Each test is a test of CTest, too; one whose server is not installed says `skipped`.
"""

import os
import subprocess
import tempfile
import unittest

import compare
import figures
import measure
import output
import peers
import scenarios
from measure import Trouble

KTLSIM = os.environ.get("KTLSIM", "/nonexistent")


class FiguresTest(unittest.TestCase):
    def test_summary(self):
        found = figures.summary([3, 1, 2, 10])
        self.assertEqual((found["median"], found["min"], found["max"], found["repeats"]), (2.5, 1, 10, 4))
        self.assertAlmostEqual(found["spread"], 9 / 2.5)
        self.assertIsNone(figures.summary([]))
        self.assertEqual(figures.summary([0, 0])["spread"], 0)

    def test_ratio(self):
        self.assertEqual(figures.ratio(figures.summary([3]), figures.summary([2, 4, 100])), 0.75)
        self.assertIsNone(figures.ratio(figures.summary([3]), None))
        self.assertIsNone(figures.ratio(None, figures.summary([3])))
        self.assertIsNone(figures.ratio(figures.summary([3]), figures.summary([0])))

    def test_interpolation(self):
        samples = [(0, 0), (10, 100), (20, 100), (30, 400)]
        for at, value in ((0, 0), (5, 50), (15, 100), (25, 250), (30, 400), (99, 400)):
            self.assertEqual(measure.interpolate(samples, at), value)


WRK = """Running 2s test @ https://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.60ms    1.11ms  24.66ms   92.43%
    Req/Sec    41.51k     3.01k   46.34k    75.00%
  Latency Distribution
     50%  950.00us
     75%    1.66ms
     90%    2.36ms
     99%    1.25s
  82692 requests in 2.00s, 95.50MB read
Requests/sec:  41327.17
Transfer/sec:     47.73MB
"""


class ReadersTest(unittest.TestCase):
    def test_wrk(self):
        found = figures.read_wrk(WRK)
        self.assertEqual((found["operations"], found["rate"], found["seconds"]), (82692, 41327.17, 2.0))
        self.assertAlmostEqual(found["p50_ns"], 950e3)
        self.assertAlmostEqual(found["p99_ns"], 1.25e9)
        self.assertEqual(found["errors"], 0)

    def test_errors_of_wrk(self):
        text = WRK + "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n"
        self.assertEqual(figures.read_wrk(text)["errors"], 15)
        with self.assertRaises(Trouble):
            figures.read_wrk("unable to connect")

    def test_load(self):
        for text in ("", "{}", '{"operations": []}', '{"operations": [{}], "measured_monotonic_ns": {}}', "[1]"):
            with self.assertRaises(Trouble):
                figures.read_load(text)

    def test_a_load_on_other_terms_is_no_run(self):
        scenario = next(s for s in scenarios.SCENARIOS if s.name == "request")
        operation = {"count": 10, "bytes": 10240, "seconds": 1, "errors": 0, "error_texts": [], "client_cpu_ns": 1,
                     "latency_ns": {"p50": 1, "p99": 2, "max": 3},
                     "negotiated": {"tls_version": "TLS 1.3", "cipher_suite": peers.CIPHERSUITES, "group": "X25519"}}
        result = {"operations": [operation], "measured_monotonic_ns": {"from": 1, "until": 2}, "reasons": []}

        def check():
            return scenarios.read_checked(figures.json.dumps(result), scenario)

        self.assertEqual(check()["operations"], 10)
        for place, key, value in ((operation, "errors", 1), (operation, "count", 0), (operation, "count", 100),
                                  (operation["negotiated"], "cipher_suite", "TLS_AES_256_GCM_SHA384"),
                                  (operation["negotiated"], "group", "P-256"),
                                  (operation["negotiated"], "tls_version", "TLS 1.2")):
            before, place[key] = place[key], value
            with self.assertRaises(Trouble, msg=key):
                check()
            place[key] = before


class MeasureTest(unittest.TestCase):
    def test_processor_time_of_another_process(self):
        # A thread that has ended still counts, and so does a child.
        busy = ("import threading, time\ndef burn():\n while time.thread_time() < 0.05: pass\n"
                "thread = threading.Thread(target=burn)\nthread.start()\nthread.join()\n"
                "print('done', flush=True)\ninput()\n")
        child = subprocess.Popen(["sh", "-c", 'python3 -c "$1"; :', "sh", busy], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(child.stdout.readline(), "done\n")
            with measure.CpuSampler(child.pid) as sampler:
                self.assertGreaterEqual(sampler.samples[0][1], 50_000_000)
            self.assertGreater(measure.tree_pss_bytes(child.pid), 1 << 20)
        finally:
            child.communicate("\n")
        self.assertIsNone(measure.process_cpu_ns(child.pid))

    def test_a_server_that_ends_at_once_says_why(self):
        with tempfile.TemporaryDirectory() as folder:
            core = min(os.sched_getaffinity(0))
            with self.assertRaisesRegex(Trouble, "wrong ended with code 3: it is so"):
                measure.Process(["sh", "-c", "echo it is so; exit 3"], core, folder, "wrong",
                                ready_port=measure.free_port())

    def test_the_cores_ticks(self):
        busy, stolen = measure.core_ticks(min(os.sched_getaffinity(0)))
        self.assertGreater(busy, 0)
        self.assertGreaterEqual(stolen, 0)


class ScenariosTest(unittest.TestCase):
    def test_names_are_unique_and_everybody_takes_part(self):
        names = [scenario.name for scenario in scenarios.SCENARIOS]
        self.assertEqual(len(names), len(set(names)))
        for peer in peers.PEERS:
            self.assertTrue(any(s.work_of(peer) for s in scenarios.SCENARIOS), peer.name)
        for scenario in scenarios.SCENARIOS:
            self.assertGreaterEqual(sum(scenario.work_of(peer) is not None for peer in peers.PEERS), 3, scenario.name)

    def test_command_line(self):
        options, chosen, wanted = compare.parse(["--quick", "--list", "idle", "--peers", "nginx,hitch"])
        self.assertEqual([scenario.name for scenario in chosen], ["idle-5000", "idle-10000"])
        self.assertEqual([peer.name for peer in wanted], ["nginx", "hitch"])
        self.assertLess(options.limit, 15)
        self.assertEqual([s.name for s in compare.parse(["--list", "request", "request"])[1]], ["request"])
        self.assertEqual(len(compare.parse(["--list"])[1]), len(scenarios.SCENARIOS))

    def test_what_has_no_run_is_missing(self):
        chosen = [s for s in scenarios.SCENARIOS if s.kind != "idle"][:2]
        servers = [peer for peer in peers.PEERS if all(s.work_of(peer) for s in chosen)][:2]
        one, other = servers[0].name, servers[1].name
        results = {chosen[0].name: {one: {"runs": [1]}, other: {"runs": [1]}}, chosen[1].name: {one: {"runs": []}}}
        self.assertEqual(compare.missing(chosen, servers, results),
                         [f"{chosen[1].name}, {one}", f"{chosen[1].name}, {other}"])
        results[chosen[1].name] = {one: {"runs": [1]}, other: {"runs": [1]}}
        self.assertEqual(compare.missing(chosen, servers, results), [])

    def test_table_and_document(self):
        chosen = [scenarios.SCENARIOS[0]]
        entry = {"work": "answer", "troubles": [], "left_out": None}

        def of(*values):
            return {**entry, "runs": [{"figure": value, "rate": 10, "p99_ns": 1000, "others_share": 0.0,
                                       "stolen_share": 0.0, "server_share": 0.5, "reasons": []} for value in values]}

        results = {chosen[0].name: {"ktlsim": of(50, 60, 70), "nginx": of(100, 120, 140),
                                    "hitch": {**of(), "troubles": ["it ended"]}}}
        conditions = {"congestion_control": "reno", "server_core": 0}
        made = output.document(chosen, results, conditions, [], None, compare.datetime.datetime.now(),
                               {"ktlsim": "1", "nginx": "2", "hitch": "3"})
        by_name = {found["peer"]: found for found in made["scenarios"][0]["results"]}
        self.assertEqual(by_name["ktlsim"]["ratio_to_nginx"], 0.5)
        self.assertEqual(by_name["nginx"]["figure"]["min"], 100)
        self.assertIsNone(by_name["hitch"]["figure"])
        with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
            output.write_table(made, out)
            out.seek(0)
            text = out.read()
        self.assertRegex(text, r"ktlsim +60 +50 +33% +0\.50")
        self.assertRegex(text, r"hitch .*no figure in 1: it ended")


class ConfigurationTest(unittest.TestCase):
    """Each server is asked whether it takes its configuration; one that cannot be asked is started."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ktlsim-compare-")
        # The smallest files will do.
        sizes, peers.FILES = peers.FILES, {"small": 1024}
        cls.site = peers.Site(cls.folder.name, KTLSIM).make()
        peers.FILES = sizes

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def accepts(self, name, *works):
        peer = next(peer for peer in peers.PEERS if peer.name == name)
        if not peers.installed(peer, KTLSIM):
            self.skipTest(f"{peer.program} is not installed")
        for work in works or peer.works:
            command = self.site.command(peer, work, measure.free_port(), measure.free_port(), check=True)
            if command is None:
                self.start(peer, work)
            else:
                self.check(command)
        self.assertRegex(peers.version(peer.program, KTLSIM), r"[0-9]")

    def start(self, peer, work, again=True):
        port = measure.free_port()
        command = self.site.command(peer, work, port, measure.free_port())
        try:
            with measure.Process(command, min(os.sched_getaffinity(0)), self.folder.name, peer.name, ready_port=port):
                pass
        except Trouble:
            # Another test may have got the port meanwhile.
            if not again:
                raise
            self.start(peer, work, again=False)

    def check(self, command):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_ktlsim(self):
        self.accepts("ktlsim")
        self.accepts("ktlsim-pool")

    def test_nginx(self):
        self.accepts("nginx", peers.ANSWER, peers.FILE)
        self.check([*self.site.backend_command(measure.free_port()), "-t"])

    def test_nginx_stream(self):
        if not os.path.exists(os.path.join(peers.NGINX_MODULES, "ngx_stream_module.so")):
            self.skipTest("nginx's stream module is not installed")
        self.accepts("nginx", peers.FORWARD)

    def test_haproxy(self):
        self.accepts("haproxy")

    def test_stunnel(self):
        self.accepts("stunnel")

    def test_hitch(self):
        self.accepts("hitch")

    def test_s_server(self):
        self.accepts("s_server")


if __name__ == "__main__":
    unittest.main()
