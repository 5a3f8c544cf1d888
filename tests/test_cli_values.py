"""What the command line understands as an address, a port, seconds and sizes, and how it writes these."""

import argparse

import pytest

from asynctcp._cli import values
from asynctcp._cli.values import Address, UnixPath, show_size


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:65535", Address("::1", 65535)),
        (":80", Address("", 80)),
    ],
)
def test_address_to_listen_on_is_read_and_written(text, address):
    assert values.listen_place(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "80", "localhost", "unix:", "::1:80", "host:", "host:http", "host:65536", "host:-1", "h:1_0"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        values.listen_place(text)


@pytest.mark.parametrize("text", [":80", "[]:80", "host:0"])
def test_address_without_host_or_port_is_no_target(text):
    with pytest.raises(argparse.ArgumentTypeError):
        values.target_place(text)


@pytest.mark.parametrize("read", [values.listen_place, values.target_place])
def test_path_of_a_unix_socket_is_read_and_written(read):
    assert read("unix:/run/a:1") == UnixPath("/run/a:1")
    assert str(read("unix:a")) == "unix:a"


def test_target_is_read():
    assert values.target_place("[fe80::1%eth0]:443") == Address("fe80::1%eth0", 443)


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("64", 64), ("64K", 65536), ("2m", 2 << 20), ("64M", 64 << 20)]
)
def test_size_is_read(text, size):
    assert values.size(text) == size


@pytest.mark.parametrize("text", ["", "0", "K", "-1", "1.5M", "65M", "1G"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        values.size(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (500 << 10, "500 KiB"),
        (1 << 20, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_size_is_written_for_people(number, text):
    assert show_size(number) == text
