"""From runs to medians and spreads: what results.json holds, and all that tables and plots are made of."""

import importlib.metadata
import os
import platform
import statistics
import sys
import time
from pathlib import Path

#: Figures of one run that are kept: smallest, median, largest.
FIGURES = ("rate", "cpu_us", "cpu", "load_cpu", "others_cpu", "peak_kib", "kib_each")
PACKAGES = ("asynctcp", "uvloop", "aiofastnet", "rloop", "gevent", "twisted")


def summarize(runs: list[dict]) -> list[dict]:
    """Return one row for each pair of scenario and subject, in the order of the runs."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for run in runs:
        groups.setdefault((run["scenario"], run["subject"]), []).append(run)
    return [row(scenario, subject, of) for (scenario, subject), of in groups.items()]


def row(scenario: str, subject: str, runs: list[dict]) -> dict:
    reports = [run["report"] for run in runs if "report" in run]
    errors = sorted({run["error"] for run in runs if "error" in run})
    made: dict = {"scenario": scenario, "subject": subject, "n": len(reports)}
    if errors:
        made["errors"] = errors
    for figure in FIGURES:
        values = [report[figure] for report in reports if figure in report]
        if values:
            made[figure] = [short(value) for value in (min(values), statistics.median(values), max(values))]
    latencies = [dict(report["latency_us"]) for report in reports if report.get("latency_us")]
    if latencies:
        made["latency_us"] = {
            f"{quantile:g}": short(statistics.median(latency[quantile] for latency in latencies))
            for quantile in latencies[0]
        }
    return made


def short(value: float) -> float:
    """Round to four figures: more is noise, and takes room in the repository."""
    return float(f"{value:.4g}")


def machine() -> dict:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "when": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "malloc": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
        "interpreter": sys.implementation.name,
    }


class Results:
    """The rows, by scenario and subject."""

    def __init__(self, saved: dict) -> None:
        self.saved = saved
        self.rows = {(row["scenario"], row["subject"]): row for row in saved["results"]}
        self.subjects = list(dict.fromkeys(subject for _, subject in self.rows))

    def spread(self, scenario: str, subject: str, figure: str) -> list[float] | None:
        """Return smallest, median and largest."""
        return self.rows.get((scenario, subject), {}).get(figure)

    def median(self, scenario: str, subject: str, figure: str) -> float | None:
        spread = self.spread(scenario, subject, figure)
        return spread[1] if spread else None

    def ratio(self, scenario: str, subject: str, to: str, figure: str = "rate") -> float | None:
        mine, other = self.median(scenario, subject, figure), self.median(scenario, to, figure)
        return mine / other if mine is not None and other else None

    def latency(self, scenario: str, subject: str) -> dict[float, float]:
        found = self.rows.get((scenario, subject), {}).get("latency_us", {})
        return {float(quantile): value for quantile, value in found.items()}
