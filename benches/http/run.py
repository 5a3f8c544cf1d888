#!/usr/bin/env python3
"""Let wrk ask a small HTTP server on asynctcp and on its peers, interleaved, and print a table.

    make bench-http                               5 rounds of 2 seconds, two parsers
    make bench-http ARGS="--rounds 3 --seconds 1 --libraries asynctcp,uvloop"

wrk has one thread and 100 connections. Where it is near 100 % of a CPU it is the limit, and the server's CPU
time for each request decides.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "peers"))
from measure import Failed, running  # noqa: E402 - beside this directory

CONNECTIONS = 100
PARSERS = ("hello", "httptools")
BASELINE = "uvloop"


def cpu_seconds(pid):
    """Of all threads of a process."""
    stats = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(fields[0]) for fields in stats) / 1e9


def ask(port, seconds):
    """Run wrk; return its requests, its requests a second, and the CPU seconds that it took."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
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


def measure(library, parser, seconds):
    """One run: requests a second, the server's CPU µs for each, and wrk's share of a CPU."""
    command = [sys.executable, str(HERE / "serve.py"), library, parser]
    with running(command, None, {}) as server:
        port = server.first_line()
        before = cpu_seconds(server.pid)
        requests, rate, load = ask(port, seconds)
        return rate, 1e6 * (cpu_seconds(server.pid) - before) / requests, 100 * load / seconds


def table(parser, runs):
    """Lines of Markdown: medians, and the range of the rate."""
    medians = {
        library: [statistics.median(column) for column in zip(*of, strict=True)]
        for library, of in runs.items()
    }
    base = medians.get(BASELINE)
    yield f"| {parser} | requests/s | to {BASELINE} | range | µs of CPU | to {BASELINE} | wrk's CPU |"
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
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed")
    libraries = options.libraries.split(",")
    runs = {kind: {library: [] for library in libraries} for kind in PARSERS}
    for number in range(1, options.rounds + 1):
        for kind in PARSERS:
            for library in libraries:
                runs[kind][library].append(measure(library, kind, options.seconds))
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    for kind in PARSERS:
        print("\n".join(table(kind, runs[kind])), end="\n\n")


if __name__ == "__main__":
    main()
