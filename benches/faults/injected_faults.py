"""What the kernel seldom does, injected into the calls that send and receive.

Short calls, EAGAIN and EINTR lose no byte; ECONNRESET, EPIPE and ENOBUFS are one error, never a clean end of
a stream that was cut. A panic in a connection's task is one condition: its socket is closed, the others live.
Needs cargo: builds the library with the feature fault-injection, which no release build has.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from common import HERE, Server, allow_many_files, main, none_of

ROOT = HERE.parents[1]
#: How many of 10,000 receives panic.
PANICS = 300


#: Tests of tests/io_faults.rs, and what must not happen.
TESTS = {
    "short_and_interrupted_calls_lose_no_byte": "short calls, EAGAIN, EINTR: a byte lost",
    "a_fatal_fault_is_one_error_and_never_a_clean_end_of_a_cut_stream": "faults: neither whole nor one error",
}


def cargo(*arguments, **environment):
    """Run cargo in the project; return whether it succeeded, and what it printed."""
    library = sysconfig.get_config_var("LIBDIR") or ""
    environment = {"PYO3_PYTHON": sys.executable, "LD_LIBRARY_PATH": library, **os.environ, **environment}
    done = subprocess.run(
        ["cargo", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout


def transfers(n):
    """Yield the rows of transfers between two ends of the I/O side."""
    test = ("test", "--features=fault-injection", "--test=io_faults", "--")
    for name, what in TESTS.items():
        ok, printed = cargo(*test, "--exact", name, ASYNCTCP_TRANSFERS=str(n))
        if "running 1 test" not in printed:
            raise RuntimeError(printed[-2000:])
        yield none_of(f"injected {what}", n, 1 - ok)


def build(directory):
    """Put a package with the feature into ``directory``."""
    # Debug: a release build refuses. A directory of its own, as the module is not linked as the tests are.
    target = ROOT / "target" / "faults"
    build = ("build", "--lib", "--features=fault-injection", f"--target-dir={target}")
    ok, printed = cargo(*build, PYO3_BUILD_EXTENSION_MODULE="1")
    if not ok:
        raise RuntimeError(printed[-2000:])
    package = Path(directory, "asynctcp")
    shutil.copytree(ROOT / "python" / "asynctcp", package)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    shutil.copy(target / "debug" / "libasynctcp.so", package / f"_core{suffix}")


def echoed(raw):
    """Return whether a ping comes back."""
    try:
        raw.sendall(b"ping")
        return raw.recv(16) == b"ping"
    except ConnectionError:
        return False


def calm(child):
    """Stop the panics; the connection that says so may be hit itself."""
    while True:
        with child.connect() as raw:
            raw.sendall(b"calm")
            try:
                if raw.recv(16) == b"calm":
                    return
            except ConnectionError:
                pass


def panics(n):
    """Yield the rows of panics in a server of asynctcp."""
    allow_many_files()
    with tempfile.TemporaryDirectory() as directory:
        build(directory)
        with Server("asynctcp", "panicking", PANICS, environment={"PYTHONPATH": directory}) as child:
            clients = {raw.getsockname()[1]: raw for raw in (child.connect() for _ in range(n))}
            struck = {port for port, raw in clients.items() if not echoed(raw)}
            calm(child)
            told = [report for report in child.reports(n + 100, 1) if report["peer"] in clients]
            once = sorted(report["peer"] for report in told if report["error"] == "TcpError")
            yield none_of(
                "panic in a task: not told as one TcpError",
                len(struck),
                len(struck.symmetric_difference(once)) + len(told) - len(set(once)),
            )
            living = [raw for port, raw in clients.items() if port not in struck]
            died = sum(not echoed(raw) for raw in living)
            yield none_of("panic in a task: other connections that died", len(living), died)
            for raw in clients.values():
                raw.close()


def measure(_server, n):
    yield from transfers(n)
    yield from panics(min(n, 1000))


if __name__ == "__main__":
    main(measure, quick=300, full=10_000)
