#!/usr/bin/env python3
"""Change the Python package in one small way at a time, and show which changes no test notices.

    tools/python_mutants.py                        60 of all, the same ones each time: a quarter of an hour
    tools/python_mutants.py --sample 20 --seed 1   fewer and others
    tools/python_mutants.py --all                  every one, which takes hours
    tools/python_mutants.py --only _stream.py      all whose names begin so; ``--list`` prints the names

What to change is read off the syntax tree. A mutant is called ``file:function:operator:n``, so it keeps its
name when anything else is edited. Each change is made to a copy of the installed package, which the Python
tests are run against. Ends with 1 if less than 85 % are noticed. What cannot be noticed is listed, with its
reason, in python_mutants_accepted.txt.

(mutmut and cosmic-ray work on a tree of sources. Here the package is installed, with its native module; child
processes import it, too; and tests look at its signatures, which mutmut's trampolines change.)
"""

import argparse
import ast
import collections
import re
import sys
import time
from pathlib import Path

from judge import Package, Suite, Tally, sample

ACCEPTED = Path(__file__).with_name("python_mutants_accepted.txt")
#: Names for annotations.
LEFT_OUT = {"typing.py"}

BOUNDS = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*", ast.Div: "*", ast.Mod: "*"}


class Mutant:
    """One change of a file's text."""

    def __init__(self, file, name, line, span, new):
        self.file, self.name, self.new = file, name, new
        self.start, self.end = span
        #: The same when lines are added above it.
        self.key = f"{name} | {line}"

    def change(self, source):
        return source[: self.start] + self.new + source[self.end :]


class Finder(ast.NodeVisitor):
    """Finds what can be changed in one file."""

    def __init__(self, file, source):
        self.file = file
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.scope = []
        self.numbers = collections.Counter()
        self.mutants = []
        self.visit(ast.parse(source))

    def place(self, line, column):
        """Where in the text a position of the tree is, whose columns count bytes."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node):
        return (
            self.place(node.lineno, node.col_offset),
            self.place(node.end_lineno, node.end_col_offset),
        )

    def text(self, node):
        start, end = self.span(node)
        return self.source[start:end]

    def add(self, operator, node, new, span=None):
        """Put ``new`` in the place of a node, or of another piece of text."""
        where = f"{self.file}:{'.'.join(self.scope) or '-'}:{operator}"
        self.numbers[where] += 1
        line = self.lines[node.lineno - 1].strip()
        name = f"{where}:{self.numbers[where]}"
        self.mutants.append(Mutant(self.file, name, line, span or self.span(node), new))

    def negate(self, node):
        self.add("negate", node, f"(not ({self.text(node)}))")

    def visit_scope(self, node):
        self.scope.append(node.name)
        # Neither docstring nor annotations: they are told, not run.
        self.visit_statements(node.body)
        self.scope.pop()

    visit_ClassDef = visit_scope  # noqa: N815 (what ast calls it)

    def visit_FunctionDef(self, node):
        defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        self.scope.append(node.name)
        for default in defaults:
            self.visit(default)
        self.scope.pop()
        self.visit_scope(node)

    def visit_Module(self, node):
        self.visit_statements(node.body)

    def visit_statements(self, body):
        for statement in body:
            match statement:
                case ast.Expr(ast.Constant()) | ast.Import() | ast.ImportFrom():
                    pass
                case ast.Assign(targets=[ast.Name("__all__")]):
                    pass
                case _:
                    self.visit(statement)

    def visit_Expr(self, node):
        self.add("drop", node, "pass")
        self.generic_visit(node)

    visit_Raise = visit_AugAssign = visit_Delete = visit_Expr  # noqa: N815 (the same)

    def visit_Assign(self, node):
        # Without its assignment a name is not known, which every test would notice.
        if self.scope and not all(isinstance(target, ast.Name) for target in node.targets):
            self.add("drop", node, "pass")
        self.visit(node.value)

    def visit_AnnAssign(self, node):
        if node.value:
            self.visit(node.value)

    def visit_Return(self, node):
        if node.value and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.add("return", node, "return None")
            self.visit(node.value)

    def visit_If(self, node):
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node):
        # A loop that does not end is noticed by its time only.
        if not isinstance(node.test, ast.Constant):
            self.add("never", node.test, "False")
        self.generic_visit(node)

    def visit_IfExp(self, node):
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node):
        for test in node.ifs:
            self.add("always", test, "True")
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        for n, value in enumerate(node.values):
            others = [f"({self.text(each)})" for each in node.values[:n] + node.values[n + 1 :]]
            word = " and " if isinstance(node.op, ast.And) else " or "
            self.add("without", value, f"({word.join(others)})", self.span(node))
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        if isinstance(node.op, ast.Not):
            self.add("affirm", node, f"(bool({self.text(node.operand)}))")
        self.generic_visit(node)

    def visit_Compare(self, node):
        if len(node.ops) == 1 and (sign := BOUNDS.get(type(node.ops[0]))):
            [right] = node.comparators
            self.add("bound", node, f"({self.text(node.left)}) {sign} ({self.text(right)})")
        self.generic_visit(node)

    def visit_BinOp(self, node):
        if sign := ARITHMETIC.get(type(node.op)):
            self.add("arithmetic", node, f"(({self.text(node.left)}) {sign} ({self.text(node.right)}))")
        self.generic_visit(node)

    def visit_Call(self, node):
        for keyword in node.keywords:
            # A help is a text for people.
            if keyword.arg not in (None, "help"):
                start, end = self.span(keyword)
                # With the comma behind it, unless the arguments end.
                end += len(re.match(r"\s*,|", self.source[end:])[0])
                self.add("keyword", keyword, "", (start, end))
        self.generic_visit(node)

    def visit_ExceptHandler(self, node):
        if node.type:
            self.add("except", node.type, "ZeroDivisionError")
        self.visit_statements(node.body)

    def visit_Constant(self, node):
        match node.value:
            case bool():
                self.add("constant", node, str(not node.value))
            case int() | float():
                self.add("constant", node, f"({node.value} + 1)")

    def visit_JoinedStr(self, node):
        """A text for people."""


def all_mutants(package):
    """What can be changed in the package."""
    mutants = []
    for path in sorted(package.origin.rglob("*.py")):
        file = str(path.relative_to(package.origin))
        if file not in LEFT_OUT:
            mutants += Finder(file, path.read_text()).mutants
    return mutants


def accepted_keys():
    """The changes that cannot be noticed."""
    return {line for line in ACCEPTED.read_text().splitlines() if line and not line.startswith("#")}


def try_all(package, mutants):
    """Judge each, print what came of it, and return whether enough were noticed."""
    suite = Suite(package)
    suite.check_unchanged()
    tally = Tally(len(mutants))
    for mutant in mutants:
        source = (package.origin / mutant.file).read_text()
        started = time.monotonic()
        (package.path / mutant.file).write_text(mutant.change(source))
        tally.add(mutant.file, mutant.key, suite.failure(mutant.file), time.monotonic() - started)
        (package.path / mutant.file).write_text(source)
    return tally.summary()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="START", help="only those whose names begin so")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="only N, from each file in proportion (default: 60)"
    )
    parser.add_argument("--all", action="store_true", help="every one")
    parser.add_argument("--seed", type=int, default=0, help="which N (default: 0)")
    parser.add_argument("--list", action="store_true", help="only say which")
    arguments = parser.parse_args()

    package = Package()
    everything = all_mutants(package)
    accepted = accepted_keys()
    for key in sorted(accepted - {mutant.key for mutant in everything}):
        print(f"no longer there, to be taken out of {ACCEPTED.name}: {key}")
    mutants = [mutant for mutant in everything if mutant.key not in accepted]
    if arguments.only:
        mutants = [mutant for mutant in mutants if mutant.name.startswith(arguments.only)]
    if count := arguments.sample or (0 if arguments.all or arguments.only else 60):
        mutants = sample(mutants, count, arguments.seed)
    if arguments.list:
        print("\n".join(mutant.key for mutant in mutants))
        return
    if not mutants:
        sys.exit("there is no such mutant")
    sys.exit(not try_all(package, mutants))


if __name__ == "__main__":
    main()
