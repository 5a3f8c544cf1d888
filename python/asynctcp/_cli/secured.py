"""Arguments that are about TLS, and the configurations that they make."""

import argparse

from asynctcp import TlsConfig
from asynctcp._cli.values import names


def add_arguments(parser: argparse.ArgumentParser, *, tls: str, cert: str, ca: str, alpn: str) -> None:
    """Add what all commands take that speak TLS; the texts say what it means to this one."""
    parser.add_argument("--tls", action="store_true", help=tls)
    parser.add_argument("--cert", metavar="FILE", help=cert)
    parser.add_argument("--key", metavar="FILE", help="its key (it is in the file of --cert)")
    parser.add_argument("--ca", metavar="FILE", help=ca)
    parser.add_argument(
        "--alpn",
        action="extend",
        type=names,
        default=[],
        metavar="NAME[,NAME...]",
        help=f"{alpn}, the preferred one first; may be repeated",
    )


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that listens."""
    add_arguments(
        parser,
        tls="clients have to speak TLS; needs --cert",
        cert="certificate, with those above it; PEM, as all files are",
        ca="clients must show a certificate that is signed by one of these",
        alpn="protocols that clients may choose from (ALPN)",
    )


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that connects."""
    add_arguments(
        parser,
        tls="speak TLS, and say on standard error what was agreed on and who answered",
        cert="a certificate of ours, with those above it, for servers that ask; PEM, as all files are",
        ca="whom to trust (whom the system does)",
        alpn="protocols to offer (ALPN)",
    )
    parser.add_argument("--server-name", metavar="NAME", help="whom the certificate must be for (HOST)")
    parser.add_argument(
        "--insecure", action="store_true", help="take any certificate: to look at it, as anybody may answer"
    )


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a command takes that listens, about those it connects to."""
    parser.add_argument("--target-tls", action="store_true", help="speak TLS to TARGET")
    parser.add_argument("--target-ca", metavar="FILE", help="whom to trust there (whom the system does)")
    parser.add_argument(
        "--target-name", metavar="NAME", help="whom TARGET's certificate must be for (TARGET's host)"
    )


def server_config(options: argparse.Namespace) -> TlsConfig | None:
    """What a server says, or None for no TLS. Raises ``TlsConfigError``, which names a bad file."""
    if not wants(options, "tls", "cert", "key", "ca", "alpn"):
        return None
    if options.cert is None:
        options.error(f"--tls needs --cert FILE ({options.program} certificate makes one to try it with)")
    return TlsConfig.server(
        options.cert,
        options.key,
        client_certs="none" if options.ca is None else "required",
        ca_file=options.ca,
        alpn=options.alpn,
    )


def client_config(options: argparse.Namespace) -> TlsConfig | None:
    """What a client says, or None for no TLS. Raises ``TlsConfigError``, which names a bad file."""
    if not wants(options, "tls", "cert", "key", "ca", "alpn", "server_name", "insecure"):
        return None
    return TlsConfig.client(
        verify="insecure-none" if options.insecure else True,
        ca_file=options.ca,
        cert_file=options.cert,
        key_file=options.key,
        server_name=options.server_name,
        alpn=options.alpn,
    )


def target_config(options: argparse.Namespace) -> TlsConfig | None:
    """What is said to a target, or None for no TLS. Raises ``TlsConfigError``, which names a bad file."""
    if not wants(options, "target_tls", "target_ca", "target_name"):
        return None
    return TlsConfig.client(ca_file=options.target_ca, server_name=options.target_name)


def wants(options: argparse.Namespace, switch: str, *others: str) -> bool:
    """Whether ``switch`` is there. Without it the others would be heeded by nobody, and so are refused."""
    if getattr(options, switch):
        return True
    for other in others:
        if getattr(options, other):
            options.error(f"{option(other)} needs {option(switch)}")
    return False


def option(name: str) -> str:
    """What is typed for an attribute of the options."""
    return "--" + name.replace("_", "-")
