"""The command line as a whole: help, version, statuses, and what it does not import."""

import os
import subprocess
import sys

import pytest

from asynctcp._cli import main as command_line
from asynctcp._cli.main import COMMANDS, main, parse, program_name
from cli import COMMAND, finish
from peers import DEADLINE
from tracing import traced

NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_help_of_each_command_has_examples_and_statuses(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "\nexamples:\n" in text
    assert "\nexit status: " in text
    assert f" {name}" in text.partition("examples:")[2]
    assert "%(" not in text


def test_help_names_each_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert [name for name in NAMES if f"    {name} " not in text] == []


def test_no_command_is_said_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["echo", "7000"], "unrecognized arguments: 7000"),
        (["connect", "localhost", "--bogus", "80"], "unrecognized arguments: --bogus"),
        (["connect", "localhost", "80", "81"], "unrecognized arguments: 81"),
        (["proxy", ":0", "localhost:1", "localhost:2"], "unrecognized arguments: localhost:2"),
    ],
    ids=repr,
)
def test_argument_that_nobody_takes_is_named_with_status_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_options_may_stand_between_arguments():
    options = parse(["connect", "localhost", "--crlf", "80"])
    assert (options.places, options.crlf) == (["localhost", "80"], True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/asynctcp", "asynctcp"),
        ("/lib/asynctcp/__main__.py", "python -m asynctcp"),
        ("pytest", "python -m asynctcp"),
    ],
)
def test_help_says_what_to_type(path, name):
    assert program_name(path) == name


def test_script_is_there_and_tells_the_version():
    from asynctcp import __version__

    done = subprocess.run(
        [sys.executable.rpartition("/")[0] + "/asynctcp", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"asynctcp {__version__} (Python 3.")


def test_importing_the_library_does_not_import_the_command_line():
    code = "import sys, asynctcp; print({'asynctcp._cli', 'argparse'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_ctrl_c_is_status_130(monkeypatch):
    def interrupted(_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line.doctor, "run", interrupted)
    assert main(["doctor"]) == 130


@pytest.mark.parametrize("arguments", ["--help", "doctor"])
def test_reader_that_has_gone_is_no_traceback_and_status_1(arguments, commands):
    read, write = os.pipe()
    os.close(read)
    try:
        command = commands.start(arguments, stdout=write)
    finally:
        os.close(write)
    assert finish(command) == (1, None, "")


def test_output_that_is_closed_is_no_traceback():
    command = ["sh", "-c", 'exec "$@" doctor >&-', "sh", *COMMAND]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=DEADLINE, check=False, env=traced())
    assert (done.returncode in (0, 1), done.stderr) == (True, b"")
