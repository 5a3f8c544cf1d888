"""Twisted's asyncio reactor on our loop as on asyncio's own: servers, clients, timers and threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from peers import DEADLINE
from services import needs_package

pytestmark = needs_package("twisted")

#: A process has one reactor, so each test has a process.
BEGIN = """
import sys
from loops import LOOPS
from twisted.internet import asyncioreactor
asyncioreactor.install(LOOPS[sys.argv[1]]())
from twisted.internet import protocol, reactor, task, threads
from twisted.protocols.basic import LineReceiver


def serve(protocol_class):
    factory = protocol.ServerFactory.forProtocol(protocol_class)
    return reactor.listenTCP(0, factory, interface="127.0.0.1").getHost()


def connect(address, protocol_class):
    reactor.connectTCP(address.host, address.port, protocol.ClientFactory.forProtocol(protocol_class))


"""

LINES = """
class Shout(LineReceiver):
    def lineReceived(self, line):
        self.sendLine(line.upper())

    def connectionLost(self, reason):
        print(reason.type.__name__)
        reactor.stop()


class Client(LineReceiver):
    def connectionMade(self):
        self.sendLine(b"hello")

    def lineReceived(self, line):
        print(line)
        self.transport.loseConnection()


connect(serve(Shout), Client)
reactor.run()
"""

LARGE = """
class Producer(protocol.Protocol):
    left = 64

    def connectionMade(self):
        self.transport.registerProducer(self, False)

    def resumeProducing(self):
        if self.left:
            self.left -= 1
            self.transport.write(bytes(65536))
        else:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self):
        pass


class Consumer(protocol.Protocol):
    received = 0

    def dataReceived(self, data):
        self.received += len(data)

    def connectionLost(self, reason):
        print(self.received, reason.type.__name__)
        reactor.stop()


connect(serve(Producer), Consumer)
reactor.run()
"""

CALLS = """
called = []


def later():
    called.append("later")
    threads.deferToThread(lambda: sum(range(10))).addCallback(done)


ticks = task.LoopingCall(called.append, "tick")
ticks.start(60)


def done(answer):
    print(called, answer)
    reactor.stop()


reactor.callLater(0, later)
reactor.run()
"""


def printed(program, loop_name):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program, loop_name],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_lines_go_both_ways(loop_name):
    assert printed(LINES, loop_name) == "b'HELLO'\nConnectionDone\n"


def test_producer_is_asked_for_more_until_its_end(loop_name):
    assert printed(LARGE, loop_name) == f"{64 * 65536} ConnectionDone\n"


def test_timers_and_threads_call_into_the_loop(loop_name):
    assert printed(CALLS, loop_name) == "['tick', 'later'] 45\n"
