"""Programs and libraries of others, on asyncio's own loop, which says what is right, and on ours."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from certificates import authority
from loops import LOOPS
from peers import find, redis
from services import Children, nats, postgres


def pytest_collection_modifyitems(items):
    """All tests of this folder are of one kind, and take a while."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.programs)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=LOOPS)
def loop_name(request):
    """Which loop: the test runs on both."""
    return request.param


@pytest.fixture
def loop(loop_name):
    """The loop itself, which the test's end closes."""
    loop = LOOPS[loop_name]()
    yield loop
    loop.close()


@pytest.fixture
def children():
    """``children.start(app, …)`` runs a program of `apps`; the test's end ends it."""
    children = Children()
    yield children
    children.close()


@pytest.fixture(scope="session")
def postgres_server():
    """Address of a PostgreSQL of our own, which speaks TLS, too."""
    with postgres(authority().usual) as address:
        yield address


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """Address of a Redis of our own."""
    if find("redis-server") is None:
        pytest.skip("not installed: redis-server")
    with redis(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture(scope="session")
def nats_server():
    """Address of a NATS server of our own."""
    with nats() as address:
        yield address
