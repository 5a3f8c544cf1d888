"""tests/typing/every_name.py, which mypy checks, uses every public name, method and property."""

from __future__ import annotations

import ast
from pathlib import Path

import asynctcp

USED = {
    getattr(node, "attr", getattr(node, "id", None))
    for node in ast.walk(ast.parse((Path(__file__).parent / "typing" / "every_name.py").read_text()))
    if isinstance(node, ast.Attribute | ast.Name)
}


def members():
    """The public members of the package's own classes."""
    for name in asynctcp.__all__:
        value = getattr(asynctcp, name)
        if isinstance(value, type) and not issubclass(value, BaseException):
            for cls in value.__mro__:
                if cls.__module__.split(".")[0] == "asynctcp":
                    yield from (member for member in vars(cls) if not member.startswith("_"))


def test_every_public_name_is_used():
    assert set(asynctcp.__all__) - USED == set()


def test_every_method_and_property_is_used():
    assert set(members()) - USED == set()
