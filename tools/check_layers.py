#!/usr/bin/env python3
"""Check the shape of the code: layers, no circle of imports, lengths of files and functions, maps of folders.

An import of Rust is a path to another file's items, by a `use` or in the code; the tests in a file do not
count, nor does a parent's `mod x;`. One of Python counts wherever it stands, if only for types. Ends with 1,
and says what is wrong, if something is that is not in KNOWN.
"""

import ast
import fnmatch
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SRC, PACKAGE = ROOT / "src", ROOT / "python" / "asynctcp"
#: The compiled module, whose stub names the types of all others.
NATIVE = ("asynctcp", "_core")
#: From the top, as in ARCHITECTURE.md: a file imports from its own layer and from those below it.
LAYERS = [
    ("lib.rs", "event_loop.rs", "socket.rs"),
    *(
        ("aio",),
        ("functions",),
        ("event_loop",),
        ("turn",),
        ("objects",),
        ("socket",),
        ("shared",),
        ("boundary",),
    ),
    ("io",),
]
#: Lines at most of a map of a folder (mod.rs), of any other file, of a function.
MAP, FILE, FUNCTION = 60, 500, 60
#: What may be wrong for now, as it is printed up to the colon; `*` stands for anything.
KNOWN: list[str] = []

#: Comments, strings and characters, none of which may be taken for code.
TEXT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^'\\])'""", re.DOTALL
)
TESTS = re.compile(r"#\[cfg\((?:all\()?test\b.*?\]")


def end_of_item(code, start):
    """Where an item ends: after its braces, or at a semicolon that stands in none."""
    depth = 0
    for mark in re.finditer(r"[({\[\]});]", code[start:]):
        depth += (mark[0] in "({[") - (mark[0] in ")}]")
        if depth == 0 and mark[0] in ";}":
            return start + mark.end()
    return len(code)


def without_tests(code):
    while tests := TESTS.search(code):
        code = code[: tests.start()] + code[end_of_item(code, tests.end()) :]
    return code


def paths_of_use(tree):
    """``a::{b, c::{d, e}}`` as a::b, a::c::d and a::c::e."""
    tree = re.sub(r"\s*([{},])\s*", r"\1", tree)
    while braces := re.search(r"([\w:]*)\{([^{}]*)\}", tree):
        paths = ",".join(braces[1] + item for item in braces[2].split(",") if item)
        tree = tree.replace(braces[0], paths)
    return tree.split(",")


def imports_of(module, code, modules):
    """The other modules whose items a file names."""
    # What a path may begin with: modules that the file declares, and what it takes by `use`, too.
    known = {"crate": (), "self": module, "super": module[:-1]}
    known |= {name: (*module, name) for name in re.findall(r"\bmod (\w+);", code)}
    found = set()

    def follow(path):
        first, *names = path.split("::")
        if (whole := known.get(first)) is not None:
            for name in names:
                whole = whole[:-1] if name == "super" else whole if name == "self" else (*whole, name)
            found.add(next(whole[:n] for n in range(len(whole), -1, -1) if whole[:n] in modules))
        return whole

    for use in re.findall(r"\buse\s+([^;]+);", code):
        for path, alias in (
            re.fullmatch(r"(\S+)(?:\s+as\s+(\w+))?", path).groups() for path in paths_of_use(use)
        ):
            if whole := follow(path):
                known[alias or whole[-1]] = whole
    for path in re.findall(r"\b\w+(?:::\w+)+", code):
        follow(path)
    return found - {module}


def shortest_circle(start, imports):
    """The fewest files that lead from one back to it."""
    ways, seen = [[start]], set()
    for way in ways:
        for target in sorted(imports[way[-1]] - seen):
            if target == start:
                return [*way, start]
            seen.add(target)
            ways.append([*way, target])
    return None


def layer_of(file):
    """Its number, or one above all others where it has none."""
    return next((number for number, names in enumerate(LAYERS) if file.parts[1] in names), -1)


def python_imports_of(code, modules):
    """The modules of the package that a file of it names."""
    named = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            named |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = tuple(node.module.split("."))
            whole = {(*source, alias.name) for alias in node.names}
            named |= {each if each in modules else source for each in whole - {NATIVE}}
    return named & modules.keys()


def circles_of_python():
    """As `all_that_is_wrong`."""
    files = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        names = file.relative_to(PACKAGE.parent).with_suffix("").parts
        files[names[:-1] if names[-1] == "__init__" else names] = file
    imports = {module: python_imports_of(file.read_text(), files) for module, file in files.items()}
    for module, file in files.items():
        if circle := shortest_circle(module, imports):
            yield f"{file.relative_to(ROOT)} is on a circle", " -> ".join(map(".".join, circle))


def unmapped():
    """Files without a row in the map of their folder, which is its mod.rs or the file of its name."""
    folders = {file.parent for file in SRC.rglob("*.rs") if file.name != "tests.rs"} - {SRC}
    for folder in sorted(folders):
        maps = [each for each in (folder / "mod.rs", folder.with_suffix(".rs")) if each.exists()]
        rows = re.findall(r"`(\w+\.rs|\w+/)`", maps[0].read_text())
        for file in sorted(folder.iterdir()):
            name = f"{file.name}/" if file.is_dir() else file.name
            if file not in maps and name not in rows and (file.suffix or file in folders):
                yield f"{file.relative_to(ROOT)} is not in the map", str(maps[0].relative_to(ROOT))


def all_that_is_wrong():
    """Pairs of what is wrong where, and the details."""
    yield from circles_of_python()
    yield from unmapped()
    files, code = {}, {}
    for file in sorted(SRC.rglob("*.rs")):
        names = file.relative_to(SRC).with_suffix("").parts
        module = names[:-1] if names[-1] in ("mod", "lib") else names
        files[module] = file.relative_to(SRC.parent)
        code[module] = TEXT.sub(lambda text: "\n" * text[0].count("\n"), file.read_text())
        lines, most = file.read_text().count("\n"), MAP if file.name == "mod.rs" else FILE
        if lines > most:
            yield f"{files[module]} is too long", f"{lines} lines, at most {most}"
        for function in re.finditer(r"\bfn (\w+)", code[module]):
            lines = code[module][function.start() : end_of_item(code[module], function.end())].count("\n") + 1
            if lines > FUNCTION:
                yield f"{files[module]}, {function[1]} is too long", f"{lines} lines, at most {FUNCTION}"
    imports = {module: imports_of(module, without_tests(code[module]), files) for module in files}
    for module, file in files.items():
        if upper := [str(files[each]) for each in imports[module] if layer_of(files[each]) < layer_of(file)]:
            yield f"{file} imports from a layer above it", ", ".join(sorted(upper))
        if circle := shortest_circle(module, imports):
            yield f"{file} is on a circle", " -> ".join(str(files[each]) for each in circle)


def main():
    wrong = dict(all_that_is_wrong())
    for pattern in KNOWN:
        if not (matching := fnmatch.filter(wrong, pattern)):
            print(f"no longer so, to be taken out of KNOWN: {pattern}")
        for what in matching:
            del wrong[what]
    for what, details in wrong.items():
        print(f"{what}: {details}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
