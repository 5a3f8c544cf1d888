"""Programs of others that SIGTERM or Ctrl-C ends while a request is on its way: as on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import signal
import smtplib
import socket

import pytest

from helpers import receive_all, wait_until
from peers import DEADLINE
from services import needs_package, said, wait_until_refused

LISTENING = r"(?:listening on |http://)([\d.]+):(\d+)"
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)

UVICORN = ("-m", "uvicorn", "asgi:app", "--loop", "LOOP", "--port", "0")
#: Servers of HTTP, by the package that they need.
HTTP = {
    "uvicorn": UVICORN,
    "hypercorn": ("hypercorn_app.py",),
    "aiohttp": ("aiohttp_app.py",),
}


def both(outcome, tmp_path):
    """What came of it on our loop; it must be what comes of it on asyncio's."""
    ours, asyncios = (outcome(name, tmp_path / name) for name in ("asynctcp", "asyncio"))
    assert ours == asyncios
    return ours


def address_of(server):
    found = server.wait_for(LISTENING)
    return found[1], int(found[2])


@pytest.mark.parametrize("name", HTTP)
@SIGNALS
@needs_package("aiohttp", "fastapi", "hypercorn", "uvicorn")
def test_request_on_its_way_is_answered_before_the_server_ends(children, tmp_path, name, number):
    def outcome(loop_name, file):
        server = children.start(*HTTP[name], loop_name=loop_name)
        address = address_of(server)
        client = http.client.HTTPConnection(*address, timeout=DEADLINE)
        with contextlib.closing(client):
            client.request("GET", f"/slow?file={file}")
            server.wait_for("begun")
            server.process.send_signal(number)
            wait_until_refused(address)
            file.touch()
            response = client.getresponse()
            answer = response.status, response.read(), response.getheader("connection")
            return answer, server.wait(), said(server)

    answer, status, output = both(outcome, tmp_path)
    assert answer[:2] == (200, b"done")
    assert status == (-number if name == "uvicorn" and number == signal.SIGTERM else 0)
    assert "ended" in output
    assert "Traceback" not in output


@needs_package("websockets")
def test_message_on_its_way_is_answered_before_a_server_of_websockets_ends(children, tmp_path):
    from websockets.sync.client import connect

    def outcome(loop_name, file):
        server = children.start("websockets_app.py", loop_name=loop_name)
        address = address_of(server)
        with connect("ws://{}:{}".format(*address)) as client:
            client.send(str(file))
            server.wait_for("begun")
            server.process.terminate()
            wait_until_refused(address)
            file.touch()
            return client.recv(timeout=DEADLINE), server.wait(), said(server)

    answer, status, output = both(outcome, tmp_path)
    assert (answer, status) == ("done", 0)
    assert output.splitlines()[-1] == "ended"


@needs_package("aiosmtpd")
def test_letter_on_its_way_is_taken_before_a_server_of_aiosmtpd_ends(children, tmp_path):

    def outcome(loop_name, file):
        server = children.start("smtp_app.py", file, loop_name=loop_name)
        address = address_of(server)
        with smtplib.SMTP(*address, timeout=DEADLINE) as client:
            client.ehlo("here")
            client.mail("me@example.org")
            client.rcpt("you@example.org")
            client.docmd("DATA")
            client.send(b"hello\r\n.\r\n")
            server.wait_for("begun")
            server.process.terminate()
            wait_until_refused(address)
            file.touch()
            answer = client.getreply()
        return answer, server.wait(), said(server)

    answer, status, output = both(outcome, tmp_path)
    assert (answer, status) == ((250, b"taken"), 0)
    assert output.splitlines()[-2:] == ["N done you@example.org", "ended"]


# --- clients ------------------------------------------------------------------------------------------------


class Lock:
    """Has a question wait for a lock of PostgreSQL's."""

    def __init__(self, address, _file):
        import asyncpg

        self._loop = asyncio.SelectorEventLoop()
        self._connection = self._do(asyncpg.connect("postgres://postgres@{}:{}/".format(*address)))
        self._do(self._connection.execute("select pg_advisory_lock(17)"))

    def _do(self, coroutine):
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, DEADLINE))

    def wait_for_question(self):
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        wait_until(lambda: self._do(self._connection.fetchval(waiting)))

    def release(self):
        self._do(self._connection.execute("select pg_advisory_unlock(17)"))

    def close(self):
        self._do(self._connection.close())
        self._loop.close()


class File:
    """Has it wait for a file."""

    def __init__(self, _address, file):
        self._file = file

    def wait_for_question(self):
        """The child says it itself."""

    def release(self):
        self._file.touch()

    def close(self):
        """Nothing is open."""


class List(File):
    """Has it wait for an entry of a list of Redis'."""

    def __init__(self, address, file):
        super().__init__(address, file)
        self._address = address

    def wait_for_question(self):
        """Wait until the server has it."""
        blocked = rf"name={self._file} .*flags=b "
        wait_until(lambda: re.search(blocked, self._ask("CLIENT LIST")))

    def release(self):
        self._ask(f"RPUSH {self._file} done")

    def _ask(self, command):
        with socket.create_connection(self._address, DEADLINE) as raw:
            raw.sendall(f"{command}\r\nQUIT\r\n".encode())
            return receive_all(raw).decode()


@pytest.fixture
def slow_server(children):
    """Address of a server of HTTP."""
    return address_of(children.start("aiohttp_app.py", loop_name="asyncio"))


@pytest.fixture
def check(children, tmp_path):
    """Let a client of ``kind`` have a question on its way, send the signal, and see how it ends."""

    def check(kind, address, hold, number):
        def outcome(loop_name, file):
            with contextlib.closing(hold(address, file)) as held:
                worker = children.start("worker.py", kind, *map(str, address), file, loop_name=loop_name)
                worker.wait_for("begun")
                held.wait_for_question()
                worker.process.send_signal(number)
                if number == signal.SIGTERM:
                    worker.wait_for("stopping")
                    held.release()
                return worker.wait(), said(worker)

        status, output = both(outcome, tmp_path)
        lines = output.splitlines()
        if number == signal.SIGTERM:
            assert (status, lines) == (0, ["begun", "stopping", "done", "closed"])
        else:
            assert (status, lines[:2], lines[-1]) == (-number, ["begun", "closed"], "KeyboardInterrupt")

    return check


@SIGNALS
@needs_package("asyncpg")
def test_signal_while_asyncpg_waits_for_an_answer(check, postgres_server, number):
    check("asyncpg", postgres_server, Lock, number)


@SIGNALS
@needs_package("redis")
def test_signal_while_redis_py_waits_for_an_answer(check, redis_server, number):
    check("redis", redis_server, List, number)


@SIGNALS
@needs_package("nats")
def test_signal_while_nats_py_has_a_request_to_answer(check, nats_server, number):
    check("nats", nats_server, File, number)


@SIGNALS
@needs_package("aiohttp")
def test_signal_while_aiohttps_client_waits_for_an_answer(check, slow_server, number):
    check("aiohttp", slow_server, File, number)
