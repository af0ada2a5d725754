"""Forms: how strangers become contacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app, url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import forms as schemas
from flowserver.blueprints.forms.code import code
from flowserver.services.people import browse, forms, intake

resource = Resource("Forms", 50, "Signup forms that clients put on their pages.", part="site")

ONE = f"/forms/{ID % 'form_id'}"
BODY = {
    "name": "Footer",
    "list": "Newsletter",
    "title": "Coffee news",
    "button": "Sign me up",
    "fields": [{"key": "first_name", "label": "First name", "required": False}],
    "double_opt_in": True,
}
EXAMPLE = {
    "id": 1,
    "name": "Footer",
    "url": "https://flows.example/f/aB3dE5fG7hJ9",
    "list_id": 1,
    "title": "Coffee news",
    "intro": "",
    "button": "Sign me up",
    "fields": [{"key": "first_name", "label": "First name", "required": False}],
    "double_opt_in": True,
    "email_consent_text": "",
    "sms_consent_text": "",
    "thanks_title": "",
    "thanks_text": "",
    "thanks_url": "",
    "locale": "",
    "closed": False,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
_PLAIN = [key for key in EXAMPLE if key not in ("url", "fields")]


def show(row: Any) -> dict[str, Any]:
    """A form as the API shows it."""
    base = current_app.extensions["config"].url
    questions = [
        {"key": one["key"], "label": one.get("label", ""), "required": bool(one.get("required"))} for one in row.fields
    ]
    return {
        **{key: getattr(row, key) for key in _PLAIN},
        "url": base + url_for("public.form", public_id=row.public_id),
        "fields": questions,
    }


def one(form_id: int) -> dict[str, Any]:
    """A form of the present client. Raises ``NotFound``."""
    return show(browse.form(form_id))


@resource.reads("/forms", query=paging.SyncQuery, shows=schemas.FormPage, example={"data": [EXAMPLE], "next": None})
def list_forms(query: Mapping[str, Any]) -> Any:
    """List forms."""
    return paging.page(browse.forms(query["cursor"], query["limit"], updated_since=query.get("updated_since")), show)


@resource.writes(
    "POST",
    "/forms",
    takes=schemas.FormIn,
    body_example=BODY,
    shows=schemas.Form,
    example=EXAMPLE,
    status=201,
    tagged=True,
)
def make_form(body: Mapping[str, Any]) -> Any:
    """Make a form."""
    form_id = intake.make_form(body)
    return Answer(one(form_id), 201, {"Location": url_for(".get_form", form_id=form_id)})


@resource.reads(ONE, shows=schemas.Form, example=EXAMPLE, tagged=True)
def get_form(form_id: int) -> Any:
    """Get a form."""
    return one(form_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.FormChange,
    body_example={"button": "Join"},
    shows=schemas.Form,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def change_form(form_id: int, body: Mapping[str, Any]) -> Any:
    """Change a form.

    Pages that show it in a frame or by its address follow at once; copied HTML keeps the inputs it has.
    """
    unchanged("form", form_id, lambda: one(form_id))
    intake.change_form(form_id, body)
    return one(form_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_form(form_id: int) -> None:
    """Delete a form with its unconfirmed signups.

    Contacts stay. Refused with 409 while a flow starts with it.
    """
    unchanged("form", form_id, lambda: one(form_id))
    forms.delete(form_id)


@resource.reads(
    f"{ONE}/snippet",
    shows=schemas.Snippet,
    example={
        "html": '<form action="https://flows.example/f/aB3dE5fG7hJ9" method="post" accept-charset="utf-8">…</form>',
        "iframe": '<iframe src="https://flows.example/f/aB3dE5fG7hJ9?embed=1" title="Coffee news"></iframe>',
    },
    tagged=True,
)
def get_form_snippet(form_id: int) -> Any:
    """Get the code that shows a form on a page.

    Either plain HTML without a script, to be dressed by the page, or a frame with the client's colours.
    """
    client, _channels = browse.workspace()
    found = code(forms.get(form_id), client.locale)
    return {"html": found.plain, "iframe": found.framed}
