"""Which command is meant, and what all have in common: Ctrl-C, and a reader of the output that has gone."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import asynctcp
from asynctcp._cli import bench, certificate, completion, connect, doctor, echo, proxy

COMMANDS = (echo, connect, proxy, certificate, bench, doctor, completion)

EPILOG = """\
examples:
  %(prog)s echo --port 7000
  %(prog)s connect 127.0.0.1 7000
  %(prog)s proxy 127.0.0.1:8000 example.com:80
  %(prog)s certificate
  %(prog)s bench --connections 50 --seconds 5
  %(prog)s doctor
  %(prog)s completion bash
  %(prog)s COMMAND --help

exit status: 0 all went well, 1 it failed, 2 wrong arguments, 130 Ctrl-C (echo: 0, as that is how it ends)
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; ``run`` of what it parses is the command's function."""
    parser = argparse.ArgumentParser(
        prog=program_name(sys.argv[0]),
        description="Small programs over asynctcp, to try it with and to be of use.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"asynctcp {asynctcp.__version__} (Python {platform.python_version()})"
    parser.add_argument("-V", "--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, error=command.error, program=parser.prog, whole=parser)
    return parser


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line (None: the process's own arguments)."""
    options, left = make_parser().parse_known_args(arguments)
    # argparse thinks that a list ends at the next option; `HOST --crlf PORT` has always been fine.
    if left and ("places" not in options or any(text.startswith("-") for text in left)):
        options.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        options.places += left
    return options


def program_name(path: str) -> str:
    """Return what the user has to type for this program, which was run as ``path``."""
    return "asynctcp" if Path(path).name == "asynctcp" else "python -m asynctcp"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (None: the process's own arguments); return the exit status."""
    try:
        try:
            options = parse(arguments)
            status: int = options.run(options)
        except KeyboardInterrupt:
            status = 130
        finally:
            # Now, and not at the interpreter's exit, which would complain.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # who reads our output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
