"""What the form macros need to know about WTForms fields: what kind, which errors, where they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import wtforms
from flask import render_template, request
from markupsafe import Markup
from wtforms.widgets import html_params

from flowserver.blueprints.say import say
from flowserver.errors import flat
from flowserver.nodes.base import ValueField

_KINDS: tuple[tuple[type, str], ...] = (
    (wtforms.HiddenField, "hidden"),
    (wtforms.BooleanField, "tick"),
    (wtforms.RadioField, "choices"),
    (wtforms.FileField, "file"),
    (wtforms.SelectField, "select"),
)


def field_kind(field: wtforms.Field) -> str:
    """Which of the macro's shapes a field takes: hidden, tick, choices, duration, select, file or text."""
    if isinstance(field, ValueField):
        return "select" if field.choices else "text"
    if getattr(field.widget, "input_type", "") == "hidden":
        return "hidden"
    if hasattr(field, "units") and hasattr(field, "amount"):
        return "duration"
    if field.type == "SelectMultipleField" and isinstance(field.widget, wtforms.widgets.ListWidget):
        return "choices"
    return next((kind for cls, kind in _KINDS if isinstance(field, cls)), "text")


MOST_NAMED = 60  # characters of a text that surely says what it means


def error_texts(errors: Any) -> list[str]:
    """The texts of a field's errors, said, each once, nested ones included."""
    return list(dict.fromkeys(str(say(text)) for text in flat(errors or [])))


def error_list(source: Any) -> list[tuple[str, str]]:
    """``[(id of the field or "", text)]`` in page order, from a form or from ``{field: [text]}``.

    A text names its field where it does not say by itself which one is meant: a length, a number.
    """
    if source is None:
        return []
    if isinstance(source, Mapping):
        return [
            ("" if key in ("_", None) else str(key), text) for key, got in source.items() for text in error_texts(got)
        ]
    fields = [(field, text) for field in source for text in error_texts(field.errors)]
    times = Counter(text for _, text in fields)
    named = [(field_target(one), _named(one, text, times[text] > 1)) for one, text in fields]
    return named + [("", text) for text in error_texts(getattr(source, "form_errors", []))]


def field_target(field: wtforms.Field) -> str:
    """The id an error links to: the first input of a group, the input itself otherwise."""
    if field_kind(field) == "choices":
        return next((option.id for option in field), field.id)
    return field.id


def _named(field: Any, text: str, shared: bool) -> str:
    label, said = str(say(field.label.text)), text.casefold()
    whole = re.search(rf"\b{re.escape(label.casefold())}\b", said)  # "Tag" is not meant in "stage"
    meant = whole or any(word in said for word in label.casefold().split() if len(word) > 3) or len(text) > MOST_NAMED
    return text if meant and not shared else f"{label}: {text}"


def add_errors(form: wtforms.Form, messages: Mapping[str, Any]) -> None:
    """Put a service's ``Invalid.messages`` at the form's fields; what fits no field stands in the summary."""
    for name, texts in messages.items():
        if name in form:
            form[name].errors = [*form[name].errors, *flat(texts)]
        else:
            form.form_errors.extend(flat(texts))


def sent() -> Any:
    """What was posted, ``None`` on a GET: WTForms would take an empty form for unticked boxes."""
    return request.form if request.method == "POST" else None


def page(template: str, form: wtforms.Form, **values: Any) -> tuple[str, int]:
    """A page with a form: 422 when the form has errors, so that programs and browsers see it was not saved."""
    return render_template(template, form=form, **values), 422 if form.errors else 200


def attributes(given: Mapping[str, Any], field: wtforms.Field) -> Markup:
    """HTML attributes of a select we draw ourselves; ``data_sum`` becomes ``data-sum`` as in WTForms."""
    return Markup(html_params(**{**(field.render_kw or {}), **given}))
