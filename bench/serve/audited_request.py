#!/usr/bin/env python3
"""What does a request cost that is checked, impersonated and recorded?

Two servers of one program over loopback: one serves, the other one does the same under a policy of
16 entries, as the client, and with a line in its audit trail for each request. Both ask for the
client's certificate. They are loaded in turn; each round gives the processor time of either server
for a request, and their ratio. The time of the thread that writes the trail is told by itself:
it may run on another processor.

usage: audited_request.py KTLSIM [--rounds N] [--seconds S] [--connections N] [--rate N]
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile

CLIENT = "S-1-5-21-1-2-3-1001"
TICKS = os.sysconf("SC_CLK_TCK")


def run(*command, folder=None):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("{}: {}{}".format(" ".join(command), done.stdout[-600:], done.stderr[-600:]))
    return done.stdout


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_identity(folder):
    """An authority, and a client's certificate of it."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench", "-days", "2", folder=folder)
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=alice", folder=folder)
    run("openssl", "x509", "-req", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-out", "client.pem", "-days", "2", folder=folder)


def make_policy(ktlsim, folder):
    """15 entries for others, of which each fourth denies, and one for the client."""
    aces = "".join("({};;FR;;;S-1-5-21-1-2-3-{})".format("D" if i % 4 == 0 else "A", 5000 + i)
                   for i in range(1, 16))
    write(os.path.join(folder, "acl.toml"),
          '[[path]]\nprefix = "/"\nsddl = "O:BAG:BAD:{}(A;;FR;;;{})S:(AU;SAFA;FA;;;WD)"\n'.format(
              aces, CLIENT))
    rule = run(ktlsim, "accounts", "key", os.path.join(folder, "client.pem")).splitlines()[0]
    write(os.path.join(folder, "accounts.toml"),
          'domain-sid = "S-1-5-21-1-2-3"\n[[account]]\nname = "alice"\nsid = "{}"\n'
          '[[mapping]]\n{}\naccount = "alice"\n'.format(CLIENT, rule))
    with open(os.path.join(folder, "key"), "wb") as file:
        file.write(os.urandom(32))


class Server:
    def __init__(self, ktlsim, folder, more):
        self.process = subprocess.Popen(
            [ktlsim, "serve", "--listen", "127.0.0.1:0", "--self-signed", "localhost",
             "--respond-bytes", "1024", "--processors", "1", "--client-auth", "request",
             "--client-ca", "ca.pem", *more],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.address = None
        while self.address is None:
            line = self.process.stdout.readline()
            if not line:
                sys.exit("the server did not start")
            found = re.search(r"(127\.0\.0\.1:\d+)", line)
            self.address = found.group(1) if found else None

    def seconds(self):
        """Processor time so far: of all threads, and of the trail's writer."""
        everything = writer = 0.0
        for thread in os.listdir("/proc/{}/task".format(self.process.pid)):
            with open("/proc/{}/task/{}/schedstat".format(self.process.pid, thread)) as file:
                used = int(file.read().split()[0]) / 1e9
            with open("/proc/{}/task/{}/comm".format(self.process.pid, thread)) as file:
                writer += used if "audit" in file.read() else 0.0
            everything += used
        return everything, writer

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


def load(ktlsim, folder, server, options):
    """Microseconds of the server for one request: of its other threads, and of the writer."""
    before = server.seconds()
    result = json.loads(run(
        ktlsim, "load", "--connect", server.address, "--insecure", "--mode", "request", "--cert",
        "client.pem", "--key", "client.key", "--connections", str(options.connections),
        "--seconds", str(options.seconds), "--warm-up", "0s", "--rate", str(options.rate), "--json",
        "-", folder=folder))
    after = server.seconds()
    requests = result["operations"][-1]["count"]
    writer = (after[1] - before[1]) / requests * 1e6
    return (after[0] - before[0]) / requests * 1e6 - writer, writer


def spread(values):
    return "{:.2f} ({:.2f} to {:.2f})".format(statistics.median(values), min(values), max(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ktlsim")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=16)
    # Below what the writer can record: what finds the queue full is refused.
    parser.add_argument("--rate", type=int, default=4000)
    options = parser.parse_args()
    ktlsim = os.path.abspath(options.ktlsim)
    with tempfile.TemporaryDirectory(prefix="ktlsim-bench-") as folder:
        make_identity(folder)
        make_policy(ktlsim, folder)
        plain = Server(ktlsim, folder, [])
        audited = Server(ktlsim, folder, ["--acl", "acl.toml", "--accounts", "accounts.toml",
                                          "--audit", "audit", "--audit-key", "key"])
        without, checked, writing = [], [], []
        for _ in range(options.rounds):
            without.append(load(ktlsim, folder, plain, options)[0])
            request, writer = load(ktlsim, folder, audited, options)
            checked.append(request)
            writing.append(writer)
        plain.stop()
        audited.stop()
        print("us of processor time for a request, median (least to most) of", options.rounds)
        print("without              ", spread(without))
        print("audited              ", spread(checked))
        print("the trail's writer   ", spread(writing))
        print("ratio                ", spread([b / a for a, b in zip(without, checked)]))
        print("ratio with the writer",
              spread([(b + c) / a for a, b, c in zip(without, checked, writing)]))


if __name__ == "__main__":
    main()
