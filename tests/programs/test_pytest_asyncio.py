"""pytest-asyncio runs its tests and fixtures on our loop, by its hook for loop factories or by a policy."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from peers import EXAMPLES
from services import needs_package

pytestmark = needs_package("pytest_asyncio")

#: Its conftest.py has the hook.
FOLDER = EXAMPLES / "aio" / "with_pytest_asyncio"

POLICY = """
import asyncio

import pytest

from asynctcp import aio


class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return aio.new_event_loop()


@pytest.fixture(scope="session")
def event_loop_policy():
    return Policy()
"""


def run_tests(folder, *options):
    plugins = ["-p", "no:anyio", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, *plugins, "-c", "/dev/null", folder],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout + done.stderr


def test_loop_of_the_hook_is_used():
    strict = ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
    assert "2 passed" in run_tests(FOLDER, *strict)


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="asyncio's policies are deprecated from CPython 3.14 on"
)
def test_loop_of_a_policy_is_used(tmp_path):
    (tmp_path / "conftest.py").write_text(POLICY)
    shutil.copy(FOLDER / "test_echo.py", tmp_path)
    assert "2 passed" in run_tests(tmp_path)
