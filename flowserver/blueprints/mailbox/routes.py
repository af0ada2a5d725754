"""The mailbox and the phone of ``flowserver up``: what the product sent, as the people who got it see it.

The pages exist only while the local mail server and the pretend phone stand in for real ones. They show the mail
and the texts of all clients, so they are for agency admins.
"""

from __future__ import annotations

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from flowserver.blueprints.console import policy
from flowserver.blueprints.fieldkit import add_errors, page
from flowserver.blueprints.mailbox.forms import AnswerForm
from flowserver.blueprints.scope import admin_only
from flowserver.errors import Invalid
from flowserver.services.messages import mailbox, phone

mails = Blueprint("mailbox", __name__, url_prefix="/dev/mailbox")
texts = Blueprint("phone", __name__, url_prefix="/dev/phone")

PER_PAGE = 50
FRAME = "allow-popups allow-popups-to-escape-sandbox"  # what a mail in its frame may do: open its links


def init_app(app: Flask) -> None:
    """Add the pages whose local server runs."""
    config = app.extensions["config"]
    if config.mailbox_port and not config.mail_server:
        app.register_blueprint(mails)
    if phone.is_local(config):
        app.register_blueprint(texts)


# --- mail ------------------------------------------------------------------------------------------------


@mails.get("/")
@admin_only
def index() -> str:
    """The newest mails; ``q`` is part of a recipient or the subject, ``before`` a number to go on from."""
    words = request.args.get("q", "").strip()[:200]
    before = request.args.get("before", type=int)
    found = mailbox.search(words, before, PER_PAGE + 1)
    older = url_for(".index", q=words or None, before=found[PER_PAGE - 1].id) if len(found) > PER_PAGE else None
    newest = url_for(".index", q=words or None) if before else None
    return render_template("mailbox/index.html", mails=found[:PER_PAGE], words=words, older=older, newest=newest)


@mails.get("/<int:number>")
@admin_only
def show(number: int) -> str:
    """One mail; ``view`` is html, text, headers or source."""
    mail = mailbox.get(number)
    views = {
        "html": (_("As it looks"), bool(mail.html)),
        "text": (_("Plain text"), bool(mail.text)),
        "headers": (_("Headers"), True),
        "source": (_("Source"), True),
    }
    there = [name for name, (_label, has) in views.items() if has]
    view = request.args.get("view", "")
    view = view if view in there else there[0]
    tabs = [(views[name][0], url_for(".show", number=number, view=name), name == view) for name in there]
    stop = mail.unsubscribe if mail.unsubscribe.startswith(request.host_url) else ""
    return render_template("mailbox/mail.html", mail=mail, view=view, tabs=tabs, sandbox=FRAME, stop=stop)


@mails.get("/<int:number>/html")
@admin_only
def html(number: int) -> Response:
    """The HTML part alone, for the frame: no scripts, no forms, pictures of our own origin and enclosed ones."""
    own = f"'self' {request.host_url.rstrip('/')} data:"
    rules = policy(
        default_src="'none'",
        img_src=own,
        style_src="'unsafe-inline'",
        form_action="'none'",
        frame_ancestors="'self'",
        base_uri="'self'",
        sandbox=FRAME,
    )
    headers = {"Content-Security-Policy": rules, "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
    return Response(mailbox.get(number).html, mimetype="text/html", headers=headers)


# --- texts -----------------------------------------------------------------------------------------------


@texts.get("/")
@admin_only
def handsets() -> str:
    """The numbers that got texts, those with the newest first; ``q``: part of a number."""
    words = request.args.get("q", "").strip()[:40]
    return render_template("mailbox/phones.html", conversations=phone.conversations(words), words=words)


@texts.route("/<number>", methods=["GET", "POST"])
@admin_only
def handset(number: str):
    """One phone: its texts, and a box to answer from it."""
    shown = phone.conversation(number)
    form = AnswerForm(request.form or None)
    form.line.choices = [(line, line) for line in phone.lines(shown)]
    if request.method == "POST":
        try:
            phone.answer(number, form.line.data or "", form.text.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The text is on its way."), "ok")
            return redirect(url_for(".handset", number=number, _anchor="end"), 303)
    return page("mailbox/phone.html", form, number=number, texts=shown)
