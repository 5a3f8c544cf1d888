"""``asynctcp certificate``: files that a server and its clients can use, and what it refuses."""

from __future__ import annotations

import ssl
import stat
import subprocess
import sys

import pytest

from asynctcp._cli.certificate import File
from asynctcp._cli.main import main
from cli import COMMAND
from helpers import LOOPBACK
from peers import DEADLINE, Program, find, needs


@pytest.fixture
def make(tmp_path):
    """``make(*arguments)`` runs the command in this process for a folder of the test's; gives its status."""
    return lambda *arguments: main(["certificate", "--directory", str(tmp_path), *arguments])


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def agree(server_files, ca, name, client_files=None):
    """Have both ends of Python's ``ssl`` shake hands in memory. Raises ``ssl.SSLError``."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    server.load_cert_chain(*server_files)
    client = ssl.create_default_context(cafile=ca)
    if client_files is not None:
        server.verify_mode = ssl.CERT_REQUIRED
        client.load_cert_chain(*client_files)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert all(end.version() == "TLSv1.3" for end in ends)


def test_certificate_is_for_loopback_and_signed_by_the_ca(make, tmp_path, capsys):
    assert make() == 0
    assert names_in(tmp_path) == ["ca.pem", "server.key", "server.pem"]
    for name in ("localhost", LOOPBACK, "::1"):
        agree((tmp_path / "server.pem", tmp_path / "server.key"), tmp_path / "ca.pem", name)
    assert "for localhost, 127.0.0.1, ::1, 365 days" in capsys.readouterr().out


def test_names_are_those_of_the_arguments(make, tmp_path, capsys):
    assert make("*.example.test", "10.0.0.1") == 0
    files = (tmp_path / "server.pem", tmp_path / "server.key")
    for name in ("a.example.test", "10.0.0.1"):
        agree(files, tmp_path / "ca.pem", name)
    with pytest.raises(ssl.SSLCertVerificationError):
        agree(files, tmp_path / "ca.pem", "localhost")
    assert "--server-name www.example.test localhost 7000" in capsys.readouterr().out


def test_client_gets_one_too(make, tmp_path, capsys):
    assert make("--client", "me@example.org") == 0
    files = [tmp_path / name for name in ("server.pem", "server.key", "client.pem", "client.key")]
    agree(files[:2], tmp_path / "ca.pem", "localhost", files[2:])
    assert "for me@example.org" in capsys.readouterr().out


def test_keys_are_for_their_owner_alone(make, tmp_path):
    assert make("--client", "me") == 0
    for name in ("server.key", "client.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_days_are_counted(make, tmp_path):
    assert make("--days", "2") == 0
    done = [find("openssl"), "x509", "-in", tmp_path / "server.pem", "-noout", "-checkend"]
    if done[0] is None:
        pytest.skip("not installed: openssl")
    ends_within = [subprocess.run([*done, str(days * 86400)], check=False).returncode for days in (1, 3)]
    assert ends_within == [0, 1]


def test_files_that_are_there_are_kept_unless_forced(make, tmp_path, capsys):
    assert make() == 0
    before = (tmp_path / "ca.pem").read_bytes()
    assert make() == 1
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "ca.pem").read_bytes() == before
    assert make("--force") == 0
    assert (tmp_path / "ca.pem").read_bytes() != before
    agree((tmp_path / "server.pem", tmp_path / "server.key"), tmp_path / "ca.pem", "localhost")


def test_key_that_is_replaced_is_made_anew_with_its_mode(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o666)
    File(path, b"new", is_secret=True).write()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)


def test_directory_is_made(tmp_path, capsys):
    assert main(["certificate", "--directory", str(tmp_path / "a" / "b")]) == 0
    assert (tmp_path / "a" / "b" / "ca.pem").exists()
    assert "a/b/ca.pem" in capsys.readouterr().out


def test_directory_that_cannot_be_is_said_with_status_1(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["certificate", "--directory", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith(f"cannot write {tmp_path / 'file'}: ")


@pytest.mark.parametrize("name", ["a b", "", "-"])
def test_what_is_no_name_is_said_with_status_2(make, tmp_path, name, capsys):
    assert make("--", name) == 2
    assert capsys.readouterr().err != ""
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("days", ["0", "-1", "1e3", "36501"])
def test_days_that_make_no_sense_are_refused_with_status_2(make, days):
    with pytest.raises(SystemExit) as ended:
        make("--days", days)
    assert ended.value.code == 2


def test_without_trustme_the_cure_is_named_with_status_1(make, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "trustme", None)
    assert make() == 1
    assert capsys.readouterr().err == "this needs trustme: pip install 'asynctcp[certificate]'\n"
    assert names_in(tmp_path) == []


@pytest.mark.slow
def test_what_it_says_to_type_works(make, capsys):
    assert make("--client", "me@example.org") == 0
    server, client = (line.split()[3:] for line in capsys.readouterr().out.splitlines()[-2:])
    with Program(*COMMAND, *server, "--port", "0") as echo:
        port = echo.wait_for(r"echoing on \S+:(\d+)")[1]
        done = subprocess.run(
            [*COMMAND, *client[:-1], port], input=b"hello", capture_output=True, timeout=DEADLINE, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"hello"), done.stderr


@needs("openssl")
def test_openssl_verifies_it(make, tmp_path):
    assert make() == 0
    done = subprocess.run(
        [find("openssl"), "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / "server.pem"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"{tmp_path / 'server.pem'}: OK")
