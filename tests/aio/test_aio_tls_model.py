"""The same script over TLS on asyncio's loop and on ours: the same events in the same order."""

from __future__ import annotations

import contextlib
import itertools
import ssl

from hypothesis import given, settings
from hypothesis import strategies as st

from secured import WORLDS, Link, World

SIZES = st.sampled_from([1, 700, 16384, 40_000])
#: What is done one after another, and then how it ends.
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "peer_write"]), SIZES),
        st.tuples(st.sampled_from(["pause", "resume", "write_twice"]), st.just(0)),
    ),
    max_size=8,
)
ENDS = st.sampled_from(["close", "close_and_peer_ends", "abort", "peer_says_end", "peer_writes_and_says_end"])


class Script:
    """Runs it in a world."""

    def __init__(self, world, server_side):
        self.link = Link.open(world, server_side=server_side)
        self.number = 0

    def data(self, size):
        """Other bytes each time."""
        self.number += 1
        return bytes([self.number]) * size

    def write(self, size):
        self.link.transport.write(self.data(size))

    def write_twice(self, _):
        self.link.transport.writelines([self.data(10), self.data(20_000)])

    def peer_write(self, size):
        self.link.peer.write(self.data(size))

    def pause(self, _):
        self.link.transport.pause_reading()

    def resume(self, _):
        self.link.transport.resume_reading()

    def close(self):
        self.link.transport.close()

    def close_and_peer_ends(self):
        self.link.transport.close()
        self.settle()
        with contextlib.suppress(ssl.SSLError, OSError):
            self.link.peer.says_end()

    def abort(self):
        self.link.transport.abort()

    def peer_says_end(self):
        self.link.peer.says_end()

    def peer_writes_and_says_end(self):
        self.link.peer.write(self.data(3000))
        self.link.peer.says_end()

    def settle(self):
        """What has been done takes its course, until nothing has changed for some turns."""
        before, quiet = None, 0
        while quiet < 3:
            self.link.loop.call_later(0.001, self.link.loop.stop)
            self.link.loop.run_forever()
            with contextlib.suppress(ssl.SSLError, OSError):
                self.link.peer.read()
            now = len(self.link.protocol.told), len(self.link.protocol.data), len(self.link.peer.got)
            quiet = quiet + 1 if now == before else 0
            before = now

    def run(self, actions, end):
        """What the protocol was told, and what both have received."""
        for name, size in actions:
            getattr(self, name)(size)
            self.settle()
        getattr(self, end)()
        self.settle()
        self.link.transport.resume_reading()
        self.settle()
        with contextlib.suppress(ssl.SSLError, OSError):
            self.link.peer.says_end()
        self.settle()
        told = [one for one, _ in itertools.groupby(self.link.protocol.told)]
        result = told, self.link.protocol.data, bytes(self.link.peer.got)
        self.link.close()
        self.link.until(lambda: self.link.transport.get_protocol() is None)
        return result


@given(actions=ACTIONS, end=ENDS, server_side=st.booleans())
@settings(max_examples=40, deadline=None)
def test_same_script_same_events(actions, end, server_side):
    results = []
    for name in WORLDS:
        world = World(name)
        results.append(Script(world, server_side).run(actions, end))
        world.loop.close()
    asyncios, by_context, by_config = results
    assert by_context == asyncios
    # OpenSSL takes what comes unread behind its close_notify for an error, rustls does not.
    if ("pause", 0) not in actions:
        assert by_config == asyncios
