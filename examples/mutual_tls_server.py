"""A server that talks only to clients with a certificate, and knows them by its names.

    asynctcp certificate --client me@example.org
    python examples/mutual_tls_server.py server.pem server.key ca.pem --port 7000
    python examples/mutual_tls_client.py client.pem client.key ca.pem localhost 7000

Who has none, or one that nobody in ca.pem has signed, is refused before any callback. Ctrl-C ends it.
"""

import argparse
import sys

from asynctcp import Socket, TcpServerBindError, TlsConfig, TlsConfigError, event_loop, tcp_server


def on_connect(socket: Socket) -> None:
    """Greet: the certificate was checked. Whether this client may do this or that is for the app to say."""
    assert socket.tls is not None
    socket.write(f"hello {', '.join(socket.tls.peer_names)}\n")


def on_read(socket: Socket, data: bytes) -> None:
    """Send back what came."""
    socket.write(data)


def main() -> int:
    """Run the server until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(description="An echo server for clients with a certificate.")
    parser.add_argument("cert", help="file with the certificate and those above it")
    parser.add_argument("key", help="file with its key")
    parser.add_argument("ca", help="file with those who sign the clients' certificates")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="port, 0 for any free one (%(default)s)")
    options = parser.parse_args()
    try:
        tls = TlsConfig.server(options.cert, options.key, client_certs="required", ca_file=options.ca)
        with event_loop(catch_app_errors=True):
            server = tcp_server(options.host, options.port, on_read, connect_cb=on_connect, tls=tls)
            print(f"listening on {server.host}:{server.port}", flush=True)
    except KeyboardInterrupt:
        print("\nended")
    except TcpServerBindError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.errmsg}", file=sys.stderr)
        return 1
    except TlsConfigError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
