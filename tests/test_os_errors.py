"""What the system refuses: each error has its number, its text and its class."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import asynctcp
from asynctcp import EventLoop, TcpServerBindError, tcp_connect, tcp_server
from helpers import LOOPBACK, in_loop, run


@contextmanager
def descriptors_left(count):
    """Let the process open so many descriptors and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        taken = []
        held.callback(lambda: [os.close(one) for one in taken])
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        for _ in range(count):
            os.close(taken.pop())
        yield


def starved(count, call):
    """The error of ``call()`` with so many descriptors left, None if it succeeds."""
    with descriptors_left(count):
        try:
            call()
        except OSError as error:
            return error
    return None


def told(error):
    """Number and text of an error, which are those of the system."""
    assert isinstance(error, OSError)
    assert error.strerror.lower() == os.strerror(error.errno).lower()
    return error.errno


# --- no descriptor left -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "count"), [(LOOPBACK, 0), (LOOPBACK, 1), ("localhost", 0), ("localhost", 1)]
)
def test_server_without_descriptors_is_a_bind_error(host, count):
    error = in_loop(lambda: starved(count, lambda: tcp_server(host, 0, None)))
    assert isinstance(error, TcpServerBindError)
    assert told(error) == errno.EMFILE


def test_server_adopted_without_descriptors_is_a_bind_error():
    with socket.create_server((LOOPBACK, 0)) as raw:
        fd = raw.fileno()
        error = in_loop(lambda: starved(0, lambda: tcp_server(None, 0, None, fd=fd)))
    assert isinstance(error, TcpServerBindError)
    assert told(error) == errno.EMFILE


def test_os_socket_without_descriptors_tells_its_errno(peers):
    errors = []

    def use(ours, _raw):
        errors.append(starved(0, lambda: ours.c))
        ours.close()

    run(lambda: peers.link(use))
    assert told(errors[0]) == errno.EMFILE


@pytest.mark.parametrize("count", range(8))
def test_loop_without_descriptors_tells_its_errno(count):
    error = starved(count, lambda: asynctcp.start_event_loop(lambda: None))
    assert error is None or told(error) == errno.EMFILE


def test_pumped_loop_without_descriptors_tells_its_errno():
    loop = EventLoop()
    assert told(starved(0, loop.fileno)) == errno.EMFILE


# --- options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("idle", 32767), ("interval", 32767), ("count", 127)])
def test_keepalive_beyond_the_system_s_is_refused_at_the_call(name, most, peers):
    """Before there is a connection, and with the number that the system would give."""

    def start():
        ours = tcp_connect(*peers.address, None)
        ours.set_keepalive(True, **{name: most})
        with pytest.raises(OSError, match=f"{name} must be from 1 to {most}, not {most + 1}") as caught:
            ours.set_keepalive(True, **{name: most + 1})
        assert caught.value.errno == errno.EINVAL
        assert isinstance(caught.value, ValueError)
        ours.close()

    run(start)


def test_most_of_keepalive_is_taken_by_the_system(peers):
    seen = []

    def use(ours, _raw):
        ours.set_keepalive(True, idle=32767, interval=32767, count=127)
        seen.append(ours.c.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT))
        ours.close()

    run(lambda: peers.link(use))
    assert seen == [127]


# --- descriptors from outside -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "code", "what"),
    [
        (lambda: socket.socket(socket.AF_UNIX), errno.EINVAL, "a Unix socket"),
        (lambda: socket.socket(type=socket.SOCK_DGRAM), errno.EINVAL, "a UDP socket"),
        (socket.socket, errno.EINVAL, "a TCP socket that does not listen"),
        (Path("/dev/null").open, errno.ENOTSOCK, "no socket"),
    ],
)
def test_descriptor_that_cannot_serve_is_told_by_what_it_is(make, code, what):
    def look():
        with make() as raw:
            with pytest.raises(TcpServerBindError) as caught:
                tcp_server(None, 0, None, fd=raw.fileno())
            assert caught.value.fd == raw.fileno()
        return caught.value

    error = in_loop(look)
    assert error.errno == code
    assert str(error).startswith(f"[Errno {code}] descriptor {error.fd} is {what}")
    assert "address" not in str(error)


def test_descriptor_that_is_closed_is_told_so():
    def look():
        with pytest.raises(TcpServerBindError, match=r"descriptor 1000000 is not open$") as caught:
            tcp_server(None, 0, None, fd=10**6)
        return caught.value.errno

    assert in_loop(look) == errno.EBADF


# --- threads and memory -------------------------------------------------------------------------------------


# What each child has; ``limit(more)``: it may take so many bytes more than it has.
HEAD = """
import os, resource
import asynctcp
def limit(more):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.getrlimit(resource.RLIMIT_AS)[1]))
"""


def child(code, *, user=False):
    """What a child prints; ``user``: as nobody, who may have no process and no thread more."""
    head = HEAD
    if user:
        head += "os.setresuid(65533, 65533, 65533)\nresource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
    # CPython 3.12 and later warn of a fork beside native threads.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", head + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("options", ["", "io_threads=2"])
def test_loop_that_can_start_no_thread_tells_so(options):
    code = f"""
try:
    asynctcp.EventLoop({options}).run(lambda: None)
except RuntimeError as error:
    print(error)
"""
    assert child(code, user=True) == ["can't start new thread"]


@pytest.mark.slow
@needs_root
def test_lookup_that_can_start_no_thread_is_to_be_tried_again():
    code = """
def told(condition):
    print(type(condition).__name__, condition.errcode, condition.errmsg)
def start():
    os.setresuid(65533, 65533, 65533)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    asynctcp.dns_lookup("nobody.invalid", print, event_cb=told)
asynctcp.start_event_loop(start)
"""
    assert child(code) == [f"DnsError {socket.EAI_AGAIN} can't start new thread"]


@pytest.mark.parametrize("count", [1025, 2**40, 2**64, -1])
def test_more_io_threads_than_make_sense_are_refused(count):
    with pytest.raises(ValueError, match=f"io_threads must be from 0 to 1024, not {count}"):
        EventLoop(io_threads=count)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bytearray(size)", "memoryview(bytearray(size))", "'x' * size"])
def test_data_that_there_is_no_memory_for_is_a_memory_error(kind):
    """The object itself fits, a copy of it does not."""
    code = f"""
size = 256 << 20
def start():
    ours = asynctcp.init_tcp_socket(None)
    data = {kind}
    limit(32 << 20)
    for call in (lambda: ours.write(data), lambda: asynctcp.init_tcp_socket(None, data=data)):
        try:
            call()
        except MemoryError:
            print("MemoryError", ours.write_buffer_size)
    ours.write(b"small")
    print(ours.write_buffer_size)
asynctcp.start_event_loop(start)
"""
    assert child(code) == ["MemoryError 0", "MemoryError 0", "5"]


# A child that keeps all that it receives until there is no more memory; then it drops it, and goes on.
HOARD = """
import socket
SIZE = {size}
kept = []
def flood(port):
    if os.fork():
        limit(64 << 20)
        return
    try:
        with socket.create_connection(("127.0.0.1", port)) as client:
            while True:
                client.sendall(bytes(SIZE))
    except OSError:
        os._exit(0)
"""

HOARD_CALLBACKS = """
def told(condition):
    if not isinstance(condition, asynctcp.TcpEof):
        kept.clear()
        print(type(condition).__name__, condition.errcode)
        asynctcp.tcp_connect("127.0.0.1", server.port, answered, None, data=b"hello")
def answered(ours, data):
    print(data.decode())
    asynctcp.exit_event_loop()
def read(ours, data):
    if data == b"hello":
        ours.write(data)
    kept.append(data)
def start():
    global server
    server = asynctcp.tcp_server("127.0.0.1", 0, read, told)
    flood(server.port)
asynctcp.EventLoop({options}).run(start)
"""

HOARD_ASYNCIO = """
import asyncio, asynctcp.aio
class Keeper(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        if data == b"hello":
            self.transport.write(data)
        kept.append(data)
    def connection_lost(self, error):
        if error is not None:
            kept.clear()
            print(type(error).__name__)
            lost.set()
async def main():
    global lost
    lost = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: print(context["message"]))
    server = await asyncio.get_running_loop().create_server(Keeper, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    flood(port)
    await lost.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    print((await reader.readexactly(5)).decode())
    writer.close()
asynctcp.aio.run(main())
"""

# Small messages are copied, large ones are received where they stay.
hoarded = pytest.mark.parametrize("size", [1000, 300_000], ids=["small", "large"])


@pytest.mark.slow
@hoarded
@pytest.mark.parametrize("options", ["", "io_threads=2"])
def test_received_bytes_that_there_is_no_memory_for_end_their_connection_alone(size, options):
    lines = child(HOARD.format(size=size) + HOARD_CALLBACKS.format(options=options))
    assert lines == [f"TcpError {errno.ENOMEM}", "hello"]


@pytest.mark.slow
@hoarded
def test_received_bytes_that_there_is_no_memory_for_are_a_fatal_error_of_their_transport_alone(size):
    lines = child(HOARD.format(size=size) + HOARD_ASYNCIO)
    assert lines == ["Fatal read error on socket transport", "MemoryError", "hello"]


# A child that writes until there is no more memory.
WRITES = """
import asyncio, socket
import asynctcp.aio
def write_all(write, data):
    limit(32 << 20)
    try:
        while True:
            write(data)
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_AS, (resource.getrlimit(resource.RLIMIT_AS)[1],) * 2)
        print("MemoryError")
"""

# Small data is copied, large data is noted.
written = pytest.mark.parametrize("size", [1000, 100_000], ids=["small", "large"])


@pytest.mark.slow
@written
def test_writes_until_there_is_no_memory_for_them_are_a_memory_error(size):
    code = f"""
def start():
    ours = asynctcp.init_tcp_socket(None)
    write_all(ours.write, bytes({size}))
    ours.close()
asynctcp.start_event_loop(start)
asynctcp.start_event_loop(lambda: print("goes on"))
"""
    assert child(WRITES + code) == ["MemoryError", "goes on"]


@pytest.mark.slow
@written
def test_writes_until_there_is_no_memory_for_them_are_a_memory_error_of_a_transport(size):
    code = f"""
async def main():
    with socket.create_server(("127.0.0.1", 0)) as server:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
        write_all(transport.write, bytes({size}))
        transport.abort()
        await asyncio.sleep(0)
asynctcp.aio.run(main())
print("goes on")
"""
    assert child(WRITES + code) == ["MemoryError", "goes on"]


@pytest.mark.slow
def test_datagrams_until_there_is_no_memory_for_them_are_a_memory_error():
    """They wait for the peer: a full Unix socket, so that none is lost."""
    code = """
async def main():
    one, other = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    other.bind("")
    one.setblocking(False)
    one.connect(other.getsockname())
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=one)
    write_all(transport.sendto, bytes(20_000))
    transport.abort()
    await asyncio.sleep(0)
    other.close()
asynctcp.aio.run(main())
print("goes on")
"""
    assert child(WRITES + code) == ["MemoryError", "goes on"]


OVER_TLS = """
class Deaf(asyncio.Protocol):
    def connection_made(self, transport):
        transport.pause_reading()
class Writer(asyncio.Protocol):
    def connection_lost(self, error):
        print(type(error).__name__)
        lost.set()
async def connected():
    global lost
    lost = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: print(context["message"]))
    config = asynctcp.TlsConfig.server(cert_data={usual!r})
    server = await loop.create_server(Deaf, "127.0.0.1", 0, ssl=config)
    client = asynctcp.TlsConfig.client(ca_data={pem!r})
    transport, _ = await loop.create_connection(Writer, *server.sockets[0].getsockname(), ssl=client)
    return transport
"""


@pytest.mark.slow
@written
def test_writes_until_there_is_no_memory_for_them_are_a_memory_error_over_tls(size, ca):
    code = f"""
async def main():
    transport = await connected()
    write_all(transport.write, bytes({size}))
    transport.abort()
    await lost.wait()
asynctcp.aio.run(main())
print("goes on")
"""
    over_tls = OVER_TLS.format(usual=ca.usual, pem=ca.pem)
    assert child(WRITES + over_tls + code) == ["MemoryError", "NoneType", "goes on"]


@pytest.mark.slow
def test_close_that_there_is_no_memory_to_seal_what_waits_for_ends_the_connection(ca):
    code = """
async def main():
    transport = await connected()
    transport.write(bytes(64 << 20))
    limit(32 << 20)
    transport.close()
    await lost.wait()
asynctcp.aio.run(main())
print("goes on")
"""
    over_tls = OVER_TLS.format(usual=ca.usual, pem=ca.pem)
    told = ["Fatal error on SSL protocol", "MemoryError", "goes on"]
    assert child(WRITES + over_tls + code) == told


# Much was received when the first of it is read.
FLOODED = """
import socket
size = 48 << 20
def told(condition):
    if not isinstance(condition, asynctcp.TcpEof):
        print(type(condition).__name__, condition.errcode)
        asynctcp.exit_event_loop()
def read(ours, data):
    os.waitpid(pid, 0)
    limit(16 << 20)
    {then}
def start():
    global pid
    server = asynctcp.tcp_server("127.0.0.1", 0, read, told)
    pid = os.fork()
    if pid == 0:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(bytes(size))
        os._exit(0)
asynctcp.EventLoop(read_limit=size, memory_limit=size).run(start)
print("goes on")
"""


@pytest.mark.slow
def test_detach_that_there_is_no_memory_for_what_came_for_is_a_memory_error():
    then = """
    try:
        ours.detach()
    except MemoryError:
        print("MemoryError", ours.closed)
    asynctcp.exit_event_loop()
"""
    assert child(FLOODED.format(then=then)) == ["MemoryError True", "goes on"]


@pytest.mark.slow
def test_starttls_that_there_is_no_memory_for_what_came_for_ends_the_connection(ca):
    then = f"ours.start_tls(asynctcp.TlsConfig.server(cert_data={ca.usual!r}))"
    assert child(FLOODED.format(then=then)) == [f"TcpError {errno.ENOMEM}", "goes on"]
