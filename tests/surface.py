"""The public surface as text: every name, what it is called with, and what its type is.

``.venv/bin/python tests/surface.py`` writes it into ``public_surface.txt``, for a change that is meant.
"""

import ast
from pathlib import Path

import asynctcp
import asynctcp.typing

SNAPSHOT = Path(__file__).with_name("public_surface.txt")
PACKAGE = Path(asynctcp.__file__).parent
#: What `asynctcp.EventLoop` inherits from is private, its methods are not.
PUBLIC = {*asynctcp.__all__, *asynctcp.typing.__all__, "LoopCore"}


def is_public(name):
    return not name.startswith("_") or name.endswith("__")


def lines_of(node, owner=""):
    """What a statement defines for the user, a line for each."""
    match node:
        case ast.FunctionDef() if is_public(node.name):
            marks = "".join(f"@{ast.unparse(mark)} " for mark in node.decorator_list)
            result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            yield f"{marks}{owner}{node.name}({ast.unparse(node.args)}){result}"
        case ast.ClassDef() if is_public(node.name):
            yield f"class {owner}{node.name}({', '.join(map(ast.unparse, node.bases))})"
            for each in node.body:
                yield from lines_of(each, f"{owner}{node.name}.")
        case ast.AnnAssign(target=ast.Name(name)) if not name.startswith("_"):
            value = f" = {ast.unparse(node.value)}" if node.value else ""
            yield f"{owner}{name}: {ast.unparse(node.annotation)}{value}"


def render():
    """Of every module in turn: the names that it exports, and the definitions of such names."""
    lines = [f"asynctcp exports {name}" for name in sorted(asynctcp.__all__)]
    lines += [f"asynctcp.typing exports {name}" for name in sorted(asynctcp.typing.__all__)]
    for file in sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("*.pyi")]):
        for node in ast.parse(file.read_text()).body:
            found = list(lines_of(node))
            if found and (getattr(node, "name", None) or node.target.id) in PUBLIC:
                lines += ["", *found] if isinstance(node, ast.ClassDef) else found
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(render())
