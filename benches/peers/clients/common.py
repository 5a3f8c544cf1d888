"""The command line of the clients: connections to a port, on each a message that goes to and fro."""

import argparse


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", default="asyncio", help="of those with asyncio's interface")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--conns", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    return parser.parse_args()
