"""Certificates of the moment: of an authority that nobody else knows, for 127.0.0.1."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import trustme

KINDS = {"ec": trustme.KeyType.ECDSA, "rsa": trustme.KeyType.RSA}


@functools.cache
def directory() -> Path:
    """Return one that is removed at exit."""
    path = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, path)
    return Path(path)


@functools.cache
def certificate(kind: str) -> str:
    """Return the path of a file with the chain and the key, "ec" or "rsa"."""
    issued = trustme.CA(key_type=KINDS[kind]).issue_cert("localhost", "127.0.0.1", key_type=KINDS[kind])
    path = directory() / f"{kind}.pem"
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    path.write_bytes(chain + issued.private_key_pem.bytes())
    return str(path)
