"""The result: one document, as JSON and as tables."""

import json
import os
import platform
import sys

from figures import ratio, summary

BASE = "nginx"
NOISE_SHARE = 0.05  # of the server's core, used by others or stolen


def result_of(name, entry, base):
    runs = entry["runs"]
    figure = summary([run["figure"] for run in runs])
    return {
        "peer": name, "work": entry["work"], "figure": figure, "ratio_to_nginx": ratio(figure, base),
        "rate_per_s": summary([run["rate"] for run in runs if run.get("rate")]),
        "p99_ns": summary([run["p99_ns"] for run in runs if run.get("p99_ns") is not None]),
        "calm_p99_ns": summary([run["calm_p99_ns"] for run in runs if run.get("calm_p99_ns") is not None]),
        "server_share": summary([run["server_share"] for run in runs if run.get("server_share") is not None]),
        "noisy_runs": sum(run["others_share"] + run["stolen_share"] > NOISE_SHARE for run in runs),
        "runs": runs, "troubles": entry["troubles"], "left_out": entry["left_out"]}


def document(chosen, results, conditions, absent, cut, started, versions):
    scenarios = []
    for scenario in chosen:
        entries = results[scenario.name]
        base = summary([run["figure"] for run in entries.get(BASE, {"runs": []})["runs"]])
        scenarios.append({"name": scenario.name, "text": scenario.text, "figure": scenario.figure,
                          "results": [result_of(name, entries[name], base) for name in versions if name in entries]})
    return {"schema": "ktlsim-compare/1", "command_line": sys.argv, "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "host": {"kernel": f"{platform.system()} {platform.release()}", "cpu_model": cpu_model(),
                     "cores_online": os.cpu_count()},
            "terms": conditions, "versions": versions, "not_installed": absent, "cut_short": cut,
            "scenarios": scenarios}


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return next((line.split(": ", 1)[1].strip() for line in info if line.startswith("model name")), None)


def write_json(result, path):
    text = json.dumps(result, indent=2) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def number(value, digits=4):
    """Four digits that mean something."""
    if value is None:
        return "-"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def median_of(figure, scale=1.0):
    return number(figure["median"] * scale) if figure else "-"


def write_table(result, out):
    out.write(f"{result['host']['cpu_model']}, {result['host']['kernel']}; "
              f"{result['terms']['congestion_control']}, server on core {result['terms']['server_core']}\n")
    for scenario in result["scenarios"]:
        out.write(f"\n{scenario['name']}: {scenario['text']}\n")
        rows = [("", scenario["figure"], "least", "spread", "to nginx", "per s", "p99 us", "core", "n", "")]
        for entry in scenario["results"]:
            rows.append(row(entry))
        widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
        for cells in rows:
            line = "  ".join(cell.ljust(width) if i in (0, len(widths) - 1) else cell.rjust(width)
                             for i, (cell, width) in enumerate(zip(cells, widths)))
            out.write("  " + line.rstrip() + "\n")
    if any(entry["noisy_runs"] for scenario in result["scenarios"] for entry in scenario["results"]):
        out.write(f"\nnoise N: in N runs others used more than {NOISE_SHARE:.0%} of the server's core. "
                  "Compare on a machine that does nothing else.\n")
    out.write("\ncore: the server's share of its core; n: runs.\nper s: what generator and server reached together; "
              "where the generator's core is full it says nothing about the server.\n")


def row(entry):
    figure = entry["figure"]
    notes = []
    if entry["work"] == "forward" and entry["peer"] in ("stunnel", "hitch"):
        notes.append("forwards")
    if entry["calm_p99_ns"]:
        notes.append(f"without the flood {median_of(entry['calm_p99_ns'], 1e-3)}")
    if entry["noisy_runs"]:
        notes.append(f"noise {entry['noisy_runs']}")
    if entry["left_out"]:
        notes.append(entry["left_out"])
    if entry["troubles"]:
        notes.append(f"no figure in {len(entry['troubles'])}: {entry['troubles'][0][:60]}")
    share = entry["server_share"]
    return (entry["peer"], median_of(figure), number(figure["min"]) if figure else "-",
            f"{figure['spread']:.0%}" if figure else "-",
            f"{entry['ratio_to_nginx']:.2f}" if entry["ratio_to_nginx"] else "-", median_of(entry["rate_per_s"]),
            median_of(entry["p99_ns"], 1e-3), f"{share['median']:.0%}" if share else "-",
            str(figure["repeats"] if figure else 0), "; ".join(notes))


