"""Processes on their cores, and what they cost: processor time, memory, the machine's own disturbances."""

import os
import signal
import socket
import subprocess
import threading
import time

READY_LIMIT_S = 20
SAMPLE_S = 0.01


class Trouble(Exception):
    """A run that gives no figure; the text says why."""


def free_port():
    """A port that nobody has now; the servers here cannot all choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_cpu_ns(pid):
    """Processor time of a whole process in ns, threads that have ended included; None when it is gone.

    The clock id is the kernel's (MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED), as clock_getcpuclockid(3) gives it:
    the scheduler's own nanoseconds, not the ticks of /proc/PID/stat. /proc/PID/schedstat has one thread only.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return None


def tree(pid):
    """The process and its descendants: a master and its workers are one server."""
    found = [pid]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
        except OSError:
            pass
    return found


def tree_pss_bytes(pid):
    """Memory of a process tree, shared pages by their share (PSS). The kernel's socket memory is not in it."""
    total = 0
    for member in tree(pid):
        try:
            with open(f"/proc/{member}/smaps_rollup", encoding="ascii") as rollup:
                for line in rollup:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


def core_ticks(core):
    """Of one core: (busy, stolen) seconds since the machine started, in ticks of 10 ms."""
    with open("/proc/stat", encoding="ascii") as stat:
        for line in stat:
            words = line.split()
            if words[0] == f"cpu{core}":
                tick = os.sysconf("SC_CLK_TCK")
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
                return (user + nice + system + irq + softirq) / tick, steal / tick
    raise Trouble(f"/proc/stat has no core {core}")


class Process:
    """A program pinned to a core, ended with the `with` statement."""

    def __init__(self, command, core, folder, name, ready_port=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.log = os.path.join(folder, f"{name}.out")
        with open(self.log, "wb") as log:
            # Of a session of its own: an interrupt reaches us first, and we end it.
            self.child = subprocess.Popen(["taskset", "-c", str(core), *command], stdin=stdin, stdout=log,
                                          stderr=log, cwd=folder, start_new_session=True)
        self.pid = self.child.pid
        if ready_port is not None:
            try:
                self.await_port(ready_port)
            except BaseException:
                self.end()
                raise

    def await_port(self, port):
        limit = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < limit:
            if self.child.poll() is not None:
                raise Trouble(f"{self.name} ended with code {self.child.returncode}: {self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Trouble(f"{self.name} did not listen within {READY_LIMIT_S} s: {self.tail()}")

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return " ".join(log.read()[-600:].split()) or "it said nothing"

    def end(self):
        for how, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            if self.child.poll() is not None:
                break
            try:
                # The whole session: workers, too.
                os.killpg(self.pid, how)
                self.child.wait(patience)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class CpuSampler:
    """Reads the processor time of a process tree every 10 ms, so that any window can be asked for afterwards."""

    def __init__(self, pid):
        self.pid = pid
        self.samples = []  # (monotonic ns, cpu ns)
        self.over = threading.Event()
        self.last = {}
        self.take()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def take(self):
        for member in tree(self.pid):
            cpu = process_cpu_ns(member)
            if cpu is not None:
                self.last[member] = cpu
        self.samples.append((time.monotonic_ns(), sum(self.last.values())))

    def run(self):
        while not self.over.wait(SAMPLE_S):
            self.take()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.take()

    def between(self, begin_ns, end_ns):
        """Processor time within the window, in ns."""
        return interpolate(self.samples, end_ns) - interpolate(self.samples, begin_ns)


def interpolate(samples, at_ns):
    """The value at a time, on the straight line between the samples around it."""
    before = samples[0]
    for sample in samples:
        if sample[0] >= at_ns:
            span = sample[0] - before[0]
            if span == 0:
                return sample[1]
            return before[1] + (sample[1] - before[1]) * (at_ns - before[0]) / span
        before = sample
    return before[1]
