"""Contract, section 1, "Process": import, exit, fork. Each case runs in an interpreter of its own."""

import subprocess
import sys
import time

import pytest

HEAD = """
import asynctcp, os, sys, threading, time, socket
from asynctcp import *
def echo(s, d): s.write(d)
"""


# Python 3.12 and later warn of any fork beside a native thread; these tests are about what the child may do.
FORK_WARNING = "ignore:This process:DeprecationWarning"


def python(code, timeout=30):
    """Run `code`; return exit status, standard output and error."""
    done = subprocess.run(
        [sys.executable, "-W", FORK_WARNING, "-c", HEAD + code],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_importing_starts_no_thread():
    assert python("print(len(os.listdir('/proc/self/task')))") == (0, "1", "")


IMPORT = """
import sys, time
before, begun = set(sys.modules), time.process_time()
import {module}
print(time.process_time() - begun, *sys.modules.keys() - before)
"""


def import_alone(module):
    """Seconds of processor time that an import takes in a new interpreter, and the modules that it brings."""
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    seconds, *modules = done.stdout.split()
    return float(seconds), modules


def test_importing_leaves_what_only_the_command_line_needs_alone():
    brought = import_alone("asynctcp")[1]
    assert "asynctcp._core" in brought
    unwanted = {"argparse", "asyncio", "pathlib", "ssl", "subprocess", "asynctcp._cli", "rich"}
    # Of which CPython 3.15's logging wants one.
    assert unwanted.isdisjoint(set(brought) - set(import_alone("logging")[1]))


@pytest.mark.slow
def test_importing_takes_less_time_than_importing_asyncio():
    def seconds(module):
        return import_alone(module)[0]

    # The machine is as busy for the one as for the other: they take turns.
    pairs = [(seconds("asynctcp"), seconds("asyncio")) for _ in range(10)]
    ours, theirs = map(min, zip(*pairs, strict=True))
    assert ours < theirs


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("start_event_loop(lambda: (tcp_server('127.0.0.1', 0, echo), sys.exit(3)))", 3),
        ("start_event_loop(lambda: (tcp_server('127.0.0.1', 0, echo), delay(lambda: sys.exit(4), .01)))", 4),
        ("c = event_loop(); c.__enter__(); tcp_server('127.0.0.1', 0, echo)", 0),
        ("c = event_loop(); c.__enter__(); tcp_connect('no-such-host.invalid', 1, None)", 0),
    ],
)
def test_exit_with_a_loop_in_the_main_thread_is_quiet(code, status):
    assert python(code) == (status, "", "")


DAEMON = """
ready = threading.Event()
def run():
    start_event_loop(lambda: (tcp_server('127.0.0.1', 0, echo), delay(ready.set, .01){more}))
threading.Thread(target=run, daemon=True).start()
ready.wait(5)
"""


BUSY = ", interval(lambda: sum(range(10000)), .001)"
STUCK = ", delay(lambda: (ready.set(), time.sleep(60)))"


@pytest.mark.parametrize("more", ["", BUSY, STUCK])
def test_exit_with_a_loop_in_a_daemon_thread_is_quiet_and_quick(more):
    begun = time.monotonic()
    assert python(DAEMON.replace("{more}", more)) == (0, "", "")
    assert time.monotonic() - begun < 20


def test_exit_lets_the_loop_of_a_daemon_thread_close_and_run_its_exit_callbacks():
    code = DAEMON.replace("{more}", ", add_event_loop_exit_callback(farewell)")
    farewell = """
def farewell():
    time.sleep(.1)  # longer than the exit takes where it does not wait for this
    os.write(1, b"closed")
"""
    assert python(farewell + code) == (0, "closed", "")


CONNECTED = """
import warnings; warnings.simplefilter("always")
ready = threading.Event()
def start():
    server = tcp_server('127.0.0.1', 0, echo)
    tcp_connect(*server.address, None, connect_cb=lambda s: delay(ready.set, .02))
threading.Thread(target=start_event_loop, args=(start,), daemon=True).start()
ready.wait(5)
"""


def test_open_sockets_at_exit_are_a_resource_warning():
    status, _, error = python(CONNECTED)
    assert (status, "ResourceWarning" in error) == (0, True)


def test_pumped_loop_with_open_sockets_is_closed_at_exit_with_a_resource_warning():
    code = """
import warnings; warnings.simplefilter("always")
loop = EventLoop()
def start():
    server = tcp_server('127.0.0.1', 0, echo)
    tcp_connect(*server.address, None, connect_cb=connected.append)
    add_event_loop_exit_callback(lambda: print('closed'))
connected = []
loop.call_soon_threadsafe(start)
while not connected: loop.pump(5)
"""
    status, output, error = python(code)
    assert (status, output, error.count("sockets open at exit: <")) == (0, "closed", 1)


def test_exit_closes_quietly_a_loop_that_was_pumped_in_a_thread_that_has_ended():
    code = """
loop = EventLoop()
def pump():
    loop.call_soon_threadsafe(add_event_loop_exit_callback, lambda: print('closed'))
    loop.pump()
thread = threading.Thread(target=pump)
thread.start()
thread.join()
"""
    assert python(code) == (0, "closed", "")


def test_everything_of_the_parents_loop_is_an_error_in_a_forked_child():
    code = """
def start():
    server = tcp_server('127.0.0.1', 0, echo)
    def connected(s):
        loop = current_event_loop()
        if os.fork():
            os.wait(); exit_event_loop(); return
        for use in (lambda: s.write(b'x'), s.close, lambda: s.enable(read=True), lambda: s.set_timeouts(1, 1),
                    lambda: tcp_connect('127.0.0.1', 1, None), lambda: loop.call_soon_threadsafe(print),
                    exit_event_loop, lambda: delay(print)):
            try: use(); print('no error', flush=True)
            except EventLoopError: print('E', end='', flush=True)
        os._exit(0)
    tcp_connect(*server.address, None, connect_cb=connected)
start_event_loop(start)
"""
    assert python(code) == (0, "E" * 8, "")


def test_child_that_returns_from_the_callback_leaves_the_loop_with_an_error():
    code = """
def fork():
    if os.fork():
        os.wait(); exit_event_loop()
try: start_event_loop(lambda: (tcp_server('127.0.0.1', 0, echo), delay(fork, .01)))
except EventLoopError: print('child', flush=True)
"""
    assert python(code) == (0, "child", "")


def test_child_forked_by_a_signal_handler_runs_no_callback():
    code = """
import signal
def fork(*_):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        delay(exit_event_loop, .01)
def tick():
    if os.getpid() != parent:
        os.write(1, b"in the child")
parent = os.getpid()
signal.signal(signal.SIGUSR1, fork)
def start():
    interval(tick, .0002)
    threading.Timer(.1, lambda: os.kill(parent, signal.SIGUSR1)).start()
try: start_event_loop(start)
except EventLoopError: os._exit(0)
"""
    assert python(code) == (0, "", "")


def test_forked_child_that_exits_runs_no_exit_callback_of_the_parents_loop():
    code = """
def fork():
    if not os.fork():
        sys.exit()
    os.wait(); exit_event_loop()
def start():
    add_event_loop_exit_callback(lambda: print("parent" if os.getpid() == parent else "child", flush=True))
    tcp_server('127.0.0.1', 0, echo)
    delay(fork, .01)
parent = os.getpid()
start_event_loop(start)
"""
    assert python(code) == (0, "parent", "")


def test_forked_child_that_exits_warns_of_no_sockets_of_the_parents():
    code = """
if not os.fork():
    sys.exit()
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    status, output, error = python(CONNECTED + code)
    assert (status, output, error.count("sockets open at exit: <")) == (0, "0", 1)


def test_forked_child_has_no_wakeup_descriptor_of_the_parents_loop():
    code = """
import signal
def fork():
    if not os.fork():
        print(signal.set_wakeup_fd(-1), flush=True)
        os._exit(0)
    os.wait(); exit_event_loop()
start_event_loop(lambda: delay(fork))
"""
    assert python(code) == (0, "-1", "")


def test_forked_child_may_run_a_loop_of_its_own():
    code = """
def talk():
    got = []
    def start():
        server = tcp_server('127.0.0.1', 0, echo)
        tcp_connect(*server.address, lambda s, d: (got.append(d), exit_event_loop()), data=b'hi')
    start_event_loop(start)
    return got
def fork():
    if os.fork():
        os.wait(); exit_event_loop(); return
    print(talk(), flush=True)
    os._exit(0)
start_event_loop(lambda: (tcp_server('127.0.0.1', 0, echo), delay(fork, .01)))
"""
    assert python(code) == (0, "[b'hi']", "")


def test_peer_sees_the_end_although_a_forked_child_sleeps():
    code = """
import signal
def start():
    def connected(s):
        child = os.fork()
        if not child:
            time.sleep(60); os._exit(0)
        s.close()
        begun = time.monotonic()
        def ended(condition):
            print(type(condition).__name__, time.monotonic() - begun < 10)
            os.kill(child, signal.SIGKILL); os.wait(); exit_event_loop()
        client[0:] = [ended]
    server = tcp_server('127.0.0.1', 0, None, connect_cb=connected)
    client = []
    tcp_connect(*server.address, None, lambda c: client[0](c))
start_event_loop(start)
"""
    assert python(code) == (0, "TcpEof True", "")


def test_loop_in_a_thread_that_is_no_daemon_keeps_the_process_alive():
    code = """
threading.Thread(target=start_event_loop, args=(lambda: delay(lambda: print('done'), .2),)).start()
"""
    assert python(code) == (0, "done", "")


def test_signal_of_a_child_forked_by_another_thread_does_not_wake_the_parents_loop():
    code = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: None)
def fork():
    if not os.fork():
        print(signal.set_wakeup_fd(-1), flush=True)
        os._exit(0)
    os.wait()
    loop.call_soon_threadsafe(exit_event_loop)
def start():
    global loop
    loop = current_event_loop()
    tcp_server('127.0.0.1', 0, echo)
    threading.Thread(target=fork).start()
start_event_loop(start)
"""
    assert python(code) == (0, "-1", "")


def test_child_that_is_forked_without_a_loop_may_run_one():
    code = """
if os.fork():
    os.wait()
else:
    start_event_loop(lambda: delay(lambda: print('child', flush=True)))
"""
    assert python(code) == (0, "child", "")


def test_child_that_is_forked_in_another_threads_loop_may_run_one():
    code = """
def fork():
    if os.fork():
        os.wait(); exit_event_loop()
        return
    def start(): delay(lambda: print('child', flush=True))
    threading.Thread(target=start_event_loop, args=(start,)).start()
def parent():
    try: start_event_loop(lambda: delay(fork, .01))
    except EventLoopError: pass
thread = threading.Thread(target=parent); thread.start(); thread.join()
"""
    assert python(code) == (0, "child", "")


def test_broken_pipe_is_a_condition_where_sigpipe_ends_the_process():
    code = """
import signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def broken(condition):
    print(isinstance(condition, TcpError))
    exit_event_loop()
def connected(ours):
    socket_c(ours).shutdown(socket.SHUT_WR)
    ours.write(b"x")
def start():
    server = tcp_server("127.0.0.1", 0, echo)
    tcp_connect(*server.address, echo, broken, connect_cb=connected)
    delay(exit_event_loop, 5).unref()
start_event_loop(start)
"""
    assert python(code) == (0, "True", "")
