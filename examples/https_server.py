"""An HTTPS server: it greets, says what TLS came to, and ends the connection.

    asynctcp certificate
    python examples/https_server.py server.pem server.key --port 8443
    curl --cacert ca.pem https://localhost:8443/

Ctrl-C ends it. ``http_hello.py`` is an HTTP server that keeps connections; ``tls=`` makes it one for HTTPS.
"""

import argparse
import sys

from _shared import run, server_parser
from asynctcp import Socket, TlsConfig, tcp_server

MAX_HEAD = 8192  # bytes
PATIENCE = 10  # seconds for a client that says or takes nothing


def on_connect(socket: Socket[bytes]) -> None:
    """Begin: the handshake is done."""
    socket.data = b""


def on_read(socket: Socket[bytes], data: bytes) -> None:
    """Answer once the head of the request is whole; what the request says does not matter."""
    socket.data += data
    if b"\r\n\r\n" in socket.data:
        tls = socket.tls
        assert tls is not None
        text = f"Hello over {tls.version} with {tls.cipher}!\n"
        socket.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}")
        socket.close()  # what was written still goes out, and then a close_notify
    elif len(socket.data) > MAX_HEAD:
        socket.close()


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    tls = TlsConfig.server(options.cert, options.key, alpn=["http/1.1"])
    server = tcp_server(
        options.host,
        options.port,
        on_read,
        connect_cb=on_connect,
        read_timeout=PATIENCE,
        write_timeout=PATIENCE,
        tls=tls,
    )
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("An HTTPS server that greets.", port=8443)
    parser.add_argument("cert", help="file with the certificate and those above it")
    parser.add_argument("key", help="file with its key")
    sys.exit(run(serve, parser))
