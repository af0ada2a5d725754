"""Logs name ids, never addresses or keys; a closed terminal stops nothing."""

import subprocess
import sys

import pytest

from flowserver.runtime.logging import hide


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sent to marta@people.example today", "sent to <address> today"),
        ("call +44 7700 900123 now", "call <number> now"),
        ("postgresql://flow:hunter2@db/flow", "postgresql://***@db/flow"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("flow=12 step=welcome ms=35", "flow=12 step=welcome ms=35"),
        ("10 + 20 in 2026-11-22T09:53:22", "10 + 20 in 2026-11-22T09:53:22"),
    ],
)
def test_addresses_numbers_and_credentials_are_hidden(text, shown):
    assert hide(text) == shown


def run(code: str, **kwargs):
    start = "from flowserver.runtime import logging as ours; ours.set_up(); import structlog, logging; log = structlog.get_logger();"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=30, **kwargs)


def test_a_line_is_key_value_and_masks_secrets_by_name():
    line = run("log.info('connection.saved', connection=3, smtp_password='hunter2', why='marta@people.example')").stderr
    assert "event=connection.saved" in line and "connection=3" in line and "level=info" in line
    assert "hunter2" not in line and "marta" not in line


def test_tracebacks_of_libraries_pass_the_same_filter():
    said = run(
        "\ntry:\n    raise ValueError('no room for marta@people.example')\nexcept ValueError:\n    logging.getLogger('lib').exception('failed')"
    ).stderr
    assert "ValueError" in said and "marta" not in said


def test_a_closed_terminal_stops_nothing():
    code = "import os; os.close(2); log.info('x'); log.error('y'); open(%r, 'w').write('went on')"
    import tempfile

    with tempfile.NamedTemporaryFile("r") as proof:
        run(code % proof.name)
        assert proof.read() == "went on"
