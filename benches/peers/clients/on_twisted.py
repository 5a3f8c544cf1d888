"""Ping-pong on Twisted with its epoll reactor."""

from twisted.internet import epollreactor

epollreactor.install()

from common import options  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.internet.protocol import ClientFactory, Protocol  # noqa: E402

chosen = options()
MESSAGE = b"x" * chosen.size


class Player(Protocol):
    def connectionMade(self):  # noqa: N802
        self.transport.setTcpNoDelay(True)
        self.serve()

    def serve(self):
        self.received = 0
        self.transport.write(MESSAGE)

    def dataReceived(self, data):  # noqa: N802
        self.received += len(data)
        if self.received == len(MESSAGE):
            self.serve()


factory = ClientFactory.forProtocol(Player)
factory.noisy = False
for _ in range(chosen.conns):
    reactor.connectTCP("127.0.0.1", chosen.port, factory)
reactor.run()
