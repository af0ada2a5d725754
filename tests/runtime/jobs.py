"""Jobs for the tests of the worker; RQ finds them by name."""

from __future__ import annotations

import time
from pathlib import Path

import flask_babel
from flask import current_app

from flowserver import extensions


def note(path: str) -> None:
    """Write down what a job sees: the app, the chosen workspace, whether it may write."""
    with flask_babel.force_locale("it"):  # mails are written in the client's language
        flask_babel.gettext("Flows")
    seen = [
        current_app.name,
        extensions.current_workspace(),
        extensions.is_read_only(),
        current_app.extensions["worker"],
    ]
    extensions.enter_workspace(7)  # must not be seen by the next job
    extensions.read_only(True)
    with Path(path).open("a") as file:
        file.write(repr(seen) + "\n")


def slow(path: str, seconds: float) -> None:
    """Take a while and say so at both ends."""
    file = Path(path)
    file.write_text("begun")
    time.sleep(seconds)
    file.write_text("finished")


def fail() -> None:
    """Raise."""
    raise ValueError("no luck with marta@people.example")
