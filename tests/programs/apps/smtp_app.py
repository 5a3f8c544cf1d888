"""A server of aiosmtpd that takes a letter on its way before SIGTERM ends it: smtp_app.py LOOP FILE."""

import asyncio
import signal
import sys

from aiosmtpd.smtp import SMTP

import _app


class Sink:
    """Says whom a letter is for, once it may."""

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 (aiosmtpd's name)
        print(f"250 {await _app.released(sys.argv[2])}", *envelope.rcpt_tos, flush=True)
        return "250 taken"


async def main():
    sink, loop, ending, open_ones = Sink(), asyncio.get_running_loop(), asyncio.Event(), []

    def connection():
        open_ones.append(SMTP(sink, loop=loop))
        return open_ones[-1]

    loop.add_signal_handler(signal.SIGTERM, ending.set)
    server = await loop.create_server(connection, "127.0.0.1", 0)
    _app.say_address(server.sockets[0])
    await ending.wait()
    server.close()
    # One that was accepted just now has none yet.
    sessions = [each._handler_coroutine for each in open_ones if each._handler_coroutine]
    await asyncio.gather(*sessions, return_exceptions=True)
    print("ended", flush=True)


_app.run(main)
