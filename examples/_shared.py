"""What the servers have in common: ``--host`` and ``--port``, the loop that they run in, and how they end.

No example itself: the servers import it, so who takes one of them elsewhere takes this file, too.
"""

import argparse
import sys
from collections.abc import Callable

from asynctcp import TcpServerBindError, TlsConfigError, event_loop


def server_parser(description: str, port: int) -> argparse.ArgumentParser:
    """Return a parser that knows ``--host`` and ``--port``; the caller adds what else its server is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=port, help="port, 0 for any free one (%(default)s)")
    return parser


def run(serve: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> int:
    """Call ``serve`` with the options, run what it opened until Ctrl-C, and return the exit status."""
    options = parser.parse_args()
    try:
        # catch_app_errors: a bug that one client meets in a callback ends that connection, not the server.
        with event_loop(catch_app_errors=True):
            serve(options)
    except KeyboardInterrupt:
        print("\nended")
    except TcpServerBindError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.errmsg}", file=sys.stderr)
        return 1
    except TlsConfigError as error:
        parser.error(str(error))
    return 0
