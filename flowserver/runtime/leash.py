"""Children that never outlive their parent, however it dies.

Linux tells a child by a signal (``PR_SET_PDEATHSIG``); everywhere a child also looks now and then whether its
parent is still the one that started it. ``python -I -S leash.py COMMAND…`` keeps a foreign program (the
embedded Redis server) on the same leash. Standard library only, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PARENT = "FLOWSERVER_PARENT"  # pid of the supervisor, in the environment of its children
_PR_SET_PDEATHSIG = 1
_LOOK_EVERY = 0.5  # seconds
_LAST_CALL = 30.0  # seconds an orphan may take to end its work


def end_with_parent() -> None:
    """Ask Linux to send us SIGTERM when the thread that started us ends. Does nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def hold_on() -> None:
    """In a child of the supervisor: end when it is gone. Without a supervisor (started by hand) do nothing."""
    parent = os.environ.get(PARENT, "")
    if not parent.isdigit():
        return
    end_with_parent()
    threading.Thread(target=_watch, args=(int(parent),), name="leash", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_CALL)
    os._exit(1)


def main(command: list[str]) -> int:
    """Run ``command`` as a child; pass on SIGTERM and SIGINT; end it when our own parent ends. Its exit code."""
    parent = int(os.environ.get(PARENT) or os.getppid())
    end_with_parent()
    child = subprocess.Popen(command, preexec_fn=end_with_parent, close_fds=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.terminate())
    while True:
        try:
            return child.wait(timeout=_LOOK_EVERY)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
