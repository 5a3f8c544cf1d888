"""The servers that the libraries are clients of, and the children that are run on a loop of one's choice."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import wait_until
from loops import FACTORIES
from peers import DEADLINE, LOOPBACK, Program, reserved_port

APPS = Path(__file__).parent / "apps"


def needs_package(*names):
    """Mark a test of packages; it is skipped where one is not installed."""
    missing = [name for name in names if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)} (make programs)")


def newest_postgres():
    """Folder of PostgreSQL's programs, which Debian has on nobody's PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).parent if found else None


@contextlib.contextmanager
def postgres(pem):
    """Yield the address of a PostgreSQL that keeps nothing and trusts everybody."""
    programs = newest_postgres()
    if programs is None:
        pytest.skip("not installed: PostgreSQL")
    # It does not run as root, and its user may not look into a test's folder.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as name, reserved_port() as port:
        folder = Path(name)
        data = folder / "data"
        (folder / "server.pem").write_bytes(pem)
        (folder / "server.pem").chmod(0o600)
        if user:
            for path in (folder, folder / "server.pem"):
                shutil.chown(path, user)
        run = {"user": user, "cwd": folder}
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]
        subprocess.run(initdb, check=True, capture_output=True, timeout=60, **run)
        options = {
            "fsync": "off",
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": folder,
            "ssl": "on",
            "ssl_cert_file": folder / "server.pem",
            "ssl_key_file": folder / "server.pem",
        }
        said = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        with Program(programs / "postgres", "-D", data, "-p", port, *said, **run) as program:
            program.wait_for("ready to accept connections", timeout=60)
            yield LOOPBACK, port
            # Its gentle end waits for clients.
            program.process.kill()


@contextlib.contextmanager
def nats():
    """Yield the address of a NATS server."""
    program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("not installed: nats-server")
    with reserved_port() as port, Program(program, "-a", LOOPBACK, "-p", port) as server:
        server.wait_for("Server is ready")
        yield LOOPBACK, port


class Children:
    """Programs that run on a loop of one's choice, as children."""

    def __init__(self):
        self._started = []

    def start(self, *command, loop_name):
        """Run Python with these arguments; a name of ``apps`` is its path, ``LOOP`` the loop's factory."""
        factory = FACTORIES[loop_name]
        words = [factory if word == "LOOP" else word for word in command]
        if words[0].endswith(".py"):
            words[:1] = [APPS / words[0], factory]
        self._started.append(Program(sys.executable, "-u", *words, cwd=APPS))
        return self._started[-1]

    def close(self):
        for program in self._started:
            program.close()


def said(program):
    """What it printed, without what differs in each run: numbers, the loop, a traceback's frames."""
    lines = [line for line in program.output.splitlines() if not line.startswith(" ")]
    return re.sub(r"\d+", "N", "\n".join(lines)).replace("asynctcp", "asyncio")


def is_refused(address):
    """Whether nobody listens there (any more)."""
    with socket.socket() as raw:
        return raw.connect_ex(address) != 0


def wait_until_refused(address):
    """Wait until nobody listens there any more."""
    wait_until(lambda: is_refused(address), DEADLINE)
