"""tests/typing/every_name.py, which mypy checks, uses every public name, method and property."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import asynctcp
import asynctcp.typing

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


def test_every_name_for_annotations_is_used():
    assert set(asynctcp.typing.__all__) - USED == set()


@pytest.mark.parametrize(
    ("options", "call"),
    [
        (asynctcp.typing.ConnectOptions, asynctcp.tcp_connect),
        (asynctcp.typing.ConnectOptions, asynctcp.init_tcp_socket),
        (asynctcp.typing.ServerOptions, asynctcp.tcp_server),
    ],
    ids=["tcp_connect", "init_tcp_socket", "tcp_server"],
)
def test_options_are_the_keywords_of_their_call(options, call):
    keywords = {
        one.name for one in inspect.signature(call).parameters.values() if one.kind is one.KEYWORD_ONLY
    }
    assert set(options.__annotations__) == keywords - {"stream", "dont_drain_read_buffer"}


@pytest.mark.parametrize("name", asynctcp.typing.__all__)
def test_name_for_annotations_can_be_one_with_none(name):
    assert getattr(asynctcp.typing, name) | None


def test_every_method_and_property_is_used():
    assert set(members()) - USED == set()
