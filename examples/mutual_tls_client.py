"""A client that shows a certificate: it sends a line, prints what comes, and ends after the answer.

    python examples/mutual_tls_client.py client.pem client.key ca.pem localhost 7000

``mutual_tls_server.py`` is the other end, and tells how to make the files.
"""

import argparse
import sys

from asynctcp import Socket, TcpError, TlsConfig, TlsConfigError, event_loop, tcp_connect

LINE = b"Is anybody there?\n"


class Client:
    """The callbacks of the connection, and how it went."""

    def __init__(self) -> None:
        self.came = b""
        self.status = 1  # until the answer is there

    def on_read(self, socket: Socket, data: bytes) -> None:
        self.came += data
        if self.came.endswith(LINE):
            print(self.came.decode(errors="replace"), end="")
            self.status = 0
            socket.close()

    def on_event(self, condition: Exception) -> None:
        # With TLS 1.3 a client is connected before the server has looked at its certificate: a refusal comes
        # after that.
        if isinstance(condition, TcpError):
            print(f"failed: {condition}", file=sys.stderr)


def main() -> int:
    """Run the client until it has its answer; return the exit status."""
    parser = argparse.ArgumentParser(description="Sends a line to a server that wants a certificate.")
    parser.add_argument("cert", help="file with our certificate and those above it")
    parser.add_argument("key", help="file with its key")
    parser.add_argument("ca", help="file with those who sign the server's certificate")
    parser.add_argument("host", help="name or address to connect to")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    client = Client()
    try:
        tls = TlsConfig.client(ca_file=options.ca, cert_file=options.cert, key_file=options.key)
        with event_loop():
            tcp_connect(
                options.host,
                options.port,
                client.on_read,
                client.on_event,
                data=LINE,
                read_timeout=10,
                tls=tls,
            )
    except (TlsConfigError, ValueError) as error:  # a file, a host name or a port
        parser.error(str(error))
    return client.status


if __name__ == "__main__":
    sys.exit(main())
