"""The programs in README.md run as they stand there, and talk to each other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from peers import Program, reserved_port

PROGRAMS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL
)


def test_readme_client_gets_its_answer_from_the_readme_server():
    server, _, client = PROGRAMS
    with reserved_port() as port:
        # Only the port, which may be taken here.
        server, client = (code.replace("7000", str(port)) for code in (server, client))
        with Program(sys.executable, "-u", "-c", server) as serving:
            serving.wait_for("listening on")
            with Program(sys.executable, "-u", "-c", client) as asking:
                assert asking.wait() == 0
                assert asking.output == "b'hello'\n"


def test_readme_program_of_both_worlds_prints_the_answer():
    with Program(sys.executable, "-u", "-c", PROGRAMS[1]) as program:
        assert program.wait() == 0
        assert program.output == "b'hello'\n"
