"""Medians, minima, spreads and ratios; what the programs' outputs say."""

import json
import re
import statistics

from measure import Trouble


def summary(values):
    """Of repeats of one figure. The spread is (largest - least) / median: with five repeats nothing finer is honest."""
    values = sorted(values)
    if not values:
        return None
    median = statistics.median(values)
    return {"median": median, "min": values[0], "max": values[-1], "repeats": len(values),
            "spread": (values[-1] - values[0]) / median if median else 0.0}


def ratio(figure, base):
    """Of two summaries, by their medians; None where one of them is missing."""
    if not figure or not base or not base["median"]:
        return None
    return figure["median"] / base["median"]


def read_load(text):
    """What `ktlsim load --json -` measured: the last operation, and its window by the monotonic clock."""
    try:
        result = json.loads(text)
        operation = result["operations"][-1]
        window = result["measured_monotonic_ns"]
        latency = operation["latency_ns"]
        negotiated = operation["negotiated"] or {}
        return {
            "operations": operation["count"], "bytes": operation["bytes"], "seconds": operation["seconds"],
            "window_ns": (window["from"], window["until"]),
            "p50_ns": latency["p50"], "p99_ns": latency["p99"], "max_ns": latency["max"],
            "errors": operation["errors"], "error_texts": operation["error_texts"],
            "generator_cpu_ns": operation["client_cpu_ns"],
            "negotiated": [negotiated.get("tls_version"), negotiated.get("cipher_suite"), negotiated.get("group")],
            "reasons": [reason["reason"] for reason in result["reasons"]],
        }
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Trouble(f"ktlsim load's result cannot be read: {error!r}") from error


UNITS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}


def read_wrk(text):
    """What `wrk --latency` printed. Its percentiles leave out what was due while the server stalled."""
    requests = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h),", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not requests or not rate:
        raise Trouble("wrk's result cannot be read: " + " ".join(text[-300:].split()))
    percentiles = {share: float(value) * UNITS_NS[unit]
                   for share, value, unit in re.findall(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s|m|h)$", text, re.MULTILINE)}
    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {"operations": int(requests.group(1)), "rate": float(rate.group(1)),
            "seconds": float(requests.group(2)) * UNITS_NS[requests.group(3)] / 1e9,
            "p50_ns": percentiles.get("50"), "p99_ns": percentiles.get("99"),
            "errors": errors + (int(other.group(1)) if other else 0)}
