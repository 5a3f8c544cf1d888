"""Networks that swallow what is sent: attempts, lookups and connections that nobody answers.

Each case is a child process in a network namespace of its own, whose one neighbour has an address and takes
no frame. Needs root, util-linux and iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

#: 10.99.0.2 and fd99::2 swallow; "twin" has a dead address before a living one.
NETWORK = """
set -e
mount --make-rprivate /
ip link set lo up
ip link add near type veth peer name far
ip addr add 10.99.0.1/24 dev near
ip -6 addr add fd99::1/64 dev near nodad
ip link set near up
ip link set far up
ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:99 nud permanent dev near
ip -6 neigh add fd99::2 lladdr 02:00:00:00:00:99 nud permanent dev near
printf '%s\\n' 'fd99::2 twin' '127.0.0.1 twin' >"$1/hosts"
printf '%s\\n' 'nameserver 10.99.0.2' 'options timeout:30 attempts:5' >"$1/resolv.conf"
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
exec "$2" -c "$3"
"""

HEAD = """
import socket, struct, subprocess, threading, time
from asynctcp import *
begun = time.monotonic()
def tell(*what):
    print(*what, round(time.monotonic() - begun, 2), flush=True)
def told(condition):
    tell(type(condition).__name__, condition.errcode)
"""


def can_unshare():
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    make = "ip link add near type veth peer name far && mount --make-rprivate /"
    done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", make], capture_output=True, check=False)
    return done.returncode == 0


pytestmark = [
    pytest.mark.skipif(not can_unshare(), reason="no network namespace can be made here"),
]


class Child:
    """A program there, which has begun."""

    def __init__(self, code, etc):
        command = ["unshare", "-n", "-m", "--", "bash", "-c", NETWORK, "bash", etc, sys.executable]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen([*command, HEAD + code], text=True, **pipes)

    def lines(self):
        """The lines that it prints, as what was told and after how many seconds."""
        printed, error = self._process.communicate(timeout=50)
        assert (self._process.returncode, error) == (0, "")
        lines = [line.rsplit(" ", 1) for line in printed.splitlines()]
        return [(what, float(seconds)) for what, seconds in lines]

    def close(self):
        """End it, whatever it does."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def black_hole(tmp_path):
    """``black_hole(code)``: the lines that it prints there."""
    children = []

    def lines(code):
        children.append(Child(code, tmp_path))
        return children[-1].lines()

    yield lines
    for child in children:
        child.close()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["10.99.0.2", "fd99::2"])
def test_attempt_that_nobody_answers_ends_with_its_timeout(address, black_hole):
    code = f"start_event_loop(lambda: tcp_connect({address!r}, 80, None, told, read_timeout=.3))"
    ((what, seconds),) = black_hole(code)
    assert (what, 0.25 <= seconds < 5) == ("TcpTimeout 110", True)


@pytest.mark.slow
def test_attempt_that_nobody_answers_can_be_closed_at_once(black_hole):
    code = """
sockets = []
start_event_loop(lambda: (
    sockets.append(tcp_connect('10.99.0.2', 80, None, told)), delay(lambda: sockets[0].close(), .1)
))
tell('ended')
"""
    ((what, seconds),) = black_hole(code)
    assert (what, seconds < 5) == ("ended", True)


@pytest.mark.slow
def test_dead_address_has_250_ms_before_the_next_is_tried(black_hole):
    code = """
def connected(s):
    tell(s.peername[0])
    s.close()
    server.close()
def start():
    global server
    server = tcp_server('127.0.0.1', 0, None)
    tcp_connect('twin', server.address[1], None, told, connect_cb=connected)
start_event_loop(start)
"""
    ((what, seconds),) = black_hole(code)
    assert (what, 0.25 <= seconds < 2) == ("127.0.0.1", True)


@pytest.mark.slow
def test_late_attempt_at_two_addresses_tells_what_each_said(black_hole):
    code = """
def attempts(condition):
    tell(type(condition).__name__, condition.attempts)
start_event_loop(lambda: tcp_connect('twin', 9, None, attempts, read_timeout=.5))
"""
    ((what, _),) = black_hole(code)
    hangs = "(('fd99::2', 9, 0, 0), 110, 'connection timed out')"
    assert what == f"TcpTimeout ({hangs}, (('127.0.0.1', 9), 111, 'connection refused'))"


@pytest.mark.slow
def test_lookup_is_bounded_by_either_timeout(black_hole):
    code = """
start_event_loop(lambda: tcp_connect('nobody-answers.example', 80, None, told, write_timeout=.3))
"""
    ((what, seconds),) = black_hole(code)
    assert (what, 0.25 <= seconds < 5) == ("TcpTimeout 110", True)


#: Everything that ends by itself after 30 seconds, at the same time.
AFTER_30_SECONDS = """
listener = socket.create_server(('127.0.0.1', 0))
def connected(s):
    s.write(bytes(8 << 20))
    s.close()
def close():
    start_event_loop(lambda: tcp_connect(*listener.getsockname(), None, told, connect_cb=connected))
    tell('closed')
def lookup():
    dns_lookup('nobody-answers.example', print, event_cb=told)
    tcp_connect('nobody-answers-either.example', 80, None, told)
closing = threading.Thread(target=close)
closing.start()
start_event_loop(lookup)
closing.join()
listener.close()
"""


@pytest.fixture(scope="session")
def thirty_seconds(tmp_path_factory):
    """The child that waits so long."""
    child = Child(AFTER_30_SECONDS, tmp_path_factory.mktemp("etc"))
    yield child
    child.close()


@pytest.fixture(scope="module", autouse=True)
def _wait_has_begun(thirty_seconds):
    """With the first test of this file; the two that are about it are the last of all."""


@pytest.fixture(scope="session")
def after_30_seconds(thirty_seconds):
    """What it tells."""
    return sorted(thirty_seconds.lines())


@pytest.mark.slow
@pytest.mark.last
def test_lookup_without_an_answer_ends_after_30_seconds_with_eai_again(after_30_seconds):
    *lookups, _ = after_30_seconds
    assert [what for what, _ in lookups] == ["DnsError -3"] * 2
    assert all(29 <= seconds < 40 for _, seconds in lookups)


@pytest.mark.slow
@pytest.mark.last
def test_closing_socket_is_given_up_after_30_seconds_without_progress(after_30_seconds):
    what, seconds = after_30_seconds[-1]
    assert (what, 29 <= seconds < 40) == ("closed", True)


@pytest.mark.slow
def test_user_timeout_of_the_kernel_is_a_tcp_timeout(black_hole):
    """The neighbour is a namespace at first, and swallows once connected."""
    code = """
# It speaks from its own namespace: before that, its process would still stand for ours.
peer = subprocess.Popen(['unshare', '-n', 'sh', '-c', 'echo there; exec sleep 30'], stdout=subprocess.PIPE)
peer.stdout.readline()
def ip(*words):
    subprocess.run(['ip', *words], check=True)
def inside(*words):
    return ['nsenter', '-t', str(peer.pid), '-n', *words]
ip('link', 'set', 'far', 'netns', str(peer.pid))
serve = '''
import socket
listener = socket.create_server(("10.99.0.3", 7))
print("ready", flush=True)
raw = listener.accept()[0]
raw.recv(1)
raw.recv(1)
'''
import sys
subprocess.run(inside('ip', 'addr', 'add', '10.99.0.3/24', 'dev', 'far'), check=True)
subprocess.run(inside('ip', 'link', 'set', 'far', 'up'), check=True)
server = subprocess.Popen(inside(sys.executable, '-c', serve), stdout=subprocess.PIPE)
server.stdout.readline()
def connected(s):
    global begun
    s.c.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)
    ip('neigh', 'replace', '10.99.0.3', 'lladdr', '02:00:00:00:00:99', 'nud', 'permanent', 'dev', 'near')
    begun = time.monotonic()
    s.write(b'x')
start_event_loop(lambda: tcp_connect('10.99.0.3', 7, None, told, connect_cb=connected))
for child in (server, peer):
    child.kill()
    child.wait()
    child.stdout.close()
"""
    ((what, seconds),) = black_hole(code)
    assert (what, 0.4 <= seconds < 15) == ("TcpTimeout 110", True)
