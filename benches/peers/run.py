#!/usr/bin/env python3
"""Run the same echo server on asynctcp and its peers, interleaved, and write tables, JSON and plots.

    make bench                everything, about an hour; into docs/figures and docs/performance.md
    make bench ARGS=--quick   a part of it, two minutes; into target/bench
    make bench ARGS="--scenarios 100x1k,10x64k --subjects asynctcp,uvloop,epoll"
    make bench ARGS="--from docs/figures/results.json"    draws again what was measured

Only a run of everything writes into docs/, unless --out says where to.
"""

import argparse
import json
import resource
import statistics
import sys
from pathlib import Path

import measure
import plots
import summary
import tables
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scenarios import REFERENCE, SCENARIOS, Scenario
from subjects import ALL, BASELINE, LOADGEN, OURS, SUBJECTS, Subject

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRATCH = ROOT / "target" / "bench"
#: Rate of the paced scenarios where the baseline was not measured.
FALLBACK_RATE = 20_000
#: Descriptors that 10,000 connections need, with room.
DESCRIPTORS = 12_000


class Bench:
    """A run: its scenarios and subjects, and what came of them so far."""

    def __init__(
        self, scenarios: list[Scenario], subjects: list[Subject], options: argparse.Namespace
    ) -> None:
        self.scenarios = scenarios
        self.subjects = subjects
        self.options = options
        self.window = ["--seconds", str(options.seconds), "--warmup", str(options.warmup)]
        self.rounds_of_work = {
            scenario.work_us: measure.rounds_for(scenario.work_us) for scenario in scenarios
        }
        self.runs: list[dict] = []
        self.shared_rate = options.rate

    def go(self, log: Path) -> None:
        """All rounds; each run goes to ``log`` at once."""
        total = self.options.rounds * len(self.scenarios) * len(self.subjects)
        columns = (
            TextColumn("{task.description:40}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress, log.open("w") as lines:
            bar = progress.add_task("", total=total)
            for number in range(1, self.options.rounds + 1):
                for scenario in self.scenarios:
                    for subject in self.subjects:
                        progress.update(bar, description=f"{number}: {scenario.name}, {subject.name}")
                        if run := self.one(number, scenario, subject):
                            self.runs.append(run)
                            lines.write(json.dumps(run) + "\n")
                            lines.flush()
                            if "error" in run:
                                progress.console.print(f"{scenario.name}, {subject.name}: {run['error']}")
                        progress.advance(bar)

    def one(self, number: int, scenario: Scenario, subject: Subject) -> dict | None:
        run: dict = {"round": number, "scenario": scenario.name, "subject": subject.name}
        rounds = self.rounds_of_work[scenario.work_us]
        try:
            report = measure.measure(scenario, subject, rounds, self.rate(scenario), self.window)
        except measure.Failed as error:
            return {**run, "error": str(error)}
        return {**run, "report": report} if report else None

    def rate(self, scenario: Scenario) -> float | None:
        """The paced scenarios' requests a second: one rate for all subjects and rounds."""
        if scenario.share is None:
            return scenario.rate
        if self.shared_rate is None:
            highest = [
                run["report"]["rate"]
                for run in self.runs
                if (run["scenario"], run["subject"]) == (REFERENCE, BASELINE) and "report" in run
            ]
            self.shared_rate = scenario.share * statistics.median(highest) if highest else FALLBACK_RATE
        return self.shared_rate

    def saved(self) -> dict:
        options = {
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "open_rate": self.shared_rate,
        }
        return {"machine": summary.machine(), "options": options, "results": summary.summarize(self.runs)}


def write(saved: dict, out: Path) -> str:
    """Write JSON, tables and plots to ``out``; return the tables."""
    out.mkdir(parents=True, exist_ok=True)
    results = summary.Results(saved)
    text = tables.overview(results)
    head = {name: saved[name] for name in ("machine", "options")}
    rows = ",\n".join(json.dumps(row) for row in saved["results"])
    (out / "results.json").write_text(f'{json.dumps(head)[:-1]},\n"results": [\n{rows}\n]}}\n')
    (out / "results.md").write_text(text)
    plots.draw(results, out)
    return text


def publish(text: str) -> None:
    page = DOCS / "performance.md"
    page.write_text(tables.replace_block(page.read_text(), text))


def chosen(parser: argparse.ArgumentParser, names: str | None, known: dict, usual: dict) -> list:
    if names is None:
        return list(usual.values())
    if unknown := [name for name in names.split(",") if name not in known]:
        parser.error(f"{', '.join(unknown)}: none of {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def parse() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few scenarios, one round of half a second")
    parser.add_argument("--scenarios", help="only these, with commas")
    parser.add_argument("--subjects", help="only these, with commas")
    parser.add_argument("--rounds", type=int, help="runs of each subject in each scenario (5; quick: 1)")
    parser.add_argument("--seconds", type=float, help="measured time of one run (1; quick: 0.5)")
    parser.add_argument("--warmup", type=float, default=0.3, help="time before it (%(default)s)")
    parser.add_argument("--rate", type=float, help="of the open loop; else a share of the baseline's")
    parser.add_argument("--out", type=Path, help="where to write to")
    parser.add_argument(
        "--from", dest="saved", type=Path, help="a results.json to draw again; nothing is run"
    )
    parser.add_argument("--list", action="store_true", help="list scenarios and subjects")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0.5 if options.quick else 1)
    return parser, options


def show_list() -> None:
    for name, scenario in SCENARIOS.items():
        print(f"{name:14} {scenario.title}{' (quick)' if scenario.quick else ''}")
    print("\nsubjects:", ", ".join(SUBJECTS), "; when asked for:", ", ".join(set(ALL) - set(SUBJECTS)))


def raise_descriptor_limit() -> None:
    """The children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def main() -> int:
    parser, options = parse()
    if options.list:
        show_list()
        return 0
    usual = {name: scenario for name, scenario in SCENARIOS.items() if scenario.quick or not options.quick}
    scenarios = chosen(parser, options.scenarios, SCENARIOS, usual)
    subjects = chosen(parser, options.subjects, ALL, SUBJECTS)
    is_whole = len(scenarios) == len(SCENARIOS) and {subject.name for subject in subjects} >= set(SUBJECTS)
    if options.saved:
        saved = json.loads(options.saved.read_text())
        out = options.out or options.saved.parent
    else:
        if not LOADGEN.exists():
            parser.error("loadgen is not built: `make bench` builds it")
        raise_descriptor_limit()
        SCRATCH.mkdir(parents=True, exist_ok=True)
        bench = Bench(scenarios, subjects, options)
        bench.go(SCRATCH / "runs.jsonl")
        saved = bench.saved()
        out = options.out or (DOCS / "figures" if is_whole else SCRATCH)
    text = write(saved, out)
    if out.resolve() == DOCS / "figures":
        publish(text)
    print(text)
    print(f"written to {out}", file=sys.stderr)
    return int(any(row["subject"] == OURS and "errors" in row for row in saved["results"]))


if __name__ == "__main__":
    sys.exit(main())
