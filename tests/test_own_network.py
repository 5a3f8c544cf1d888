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


#: A nameserver that takes questions and answers none, and more lookups of it than there are threads.
STUCK = """
import socket
from asynctcp import *
hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hole.bind(("127.0.0.53", 53))
hole.settimeout(10)
def stick():
    for number in range(20):
        dns_lookup(f"n{number}.stuck.example", print, event_cb=print)
    delay(wait, 0.01)
def wait():
    asking = set()
    while len(asking) < 16:
        asking.add(hole.recv(512)[13:16])
    then()
def told(*what):
    print(*what)
    exit_event_loop()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["localhost", "Listed"])
def test_name_of_the_hosts_file_does_not_wait_behind_stuck_lookups(name, network):
    code = f"""
def then():
    dns_lookup({name!r}, told, event_cb=told)
start_event_loop(stick)
"""
    hosts = "127.0.0.1 localhost\n127.0.0.7 listed\n"
    address = "127.0.0.1" if name == "localhost" else "127.0.0.7"
    files = {"hosts": hosts, "resolv_conf": "nameserver 127.0.0.53\n", "nsswitch_conf": "hosts: files dns\n"}
    assert network(STUCK + code, **files) == [f"{address} 2"]


@pytest.mark.slow
def test_address_of_the_hosts_file_does_not_wait_behind_stuck_lookups(network):
    code = """
def then():
    reverse_dns_lookup("127.0.0.7", told, port=80, event_cb=told)
start_event_loop(stick)
"""
    files = {"hosts": "127.0.0.7 listed\n", "resolv_conf": "nameserver 127.0.0.53\n"}
    assert network(STUCK + code, **files, nsswitch_conf="hosts: files dns\n") == ["listed http"]


@pytest.mark.slow
def test_hosts_file_that_changes_is_read_again(network):
    code = """
def then():
    open("/etc/hosts", "a").write("127.0.0.9 late\\n")
    dns_lookup("late", told, event_cb=told)
start_event_loop(stick)
"""
    files = {"hosts": "127.0.0.7 listed\n", "resolv_conf": "nameserver 127.0.0.53\n"}
    assert network(STUCK + code, **files, nsswitch_conf="hosts: files dns\n") == ["127.0.0.9 2"]


@pytest.mark.slow
def test_zone_is_that_of_the_network_which_the_process_is_in(network):
    """Its /sys may still be another's."""
    code = """
import socket
from asynctcp import *
def start():
    init_tcp_socket(None, local_address=("fe80::1%ours", 0))
    s = tcp_connect("fe80::1%ours", 80, None, print)
    print(repr(s) == f"<asynctcp.Socket connecting -> [fe80::1%{socket.if_nametoindex('ours')}]:80>")
    exit_event_loop()
start_event_loop(start)
"""
    assert network(code, "ip link add ours type veth peer name theirs") == ["True"]


# --- servers ------------------------------------------------------------------------------------------------

BOTH = "::1 both\n127.0.0.1 both\n127.0.0.1 both\n"


@pytest.mark.slow
def test_server_of_a_name_serves_all_its_addresses_on_one_port(network):
    code = """
from asynctcp import *
def accepted(s):
    print(s.sockname[0], server.connections)
    if server.connections == 2:
        server.close()
        print([s.sockname[0] for s in server.sockets], server.closed)
        exit_event_loop()
def start():
    global server
    server = tcp_server("both", 0, None, connect_cb=accepted)
    first, second = server.addresses
    print(first == ("127.0.0.1", server.port), second == ("::1", server.port, 0, 0))
    print(server.address == first, server.host)
    tcp_connect("127.0.0.1", server.port, None, connect_cb=lambda _: tcp_connect("::1", server.port, None))
start_event_loop(start)
"""
    lines = network(code, hosts=BOTH, nsswitch_conf="hosts: files\n")
    assert lines == ["True True", "True 127.0.0.1", "127.0.0.1 1", "::1 2", "['127.0.0.1', '::1'] True"]


@pytest.mark.slow
def test_closed_server_of_a_name_listens_nowhere(network):
    code = """
from asynctcp import *
told = []
def refused(condition):
    print(type(condition).__name__, condition.attempts[0][0][0])
def start():
    server = tcp_server("both", 0, None)
    server.close()
    for host in ("127.0.0.1", "::1"):
        tcp_connect(host, server.port, None, refused)
start_event_loop(start)
"""
    lines = network(code, hosts=BOTH, nsswitch_conf="hosts: files\n")
    assert sorted(lines) == ["TcpRefused 127.0.0.1", "TcpRefused ::1"]


@pytest.mark.slow
def test_connections_of_all_addresses_count_for_the_limit(network):
    code = """
import socket
from asynctcp import *
def accepted(s):
    print("accepted", server.connections)
    delay(lambda: (print("closed"), s.close()), 0.1)
    if len(accepted.seen) == 1:
        exit_event_loop()
    accepted.seen.append(s)
accepted.seen = []
def start():
    global server
    server = tcp_server("both", 0, None, connect_cb=accepted, max_connections=1)
    clients.extend(socket.create_connection(address[:2]) for address in server.addresses)
clients = []
start_event_loop(start)
"""
    lines = network(code, hosts=BOTH, nsswitch_conf="hosts: files\n")
    assert lines == ["accepted 1", "closed", "accepted 1"]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_family_of_a_server_chooses_its_addresses(family, host, network):
    code = f"""
import socket
from asynctcp import *
def start():
    with tcp_server("both", 0, None, family=socket.{family}) as server:
        print(server.host, len(server.addresses))
start_event_loop(start)
"""
    assert network(code, hosts=BOTH, nsswitch_conf="hosts: files\n") == [f"{host} 1"]


@pytest.mark.slow
def test_address_of_a_name_that_the_machine_has_not_is_left_out(network):
    code = """
from asynctcp import *
def start():
    with tcp_server("both", 0, None) as server:
        print(server.addresses == [("127.0.0.1", server.port)])
    with tcp_server("here", 0, None) as server:
        print(server.addresses == [("127.0.0.1", server.port)])
    try:
        tcp_server("nowhere", 0, None)
    except TcpServerBindError as error:
        print(error)
start_event_loop(start)
"""
    hosts = BOTH + "127.0.0.1 here\n192.0.2.1 here\n192.0.2.1 nowhere\n"
    lines = network(
        code, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1", hosts=hosts, nsswitch_conf="hosts: files\n"
    )
    assert lines == ["True", "True", "[Errno 99] cannot assign requested address (address nowhere:0)"]


@pytest.mark.slow
def test_port_that_is_taken_at_one_address_is_not_chosen(network):
    """Of eight ports five are free at both addresses."""
    code = """
import socket
from asynctcp import *
taken = [socket.create_server(("::1", port), family=socket.AF_INET6) for port in (40001, 40003, 40005)]
def start():
    servers = []
    try:
        while True:
            servers.append(tcp_server("both", 0, None))
    except TcpServerBindError as error:
        print(error.errno, sorted(server.port for server in servers))
        print({len(server.addresses) for server in servers})
    exit_event_loop()
start_event_loop(start)
"""
    shell = "echo 40000 40007 >/proc/sys/net/ipv4/ip_local_port_range"
    assert network(code, shell, hosts=BOTH, nsswitch_conf="hosts: files\n") == [
        "98 [40000, 40002, 40004, 40006, 40007]",
        "{2}",
    ]
