#!/usr/bin/env python3
"""Run the figures of benches/faults one after another, print the table, and exit with 1 if one falls short.

    make reliability                                  all of them, at full scale
    make reliability ARGS="--scale quick"             the same with small n
    make reliability ARGS="emfile fork"               some of them
    make reliability ARGS="--servers asyncio,uvloop"  asynctcp beside peers, as a Markdown table
    make reliability ARGS="--server asynctcp-aio"     asyncio's protocols on our loop (else both faces)

Peers are installed by `pip install -r benches/faults/requirements.txt`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FAULTS = Path(__file__).parents[1] / "benches" / "faults"
OURS = "asynctcp"
#: Our other face: asyncio's protocols on `asynctcp.aio`.
OURS_AIO = "asynctcp-aio"
#: What the table says where a server has nothing like it.
NOTHING = "\N{EN DASH}"
#: Seconds after which a figure that has not ended has failed.
PATIENCE = 900

#: In the order of the table; each is a script of benches/faults.
FIGURES = [
    "exit",
    "terminal_events",
    "firehose",
    "hostile_handshakes",
    "emfile",
    "trailing_bytes",
    "fork",
    "leak",
    "interrupt",
    "raising",
    "dead_reader",
    "reentrancy",
    "threads",
    "write_callbacks",
    "close_flushes",
    "half_close",
    "write_timeout",
    "sigpipe",
    "stuck_lookups",
    "snapshots",
    "ping_beside_firehose",
    "backlog",
    "cycles",
    "handles",
    "injected_faults",
    "odd_values",
    "soak",
]

#: Those that asyncio's interface lets a loop promise. Of the others: programs choose the backlog, Python
#: joins the executor's threads at exit, a forked child may go on with a connection that the parent closes.
FIGURES_AIO = [
    "exit",
    "firehose",
    "emfile",
    "trailing_bytes",
    "leak",
    "interrupt",
    "raising",
    "dead_reader",
    "close_flushes",
    "half_close",
    "sigpipe",
    "ping_beside_firehose",
    "handles",
]


def run(figure, server, scale):
    """Run one script; return its rows."""
    with tempfile.TemporaryDirectory() as directory:
        rows = Path(directory, "rows")
        rows.touch()
        command = [
            sys.executable,
            FAULTS / f"{figure}.py",
            "--server",
            server,
            "--scale",
            scale,
            "--json",
            rows,
        ]
        error = None
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            if done.returncode and done.stderr:
                error = done.stderr.strip().splitlines()[-1]
        except subprocess.TimeoutExpired:
            error = f"not done after {PATIENCE} s"
        found = [json.loads(line) for line in rows.read_text().splitlines()]
    if error:
        found.append({"name": figure, "server": server, "n": 0, "figure": error, "limit": "", "ok": False})
    return found


def line(row):
    ok = {True: "ok", False: "FAILS", None: NOTHING}[row["ok"]]
    return f"{row['name']:52} | {row['n']:>9,} | {row['figure']:>20} | {row['limit']:>12} | {ok}"


def check(figures, scale, faces):
    """Print asynctcp's figures as they come; return how many fall short."""
    short = 0
    runs = [(OURS, figure) for figure in figures if OURS in faces]
    runs += [(OURS_AIO, figure) for figure in figures if OURS_AIO in faces and figure in FIGURES_AIO]
    for number, (face, figure) in enumerate(runs, 1):
        begun = time.monotonic()
        for row in run(figure, face, scale):
            if row["ok"] is None:
                continue
            short += row["ok"] is False
            row["name"] = ("aio: " if face == OURS_AIO else "") + row["name"]
            print(f"{number:2} {line(row)}", flush=True)
        print(f"   ({figure}.py: {time.monotonic() - begun:.0f} s)", file=sys.stderr, flush=True)
    print(f"{short} fall short" if short else "all figures are met")
    return short


def compare(figures, scale, servers):
    """Print a Markdown table with a column for each server; what falls short is bold."""
    print(f"| figure | n | limit | {' | '.join(servers)} |")
    print("|---" * (3 + len(servers)) + "|", flush=True)
    short = 0
    for figure in figures:
        cells: dict[str, dict[str, dict]] = {}
        for server in servers:
            for row in run(figure, server, scale):
                cells.setdefault(row["name"], {})[server] = row
                short += server == OURS and row["ok"] is False
        for name, by_server in cells.items():
            if all(row["ok"] is None for row in by_server.values()):
                continue
            any_row = next(iter(by_server.values()))
            texts = [cell(by_server.get(server)) for server in servers]
            print(f"| {name} | {any_row['n']:,} | {any_row['limit']} | {' | '.join(texts)} |", flush=True)
    return short


def cell(row):
    if row is None or row["ok"] is None:
        return NOTHING
    return row["figure"] if row["ok"] else f"**{row['figure']}**"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", metavar="figure", help="scripts of benches/faults; none: all")
    parser.add_argument(
        "--scale", default="full", choices=("quick", "full"), help="how large n is (%(default)s)"
    )
    parser.add_argument("--servers", help="peers to compare with, with commas")
    parser.add_argument("--server", choices=(OURS, OURS_AIO), help="one of our two faces; none: both")
    parser.add_argument("--list", action="store_true", help="list the figures")
    options = parser.parse_args()
    if options.list:
        print("\n".join(FIGURES))
        return 0
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    figures = options.figures or FIGURES
    system = f"{platform.system()} {platform.release()}"
    print(f"Python {platform.python_version()}, {system}, {os.cpu_count()} cores\n")
    if options.servers:
        return bool(compare(figures, options.scale, [OURS, *options.servers.split(",")]))
    return bool(check(figures, options.scale, [options.server] if options.server else [OURS, OURS_AIO]))


if __name__ == "__main__":
    sys.exit(main())
