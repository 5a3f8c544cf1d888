"""Arguments of commands that listen: whether connections begin with a PROXY header."""

import argparse
from typing import Literal, TypedDict


class ProxyOptions(TypedDict, total=False):
    """The keywords of ``tcp_server`` that are about it."""

    proxy_protocol: Literal["require", "accept"] | None
    proxy_from: list[str] | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what concerns PROXY headers that come in."""
    parser.add_argument(
        "--proxy-protocol",
        choices=("require", "accept"),
        help="clients come through a balancer that first names them (PROXY protocol, 1 or 2);"
        " accept: only those of --proxy-from may",
    )
    parser.add_argument(
        "--proxy-from",
        action="append",
        metavar="NETWORK",
        help="whose headers are believed, such as 10.0.0.0/8; may be repeated (everybody's)",
    )


def server_options(options: argparse.Namespace) -> ProxyOptions:
    """Keywords of ``tcp_server``."""
    return {"proxy_protocol": options.proxy_protocol, "proxy_from": options.proxy_from}
