"""Locks on files of the data folder. The kernel gives them back when their holder ends, however it ends."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import IO


def take(path: Path, note: str = "") -> IO[str] | None:
    """Lock ``path`` and write ``note`` into it. Keep the returned file: closing it unlocks. ``None``: somebody holds it."""
    import fcntl  # not on Windows, where `up` and workers do not run

    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+")  # noqa: SIM115 - the lock lives as long as the file is open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    file.seek(0)
    file.truncate()
    file.write(note)
    file.flush()
    return file


def note(path: Path) -> str:
    """What the holder wrote into the lock file; empty when there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""


def place(folder: Path, kind: str) -> tuple[str, IO[str]]:
    """The first free place for a ``kind`` of process on this machine: its name and the lock that holds it.

    Names are ``<machine>-<kind>-<n>``. Who gets a place knows that whoever held it before is dead, so what that
    one left behind may be taken over at once.
    """
    machine = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:40] or "machine"
    for number in range(1, 1000):
        name = f"{machine}-{kind}-{number}"
        file = take(folder / f"{name}.lock", str(os.getpid()))
        if file is not None:
            return name, file
    raise RuntimeError(f"999 processes of kind {kind} run on {folder} already")
