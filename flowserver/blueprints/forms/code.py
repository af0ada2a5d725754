"""What is copied into a page to show a form there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import current_app, render_template, url_for
from flask_babel import force_locale

from flowserver.blueprints.public.forms import CONSENTS, TRAP
from flowserver.services.people import forms


@dataclass(frozen=True)
class Code:
    """Both ways to show a form: its address, plain HTML without a script, and a frame."""

    address: str
    plain: str
    framed: str


def code(row: Any, language: str) -> Code:
    """The code of a form, in its own language or else the client's, ``language``."""
    address = current_app.extensions["config"].url + url_for("public.form", public_id=row.public_id)
    questions = forms.questions(row)
    values = {"row": row, "address": address, "questions": questions, "consents": CONSENTS, "trap": TRAP}
    with force_locale(row.locale or language):
        plain = render_template("forms/code_form.html", **values)
        framed = render_template("forms/code_frame.html", height=_height(row, len(questions)), **values)
    return Code(address, plain, framed)


def _height(row: Any, questions: int) -> int:
    """Pixels a frame needs for the form, one error included."""
    boxes = bool(row.email_consent_text) + bool(row.sms_consent_text)
    return 320 + 90 * questions + 60 * boxes
