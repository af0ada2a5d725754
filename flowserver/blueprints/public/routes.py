"""Pages for strangers: a client's signup form, and the button that confirms an address. No cookie, no log-in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from flowserver.blueprints import console
from flowserver.blueprints.fieldkit import add_errors
from flowserver.blueprints.limits import get_remote_address, limiter
from flowserver.blueprints.public import forms as widgets
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.services.accounts import brand
from flowserver.services.people import forms, signups

bp = Blueprint("public", __name__)

MOST_BYTES = 256 * 1024


def init_app(app: Flask) -> None:
    """Strangers have no session to protect; signed tokens, limits and the e-mail do what CSRF does elsewhere."""
    app.extensions["csrf"].exempt(bp)


def _who_and_where() -> str:
    return f"{get_remote_address()}:{request.path}"


@bp.after_request
def _may_be_framed(response: Response) -> Response:
    """Forms stand in frames on foreign pages; their own pages may send people on to the client's thank-you page."""
    thanks = urlsplit(g.get("thanks_url") or "")
    target = f" {thanks.scheme}://{thanks.netloc}" if thanks.netloc else ""
    framed = "*" if request.path.startswith("/f/") else "'none'"
    response.headers["Content-Security-Policy"] = console.policy(frame_ancestors=framed, form_action="'self'" + target)
    return response


# --- the form ------------------------------------------------------------------------------------------


@bp.get("/f/<public_id>")
def form(public_id: str) -> Any:
    row, questions = _open(public_id)
    if row.closed:
        return _page("closed", row), 410
    return _show(row, widgets.make(questions, row.email_consent_text, row.sms_consent_text)(), questions)


@bp.post("/f/<public_id>")
@limiter.limit("20 per minute; 200 per hour", key_func=_who_and_where)
def send(public_id: str) -> Any:
    request.max_content_length = MOST_BYTES
    row, questions = _open(public_id)
    if row.closed:
        return _page("closed", row), 410
    typed = MultiDict((key, value[: signups.MOST_TEXT]) for key, value in request.form.items(multi=True))
    shown = widgets.make(questions, row.email_consent_text, row.sms_consent_text)(typed)
    try:
        signups.check_stamp(row, request.form.get(widgets.STAMP))
        visitor = request.form.get(widgets.VISITOR, "")
        answer = signups.receive(row, _answers(questions), page=request.referrer or "", visitor=visitor)
    except Invalid as error:
        add_errors(shown, _at_fields(error.messages))
        return _show(row, shown, questions), 422
    except Conflict:  # the client has no way to send the confirmation
        add_errors(shown, {"_": [_("We cannot take signups at the moment. Try again later.")]})
        return _show(row, shown, questions), 503
    embed: dict[str, Any] = {"embed": 1} if request.args.get("embed") else {}
    if answer.confirm:
        return redirect(url_for(".sent", public_id=public_id, k=answer.token, **embed), 303)
    return redirect(row.thanks_url or url_for(".thanks", public_id=public_id, **embed), 303)


def _open(public_id: str) -> tuple[Any, list[forms.Question]]:
    row, g.workspace = forms.enter(public_id)
    console.speak(row.locale or g.workspace.locale)
    g.thanks_url = row.thanks_url
    return row, forms.questions(row)


def _answers(questions: list[forms.Question]) -> dict[str, str]:
    keys = ["email", *(question.key for question in questions)]
    given = {key: request.form.get(key, "") for key in keys}
    ticks = {f"consent_{channel}": request.form.get(name, "") for channel, name in widgets.CONSENTS.items()}
    return {**given, **ticks, "website": request.form.get(widgets.TRAP, "")}


def _at_fields(messages: Any) -> dict[str, Any]:
    names = {f"consent_{channel}": name for channel, name in widgets.CONSENTS.items()}
    return {names.get(key, key): texts for key, texts in messages.items()}


def _show(row: Any, shown: Any, questions: list[forms.Question]) -> str:
    return _page(
        "form",
        row,
        form=shown,
        optional={question.key for question in questions if not question.required},
        consents=set(widgets.CONSENTS.values()),
        trap=widgets.TRAP,
        stamp_name=widgets.STAMP,
        stamp=signups.stamp(row),
    )


def _page(name: str, row: Any, **more: Any) -> str:
    embed = bool(request.args.get("embed"))
    return render_template(f"public/{name}.html", row=row, client=g.workspace, embed=embed, pub_class="", **more)


# --- after sending in ----------------------------------------------------------------------------------


@bp.get("/f/<public_id>/sent")
def sent(public_id: str) -> str:
    row, _questions = _open(public_id)
    token = request.args.get("k", "")
    return _page("sent", row, email=signups.unseal(row, token), token=token)


@bp.post("/f/<public_id>/sent")
@limiter.limit("6 per minute; 30 per hour", key_func=_who_and_where)
def again(public_id: str) -> Response:
    row, _questions = _open(public_id)
    token = request.form.get("k", "")[:1000]
    signups.again(row, token)
    embed: dict[str, Any] = {"embed": 1} if request.args.get("embed") else {}
    return redirect(url_for(".sent", public_id=public_id, k=token, again=1, **embed), 303)


@bp.get("/f/<public_id>/thanks")
def thanks(public_id: str) -> str:
    row, _questions = _open(public_id)
    return _page("thanks", row)


@bp.get("/f/<public_id>/brand.css")
def brand_css(public_id: str) -> Response:
    _row, workspace = forms.enter(public_id)
    ink = brand.ink_on(workspace.brand_color)
    sheet = f".pub {{ --brand: {workspace.brand_color}; --on-brand: {ink}; }}\n"
    return Response(sheet, mimetype="text/css", headers={"Cache-Control": "public, max-age=300"})


# --- the button in the e-mail ----------------------------------------------------------------------------


@bp.get("/o/<token>")
@limiter.limit("60 per minute")
def ask(token: str) -> Any:
    return _confirmation(token, signups.peek)


@bp.post("/o/<token>")
@limiter.limit("30 per minute")
def confirm(token: str) -> Any:
    return _confirmation(token, signups.confirm)


def _confirmation(token: str, step: Any) -> Any:
    """The page for a link that holds, the thank-you once it is confirmed, and polite words for one that does not."""
    try:
        found = step(token)
    except NotFound as error:
        return render_template("public/gone.html", text=error.args[0], pub_class="plain"), 404
    g.workspace, g.thanks_url = found.workspace, found.form.thanks_url
    console.speak(found.form.locale or found.workspace.locale)
    if found.signup.state == "confirmed":
        if request.method == "POST" and found.form.thanks_url:
            return redirect(found.form.thanks_url, 303)
        return _page("thanks", found.form)
    return _page("confirm", found.form, email=found.signup.email)
