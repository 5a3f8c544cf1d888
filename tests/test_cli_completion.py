"""``asynctcp completion``: what a shell completes with its script."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from asynctcp._cli.main import COMMANDS, main
from peers import DEADLINE

NAMES = [module.__name__.rpartition(".")[2] for module in COMMANDS]


def script(shell, capsys):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(script, *words):
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _asynctcp; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands(capsys):
    assert completed(script("bash", capsys), "asynctcp", "") == NAMES


def test_bash_completes_the_begin_of_a_command(capsys):
    assert completed(script("bash", capsys), "asynctcp", "do") == ["doctor"]


def test_bash_completes_options_of_the_command(capsys):
    assert completed(script("bash", capsys), "asynctcp", "doctor", "--") == ["--help", "--json"]


def test_bash_leaves_what_is_no_option_to_file_names(capsys):
    assert completed(script("bash", capsys), "asynctcp", "doctor", "") == []


def test_script_for_zsh_lets_it_use_that_for_bash(capsys):
    text = script("zsh", capsys)
    assert text.startswith("autoload -U +X bashcompinit && bashcompinit\n_asynctcp() {")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_reads_its_script(capsys):
    subprocess.run(["fish", "-c", script("fish", capsys)], timeout=DEADLINE, check=True)


def test_script_for_fish_has_commands_and_options(capsys):
    lines = script("fish", capsys).splitlines()
    assert "complete -c asynctcp -n __fish_use_subcommand -f -a doctor" in lines
    assert "complete -c asynctcp -n '__fish_seen_subcommand_from doctor' -l json" in lines


def test_shell_that_is_not_known_is_refused_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    assert "'tcsh'" in capsys.readouterr().err
