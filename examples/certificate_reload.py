"""An echo server over TLS that takes a new certificate on SIGHUP, and loses no connection by it.

    python examples/certificate_reload.py server.pem server.key --port 7000
    asynctcp certificate --force
    kill -HUP <the number that it printed>

That is what a program that renews certificates does at its end. New connections get the new certificate,
those that are open go on. If the files are no good, the old certificate stays. Ctrl-C ends it.
"""

import argparse
import os
import signal
import sys

from _shared import run, server_parser
from asynctcp import Socket, TlsConfig, TlsConfigError, signal_handler, tcp_server


def echo(socket: Socket, data: bytes) -> None:
    """Send back what came: the server's read callback."""
    socket.write(data)


def serve(options: argparse.Namespace) -> None:
    """Listen, say where, and wait for the signal."""

    def reload(_signum: int) -> None:
        try:
            server.reload_tls(TlsConfig.server(options.cert, options.key))
        except TlsConfigError as error:
            print(f"kept the old certificate: {error}", flush=True)
        else:
            print("took the new certificate", flush=True)

    tls = TlsConfig.server(options.cert, options.key)
    server = tcp_server(options.host, options.port, echo, tls=tls)
    signal_handler(signal.SIGHUP, reload)
    print(f"listening on {server.host}:{server.port} as {os.getpid()}", flush=True)


if __name__ == "__main__":
    parser = server_parser("An echo server that takes a new certificate on SIGHUP.", port=7000)
    parser.add_argument("cert", help="file with the certificate and those above it")
    parser.add_argument("key", help="file with its key")
    sys.exit(run(serve, parser))
