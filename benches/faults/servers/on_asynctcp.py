"""The behaviours on asynctcp."""

import fcntl
import os
import signal
import sys
import termios
import time
import zlib

from wire import behaviour, copied, noise, report

import asynctcp
from asynctcp import TcpEof, tcp_server

LOOPBACK = "127.0.0.1"
#: How many connections are tried beside stuck lookups.
CONNECTS = 100
#: Seconds in which a client's end or reset arrives.
PATIENCE = 0.01


def serve(read_cb, event_cb=lambda _condition: None, **keywords):
    report(port=tcp_server(LOOPBACK, 0, read_cb, event_cb, **keywords).address[1])


def echo(**keywords):
    """Send back what comes. Accept errors are told."""

    def event(condition):
        if isinstance(condition, asynctcp.TcpAcceptError):
            report(error=str(condition))

    serve(lambda socket, data: socket.write(data), event, **keywords)


def impatient(timeout):
    """Echo, and end a connection that is silent for so long."""
    echo(read_timeout=timeout)


def secured(timeout):
    """Echo over TLS; a handshake may take so long."""
    config = asynctcp.TlsConfig.server(os.environ["CERTIFICATE"], handshake_timeout=timeout)
    # The default handler would log what fails.
    serve(lambda socket, data: socket.write(data), tls=config)


def sleepy_secured(nap, naps):
    """Do as ``sleepy``, over TLS."""
    sleepy(nap, naps, tls=asynctcp.TlsConfig.server(os.environ["CERTIFICATE"]))


def sleepy(nap, naps, **keywords):
    """Count what comes, sleeping in the first callbacks."""
    left = naps
    total = crc = 0

    def read(_socket, data):
        nonlocal left, total, crc
        if left:
            left -= 1
            time.sleep(nap)
        total += len(data)
        crc = zlib.crc32(data, crc)

    serve(read, lambda _condition: report(bytes=total, crc=crc), **keywords)


def late(pause):
    """Read nothing for so long, then all; tell what came and how it ended."""

    def connected(socket):
        socket.data = 0
        socket.disable(read=True)
        asynctcp.delay(lambda: socket.enable(read=True), pause)

    def read(socket, data):
        socket.data += len(data)

    def ended(condition):
        end = "eof" if isinstance(condition, TcpEof) else type(condition).__name__
        report(bytes=condition.socket.data, end=end, peer=condition.socket.peername[1])

    serve(read, ended, connect_cb=connected)


def raising():
    """Echo, and raise where the data says so."""

    def read(socket, data):
        if data.startswith(b"raise"):
            raise RuntimeError("as the data says")
        socket.write(data)

    serve(read, lambda condition: report(error=type(condition.__cause__).__name__))


def flood(pieces):
    """Queue so many pieces of 64 KiB for the first connection; abort it when another one says something."""
    first = []

    def connected(socket):
        if not first:
            first.append(socket)
            for _ in range(int(pieces)):
                socket.write(bytes(64 << 10))
            report(queued=True)

    def read(_socket, _data):
        first[0].close(force=True)
        report(aborted=True)

    serve(read, connect_cb=connected)


def forker():
    """At the first byte fork a child that sleeps, and close the connection."""

    def read(socket, _data):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        socket.close()

    serve(read)


def fork_and_use():
    """Echo; at "fork" fork a child that tries the parent's loop, then one of its own, and tells."""

    def read(socket, data):
        if data != b"fork":
            socket.write(data)
        elif not os.fork():
            report(**use_in_child(socket))
            os._exit(0)

    serve(read)


def use_in_child(inherited):
    """Use what is the parent's, then a loop of our own; return the slowest answer, non-errors, echoes."""
    slowest = 0.0
    refused = 0
    uses = (
        lambda: inherited.write(b"x"),
        inherited.close,
        lambda: inherited.set_timeouts(1, 1),
        lambda: asynctcp.tcp_connect(LOOPBACK, 1, None),
        lambda: tcp_server(LOOPBACK, 0, None),
        lambda: asynctcp.delay(int),
        asynctcp.exit_event_loop,
        asynctcp.stats,
    )
    for use in uses:
        begun = time.perf_counter()
        try:
            use()
        except asynctcp.EventLoopError:
            refused += 1
        slowest = max(slowest, time.perf_counter() - begun)
    return {"seconds": slowest, "accepted": len(uses) - refused, "echoes": echoes_of_new_loop(200)}


def echoes_of_new_loop(count):
    """Start a loop with a server and a client; return how many of so many echoes come back."""
    done = 0

    def read(socket, _data):
        nonlocal done
        done += 1
        if done == count:
            asynctcp.exit_event_loop()
        else:
            socket.write(b"ping")

    def start():
        server = tcp_server(LOOPBACK, 0, lambda socket, data: socket.write(data))
        asynctcp.tcp_connect(*server.address, read, data=b"ping")
        asynctcp.delay(asynctcp.exit_event_loop, 10)

    asynctcp.start_event_loop(start)
    return done


def obedient(mebibytes, high, low):
    """Write so much to the first connection, stopping at `TcpBufferFull` and going on at `TcpBufferDrained`.

    Another connection that says something has the first one aborted.
    """
    block = noise(1 << 20)
    left = int(mebibytes)
    full = False
    first = []

    def write():
        nonlocal left
        if left and not full and first:
            left -= 1
            first[0].write(copied(block))
            asynctcp.delay(write)

    def event(condition):
        nonlocal full
        if isinstance(condition, asynctcp.TcpBufferFull):
            full = True
        elif isinstance(condition, asynctcp.TcpBufferDrained):
            full = False
            write()

    def connected(socket):
        if not first:
            first.append(socket)
            socket.set_write_buffer_limits(int(high), int(low))
            write()

    def read(_socket, _data):
        first[0].close(force=True)
        report(aborted=True)

    serve(read, event, connect_cb=connected)


def interrupted(spin):
    """Echo until Ctrl-C, and tell when it came. ``spin``: seconds that each turn computes, 0 for none."""
    serve(lambda socket, data: socket.write(data))

    def compute():
        until = time.perf_counter() + spin
        while time.perf_counter() < until:
            pass
        asynctcp.delay(compute)

    if spin:
        compute()


def farewell(size, pause):
    """Read nothing; after ``pause`` seconds write so many bytes, and close."""

    def leave(socket):
        socket.write(bytes(int(size)))
        socket.close()

    def connected(socket):
        if pause:
            socket.disable(read=True)
            asynctcp.delay(lambda: leave(socket), pause)
        else:
            leave(socket)

    serve(None, connect_cb=connected)


def answer_at_end(size):
    """Answer with so many bytes when the client has sent its end of stream."""

    def ended(condition):
        if isinstance(condition, TcpEof):
            condition.socket.write(bytes(int(size)))

    serve(None, ended)


def patient(size, timeout):
    """Write so many bytes to each connection; tell for how long one took none when it is given up."""
    last = {}

    def acknowledged(socket):
        waiting = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return socket.bytes_written - int.from_bytes(waiting, sys.byteorder)

    looked = [0.0]

    def look():
        now = time.monotonic()
        for socket, (count, *_) in last.items():
            if (more := acknowledged(socket)) > count:
                last[socket] = (more, looked[0], now)
        looked[0] = now

    def connected(socket):
        socket.write(bytes(int(size)))
        last[socket] = (-1, 0.0, 0.0)

    def ended(condition):
        now = time.monotonic()
        _, before, after = last.pop(condition.socket)
        report(end=type(condition).__name__, most=now - before, least=now - after)

    asynctcp.interval(look, 0.003)
    serve(None, ended, connect_cb=connected, write_timeout=timeout)


def unprotected():
    """With SIGPIPE as the system has it, write to who has said something and gone, and tell the error."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    def read(socket, _data):
        time.sleep(PATIENCE)
        # Two pieces are sent by another system call than one.
        for size in (1000, 100_000, 100_000):
            socket.write(bytes(size))

    serve(read, lambda condition: report(error=type(condition).__name__), allow_half_open=True)


def lookups(count):
    """Look up so many names that are stuck; meanwhile connect to our own address; tell the times, and end."""
    times = []
    server = tcp_server(LOOPBACK, 0, None)
    report(port=server.address[1])

    def connect():
        begun = time.perf_counter()

        def connected(socket):
            times.append(time.perf_counter() - begun)
            socket.close()
            if len(times) < CONNECTS:
                connect()
            else:
                report(times=times)
                asynctcp.exit_event_loop()

        asynctcp.tcp_connect(*server.address[:2], None, connect_cb=connected)

    for number in range(int(count)):
        asynctcp.tcp_connect(f"stuck{number}.invalid", 80, None, lambda _condition: None)
    asynctcp.delay(connect, 0.5)


def drain():
    """Drop what comes in large pieces, and send back the rest."""
    serve(lambda socket, data: None if len(data) > 64 else socket.write(data))


def panicking(odds):
    """Echo, while so many of 10,000 receives panic, until a client says calm; tell what becomes of them."""
    from asynctcp import _core

    def read(socket, data):
        if data == b"calm":
            _core._inject()
        socket.write(data)

    def ended(condition):
        if not isinstance(condition, TcpEof):
            report(error=type(condition).__name__, peer=condition.socket.peername[1])

    serve(read, ended)
    _core._inject(panic=int(odds))


def blocked(seconds):
    """Echo; at the first byte block for so long, and tell when that begins."""
    left = [seconds]

    def read(socket, data):
        if left:
            report(blocked=True)
            time.sleep(left.pop())
        socket.write(data)

    serve(read)


BEHAVIOURS = {
    f.__name__: f
    for f in (
        echo,
        impatient,
        secured,
        sleepy,
        sleepy_secured,
        late,
        raising,
        flood,
        obedient,
        fork_and_use,
        forker,
        interrupted,
        farewell,
        answer_at_end,
        patient,
        unprotected,
        lookups,
        drain,
        blocked,
        panicking,
    )
}

_, start, arguments = behaviour(BEHAVIOURS)
try:
    asynctcp.start_event_loop(lambda: start(*arguments), catch_app_errors=True)
except KeyboardInterrupt:
    report(at=time.monotonic())
