#!/usr/bin/env python3
"""Let wrk ask a small HTTP server on asynctcp and on its peers, interleaved, and print a table.

    make bench-http                               5 rounds of 2 seconds, two parsers and two frameworks
    make bench-http ARGS="--rounds 3 --seconds 1 --libraries asynctcp,uvloop --kinds uvicorn --json FILE"

wrk has one thread and 100 connections. Where it is near 100 % of a CPU it is the limit, and the server's CPU
time for each request decides. Servers have CPU 0 and wrk CPU 1, and glibc is told to keep its heap, for all
alike.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))
from measure import Failed, running  # noqa: E402 - beside this directory
from subjects import KEEP_HEAP  # noqa: E402
from summary import machine  # noqa: E402

CONNECTIONS = 100
KINDS = ("hello", "httptools", "uvicorn", "aiohttp")
SERVER_CPU, WRK_CPU = 0, 1
BASELINE = "uvloop"


def cpu_seconds(pid):
    """Of all threads of a process."""
    stats = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(fields[0]) for fields in stats) / 1e9


def ask(port, seconds):
    """Run wrk; return its requests, its requests a second, and the CPU seconds that it took."""
    command = [
        "taskset",
        "-c",
        str(WRK_CPU),
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        f"http://127.0.0.1:{port}/",
    ]
    timed = subprocess.run(
        [sys.executable, "-c", TIMED, *command], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in timed.stdout or "Socket errors" in timed.stdout:
        raise Failed(timed.stdout)
    requests = int(re.search(r"(\d+) requests in", timed.stdout)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", timed.stdout)[1])
    return requests, rate, float(timed.stderr)


TIMED = """
import resource, subprocess, sys
print(subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True).stdout)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.stderr.write(str(used.ru_utime + used.ru_stime))
"""


def measure(library, kind, seconds):
    """One run: requests a second, the server's CPU µs for each, and wrk's share of a CPU."""
    command = [sys.executable, str(HERE / "serve.py"), library, kind]
    with running(command, SERVER_CPU, KEEP_HEAP) as server:
        port = server.first_line()
        ask(port, 1)  # to warm up
        before = cpu_seconds(server.pid)
        requests, rate, load = ask(port, seconds)
        return rate, 1e6 * (cpu_seconds(server.pid) - before) / requests, 100 * load / seconds


def table(kind, runs):
    """Lines of Markdown: medians, and the range of the rate."""
    medians = {
        library: [statistics.median(column) for column in zip(*of, strict=True)]
        for library, of in runs.items()
    }
    base = medians.get(BASELINE)
    yield f"| {kind} | requests/s | to {BASELINE} | range | µs of CPU | to {BASELINE} | wrk's CPU |"
    yield "|---|--:|--:|---|--:|--:|--:|"
    for library, (rate, cpu, load) in medians.items():
        rates = [run[0] for run in runs[library]]
        by_rate, by_cpu = (f"{rate / base[0]:.2f}", f"{cpu / base[1]:.2f}") if base else ("-", "-")
        span = f"{min(rates):,.0f} to {max(rates):,.0f}"
        yield f"| {library} | {rate:,.0f} | {by_rate} | {span} | {cpu:.2f} | {by_cpu} | {load:.0f} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of one run (%(default)s)")
    parser.add_argument(
        "--libraries", default="asynctcp,uvloop,rloop,asyncio", help="asyncio's interface but for ours"
    )
    parser.add_argument("--kinds", default=",".join(KINDS), help="parsers and frameworks (%(default)s)")
    parser.add_argument("--json", type=Path, help="where to write all runs")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed")
    libraries = options.libraries.split(",")
    kinds = options.kinds.split(",")
    runs = {kind: {library: [] for library in libraries} for kind in kinds}
    for number in range(1, options.rounds + 1):
        for kind in kinds:
            for library in libraries:
                runs[kind][library].append(measure(library, kind, options.seconds))
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    for kind in kinds:
        print("\n".join(table(kind, runs[kind])), end="\n\n")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
