"""asyncio on asynctcp: a faster loop for unchanged asyncio programs.

    import asyncio
    from asynctcp import aio

    aio.run(main())                                              # as asyncio.run
    asyncio.Runner(loop_factory=aio.new_event_loop)              # the same by hand

and for programs that take a name: ``uvicorn --loop asynctcp.aio:new_event_loop``. For Linux.
"""

from asynctcp._core import StreamReader
from asynctcp.aio._datagram import DatagramTransport
from asynctcp.aio._loop import Loop, new_event_loop, run
from asynctcp.aio._reader_writer import (
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from asynctcp.aio._server import Server
from asynctcp.aio._stream import Stream, connect, connect_unix
from asynctcp.aio._stream_server import StreamServer, serve, serve_unix
from asynctcp.aio._transport import Transport

__all__ = [
    "DatagramTransport",
    "Loop",
    "Server",
    "Stream",
    "StreamReader",
    "StreamServer",
    "StreamWriter",
    "Transport",
    "connect",
    "connect_unix",
    "new_event_loop",
    "open_connection",
    "open_unix_connection",
    "run",
    "serve",
    "serve_unix",
    "start_server",
    "start_unix_server",
]
