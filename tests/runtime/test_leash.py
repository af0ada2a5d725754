"""No child outlives its parent, however the parent dies."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from flowserver.runtime import leash


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ends within ``seconds``."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


PARENT = """
    import os, subprocess, sys, time
    child = subprocess.Popen(sys.argv[1:], env={**os.environ, "FLOWSERVER_PARENT": str(os.getpid())}, start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def family():
    """``family(command)`` starts a parent that starts the command; both are killed in the end."""
    pids = []

    def start(*command: str) -> tuple[subprocess.Popen, int]:
        parent = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PARENT), *command], stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout
        child = int(parent.stdout.readline())
        pids.extend([parent.pid, child])
        return parent, child

    yield start
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def only_child(pid: int) -> int:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        children = psutil.Process(pid).children()
        if children and "sleep" in children[0].name():
            return children[0].pid
        time.sleep(0.02)
    raise AssertionError("the leash started nothing")


def test_a_foreign_program_ends_when_the_parent_is_killed(family):
    parent, held = family(sys.executable, "-I", "-S", leash.__file__, "sleep", "60")
    program = only_child(held)
    parent.kill()
    parent.wait()
    assert gone(program)
    assert gone(held)


def test_a_foreign_program_ends_when_its_leash_is_killed(family):
    _parent, held = family(sys.executable, "-I", "-S", leash.__file__, "sleep", "60")
    program = only_child(held)
    os.kill(held, signal.SIGKILL)
    if sys.platform == "linux":
        assert gone(program)


def test_sigterm_is_passed_on_and_the_exit_code_comes_back():
    held = subprocess.Popen(
        [sys.executable, "-I", "-S", leash.__file__, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"]
    )
    time.sleep(0.5)
    held.terminate()
    assert held.wait(timeout=10) == 7


def test_a_python_child_gets_sigterm_when_its_parent_is_killed(family):
    child = "from flowserver.runtime import leash; leash.hold_on(); import time; time.sleep(60)"
    parent, pid = family(sys.executable, "-c", child)
    time.sleep(1.0)  # let it take hold
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    assert gone(pid)


def test_without_a_supervisor_nothing_is_held(monkeypatch):
    monkeypatch.delenv(leash.PARENT, raising=False)
    leash.hold_on()  # must not start a thread that would end this very process
    assert "leash" not in [thread.name for thread in __import__("threading").enumerate()]
