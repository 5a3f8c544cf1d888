"""Contract, section 1, "Process": which interpreter may import it, and threads at the interpreter's exit."""

import subprocess
import sys

import pytest

SUB_INTERPRETER = """
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
try: one = interpreters.create("legacy")
except TypeError: one = interpreters.create(isolated=False)
code = '''
try: import asynctcp
except ImportError as error: print("sub-interpreter" in str(error), flush=True)
'''
getattr(interpreters, "exec", interpreters.run_string)(one, code)
interpreters.destroy(one)
from asynctcp import *
told = []
start_event_loop(lambda: tcp_connect("127.0.0.1", 1, None, lambda c: told.append(isinstance(c, TcpRefused))))
print(told)
"""

STUCK = """
import threading, time, hashlib
from asynctcp import *
much = b"x" * (1 << 22)
def callback():
    ready.set()
    while True: STEP
ready = threading.Event()
threading.Thread(target=lambda: start_event_loop(lambda: START), daemon=True).start()
ready.wait(5)
"""


def python(code):
    """Run it where coverage does not look: its tracer cannot be imported in a second interpreter."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout.split("\n"), done.stderr


def test_sub_interpreter_cannot_import_it_and_leaves_nothing_behind():
    assert python(SUB_INTERPRETER) == (0, ["True", "[True]", ""], "")


@pytest.mark.slow
@pytest.mark.parametrize("step", ["pass", "hashlib.sha256(much).digest()"])
@pytest.mark.parametrize(
    "start",
    [
        "delay(callback)",
        "callback()",
        "current_event_loop().call_soon_threadsafe(callback)",
        "dns_lookup('127.0.0.1', lambda *_: callback())",
        "tcp_connect('127.0.0.1', 1, None, lambda _: callback())",
    ],
)
def test_exit_while_a_daemon_threads_loop_is_in_a_callback_ends_well(step, start):
    assert python(STUCK.replace("STEP", step).replace("START", start)) == (0, [""], "")
