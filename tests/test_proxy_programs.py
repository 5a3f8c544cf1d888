"""PROXY headers of real programs, HAProxy, nginx and curl; and ours, which they read."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

import asynctcp
from helpers import LOOPBACK, after_quiet, fail, run, when
from peers import Program, find, needs, reserved_port

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

HAPROXY = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend front
    bind 127.0.0.1:{front}
    default_backend app
backend app
    {backend}
    server one 127.0.0.1:{port} {server}
"""

READING_HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend front
    bind 127.0.0.1:{front} accept-proxy
    http-request return status 200 content-type text/plain lf-string "{answer}"
"""

NGINX = """\
daemon off; {user} pid nginx.pid; worker_processes 1; error_log stderr notice;
{load}
events {{}}
{block}
"""
PASSING = (
    "stream {{ server {{ listen 127.0.0.1:{front}; proxy_pass 127.0.0.1:{port}; proxy_protocol on; }} }}"
)
ANSWER = "%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority]"
READING = """\
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{front} proxy_protocol;
        return 200 "$proxy_protocol_addr $proxy_protocol_port";
    }}
}}
"""


class Server:
    """Answers each connection with whom it serves, and closes when a line has come."""

    def __init__(self, **options):
        self.infos = []
        self.conditions = []
        self.server = asynctcp.tcp_server(
            LOOPBACK,
            0,
            self.answer,
            self.conditions.append,
            connect_cb=lambda ours: self.infos.append((ours.proxy, ours.peername, ours.transport_peername)),
            **options,
        )

    def answer(self, ours, data):
        ours.write("{}:{} ".format(*ours.peername).encode() + data)
        ours.close()


@contextlib.contextmanager
def haproxy(tmp_path, text, **values):
    with reserved_port() as front:
        config = tmp_path / "haproxy.cfg"
        config.write_text(text.format(front=front, **values))
        with Program(find("haproxy"), "-db", "-f", config):
            yield front


@contextlib.contextmanager
def nginx(tmp_path, block, load="", **values):
    user = "user root;" if os.geteuid() == 0 else ""
    with reserved_port() as front:
        config = tmp_path / "nginx.conf"
        config.write_text(NGINX.format(user=user, load=load, block=block.format(front=front, **values)))
        with Program(find("nginx"), "-p", tmp_path, "-e", "stderr", "-c", config) as program:
            program.wait_for("start worker process ")
            yield front


def ask(front, answers, spawn):
    """A client in a thread that asks the program until it answers."""

    def body():
        while not answers:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, front), 5) as client:
                client.sendall(b"hello\n")
                name = "{}:{} ".format(*client.getsockname()).encode()
                if got := client.recv(100):
                    answers.append((got, name + b"hello\n"))

    spawn(body)


def passed(tmp_path, spawn, program, text, options=None, **values):
    """What a client is answered behind a program, and what our server was told."""
    answers, served = [], []
    with contextlib.ExitStack() as stack:

        def start():
            served.append(Server(proxy_protocol="require", **(options or {})))
            port = served[0].server.port
            ask(stack.enter_context(program(tmp_path, text, port=port, **values)), answers, spawn)
            when(lambda: answers, asynctcp.exit_event_loop)

        run(start, timeout=30)
    [(got, wanted)] = answers
    assert got == wanted
    return served[0]


@needs("haproxy")
@pytest.mark.parametrize(
    ("server", "version"),
    [("send-proxy", 1), ("send-proxy-v2", 2), ("send-proxy-v2 proxy-v2-options crc32c,unique-id", 2)],
)
def test_client_behind_haproxy_is_known(tmp_path, spawn, server, version):
    served = passed(tmp_path, spawn, haproxy, HAPROXY, server=server, backend="")
    [(info, peername, transport)] = [each for each in served.infos if each[0].source]
    assert (info.version, info.local, info.source) == (version, False, peername)
    assert (3 in info.tlvs) == ("crc32c" in server)
    assert transport != peername
    assert served.conditions == []


@needs("haproxy")
@pytest.mark.parametrize(
    ("server", "backend", "version"),
    [
        ("send-proxy check inter 50ms", "", 1),
        ("send-proxy-v2 check inter 50ms", "", 2),
        ("send-proxy-v2 check inter 50ms", "option tcp-check", 2),
        (
            "send-proxy-v2 check inter 50ms",
            "option tcp-check\n    tcp-check send hello\n    tcp-check expect string hello",
            2,
        ),
    ],
)
def test_health_checks_of_haproxy_are_served_as_haproxy_itself(tmp_path, server, backend, version):
    served = []
    with contextlib.ExitStack() as stack:

        def start():
            served.append(Server(proxy_protocol="require"))
            stack.enter_context(
                haproxy(tmp_path, HAPROXY, port=served[0].server.port, server=server, backend=backend)
            )
            when(lambda: len(served[0].infos) >= 3, asynctcp.exit_event_loop)

        run(start, timeout=30)
    for info, peername, transport in served[0].infos:
        assert info.version == version
        assert info.local or version == 1
        assert peername == transport
    assert not any(isinstance(condition, asynctcp.ProxyError) for condition in served[0].conditions)


@needs("haproxy", "openssl")
@pytest.mark.parametrize("certified", [True, False], ids=["certificate", "no certificate"])
def test_tls_that_haproxy_ends_is_told(tmp_path, spawn, certified):
    key, certificate, both = (tmp_path / name for name in ("key.pem", "cert.pem", "both.pem"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    request = ("req", "-x509", *curve, "-days", "1", "-subj", "/CN=client", "-keyout")
    subprocess.run([find("openssl"), *request, key, "-out", certificate], check=True, capture_output=True)
    both.write_text(certificate.read_text() + key.read_text())
    client = ssl.create_default_context(cafile=certificate)
    client.check_hostname = False
    if certified:
        client.load_cert_chain(both)
    told = []

    def ask(front):
        while not told:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((LOOPBACK, front), 5) as raw,
                client.wrap_socket(raw, server_hostname="example.org") as wrapped,
            ):
                wrapped.sendall(b"hello")
                wrapped.recv(100)

    with contextlib.ExitStack() as stack:

        def start():
            server = asynctcp.tcp_server(
                LOOPBACK,
                0,
                None,
                fail,
                connect_cb=lambda ours: told.append(ours.proxy),
                proxy_protocol="require",
            )
            text = HAPROXY.replace(
                "127.0.0.1:{front}", f"127.0.0.1:{{front}} ssl crt {both} verify optional ca-file {both}"
            )
            options = "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c"
            front = stack.enter_context(haproxy(tmp_path, text, port=server.port, server=options, backend=""))
            spawn(ask, front)
            when(lambda: told, asynctcp.exit_event_loop)

        run(start, timeout=30)
    assert told[0].authority == "example.org"
    tls = dict(told[0].tls)
    assert tls.pop("cipher").startswith("TLS_")
    cn = "client" if certified else None
    assert tls == {"version": "TLSv1.3", "cn": cn, "verified": certified}


@needs("haproxy")
def test_checks_without_a_header_are_not_told(tmp_path):
    told = []
    with contextlib.ExitStack() as stack:

        def start():
            server = asynctcp.tcp_server(
                LOOPBACK, 0, fail, told.append, connect_cb=fail, proxy_protocol="require"
            )
            check = "check inter 50ms"
            stack.enter_context(haproxy(tmp_path, HAPROXY, port=server.port, server=check, backend=""))
            after_quiet(asynctcp.exit_event_loop, 0.2)

        run(start, timeout=30)
    assert told == []


@needs("nginx")
@pytest.mark.skipif(not STREAM_MODULE.exists(), reason="nginx's stream module is not installed")
def test_client_behind_nginx_is_known(tmp_path, spawn):
    load = f"load_module {STREAM_MODULE};"
    served = passed(tmp_path, spawn, nginx, PASSING, load=load)
    [(info, peername, _)] = served.infos
    assert (info.version, info.source) == (1, peername)


@needs("curl")
@pytest.mark.parametrize("mode", ["require", "accept"])
def test_curl_says_who_it_is(mode):
    got = []

    def answer(ours, data):
        got.append((ours.peername, ours.transport_peername, ours.proxy.version, data[:5]))
        ours.write(b"HTTP/1.0 200 OK\r\n\r\nyes")
        ours.close()
        server.close()

    def start():
        nonlocal server
        server = asynctcp.tcp_server(LOOPBACK, 0, answer, proxy_protocol=mode, proxy_from=["127.0.0.1"])
        command = [find("curl"), "--silent", "--haproxy-protocol", f"http://127.0.0.1:{server.port}/"]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE))

    server, children = None, []
    run(start)
    assert children[0].communicate(timeout=10)[0] == b"yes"
    [(peername, transport, version, data)] = got
    assert (peername, version, data) == (transport, 1, b"GET /")


def body_from(front, **options):
    """The body that a program answers to us, asked until it listens."""
    answers = []

    def ask():
        pieces = []

        def ended(condition):
            if isinstance(condition, asynctcp.TcpEof):
                answers.append(b"".join(pieces).partition(b"\r\n\r\n")[2].decode())
            else:
                asynctcp.delay(ask, 0.05)

        asynctcp.tcp_connect(
            LOOPBACK,
            front,
            lambda _, data: pieces.append(data),
            ended,
            data="GET / HTTP/1.0\r\n\r\n",
            **options,
        )

    run(ask, timeout=30)
    return answers[0]


@needs("haproxy")
@pytest.mark.parametrize("version", [1, 2])
def test_haproxy_reads_our_header(tmp_path, version):
    tlvs = {2: "example.org", 3: b""} if version == 2 else {}
    header = asynctcp.ProxyHeader(("192.0.2.1", 51234), ("198.51.100.2", 443), version=version, tlvs=tlvs)
    with haproxy(tmp_path, READING_HAPROXY, answer=ANSWER) as front:
        told = body_from(front, send_proxy=header)
    assert told.startswith("192.0.2.1 51234 198.51.100.2 443")
    assert ("example.org" in told) == (version == 2)


@needs("nginx")
@pytest.mark.parametrize("version", [1, 2])
def test_nginx_reads_our_header(tmp_path, version):
    header = asynctcp.ProxyHeader(("2001:db8::1", 51234), ("198.51.100.2", 443), version=version)
    with nginx(tmp_path, READING) as front:
        assert body_from(front, send_proxy=header) == "2001:db8::1 51234"
