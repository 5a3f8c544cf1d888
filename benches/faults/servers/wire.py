"""How a server tells what happened: JSON objects on standard output, a line each."""

import json
import sys


def report(**what: object) -> None:
    """Tell the script that started us."""
    print(json.dumps(what), flush=True)


def behaviour(table: dict) -> tuple:
    """Return what the command line names: the server's name, the behaviour, and its arguments as numbers."""
    server, name, *arguments = sys.argv[1:]
    return server, table[name], [float(argument) for argument in arguments]
