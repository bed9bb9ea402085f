#!/usr/bin/env python3
"""Tests of benchmarks.py: parsing and statistics, against values from tables and by counting all arrangements."""

import contextlib
import io
import itertools
import json
import math
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import benchmarks  # noqa: E402


def run_of(name, time, **more):
    return {"name": name, "run_type": "iteration", "real_time": 2 * time, "cpu_time": time, "time_unit": "ns", **more}


def all_arrangements(one, other):
    """The two-sided p of U, by trying each choice of len(one) places."""
    values = sorted(one + other)
    middle = len(one) * len(other) / 2

    def u_of(chosen):
        rest = [i for i in range(len(values)) if i not in chosen]
        return sum(1 for i in chosen for j in rest if i > j)

    found = abs(u_of([values.index(value) for value in one]) - middle)
    choices = list(itertools.combinations(range(len(values)), len(one)))
    return sum(1 for chosen in choices if abs(u_of(chosen) - middle) >= found) / len(choices)


class Folder:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def write(self, name, content):
        path = pathlib.Path(self.folder.name) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)


def told(arguments):
    """(exit code, standard output, standard error)."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = benchmarks.main(arguments)
    return code, out.getvalue(), error.getvalue()


class ResultsTest(unittest.TestCase):
    def test_names_lose_what_is_appended(self):
        for name, bare in (("BM_A/bytes:64", "BM_A/bytes:64"), ("BM_A/real_time", "BM_A"),
                           ("BM_A/x:1/manual_time", "BM_A/x:1"), ("BM_A/real_time/threads:2", "BM_A/threads:2"),
                           ("BM_A/repeats:3/iterations:5", "BM_A")):
            self.assertEqual(benchmarks.bare_name(name), bare)

    def test_times_are_of_the_clock_that_the_name_says(self):
        self.assertEqual(benchmarks.time_of(run_of("BM_A", 3)), 3)
        self.assertEqual(benchmarks.time_of(run_of("BM_A/manual_time", 3, time_unit="us")), 6000)
        self.assertEqual(benchmarks.time_of(run_of("BM_A/real_time/threads:2", 3)), 6)

    def test_times_are_of_one_operation(self):
        self.assertAlmostEqual(benchmarks.time_of(run_of("BM_A", 3000, items_per_second=1e9 / 3)), 3)
        self.assertAlmostEqual(benchmarks.time_of(run_of("BM_A", 3000, items_per_second=1, per_call=5e-9)), 5)

    def test_repetitions_are_kept_and_aggregates_and_failures_are_not(self):
        with Folder() as folder:
            path = folder.write("a.json", {"benchmarks": [
                run_of("BM_A", 1), run_of("BM_A", 3), run_of("BM_A_mean", 2, run_type="aggregate"),
                run_of("BM_B", 1, error_occurred=True)]})
            self.assertEqual(benchmarks.read_samples([path]), {"BM_A": [1, 3]})

    def test_what_is_no_result_is_refused(self):
        with Folder() as folder:
            for content in ("", "{", "[]", "{}", "null"):
                code, _, error = told(["ratios", folder.write("f.txt", ""), folder.write("x.json", content)])
                self.assertEqual(code, 2, content)
                self.assertIn("x.json", error)


class FloorsTest(unittest.TestCase):
    def test_the_first_line_that_matches_the_whole_name_counts(self):
        floors = benchmarks.Floors("# words\n\nBM_A/(\\d+) BM_Raw/\\1\nBM_.* - a floor\n")
        self.assertEqual(floors.find("BM_A/64"), (True, "BM_Raw/64"))
        self.assertEqual(floors.find("BM_A/64/x"), (True, None))
        self.assertEqual(floors.find("A"), (False, None))

    def test_a_bad_line_is_named(self):
        for text in ("BM_A", "BM_A -", "BM_A BM_B why", "BM_( BM_B"):
            with self.assertRaisesRegex(benchmarks.Wrong, "^floors:1:"):
                benchmarks.Floors(text)

    def test_ratios_are_of_medians_and_of_minima(self):
        floors = benchmarks.Floors("BM_A BM_F\nBM_F - a floor\nBM_B BM_absent")
        rows = benchmarks.ratios(floors, {"BM_A": [30, 20, 50], "BM_F": [10, 20, 20], "BM_B": [1]})
        self.assertEqual(rows, [["BM_A", "30 ns", "", "BM_F", "20 ns", "1.50", "2.00"]])

    def test_programs_are_compared_with_the_file(self):
        with Folder() as folder:
            program = folder.write("p", "#!/bin/sh\necho BM_A/64/real_time\necho BM_F/real_time\necho BM_New\n")
            pathlib.Path(program).chmod(0o755)
            good = folder.write("good.txt", "BM_A/.* BM_F\nBM_F - a floor\nBM_New - no floor is known\n")
            self.assertEqual(told(["check-floors", good, program]), (0, "", ""))
            bad = folder.write("bad.txt", "BM_A/.* BM_G\nBM_F BM_New\nBM_Old BM_F\n")
            code, text, _ = told(["check-floors", bad, program])
            self.assertEqual(code, 1)
            for word in ("BM_A/64: its floor BM_G", "BM_New: ", "BM_F: its floor BM_New is measured by another clock", "nothing is called BM_Old"):
                self.assertIn(word, text)


class StatisticsTest(unittest.TestCase):
    def test_u_has_its_distribution(self):
        for m, n in ((1, 1), (2, 3), (4, 4), (5, 3)):
            counts = benchmarks.u_distribution(m, n)
            self.assertEqual(sum(counts), math.comb(m + n, m))
            self.assertEqual(len(counts), m * n + 1)
            self.assertEqual(counts, counts[::-1])
        # From tables: the 5 % point of 9 and 9 is 17, of 5 and 5 it is 2.
        for size, critical in ((9, 17), (5, 2)):
            counts = benchmarks.u_distribution(size, size)
            total = math.comb(2 * size, size)
            self.assertLessEqual(2 * sum(counts[:critical + 1]) / total, 0.05)
            self.assertGreater(2 * sum(counts[:critical + 2]) / total, 0.05)

    def test_p_is_the_share_of_arrangements(self):
        for one, other in (([1, 2, 3], [4, 5, 6]), ([1, 4, 6], [2, 3, 5, 7]), ([9, 8, 7, 1], [2, 3, 4, 5])):
            self.assertAlmostEqual(benchmarks.u_test(one, other), all_arrangements(one, other))
            self.assertAlmostEqual(benchmarks.u_test(other, one), all_arrangements(one, other))

    def test_ties_and_nothing_are_no_difference(self):
        self.assertEqual(benchmarks.u_test([5] * 9, [5] * 9), 1.0)
        self.assertEqual(benchmarks.u_test([], [1]), 1.0)
        # By hand: U = 0.5, variance 25 / 12 * (11 - 30 / 90), z = 11.5 / 4.714.
        self.assertAlmostEqual(benchmarks.u_test([1, 1, 2, 2, 3], [3, 4, 4, 5, 5]), 0.0147, delta=0.0001)

    def test_holm_keeps_the_order(self):
        self.assertEqual([round(p, 6) for p in benchmarks.holm([0.01, 0.04, 0.03, 0.005])], [0.03, 0.06, 0.06, 0.02])
        self.assertEqual(benchmarks.holm([0.9, 0.8]), [1.0, 1.0])
        self.assertEqual(benchmarks.holm([]), [])

    def test_a_shift_is_found_with_an_interval_around_it(self):
        base = [100, 101, 99, 102, 98, 100.5, 99.5, 101.5, 98.5]
        middle, low, high = benchmarks.shift(base, [1.1 * value for value in base])
        self.assertAlmostEqual(middle, 1.1, delta=0.001)
        self.assertLess(low, 1.1)
        self.assertGreater(high, 1.1)
        self.assertGreater(low, 1.07)
        self.assertEqual(benchmarks.shift([1], [2]), (2, None, None))

    def test_only_what_is_certain_and_large_enough_has_moved(self):
        base = {"BM_Same": [100 + i for i in range(9)], "BM_Slower": [100 + i for i in range(9)],
                "BM_Hair": [1000 + i / 100 for i in range(9)], "BM_Gone": [1]}
        head = {"BM_Same": [100.5 + i for i in range(9)], "BM_Slower": [130.5 + i for i in range(9)],
                "BM_Hair": [1001 + i / 100 for i in range(9)], "BM_New": [1]}
        found = {row[0]: row for row in benchmarks.compare(base, head)}
        self.assertEqual({name for name, row in found.items() if row[6]}, {"BM_Slower"})
        self.assertLess(found["BM_Hair"][5], 0.01)
        with Folder() as folder:
            for side, samples in (("base", base), ("head", head)):
                folder.write(f"{side}/1.json", {"benchmarks": [
                    run_of(name, value) for name, values in samples.items() for value in values]})
            path = pathlib.Path(folder.folder.name)
            code, text, _ = told(["compare", str(path / "base"), str(path / "head")])
            self.assertEqual(code, 0)
            for word in ("BM_Slower", "+29.", "1 of 3", "only in base: BM_Gone", "only in head: BM_New"):
                self.assertIn(word, text)
            (path / "empty").mkdir()
            self.assertEqual(told(["compare", str(path / "base"), str(path / "empty")])[0], 2)


class InstructionsTest(unittest.TestCase):
    def test_what_is_dearer_fails(self):
        with Folder() as folder:
            base = folder.write("base", "seal 1000\nopen 2000\nold 1\n")
            head = folder.write("head", "seal 1009\nopen 1900\nnew 7\n")
            code, text, _ = told(["instructions", base, head])
            self.assertEqual(code, 0)
            for word in ("+0.90 %", "-5.00 %", "new", "only in base: old"):
                self.assertIn(word, text)
            code, text, _ = told(["instructions", base, head, "--limit", "0.5"])
            self.assertEqual(code, 1)
            self.assertIn("more than 0.5 % dearer: seal", text)
            for bad in ("seal\n", ""):
                self.assertEqual(told(["instructions", base, folder.write("x", bad)])[0], 2)

    def test_callgrinds_total_is_read(self):
        self.assertEqual(benchmarks.callgrind_total("events: Ir\nfn=a\n1 2\n\ntotals: 123456\n"), 123456)
        self.assertEqual(benchmarks.callgrind_total("summary: 99 1\ntotals: 99\n"), 99)
        for text in ("", "events: Ir\n", "summary: 0\n"):
            with self.assertRaises(benchmarks.Wrong):
                benchmarks.callgrind_total(text)


if __name__ == "__main__":
    unittest.main()
