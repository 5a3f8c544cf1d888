"""``completion``: a script with which a shell completes commands and options."""

import argparse
from collections.abc import Iterator

HELP = "a script that completes commands and options in your shell"
DESCRIPTION = """\
Print a script for bash, zsh or fish. It holds the commands and options of this version, so make it anew after
an upgrade.
"""
EPILOG = """\
examples:
  source <(%(prog)s bash)
  %(prog)s bash > ~/.local/share/bash-completion/completions/asynctcp
  %(prog)s zsh >> ~/.zshrc
  %(prog)s fish > ~/.config/fish/completions/asynctcp.fish

exit status: 0, 2 wrong arguments
"""

BASH = """\
_asynctcp() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" words
    case "$COMP_CWORD ${{COMP_WORDS[1]}}" in
        1\\ *) words="{commands}" ;;
{cases}
    esac
    # Else -o default completes the name of a file.
    if [[ $COMP_CWORD -eq 1 || $word == -* ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
    fi
}}
complete -o default -F _asynctcp asynctcp
"""
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell that is to read it")


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands of the command line."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


def options_of(command: argparse.ArgumentParser) -> list[str]:
    """Return the long options of a command."""
    return [name for action in command._actions for name in action.option_strings if name.startswith("--")]


def for_bash(commands: dict[str, argparse.ArgumentParser]) -> str:
    """Return the function that bash calls; zsh can, too."""
    cases = [
        f'        *\\ {name}) words="{" ".join(options_of(command))}" ;;'
        for name, command in commands.items()
    ]
    return BASH.format(commands=" ".join(commands), cases="\n".join(cases))


def for_fish(commands: dict[str, argparse.ArgumentParser]) -> Iterator[str]:
    """Yield a line for each command and option."""
    for name, command in commands.items():
        yield f"complete -c asynctcp -n __fish_use_subcommand -f -a {name}"
        seen = f"complete -c asynctcp -n '__fish_seen_subcommand_from {name}'"
        yield from (f"{seen} -l {option.removeprefix('--')}" for option in options_of(command))


def run(options: argparse.Namespace) -> int:
    """Print the script; return the exit status."""
    commands = commands_of(options.whole)
    if options.shell == "fish":
        print(*for_fish(commands), sep="\n")
    else:
        print(ZSH * (options.shell == "zsh") + for_bash(commands), end="")
    return 0
