"""Every public call with odd arguments: an exception that the docs name; no panic, no descriptor left.

``ASYNCTCP_ODD_CALLS`` sets how many calls each function gets.
"""

from __future__ import annotations

import os

import pytest

from odd_values import Fuzzer, functions, methods

CALLS = int(os.environ.get("ASYNCTCP_ODD_CALLS", "60"))
ALL = {**functions(), **methods()}


@pytest.mark.parametrize("name", ALL)
def test_odd_arguments_raise_what_is_documented_and_leave_nothing_open(name, peers):
    wrong, left = Fuzzer(name, peers).run(name, ALL[name], CALLS)
    assert not wrong
    assert left == {}
