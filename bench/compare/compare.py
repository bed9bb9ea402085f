#!/usr/bin/env python3
"""Compares ktlsim with other TLS servers on one machine; see README.md. `./dev compare` builds ktlsim and runs this."""

import argparse
import ctypes
import datetime
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import output
from measure import Process, Trouble, free_port
from peers import CIPHERS, CIPHERSUITES, GROUP, PEERS, Site, installed, program, version
from scenarios import SCENARIOS, Stage, left_out, run

FILES_WANTED = 60000
CLONE_NEWNET = 0x40000000


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="./dev compare", description="Starts each TLS server pinned to one core, drives it from another one, and "
        "prints what each operation cost the server.", epilog="Exit code 1: something that was to be measured was not: "
        "a run has failed, or --limit has ended all before a server had its first run in a scenario. Fewer repeats are "
        "no failure.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="which ones; the beginning of a name "
                        "stands for all that begin so, where none has just that name [all]")
    parser.add_argument("--quick", action="store_true", help="short runs, three repeats, at most 14 minutes")
    parser.add_argument("--list", action="store_true", help="print the scenarios and end")
    parser.add_argument("--peers", metavar="A,B", help="which servers [all that are installed]: "
                        + ", ".join(peer.name for peer in PEERS))
    parser.add_argument("--repeats", type=int, metavar="N", help="repeats of each run [5; 3 with --quick]")
    parser.add_argument("--seconds", type=float, metavar="S", help="measured time of a run [5; 1 with --quick]")
    parser.add_argument("--limit", type=float, metavar="MINUTES", help="begin no run after so long [none; 13 with "
                        "--quick]")
    parser.add_argument("--server-core", type=int, metavar="N", help="[the first core]")
    parser.add_argument("--client-core", type=int, metavar="N", help="of generator and backend [the second core]")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--page", metavar="FILE", help="make an HTML page of the figures there (`ktlsim report`)")
    parser.add_argument("--ktlsim", default="build/release/bin/ktlsim", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.repeats = options.repeats or (3 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 5.0)
    if options.limit is None and options.quick:
        options.limit = 13.0
    options.ktlsim = os.path.abspath(options.ktlsim)
    chosen = SCENARIOS if not options.scenarios else []
    for name in options.scenarios:
        exact = [scenario for scenario in SCENARIOS if scenario.name == name]
        meant = exact or [scenario for scenario in SCENARIOS if scenario.name.startswith(name)]
        if not meant:
            parser.error(f"there is no scenario '{name}'; --list shows them")
        chosen += [scenario for scenario in meant if scenario not in chosen]
    wanted = options.peers.split(",") if options.peers else [peer.name for peer in PEERS]
    for name in wanted:
        if name not in [peer.name for peer in PEERS]:
            parser.error(f"there is no server '{name}'; there are: {', '.join(peer.name for peer in PEERS)}")
    cores = sorted(os.sched_getaffinity(0))
    if options.server_core is None:
        options.server_core = cores[0]
    if options.client_core is None:
        options.client_core = next((core for core in cores if core != options.server_core), None)
    if not options.list and (options.client_core is None or options.client_core == options.server_core):
        parser.error("two cores are needed: one for the server, one for the generator")
    return options, chosen, [peer for peer in PEERS if peer.name in wanted]


def own_network():
    """A network namespace: loopback without anybody else's traffic, and settings that end with it. True: it is ours."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket() as any_socket:  # bring `lo` up: SIOCGIFFLAGS, IFF_UP, SIOCSIFFLAGS
        request = struct.pack("16sh", b"lo", 0) + b"\0" * 22
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, 0x8913, request)[:18])[1]
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", flags | 1) + b"\0" * 22)
    set_first("ip_local_port_range", "10000 65000")
    # Not BBR: its pacing timers are a load of their own. A namespace may choose only what the machine allows to all.
    set_first("tcp_congestion_control", "cubic", "reno")
    return True


def set_first(name, *values):
    """The first value of a setting of the network namespace that is accepted."""
    for value in values:
        try:
            with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as setting:
                setting.write(value)
            return
        except OSError:
            continue
    say(f"net.ipv4.{name} stays as it is")


def raise_limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, FILES_WANTED)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def terms(stage, isolated):
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as setting:
        congestion = setting.read().strip()
    return {"certificate": "self-signed, ECDSA P-256", "suites": [CIPHERSUITES, CIPHERS], "group": GROUP,
            "tickets": "2 in TLS 1.3; no session caches but stunnel's", "congestion_control": congestion,
            "own_network_namespace": isolated, "server_core": stage.server_core, "client_core": stage.client_core,
            "seconds": stage.seconds, "warm_up_s": stage.warm_up}


def measure(chosen, peers, stage, options):
    """All repeats, repeat by repeat, so that a drift of the machine meets every server alike."""
    results = {scenario.name: {} for scenario in chosen}
    began = time.monotonic()
    for repeat in range(options.repeats):
        for scenario in chosen:
            if scenario.kind == "idle" and repeat >= (1 if options.quick else 3):
                continue  # memory hardly varies, and ten thousand handshakes take their time
            taking_part = [peer for peer in peers if scenario.work_of(peer)]
            first = repeat % max(1, len(taking_part))
            for peer in taking_part[first:] + taking_part[:first]:
                if options.limit and time.monotonic() - began > options.limit * 60:
                    return results, f"the limit of {options.limit:g} minutes ended it in repeat {repeat + 1}"
                entry = results[scenario.name].setdefault(peer.name, {"work": scenario.work_of(peer), "runs": [],
                                                                      "troubles": [],
                                                                      "left_out": left_out(scenario, peer)})
                if entry["left_out"]:
                    continue
                say(f"repeat {repeat + 1} of {options.repeats}: {scenario.name}, {peer.name}")
                try:
                    entry["runs"].append(run(scenario, peer, stage))
                except Trouble as trouble:
                    say(f"  no figure: {trouble}")
                    entry["troubles"].append(str(trouble))
    return results, None


def missing(chosen, peers, results):
    """"SCENARIO, SERVER" of each figure that was to be there and has not a single run."""
    return [f"{scenario.name}, {peer.name}" for scenario in chosen for peer in peers
            if scenario.work_of(peer) and not left_out(scenario, peer)
            and not results[scenario.name].get(peer.name, {}).get("runs")]


def make_page(document, options):
    with tempfile.TemporaryDirectory(prefix="ktlsim-compare-") as folder:
        result = os.path.join(folder, "comparison.json")
        output.write_json(document, result)
        return subprocess.run([options.ktlsim, "report", result, "-o", options.page], check=False).returncode == 0


def main(arguments):
    options, chosen, peers = parse(arguments)
    if options.list:
        for scenario in chosen:
            print(f"{scenario.name:22} {scenario.text}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    absent = [peer.name for peer in peers if not installed(peer, options.ktlsim)]
    if absent:
        say(f"not installed, so not compared: {', '.join(absent)}")
    peers = [peer for peer in peers if peer.name not in absent]
    if program("wrk") is None:
        say("wrk is not installed: its scenarios are left out")
        chosen = [scenario for scenario in chosen if scenario.kind != "wrk"]
    started = datetime.datetime.now(datetime.timezone.utc)
    raise_limits()
    isolated = own_network()
    if not isolated:
        say("no network namespace of our own (that takes root): loopback and its settings are the machine's")
    try:
        with tempfile.TemporaryDirectory(prefix="ktlsim-compare-") as folder:
            site = Site(folder, options.ktlsim).make()
            stage = Stage(site, options.server_core, options.client_core, options.seconds,
                          0.3 if options.quick else min(1.0, options.seconds), free_port(), os.getuid() == 0)
            with Process(site.backend_command(stage.backend_port), stage.client_core, folder, "backend",
                         ready_port=stage.backend_port):
                results, cut = measure(chosen, peers, stage, options)
            conditions = terms(stage, isolated)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Trouble as trouble:
        say(str(trouble))
        return 2
    if cut:
        say(cut)
    document = output.document(chosen, results, conditions, absent, cut, started,
                               {peer.name: version(peer.program, options.ktlsim) for peer in peers})
    output.write_table(document, sys.stdout)
    if options.json:
        output.write_json(document, options.json)
    if options.page and not make_page(document, options):
        return 2
    absent_figures = missing(chosen, peers, results)
    if absent_figures:
        say(f"no figure: {'; '.join(absent_figures)}")
    troubled = any(entry["troubles"] for scenario in document["scenarios"] for entry in scenario["results"])
    return 1 if absent_figures or troubled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
