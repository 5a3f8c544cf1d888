"""docs/contract.md names tests that are there."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "contract.md"


def rows():
    """File and pattern of each promise."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and "/" in cells[1]:
            for pattern in cells[2].split(", "):
                yield cells[1], pattern


def functions_of(file):
    return re.findall(r"^\s*(?:def|fn) (\w+)", (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize(("file", "pattern"), list(rows()))
def test_named_test_is_there(file, pattern):
    assert [name for name in functions_of(file) if fnmatchcase(name, pattern)] != []


def test_each_test_file_proves_something():
    files = {f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py")}
    of_the_house = {"tests/test_contract.py", "tests/test_release.py", "tests/test_syscall_budget.py"}
    assert files - {file for file, _ in rows()} == of_the_house
