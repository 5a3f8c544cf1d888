"""The server of ``bench``: an echo server that lives until its standard input ends, and tells its CPU time.

The parent's end, however it comes, ends the input.
"""

import os
import sys
import threading
import time

import asynctcp
from asynctcp._cli.echo import Echo
from asynctcp._cli.values import Address


def serve() -> None:
    """Print the port; serve; print the seconds of CPU time."""
    with asynctcp.event_loop(catch_app_errors=True) as loop:
        server = Echo().listen(Address("127.0.0.1", 0))
        print(server.port, flush=True)
        begun = time.process_time()

        def wait_for_end() -> None:
            os.read(sys.stdin.fileno(), 1)
            loop.exit()

        threading.Thread(target=wait_for_end, daemon=True).start()
    print(time.process_time() - begun, flush=True)
