"""The command line of the servers.

``--work N`` rounds of a loop a request, ``--beside`` a busy thread. They listen on a free port, with TLS if
there is a ``--pem``, or on the Unix socket ``--path``.
"""

import argparse
import ssl
import threading

BACKLOG = 1024


def work(rounds):
    """Stand for an application's Python: some microseconds of bytecode."""
    for _ in range(rounds):
        pass


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", default="asyncio", help="of those with asyncio's interface")
    parser.add_argument("--work", type=int, default=0)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--io-threads", type=int, default=0)
    parser.add_argument("--spin", type=int, default=0, help="µs of busy polling before it sleeps")
    parser.add_argument("--path", help="of a Unix socket")
    parser.add_argument("--pem", help="file with a chain of certificates and its key")
    chosen = parser.parse_args()
    if chosen.beside:
        threading.Thread(target=compute, daemon=True).start()
    return chosen


def compute():
    """Want the interpreter all the time."""
    while True:
        work(10_000)


def tls_context(pem):
    """Return what Python's ssl needs; None without TLS."""
    if pem is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def ready(where):
    """Say that the server listens: on which port or path."""
    print(where, flush=True)
