"""A server that talks only to clients with a certificate, and knows them by its names.

    asynctcp certificate --client me@example.org
    python examples/mutual_tls_server.py server.pem server.key ca.pem --port 7000
    python examples/mutual_tls_client.py client.pem client.key ca.pem localhost 7000

Who has none, or one that nobody in ca.pem has signed, is refused before any callback. Ctrl-C ends it.
"""

import argparse
import sys

from _shared import run, server_parser
from asynctcp import Socket, TlsConfig, tcp_server


def on_connect(socket: Socket) -> None:
    """Greet: the certificate was checked. Whether this client may do this or that is for the app to say."""
    assert socket.tls is not None
    socket.write(f"hello {', '.join(socket.tls.peer_names)}\n")


def on_read(socket: Socket, data: bytes) -> None:
    """Send back what came."""
    socket.write(data)


def serve(options: argparse.Namespace) -> None:
    """Listen, and say where."""
    tls = TlsConfig.server(options.cert, options.key, client_certs="required", ca_file=options.ca)
    server = tcp_server(options.host, options.port, on_read, connect_cb=on_connect, tls=tls)
    print(f"listening on {server.host}:{server.port}", flush=True)


if __name__ == "__main__":
    parser = server_parser("An echo server for clients with a certificate.", port=7000)
    parser.add_argument("cert", help="file with the certificate and those above it")
    parser.add_argument("key", help="file with its key")
    parser.add_argument("ca", help="file with those who sign the clients' certificates")
    sys.exit(run(serve, parser))
