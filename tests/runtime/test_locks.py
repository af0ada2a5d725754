"""Locks and places: who holds one, and that death gives it back."""

import subprocess
import sys

from flowserver.runtime import locks


def test_a_lock_is_taken_once_and_given_back(tmp_path):
    first = locks.take(tmp_path / "a.lock", "first")
    assert first is not None
    assert locks.take(tmp_path / "a.lock", "second") is None
    assert locks.note(tmp_path / "a.lock") == "first"
    first.close()
    again = locks.take(tmp_path / "a.lock", "third")
    assert again is not None and locks.note(tmp_path / "a.lock") == "third"
    again.close()


def test_a_killed_process_gives_its_place_back(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from flowserver.runtime import locks;"
        "name, lock = locks.place(Path(sys.argv[1]), 'worker'); print(name, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout
        theirs = other.stdout.readline().strip()
        mine, lock = locks.place(tmp_path, "worker")
        assert theirs.endswith("-worker-1") and mine.endswith("-worker-2")
        lock.close()
    finally:
        other.kill()
        other.wait()
    mine, lock = locks.place(tmp_path, "worker")
    assert mine == theirs
    lock.close()


def test_kinds_have_places_of_their_own(tmp_path):
    one, first = locks.place(tmp_path, "worker")
    two, second = locks.place(tmp_path, "clock")
    assert one.endswith("-worker-1") and two.endswith("-clock-1")
    first.close()
    second.close()
