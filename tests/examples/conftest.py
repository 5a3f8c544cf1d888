"""Fixtures of the tests that run the examples as a user would: as programs."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from certificates import authority
from peers import Example


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory):
    """A folder: whom to trust, the ordinary certificate and a client's, each in one file with its key."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(authority().pem)
    (folder / "server.pem").write_bytes(authority().usual)
    (folder / "client.pem").write_bytes(authority().issue("me@example.org"))
    return folder


@pytest.fixture
def start_example():
    """``start_example(name, *arguments)`` gives a running `peers.Example`; the test's end ends it.

    The test fails if it printed a traceback.
    """
    started = []

    def start(name, *arguments):
        example = Example(name, *map(str, arguments))
        started.append(example)
        return example

    yield start
    for example in started:
        example.close()
    for example in started:
        assert "Traceback" not in example.output
