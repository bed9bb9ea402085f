"""What is measured: each scenario's load, and how one run of it goes."""

import dataclasses
import os
import resource
import subprocess
import sys
import time

from figures import read_load, read_wrk
from measure import CpuSampler, Process, Trouble, core_ticks, free_port, tree_pss_bytes
from peers import (ANSWER, BODY_BYTES, CIPHERS, CIPHERSUITES, FILE, FILES, FORWARD, GROUP, GROUPS, HERE, IANA_CIPHERS,
                   program)

CPU, MEMORY, P99 = "server CPU us/op", "KiB/connection", "p99 us"
# A run may take this much longer than its load before it is given up.
PATIENCE_S = 40


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`works`: what a peer may do here, in order of preference; a peer without any of it takes no part."""
    name: str
    text: str
    kind: str  # handshake, request, bulk, flood, wrk, idle
    works: tuple
    figure: str = CPU
    tls: str = "1.3"
    resume: bool = False
    connections: int = 1
    path: str = "/"
    size: int = 0  # of a response; for kind idle: nothing
    no_one_at_a_time: bool = False

    def work_of(self, peer):
        """What the peer does in this scenario; None: it takes no part."""
        if peer.one_at_a_time and self.no_one_at_a_time:
            return None
        return next((work for work in self.works if work in peer.works), None)


def handshakes():
    for version in ("1.3", "1.2"):
        for resume in (False, True):
            word = "resumed" if resume else "full"
            yield Scenario(f"handshake-{word}-{version}", f"{word} handshakes of TLS {version}, 16 at once",
                           "handshake", (ANSWER, FILE, FORWARD), tls=version, resume=resume, connections=16)


def downloads(prefix, works, text):
    for name, path, connections in (("1m-c1", "/1m", 1), ("1m-c8", "/1m", 8), ("100m", "/100m", 1)):
        yield Scenario(f"{prefix}-{name}", f"{text} of {FILES[path[1:]] >> 20} MiB, connections: {connections}", "bulk",
                       works, connections=connections, path=path, size=FILES[path[1:]],
                       no_one_at_a_time=connections > 1)


SCENARIOS = (
    *handshakes(),
    Scenario("request", "requests of 1 KiB from memory, 64 connections", "request", (ANSWER,), connections=64,
             size=BODY_BYTES),
    Scenario("request-file", "requests of 1 KiB from a file, 64 connections", "request", (FILE,), connections=64,
             path="/small", size=BODY_BYTES, no_one_at_a_time=True),
    *downloads("server", (FILE,), "files"),
    Scenario("forward-request", "requests of 1 KiB passed on to a plain backend, 64 connections", "request", (FORWARD,),
             connections=64, size=BODY_BYTES),
    *downloads("forward", (FORWARD,), "responses of a plain backend"),
    Scenario("flood", "established requests (500/s on 16 connections) while full handshakes flood the server", "flood",
             (ANSWER, FORWARD), figure=P99, connections=16, size=BODY_BYTES),
    Scenario("wrk-request", "as `request`, but driven by wrk", "wrk", (ANSWER,), connections=64, size=BODY_BYTES),
    Scenario("wrk-request-file", "as `request-file`, but driven by wrk", "wrk", (FILE,), connections=64, path="/small",
             size=BODY_BYTES, no_one_at_a_time=True),
    Scenario("wrk-server-1m-c8", "as `server-1m-c8`, but driven by wrk", "wrk", (FILE,), connections=8, path="/1m",
             size=FILES["1m"], no_one_at_a_time=True),
    Scenario("wrk-forward-request", "as `forward-request`, but driven by wrk", "wrk", (FORWARD,), connections=64,
             size=BODY_BYTES),
    Scenario("idle-5000", "memory of 5,000 idle connections after one request each", "idle", (ANSWER, FORWARD),
             figure=MEMORY, connections=5000),
    Scenario("idle-10000", "memory of 10,000 idle connections after one request each", "idle", (ANSWER, FORWARD),
             figure=MEMORY, connections=10000),
)


@dataclasses.dataclass
class Stage:
    """Where and for how long: the site, the cores, the backend."""
    site: object
    server_core: int
    client_core: int
    seconds: float
    warm_up: float
    backend_port: int
    real_time: bool  # whether the probe of `flood` may have real-time priority


@dataclasses.dataclass
class Job:
    """One run while its server is up."""
    scenario: Scenario
    stage: Stage
    work: str
    port: int
    server: Process
    sampler: CpuSampler


def left_out(scenario, peer):
    """Why a run cannot be made on this machine; None: it can."""
    if scenario.kind != "idle":
        return None
    # The generator has one descriptor per connection, and so has the server; one that forwards has two.
    wanted = scenario.connections * (2 if scenario.work_of(peer) == FORWARD else 1) + 200
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit >= wanted else f"needs {wanted:,} descriptors, and the limit is {limit:,} (ulimit -n)"


def run(scenario, peer, stage):
    """One repeat: the server is started, driven and ended. Returns a dictionary with `figure` and what explains it."""
    port = free_port()
    work = scenario.work_of(peer)
    command = stage.site.command(peer, work, port, stage.backend_port)
    with Process(command, stage.server_core, stage.site.folder, peer.name, ready_port=port) as server:
        busy_before, stolen_before = core_ticks(stage.server_core)
        began = time.monotonic()
        with CpuSampler(server.pid) as sampler:
            result = DRIVERS[scenario.kind](Job(scenario, stage, work, port, server, sampler))
        lasted = time.monotonic() - began
        busy, stolen = core_ticks(stage.server_core)
        own = (sampler.samples[-1][1] - sampler.samples[0][1]) / 1e9
        # Of the server's core: what somebody else used, and what the hypervisor took away. Ticks of 10 ms, so roughly.
        result["others_share"] = max(0.0, busy - busy_before - own) / lasted
        result["stolen_share"] = (stolen - stolen_before) / lasted
        if server.child.poll() is not None:
            raise Trouble(f"{peer.name} ended during the run: {server.tail()}")
    return result


def load_command(job, mode, connections, seconds, *more):
    scenario, stage = job.scenario, job.stage
    suite = CIPHERSUITES if scenario.tls == "1.3" else CIPHERS
    return ["taskset", "-c", str(stage.client_core), stage.site.ktlsim, "load",
            f"https://127.0.0.1:{job.port}{scenario.path}", "--insecure", "--mode", mode, "--tls", scenario.tls,
            "--cipher-suites", suite, "--groups", GROUPS, "--connections", str(connections),
            "--seconds", f"{seconds:g}s", "--warm-up", f"{stage.warm_up:g}s", "--drain", "5s", "--processors", "1",
            "--json", "-", *more]


def drive(command, patience_s, codes=(0,)):
    """Runs a generator and returns what it wrote to standard output."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s)
    except subprocess.TimeoutExpired as slow:
        raise Trouble(f"the generator did not end within {patience_s:g} s") from slow
    if done.returncode not in codes:
        raise Trouble(f"the generator ended with code {done.returncode}: {' '.join(done.stderr[-400:].split())}")
    return done.stdout


def read_checked(text, scenario):
    """The load's result; a run with errors, or on other terms than the scenario's, is no run."""
    result = read_load(text)
    if result["errors"] or not result["operations"]:
        raise Trouble(f"{result['operations']} operations, {result['errors']} errors: {result['error_texts'][:2]}")
    # A response that began before the window counts as an operation, and its first bytes do not.
    if result["bytes"] < scenario.size * (result["operations"] - scenario.connections):
        raise Trouble(f"{result['bytes']} bytes in {result['operations']} responses of {scenario.size}")
    version, suite, group = result["negotiated"]
    wanted = CIPHERSUITES if scenario.tls == "1.3" else IANA_CIPHERS
    # A resumed session of TLS 1.2 has no key exchange.
    if version != f"TLS {scenario.tls}" or suite != wanted or (group or GROUP).upper() != GROUP:
        raise Trouble(f"not on equal terms: {version}, {suite}, {group}")
    return result


def drive_load(job):
    scenario, stage = job.scenario, job.stage
    text = drive(load_command(job, scenario.kind, scenario.connections, stage.seconds,
                              *(("--resume",) if scenario.resume else ())), stage.seconds + PATIENCE_S, codes=(0, 1))
    result = read_checked(text, scenario)
    begin, end = result["window_ns"]
    operations = result["operations"]
    if scenario.kind == "bulk":
        # Bytes are counted as they arrive, so a large response that straddles the window's end counts with its share.
        operations = result["bytes"] / scenario.size
    cpu = job.sampler.between(begin, end)
    seconds = (end - begin) / 1e9
    return {**told(result, seconds), "figure": cpu / operations / 1e3, "rate": operations / seconds,
            "server_cpu_ns": cpu, "server_share": cpu / (end - begin)}


def told(result, seconds):
    keep = ("operations", "bytes", "p50_ns", "p99_ns", "max_ns", "reasons")
    return {**{key: result[key] for key in keep}, "seconds": seconds,
            "generator_share": result["generator_cpu_ns"] / 1e9 / seconds}


PROBE_RATE = 500


def drive_flood(job):
    """A probe at a low constant rate, first alone, then while another generator makes handshakes as fast as it can."""
    scenario, stage = job.scenario, job.stage
    prefix = ["chrt", "--rr", "10"] if stage.real_time else []
    probe = prefix + load_command(job, "request", scenario.connections, stage.seconds, "--rate", str(PROBE_RATE))
    flood = load_command(job, "handshake", 64, stage.seconds + 60)
    calm = read_checked(drive(probe, stage.seconds + PATIENCE_S, codes=(0, 1)), scenario)
    with Process(flood[3:], stage.client_core, stage.site.folder, "flood"):
        time.sleep(0.5)
        result = read_checked(drive(probe, stage.seconds + PATIENCE_S, codes=(0, 1)), scenario)
    begin, end = result["window_ns"]
    cpu = job.sampler.between(begin, end)
    seconds = (end - begin) / 1e9
    return {**told(result, seconds), "figure": result["p99_ns"] / 1e3, "rate": result["operations"] / seconds,
            "calm_p99_ns": calm["p99_ns"], "server_cpu_ns": cpu, "server_share": cpu / (end - begin)}


def drive_wrk(job):
    scenario, stage = job.scenario, job.stage
    seconds = max(1, round(stage.seconds + stage.warm_up))  # wrk takes whole seconds
    begin = time.monotonic_ns()
    text = drive(["taskset", "-c", str(stage.client_core), program("wrk"), "-t", "1", "-c", str(scenario.connections),
                  "-d", f"{seconds}s", "--latency", f"https://127.0.0.1:{job.port}{scenario.path}"],
                 seconds + PATIENCE_S)
    result = read_wrk(text)
    if result["errors"]:
        raise Trouble(f"wrk counted {result['errors']} errors")
    # wrk has no warm-up: its rate is over all its time, the processor time is of the time without begin and end.
    first, last = begin + int(0.25e9 * seconds), begin + int(0.95e9 * seconds)
    share = job.sampler.between(first, last) / (last - first)
    return {"figure": share * 1e6 / result["rate"], "rate": result["rate"], "operations": result["operations"],
            "p50_ns": result["p50_ns"], "p99_ns": result["p99_ns"], "seconds": result["seconds"],
            "server_share": share, "reasons": []}


def drive_idle(job):
    scenario, stage = job.scenario, job.stage
    client = ["taskset", "-c", str(stage.client_core), sys.executable, os.path.join(HERE, "idle_client.py"),
              str(job.port)]

    def opened(count):
        child = subprocess.Popen([*client, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = child.stdout.readline()
        if line.strip() != "ready":
            child.kill()
            child.communicate()
            raise Trouble(f"the connections could not be opened: {line.strip() or 'the client ended'}")
        return child

    # What the first connections allocate once is not theirs.
    warm = opened(20)
    before = tree_pss_bytes(job.server.pid)
    child = opened(scenario.connections)
    try:
        after = tree_pss_bytes(job.server.pid)
    finally:
        child.communicate("")
        warm.communicate("")
    return {"figure": (after - before) / scenario.connections / 1024, "pss_bytes": after, "reasons": [],
            "operations": scenario.connections}


DRIVERS = {"handshake": drive_load, "request": drive_load, "bulk": drive_load, "flood": drive_flood, "wrk": drive_wrk,
           "idle": drive_idle}
