"""``certificate``: an authority to test with, and certificates that it signs."""

import argparse
import datetime as dt
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from asynctcp._cli.values import days

HELP = "a test CA and a certificate, to try TLS with"
DESCRIPTION = """\
Make an authority, and a certificate that it signs for NAMEs: ca.pem (whom to trust), server.pem and
server.key, and with --client also client.pem and client.key. The authority's own key is not kept. It is for
tests: whom others are to trust gets its certificate elsewhere.
"""
EPILOG = """\
examples:
  %(prog)s
  %(prog)s db.internal '*.test' 10.0.0.1 --days 30
  %(prog)s --client me@example.org --directory /tmp/tls

It needs trustme: pip install 'asynctcp[certificate]'

exit status: 0 the files are there, 1 they cannot be made, 2 wrong arguments
"""

NAMES = ("localhost", "127.0.0.1", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "places",
        nargs="*",
        metavar="NAME",
        help=f"host or IP address that the certificate is for ({' '.join(NAMES)})",
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="where the files go (here)")
    parser.add_argument("--days", type=days, default=365, metavar="N", help="valid so long (%(default)s)")
    parser.add_argument(
        "--client", metavar="NAME", help="make one for a client of that name too: a host or a mail address"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")


@dataclass(slots=True)
class File:
    """What is to be written."""

    path: Path
    content: bytes
    is_secret: bool = False

    def write(self) -> None:
        """Write it anew: keys for us alone, from the first moment. Raises ``OSError``."""
        self.path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        mode = 0o600 if self.is_secret else 0o644
        with os.fdopen(os.open(self.path, flags, mode), "wb") as file:
            file.write(self.content)


def make(options: argparse.Namespace, names: list[str]) -> list[File]:
    """Make what the files hold. Raises ``ImportError`` without trustme, ``ValueError`` for a bad name."""
    import trustme

    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=options.days)
    authority = trustme.CA()
    files = [File(options.directory / "ca.pem", authority.cert_pem.bytes())]
    subjects = {"server": names}
    if options.client is not None:
        subjects["client"] = [options.client]
    for role, its_names in subjects.items():
        issued = authority.issue_cert(*its_names, not_after=until)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        files += [
            File(options.directory / f"{role}.pem", chain),
            File(options.directory / f"{role}.key", issued.private_key_pem.bytes(), is_secret=True),
        ]
    return files


def run(options: argparse.Namespace) -> int:
    """Write the files, and say what to do with them; return the exit status."""
    names = options.places or list(NAMES)
    try:
        files = make(options, names)
    except ImportError:
        print("this needs trustme: pip install 'asynctcp[certificate]'", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    there = [str(file.path) for file in files if file.path.exists()]
    if there and not options.force:
        print(
            f"there already: {', '.join(there)} (--force replaces, --directory is elsewhere)", file=sys.stderr
        )
        return 1
    try:
        options.directory.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.write()
    except OSError as error:
        print(f"cannot write {error.filename or options.directory}: {error.strerror}", file=sys.stderr)
        return 1
    tell(options, names, files)
    return 0


def tell(options: argparse.Namespace, names: list[str], files: list[File]) -> None:
    """Say what each file is, and what to type next."""
    ca, certificate, key, *of_client = (str(file.path) for file in files)
    print(f"{ca}: whom to trust")
    print(f"{certificate}, {key}: for {', '.join(names)}, {options.days} days")
    server = ["echo", "--tls", "--cert", certificate, "--key", key]
    client = ["connect", "--tls", "--ca", ca]
    if of_client:
        print(f"{', '.join(of_client)}: for {options.client}")
        server += ["--ca", ca]
        client += ["--cert", of_client[0], "--key", of_client[1]]
    host = names[0]
    if host not in NAMES:
        client += ["--server-name", host.replace("*", "www")]
        host = NAMES[0]
    print("try it:")
    print(f"  {options.program} {shlex.join(server)}")
    print(f"  {options.program} {shlex.join([*client, host, '7000'])}")
