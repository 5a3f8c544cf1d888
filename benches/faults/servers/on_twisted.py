"""The behaviours on Twisted."""

import os
import time
import zlib

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.error import ConnectionDone  # noqa: E402
from twisted.internet.protocol import Factory, Protocol  # noqa: E402
from twisted.protocols.policies import TimeoutMixin  # noqa: E402
from wire import behaviour, report  # noqa: E402


class Echo(Protocol):
    def connectionMade(self):  # noqa: N802
        # Its own producer: reading stops while the write buffer is full.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data):  # noqa: N802
        self.transport.write(data)

    def connectionLost(self, _reason):  # noqa: N802
        self.transport.unregisterProducer()


class Impatient(Echo, TimeoutMixin):
    timeout = 0.0

    def connectionMade(self):  # noqa: N802
        super().connectionMade()
        self.setTimeout(self.timeout)

    def dataReceived(self, data):  # noqa: N802
        self.resetTimeout()
        super().dataReceived(data)

    def timeoutConnection(self):  # noqa: N802
        self.transport.abortConnection()

    def connectionLost(self, reason):  # noqa: N802
        self.setTimeout(None)
        super().connectionLost(reason)


class Sleepy(Protocol):
    nap, left, total, crc = 0.0, 0.0, 0, 0

    def dataReceived(self, data):  # noqa: N802
        if Sleepy.left:
            Sleepy.left -= 1
            time.sleep(Sleepy.nap)
        Sleepy.total += len(data)
        Sleepy.crc = zlib.crc32(data, Sleepy.crc)

    def connectionLost(self, _reason):  # noqa: N802
        report(bytes=Sleepy.total, crc=Sleepy.crc)


class Late(Protocol):
    pause = 0.0

    def connectionMade(self):  # noqa: N802
        self.total = 0
        self.transport.pauseProducing()
        reactor.callLater(self.pause, self.transport.resumeProducing)

    def dataReceived(self, data):  # noqa: N802
        self.total += len(data)

    def connectionLost(self, reason):  # noqa: N802
        end = "eof" if reason.check(ConnectionDone) else "TcpReset"
        report(bytes=self.total, end=end, peer=self.transport.getPeer().port)


class Raising(Echo):
    def dataReceived(self, data):  # noqa: N802
        if data.startswith(b"raise"):
            raise RuntimeError("as the data says")
        super().dataReceived(data)

    def connectionLost(self, reason):  # noqa: N802
        super().connectionLost(reason)
        if not reason.check(ConnectionDone):
            report(error=reason.type.__name__)


class Flood(Protocol):
    first = None
    pieces = 0

    def connectionMade(self):  # noqa: N802
        if Flood.first is None:
            Flood.first = self.transport
            for _ in range(self.pieces):
                self.transport.write(bytes(64 << 10))
            report(queued=True)

    def dataReceived(self, _data):  # noqa: N802
        Flood.first.abortConnection()
        report(aborted=True)


class Forker(Protocol):
    def dataReceived(self, _data):  # noqa: N802
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        self.transport.loseConnection()


def echo():
    return Echo


def impatient(timeout):
    Impatient.timeout = timeout
    return Impatient


def sleepy(nap, naps):
    Sleepy.nap, Sleepy.left = nap, naps
    return Sleepy


def late(pause):
    Late.pause = pause
    return Late


def raising():
    return Raising


def flood(pieces):
    Flood.pieces = int(pieces)
    return Flood


def forker():
    return Forker


def interrupted(spin):
    def compute():
        until = time.perf_counter() + spin
        while time.perf_counter() < until:
            pass
        reactor.callLater(0, compute)

    if spin:
        reactor.callWhenRunning(compute)
    return Echo


BEHAVIOURS = {f.__name__: f for f in (echo, impatient, sleepy, late, raising, flood, forker, interrupted)}

_, choose, arguments = behaviour(BEHAVIOURS)
factory = Factory.forProtocol(choose(*arguments))
factory.noisy = False
report(port=reactor.listenTCP(0, factory, backlog=256, interface="127.0.0.1").getHost().port)
reactor.run()
report(at=time.monotonic())
