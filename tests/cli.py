"""What the tests of the command line share: the command as a child process with pipes of bytes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from idle import wait_until_idle
from peers import DEADLINE, Program
from tracing import traced as tracing

COMMAND = [sys.executable, "-m", "asynctcp"]
#: Makes standard input the controlling terminal, and runs its arguments. (A ``preexec_fn`` would do
#: it too, but is not for a process with threads.)
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def program(*arguments, cwd=None):
    """A command as a `Program`, which coverage looks at."""
    return Program(*COMMAND, *arguments, cwd=cwd, env=tracing())


class Commands:
    """Commands that run; `close` ends them."""

    def __init__(self):
        self._started = []

    def start(
        self,
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        before=(),
        traced=True,
        **keywords,
    ):
        """Start one, which coverage looks at if it is ``traced``.

        Returns the `subprocess.Popen`, whose pipes are not buffered.
        """
        environment = tracing() if traced else dict(os.environ)
        # Its own flushing is what is tested.
        environment.pop("PYTHONUNBUFFERED", None)
        command = subprocess.Popen(
            [*before, *COMMAND, *map(str, arguments)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            env=environment,
            **keywords,
        )
        self._started.append(command)
        return command

    def close(self):
        for command in self._started:
            command.kill()
            for pipe in (command.stdin, command.stdout, command.stderr):
                if pipe is not None:
                    pipe.close()
            command.wait(DEADLINE)


def finish(command, data=None):
    """Let ``command`` have ``data`` as its input; return its status, its output and what it complained of."""
    output, complaints = command.communicate(data, timeout=DEADLINE)
    return command.returncode, output, complaints.decode()


class Terminal:
    """A pseudo terminal with the command in it, as its controlling terminal."""

    def __init__(self, commands, *arguments, **keywords):
        self.keyboard, inside = pty.openpty()
        if keywords.get("stderr") == "terminal":
            keywords["stderr"] = inside
        self.command = commands.start(
            *arguments,
            stdin=inside,
            stdout=inside,
            **keywords,
            start_new_session=True,
            before=[sys.executable, "-c", TAKE_TERMINAL],
        )
        os.close(inside)

    def type(self, keys):
        os.write(self.keyboard, keys)

    def interrupt(self):
        """Type Ctrl-C, once the command is idle."""
        wait_until_idle(self.command.pid)
        self.type(b"\x03")

    def shown(self, size):
        came = b""
        while len(came) < size:
            came += os.read(self.keyboard, size - len(came))
        return came

    def wait_for(self, pattern):
        """Read until ``pattern`` is shown; return all that was."""
        came = b""
        while re.search(pattern, came) is None:
            came += os.read(self.keyboard, 4096)
        return came

    def close(self):
        os.close(self.keyboard)
