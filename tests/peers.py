"""Real programs at the other end: the examples, redis, nginx. Each is a child process that its starter ends.

A program is ready when it prints that it is, and each wait has a deadline.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from idle import wait_until_idle

#: Seconds after which anything that is waited for has failed.
DEADLINE = 20.0
LOOPBACK = "127.0.0.1"
EXAMPLES = Path(__file__).parents[1] / "examples"
MIB = 1 << 20


def find(program):
    """Path of an installed program or None. nginx is often where only root's PATH looks."""
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")


def needs(*programs):
    """Mark a test that talks to ``programs``; it is skipped where one is not installed."""
    import pytest

    missing = [program for program in programs if find(program) is None]

    def mark(test):
        skip = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
        return pytest.mark.peer(skip(test))

    return mark


#: What socat is to be started with if its other address is PIPE: with larger blocks than a pipe's page it
#: can wait for ever for room in its own pipe.
BY_PAGES = "-b4096"


class Program:
    """A child process. Its output, errors included, is read by a thread, so that it never waits for us."""

    def __init__(self, *command, cwd=None, user=None, env=None):
        self.name = Path(command[1] if command[0] == sys.executable else command[0]).name
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            user=user,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._lines = []
        self._ended = False
        self._news = threading.Condition()  # guards the two above: the reader appends, the waiting one looks
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def pid(self):
        return self.process.pid

    @property
    def output(self):
        """All that it has printed so far."""
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern, *, after=0, timeout=DEADLINE):
        """Return the match of ``pattern`` in the first line that has one, from line number ``after`` on."""
        deadline = time.monotonic() + timeout
        at = after
        with self._news:
            while True:
                while at < len(self._lines):
                    if found := re.search(pattern, self._lines[at]):
                        return found
                    at += 1
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    what = "ended" if self._ended else "is silent"
                    raise AssertionError(f"{self.name} {what}; no {pattern!r} in {''.join(self._lines)!r}")
                self._news.wait(left)

    def lines(self):
        """How many lines it has printed: ``after`` for what is to come."""
        with self._news:
            return len(self._lines)

    def wait(self, timeout=DEADLINE):
        """Wait for its end, and for all of its output; return its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def interrupt(self):
        """Do what Ctrl-C does, once it is idle; return the exit status."""
        wait_until_idle(self.pid)
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def memory(self, field="VmHWM"):
        """Bytes of resident memory: the peak, or with ``VmRSS`` what it has now."""
        return self._status(field) * 1024

    def threads(self):
        return self._status("Threads")

    def descriptors(self):
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _status(self, field):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s*(\d+)", text, re.MULTILINE)[1])

    def close(self):
        """End it, gently if it lets us."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Example(Program):
    """A running example; `address` is where it listens."""

    def __init__(self, name, *arguments):
        super().__init__(sys.executable, EXAMPLES / f"{name}.py", "--port", "0", *arguments)
        try:
            found = self.wait_for(r"listening on (\S+):(\d+)")
        except AssertionError:
            self.close()
            raise
        self.address = (found[1], int(found[2]))

    def connect(self, timeout=DEADLINE):
        return socket.create_connection(self.address, timeout)


def run_example(name, *arguments):
    """Run an example to its end; return what `subprocess.run` gives, with texts."""
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@contextlib.contextmanager
def reserved_port():
    """Yield a free port that nobody else is given meanwhile, for a program that cannot take port 0.

    Linux lets the program bind to it nevertheless: both say SO_REUSEADDR, and this socket does not listen.
    """
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        raw.bind((LOOPBACK, 0))
        yield raw.getsockname()[1]


@contextlib.contextmanager
def redis(directory):
    """Yield the address of a redis of our own, which keeps nothing."""
    with reserved_port() as port:
        command = [find("redis-server"), "--bind", LOOPBACK, "--port", port, "--dir", directory]
        with Program(*command, "--save", "", "--appendonly", "no", "--daemonize", "no") as program:
            program.wait_for("Ready to accept connections")
            yield LOOPBACK, port


NGINX = """
daemon off;
pid {directory}/nginx.pid;
error_log stderr notice;
worker_processes 1;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{ listen {host}:{port}; root {directory}; }}
}}
"""


@contextlib.contextmanager
def nginx(directory):
    """Yield the address of an nginx of our own, which serves the files of ``directory``."""
    with reserved_port() as port:
        # The worker of a root nginx would be someone else, who may not look into a test's directory.
        user = "user root;" if os.geteuid() == 0 else ""
        config = Path(directory, "nginx.conf")
        config.write_text(NGINX.format(directory=directory, user=user, host=LOOPBACK, port=port))
        with Program(find("nginx"), "-p", directory, "-e", "stderr", "-c", config) as program:
            program.wait_for("start worker process ")
            yield LOOPBACK, port


def make_file(path, size):
    """Write ``size`` random bytes (whole MiB), the same each time; return their SHA-256."""
    digest = hashlib.sha256()
    source = random.Random(size)
    with Path(path).open("wb") as file:
        for _ in range(size // MIB):
            block = source.randbytes(MIB)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def hash_of(url, *options, timeout=DEADLINE):
    """Let curl fetch ``url``; return the SHA-256 of what came."""
    command = [find("curl"), "--silent", "--show-error", "--fail", *options, url]
    digest = hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        watchdog = threading.Timer(timeout, curl.kill)
        watchdog.start()
        try:
            while block := curl.stdout.read(MIB):
                digest.update(block)
            status = curl.wait()
        finally:
            watchdog.cancel()
    assert status == 0, f"curl {url} ended with {status}"
    return digest.hexdigest()


def run(program, *arguments, stdin=None, timeout=DEADLINE):
    """Run a client program to its end; return what it printed. Its status must be 0."""
    done = subprocess.run(
        [find(program), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{program} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def receive(raw, size):
    """Read exactly ``size`` bytes."""
    data = bytearray()
    while len(data) < size:
        piece = raw.recv(min(size - len(data), MIB))
        assert piece, f"the stream ended after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


def receive_all(raw):
    """Read until the stream ends."""
    pieces = []
    while piece := raw.recv(MIB):
        pieces.append(piece)
    return b"".join(pieces)


def transfer(sender, receiver, data, *, half_close=False):
    """Send ``data`` in a thread; return as much of what comes, or with ``half_close`` all of the stream."""

    def send():
        sender.sendall(data)
        if half_close:
            sender.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    came = receive_all(receiver) if half_close else receive(receiver, len(data))
    thread.join(DEADLINE)
    assert not thread.is_alive()
    return came


def fill(raw, piece, most):
    """Send ``piece`` again and again until nobody takes more for a second, or ``most`` bytes are sent."""
    raw.settimeout(1)
    sent = 0
    try:
        while sent < most:
            sent += raw.send(piece)
    except TimeoutError:
        pass
    raw.settimeout(DEADLINE)
    return sent


def exchange(raw, data, *, half_close=False):
    """Send ``data`` over ``raw`` and return what comes back over it."""
    return transfer(raw, raw, data, half_close=half_close)


def redis_benchmark(address, requests, tests, *, timeout=DEADLINE):
    """Run redis-benchmark with 50 clients that pipeline 16 commands; return test -> requests per second."""
    options = ["-n", requests, "-c", 50, "-P", 16, "-t", tests, "-e", "--csv"]
    text = run("redis-benchmark", "-h", address[0], "-p", address[1], *options, timeout=timeout)
    return {row["test"]: float(row["rps"]) for row in csv.DictReader(text.splitlines())}


def redis_counts(address):
    """Ask redis itself how many commands it has had, and how many it answered with an error."""
    with socket.create_connection(address, DEADLINE) as raw:
        raw.sendall(b"INFO stats\r\nQUIT\r\n")
        text = receive_all(raw).decode()
    names = ("total_commands_processed", "total_error_replies")
    return [int(re.search(rf"^{name}:(\d+)", text, re.MULTILINE)[1]) for name in names]


def wrk(url, connections, seconds, *, timeout=None):
    """Run wrk; return its number of requests, of errors of all kinds, and requests per second."""
    text = run("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url, timeout=timeout or seconds + DEADLINE)
    errors = 0
    if found := re.search(r"Socket errors: (.*)", text):
        errors += sum(map(int, re.findall(r"\d+", found[1])))
    if found := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        errors += int(found[1])
    return (
        int(re.search(r"(\d+) requests in", text)[1]),
        errors,
        float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1]),
    )
