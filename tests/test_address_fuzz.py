"""The parser of addresses, given near misses: it takes what ``ipaddress`` takes, and nothing else."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

import asynctcp

PARTS = st.sampled_from(
    [
        "127",
        "0",
        "255",
        "256",
        "1",
        "01",
        "fe80",
        "ffff",
        "::",
        ":",
        ".",
        "%",
        "lo",
        "%1",
        "-",
        "g",
        " ",
        "\0",
        "::1",
        "é",
    ]
)
TEXTS = st.one_of(
    st.lists(PARTS, max_size=12).map("".join), st.ip_addresses().map(str), st.text(max_size=300)
)


def is_taken(address):
    """Whether ``local_address`` is one; nothing is looked up or opened for it."""
    taken = []

    def start():
        try:
            asynctcp.init_tcp_socket(None, local_address=(address, 0))
            taken.append(True)
        except ValueError:
            taken.append(False)

    asynctcp.start_event_loop(start)
    return taken[0]


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@given(TEXTS)
@example("fe80::1%lo")
@example("::ffff:127.0.0.1")
@example("1.2.3.4.5")
def test_what_is_taken_as_an_address_is_one(text):
    without_zone, _, zone = text.partition("%")
    if zone:
        # Whether there is such a zone is the system's to say; without an address before it nothing is taken.
        assert not is_taken(text) or is_address(without_zone)
    else:
        assert is_taken(text) == is_address(text)
