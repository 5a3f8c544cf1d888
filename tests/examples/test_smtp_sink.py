"""The SMTP server, against Python's ``smtplib``, raw sockets and curl."""

import smtplib
import socket

import pytest

from certificates import authority
from peers import DEADLINE, MIB, fill, needs, receive, run

LETTER = "Subject: hello\r\n\r\n.a dot begins this line\r\n"


@pytest.fixture
def sink(start_example, tls_files):
    return start_example("smtp_sink", tls_files / "server.pem", tls_files / "server.pem")


@pytest.fixture
def client(sink):
    """A client that has not begun TLS yet."""
    with smtplib.SMTP("localhost", sink.address[1], "client.test", timeout=DEADLINE) as client:
        yield client


@pytest.fixture
def secured(client):
    assert client.starttls(context=authority().client_context())[0] == 220
    client.ehlo()
    return client


def code(answer):
    return answer[0]


def test_letter_over_tls_is_printed_with_its_size_and_not_its_dots(sink, secured):
    assert secured.sendmail("a@x.test", ["b@x.test", "c@x.test"], LETTER) == {}
    sink.wait_for(f"from 'a@x.test' to 'b@x.test', 'c@x.test': {len(LETTER)} bytes")


def test_several_letters_go_through_one_connection(sink, secured):
    for number in range(3):
        secured.sendmail(f"{number}@x.test", "b@x.test", LETTER)
        sink.wait_for(f"from '{number}@x.test'")


def test_mail_in_the_clear_is_refused(client):
    client.ehlo()
    assert client.has_extn("starttls")
    assert [code(client.docmd(verb)) for verb in ("MAIL FROM:<a@x.test>", "DATA")] == [530, 530]


def test_starttls_is_offered_once(secured):
    assert not secured.has_extn("starttls")
    assert code(secured.docmd("STARTTLS")) == 503


@pytest.mark.parametrize(
    ("dialogue", "codes"),
    [
        (["RCPT TO:<b@x.test>", "DATA"], [503, 503]),
        (["MAIL FROM:<>", "MAIL FROM:<>", "DATA"], [250, 503, 503]),
        (["MAIL a@x.test", "MAIL FROM:a"], [501, 501]),
        (
            ["MAIL FROM:<a>", "RCPT TO:<>", "RCPT b", "RCPT to:<b> X=Y", "DATA", "."],
            [250, 501, 501, 250, 354, 250],
        ),
        (["MAIL FROM:<a>", "RSET", "MAIL FROM:<a>"], [250, 250, 250]),
        (["NOOP", "VRFY x", ""], [250, 502, 502]),
        (["MAIL FROM:<a>", *["RCPT TO:<b>"] * 101], [250, *[250] * 100, 452]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_commands_out_of_order_are_answered_by_their_codes(secured, dialogue, codes):
    assert [code(secured.docmd(line)) for line in dialogue] == codes


def test_session_begins_anew_after_starttls(client):
    client.ehlo()
    client.starttls(context=authority().client_context())
    assert code(client.docmd("DATA")) == 503


def greeted(sink):
    raw = sink.connect()
    assert receive(raw, 16) == b"220 sink ESMTP\r\n"
    return raw


def test_what_comes_behind_starttls_in_the_clear_ends_the_session(sink):
    with greeted(sink) as raw:
        raw.sendall(b"STARTTLS\r\nMAIL FROM:<mallory@x.test>\r\n")
        answer = b""
        while piece := raw.recv(1000):
            answer += piece
    assert answer == b"421 Something came behind STARTTLS\r\n"


def test_line_that_is_too_long_ends_the_session(sink):
    with greeted(sink) as raw:
        raw.sendall(b"NOOP " + b"x" * 5000)
        assert receive(raw, 19) == b"500 Line too long\r\n"
        assert raw.recv(1) == b""


def test_dot_without_a_cr_does_not_end_the_letter(sink, secured):
    for line in ("MAIL FROM:<a>", "RCPT TO:<b>", "DATA"):
        secured.docmd(line)
    secured.send(b"text\r\n.\nMAIL FROM:<smuggled>\r\n.\r\n")
    assert code(secured.getreply()) == 250
    assert "smuggled" not in sink.output


@pytest.mark.slow
def test_letter_that_is_too_large_is_refused_and_the_next_taken(sink, secured):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        secured.sendmail("a@x.test", "b@x.test", ("x" * 998 + "\r\n") * 11_000)
    assert refused.value.smtp_code == 552
    secured.sendmail("a@x.test", "b@x.test", LETTER)
    sink.wait_for(f": {len(LETTER)} bytes")
    assert sink.output.count("bytes") == 1


@pytest.mark.slow
def test_client_that_takes_no_answers_is_not_read_from(sink):
    with greeted(sink) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        assert fill(raw, b"NOOP\r\n" * (1 << 16), 64 * MIB) < 64 * MIB
    greeted(sink).close()


@needs("curl")
def test_curl_sends_a_letter(sink, tls_files, tmp_path):
    letter = tmp_path / "letter"
    letter.write_bytes(LETTER.encode())
    run(
        "curl", "-sS", "--ssl-reqd", "--cacert", str(tls_files / "ca.pem"), f"smtp://localhost:{sink.address[1]}",
        "--mail-from", "a@x.test", "--mail-rcpt", "b@x.test", "-T", str(letter),
    )  # fmt: skip
    sink.wait_for(f"from 'a@x.test' to 'b@x.test': {len(LETTER)} bytes")
