"""The process ends at once and in silence, whatever is open.

That is: traffic, a server, a lookup that no one answers, a daemon thread that sits in the loop or in a
callback, `sys.exit` and an exception in a callback, SIGTERM, SIGINT. Each end has to have the right status,
nothing on standard error, and to take less than a second.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import ASYNCIO_LIKE, HERE, OURS, OURS_AIO, all_of, below, main, none_of, stuck_resolver

#: Programs of servers/exits_*.py, and the status that each has to end with.
STATUS = {
    "traffic": 0,
    "server": 0,
    "stuck_lookup": 0,
    "stuck_callback": 0,
    "sys_exit": 7,
    "exception": 5,
    "sigterm": -signal.SIGTERM,
    "sigterm_handled": 0,
    "sigint": 6,
}
#: asyncio keeps an exception of a callback to itself.
OURS_ONLY = {"exception"}
#: Python joins the threads of the executor in which a loop of asyncio's interface looks names up.
JOINED = {"stuck_lookup"}
PATIENCE = 10.0


def end(server, program, environment):
    """Run a program; return status, standard error, and the seconds from where it began to leave."""
    family = OURS if server == OURS else "asyncio"
    process = subprocess.Popen(
        [sys.executable, HERE / "servers" / f"exits_{family}.py", server, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        told, errors = process.communicate(timeout=PATIENCE)
        ended = time.monotonic()
    except subprocess.TimeoutExpired:
        return None, where_it_hangs(process), PATIENCE
    leaving = [json.loads(line)["leaving"] for line in told.splitlines()]
    return process.returncode, errors, ended - leaving[0] if leaving else 0.0


def where_it_hangs(process):
    """End a process; return what it told, where its threads are in the kernel, and their stacks in Python."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    threads = [
        ", ".join((task / what).read_text().strip() for what in ("comm", "wchan", "syscall"))
        for task in tasks
    ]
    process.send_signal(signal.SIGUSR2)
    try:
        told, errors = process.communicate(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        told, errors = process.communicate()
    return "\n".join([f"told {told!r}, threads:", *threads, errors])


def measure(server, n):
    left_out = set() if server == OURS else OURS_ONLY | JOINED if server == OURS_AIO else OURS_ONLY
    programs = [program for program in STATUS if program not in left_out]
    runs = [programs[number % len(programs)] for number in range(n)]
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(2) as pool:
        environment = stuck_resolver(directory)
        ends = list(pool.map(lambda program: end(server, program, environment), runs))
    right = noisy = 0
    for program, (status, errors, seconds) in zip(runs, ends, strict=True):
        right += status == STATUS[program]
        noisy += bool(errors)
        if status != STATUS[program] or errors or seconds >= 1:
            told = errors if status is None else (errors.strip().splitlines() or [""])[-1][:100]
            print(f"{program}: status {status} after {seconds:.2f} s {told}", file=sys.stderr)
    yield all_of("exit: right status", n, right)
    yield none_of("exit: something on standard error", n, noisy)
    yield below("exit: slowest", n, max(seconds for _, _, seconds in ends), 1, " s")


if __name__ == "__main__":
    main(measure, quick=36, full=300, peers=ASYNCIO_LIKE)
