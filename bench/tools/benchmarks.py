#!/usr/bin/env python3
"""What `./dev bench` does with the results of the suites. Python's standard library only.

  benchmarks.py ratios FLOORS RESULT...           each benchmark beside its floor
  benchmarks.py compare BASE HEAD                 what moved between two folders of results
  benchmarks.py instructions BASE HEAD [--limit P]  the same of instruction counts; fails above P per cent
  benchmarks.py check-floors FLOORS PROGRAM...    each benchmark has a floor, in the same program, or says why not

RESULT is what Google Benchmark writes with --benchmark_out (JSON). The method is in ../README.md.
"""

import json
import math
import pathlib
import re
import statistics
import subprocess
import sys

# A difference that is smaller is nobody's business, however certain it is.
SMALLEST_MOVE = 0.02
# Chance that any of the differences that are reported is none.
CHANCE = 0.05


class Wrong(Exception):
    """What the user has to be told."""


# ---- Results


def time_of(run):
    """Nanoseconds of one operation: of an iteration, or of one of the items or calls that it says it has made; processor
    time, unless the benchmark measures another one, which its name says."""
    if run.get("per_call"):
        return run["per_call"] * 1e9
    if run.get("items_per_second"):
        return 1e9 / run["items_per_second"]
    units = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
    return run["real_time" if is_real(run["name"]) else "cpu_time"] * units[run["time_unit"]]


def is_real(name):
    """Whether a name says that it measures another time than that of the processor."""
    return re.search(r"/(manual|real)_time($|/)", name) is not None


def bare_name(name):
    """The name without what Google Benchmark appends to it."""
    return re.sub(r"/(manual_time|real_time|process_time|repeats:\d+|iterations:\d+|min_time:[\d.]+)(?=/|$)", "", name)


def read_samples(paths):
    """{name: [nanoseconds, ...]} of all repetitions in these files; runs that failed are left out."""
    samples = {}
    for path in paths:
        try:
            result = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
            runs = result["benchmarks"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Wrong(f"{path} is no result of Google Benchmark: {error}") from error
        for run in runs:
            if run.get("run_type", "iteration") != "iteration" or run.get("error_occurred"):
                continue
            samples.setdefault(bare_name(run["name"]), []).append(time_of(run))
    return samples


def duration(nanoseconds):
    for limit, divisor, unit in ((1e3, 1, "ns"), (1e6, 1e3, "us"), (1e9, 1e6, "ms")):
        if nanoseconds < limit:
            return f"{nanoseconds / divisor:.4g} {unit}"
    return f"{nanoseconds / 1e9:.4g} s"


def spread(values):
    """Half of the distance between the quartiles, in per cent of the median; empty for fewer than four."""
    if len(values) < 4:
        return ""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{50 * (high - low) / middle:.0f} %" if middle > 0 else ""


def table(rows):
    """Rows of texts as columns; the first one is left-aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


# ---- Floors


class Floors:
    """A file of lines "PATTERN FLOOR": a regular expression of whole names, and the name of the floor, which may have
    groups of it (\\1). "PATTERN - WHY" is for what has none: a floor itself, or what cannot have one."""

    def __init__(self, text, name="floors"):
        self.lines = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 2 or (words[1] == "-") != (len(words) == 3):
                raise Wrong(f"{name}:{number}: write PATTERN FLOOR, or PATTERN - WHY")
            try:
                self.lines.append((re.compile(words[0]), words[1]))
            except re.error as error:
                raise Wrong(f"{name}:{number}: {words[0]}: {error}") from error

    def find(self, name):
        """(whether a line is for this name, its floor or None)."""
        for pattern, floor in self.lines:
            match = pattern.fullmatch(name)
            if match:
                return True, None if floor == "-" else match.expand(floor)
        return False, None


def ratios(floors, samples):
    """Rows of the table: each benchmark that has been run together with its floor."""
    rows = []
    for name, values in samples.items():
        floor = floors.find(name)[1]
        if floor is None or floor not in samples:
            continue
        base = samples[floor]
        rows.append([
            name, duration(statistics.median(values)), spread(values), floor,
            duration(statistics.median(base)),
            f"{statistics.median(values) / statistics.median(base):.2f}", f"{min(values) / min(base):.2f}"
        ])
    return rows


def print_ratios(floors_path, results):
    floors = Floors(pathlib.Path(floors_path).read_text(encoding="utf-8"), floors_path)
    rows = ratios(floors, read_samples(results))
    if rows:
        print(table([["benchmark", "median", "spread", "floor", "its median", "ratio", "of minima"]] + rows))


def check_floors(floors_path, programs):
    """Lists what is wrong; returns how much."""
    floors = Floors(pathlib.Path(floors_path).read_text(encoding="utf-8"), floors_path)
    wrong = []
    used = set()
    for program in programs:
        listed = subprocess.run([program, "--benchmark_list_tests"], check=True, capture_output=True, text=True)
        names = {bare_name(line): is_real(line) for line in listed.stdout.split()}
        if not names:
            wrong.append(f"{program} has no benchmark")
        for name, real in names.items():
            used.update(pattern.pattern for pattern, _ in floors.lines if pattern.fullmatch(name))
            known, floor = floors.find(name)
            if not known:
                wrong.append(f"{name}: {floors_path} has no line for it")
            elif floor is not None and floor not in names:
                wrong.append(f"{name}: its floor {floor} is not in the same program")
            elif floor is not None and names[floor] != real:
                wrong.append(f"{name}: its floor {floor} is measured by another clock")
    wrong += [f"{floors_path}: nothing is called {pattern.pattern}"
              for pattern, _ in floors.lines if pattern.pattern not in used]
    for line in wrong:
        print(line)
    return len(wrong)


# ---- Comparing


def u_distribution(m, n):
    """How many of the arrangements of m and n values have each U, from 0 to m * n; there are no ties."""
    # counts[i][u]: arrangements of i of the one and the j of the other so far.
    counts = [[1] for _ in range(m + 1)]
    for j in range(1, n + 1):
        for i in range(1, m + 1):
            # The largest value is of the one, above j of the other, or it is of the other.
            new = [0] * (i * j + 1)
            for u, count in enumerate(counts[i - 1]):
                new[u + j] += count
            for u, count in enumerate(counts[i]):
                new[u] += count
            counts[i] = new
    return counts[m]


def u_test(one, other):
    """Two-sided p of Mann and Whitney's U: the chance of such a difference if there is none.

    Exact where there are no ties and few values; otherwise the normal approximation with ties and continuity."""
    m, n = len(one), len(other)
    if m == 0 or n == 0:
        return 1.0
    u = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in one for b in other)
    both = sorted(one + other)
    tied = [both.count(value) for value in set(both)]
    if max(tied) == 1 and m * n <= 2500:
        counts = u_distribution(m, n)
        tail = sum(counts[:int(min(u, m * n - u)) + 1])
        return min(1.0, 2 * tail / math.comb(m + n, m))
    total = m + n
    variance = m * n / 12 * (total + 1 - sum(t**3 - t for t in tied) / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - m * n / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def holm(chances):
    """Each p as it counts among so many (Holm): the chance of any false alarm stays what it says."""
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    adjusted = [1.0] * len(chances)
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, chances[i] * (len(chances) - place)))
        adjusted[i] = largest
    return adjusted


def shift(base, head):
    """The median of all quotients, head by base (Hodges and Lehmann), and an interval that has the true one in 95 of
    100 cases; (median, None, None) for too few values."""
    quotients = sorted(h / b for h in head for b in base)
    middle = statistics.median(quotients)
    m, n = len(base), len(head)
    if m * n > 2500:
        return middle, None, None
    counts = u_distribution(m, n)
    all_of_them = math.comb(m + n, m)
    below = 0
    k = 0
    # The largest k with P(U < k) <= 2.5 %.
    while below + counts[k] <= 0.025 * all_of_them:
        below += counts[k]
        k += 1
    if k == 0:
        return middle, None, None
    return middle, quotients[k - 1], quotients[-k]


def compare(base, head):
    """[(name, base median, quotient, low, high, p, moved)] of what both have, the largest move first."""
    names = [name for name in head if name in base and min(base[name]) > 0]
    adjusted = holm([u_test(base[name], head[name]) for name in names])
    found = []
    for name, chance in zip(names, adjusted):
        middle, low, high = shift(base[name], head[name])
        moved = chance < CHANCE and abs(middle - 1) >= SMALLEST_MOVE
        found.append((name, statistics.median(base[name]), middle, low, high, chance, moved))
    return sorted(found, key=lambda row: -abs(math.log(row[2])))


def print_comparison(base_folder, head_folder):
    sides = []
    for folder in (base_folder, head_folder):
        paths = sorted(pathlib.Path(folder).glob("*.json"))
        if not paths:
            raise Wrong(f"{folder} has no results")
        sides.append(read_samples(paths))
    base, head = sides
    found = compare(base, head)
    moved = [row for row in found if row[6]]
    rows = [["moved", "base", "change", "95 % interval", "p"]]
    for name, median, middle, low, high, chance, _ in moved:
        interval = "" if low is None else f"{100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %"
        rows.append([name, duration(median), f"{100 * (middle - 1):+.1f} %", interval, f"{chance:.2g}"])
    if moved:
        print(table(rows))
    runs = min((min(len(base[row[0]]), len(head[row[0]])) for row in found), default=0)
    print(f"{len(moved)} of {len(found)} benchmarks moved by {100 * SMALLEST_MOVE:.0f} % or more "
          f"({runs} runs of each side, in turn; p by U test, for all of them together below {CHANCE}).")
    for name in sorted(set(base) ^ set(head)):
        print(f"only in {'base' if name in base else 'head'}: {name}")


# ---- Instructions


def read_counts(path):
    """{scenario: instructions an operation}: lines "NAME COUNT"."""
    counts = {}
    try:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            name, count = line.split()
            counts[name] = float(count)
    except (OSError, ValueError) as error:
        raise Wrong(f"{path} has no counts: {error}") from error
    if not counts:
        raise Wrong(f"{path} has no counts")
    return counts


def callgrind_total(text):
    """The instructions that callgrind has counted, from its output file."""
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if not found or int(found[1]) == 0:
        raise Wrong("callgrind has counted nothing")
    return int(found[1])


def print_instructions(base_path, head_path, limit):
    base, head = read_counts(base_path), read_counts(head_path)
    rows = [["instructions an operation", "base", "head", "change"]]
    above = []
    for name, count in head.items():
        if name not in base:
            rows.append([name, "-", f"{count:,.0f}", "new"])
            continue
        change = 100 * (count / base[name] - 1)
        rows.append([name, f"{base[name]:,.0f}", f"{count:,.0f}", f"{change:+.2f} %"])
        if change > limit:
            above.append(name)
    print(table(rows))
    for name in sorted(set(base) - set(head)):
        print(f"only in base: {name}")
    if above:
        print(f"more than {limit:g} % dearer: {', '.join(above)}")
    return len(above)


def main(arguments):
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    try:
        if command == "ratios" and len(rest) >= 2:
            print_ratios(rest[0], rest[1:])
        elif command == "check-floors" and len(rest) >= 2:
            return 1 if check_floors(rest[0], rest[1:]) else 0
        elif command == "compare" and len(rest) == 2:
            print_comparison(*rest)
        elif command == "callgrind-total" and len(rest) == 1:
            print(callgrind_total(pathlib.Path(rest[0]).read_text(encoding="utf-8")))
        elif command == "instructions" and (len(rest) == 2 or (len(rest) == 4 and rest[2] == "--limit")):
            return 1 if print_instructions(rest[0], rest[1], float(rest[3]) if len(rest) == 4 else 1.0) else 0
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except Wrong as wrong:
        print(f"benchmarks: {wrong}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
