"""The echo server on Twisted with its epoll reactor."""

from twisted.internet import epollreactor

epollreactor.install()

from common import BACKLOG, options, ready, work  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.internet.protocol import Factory, Protocol  # noqa: E402

chosen = options()
ROUNDS = chosen.work


class Echo(Protocol):
    def connectionMade(self):  # noqa: N802
        self.transport.setTcpNoDelay(True)
        # Its own producer: reading stops while the write buffer is full.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data):  # noqa: N802
        self.transport.write(data)

    def connectionLost(self, _reason):  # noqa: N802
        self.transport.unregisterProducer()


class WorkingEcho(Echo):
    def dataReceived(self, data):  # noqa: N802
        work(ROUNDS)
        self.transport.write(data)


factory = Factory.forProtocol(WorkingEcho if ROUNDS else Echo)
factory.noisy = False
port = reactor.listenTCP(0, factory, backlog=BACKLOG, interface="127.0.0.1")
reactor.callWhenRunning(ready, port.getHost().port)
reactor.run()
