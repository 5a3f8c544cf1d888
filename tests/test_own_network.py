"""Connecting in a network, and with an /etc, that the test made: each case is a child in its own namespaces.

Needs root (or user namespaces), util-linux and iproute2.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

#: The arguments are a directory, a command for the shell, a Python and its program.
SETUP = """
set -e
mount --make-rprivate /
ip link set lo up
eval "$2"
for each in hosts resolv.conf nsswitch.conf; do
    if [ -e "$1/$each" ]; then touch "/etc/$each"; mount --bind "$1/$each" "/etc/$each"; fi
done
exec "$3" -c "$4"
"""


def can_unshare():
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    done = subprocess.run(
        ["unshare", "-rnm", "sh", "-c", "mount --make-rprivate / && ip link set lo up"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


pytestmark = [
    pytest.mark.skipif(not can_unshare(), reason="no namespaces can be made here"),
]


@pytest.fixture
def network(tmp_path):
    """``network(code, shell, hosts=…)``: what it prints, line by line."""

    def python(code, shell=":", timeout=30, **files):
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        command = ["unshare", "-rnm", "--", "bash", "-c", SETUP, "bash"]
        command += [str(tmp_path), shell, sys.executable, code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return python


@pytest.mark.slow
def test_own_address_serves_more_connections_than_there_are_ports(network):
    code = """
import socket
from asynctcp import *
hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
listeners = [socket.create_server((host, 7000)) for host in hosts]
targets = hosts * 6
def go(_=None):
    if not targets:
        return exit_event_loop()
    tcp_connect(targets.pop(), 7000, None, fail, connect_cb=go, local_address=("127.0.0.1", 0))
def fail(condition):
    print(condition)
    exit_event_loop()
start_event_loop(go)
print(len(targets))
"""
    shell = "echo 40000 40009 >/proc/sys/net/ipv4/ip_local_port_range"
    assert network(code, shell) == ["0"]
