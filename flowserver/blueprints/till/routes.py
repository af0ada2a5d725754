"""The till: find a card by scanner, number or its person, add what was paid, give and collect rewards, undo the last movement.

A scanner is a keyboard that types a number and presses Enter, so finding is a plain form; and a card that is scanned while
the cursor stands in the amount is a scan all the same.
"""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from werkzeug.wrappers import Response

from flowserver.blueprints.console import number
from flowserver.blueprints.fieldkit import add_errors
from flowserver.blueprints.loyalty.routes import once
from flowserver.blueprints.scope import me
from flowserver.domain import loyalty
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.services.loyalty import cards, points
from flowserver.services.loyalty.ledger import By

bp = Blueprint("till", __name__, url_prefix="/c/<client>/till")


LEAST, DIGITS, MOST = 3, 6, 10  # letters a search needs, digits where it has no letters; cards it shows


class ScanForm(wtforms.Form):
    """Which card."""

    card = wtforms.StringField(_l("Card"), render_kw={"autocomplete": "off", "enterkeyhint": "go", "maxlength": 500})


class AmountForm(wtforms.Form):
    """What was paid."""

    amount = wtforms.StringField(_l("Amount"), render_kw={"inputmode": "decimal", "autocomplete": "off"})
    receipt = wtforms.StringField(_l("Receipt number"), render_kw={"autocomplete": "off", "maxlength": 80})


@bp.get("")
def index() -> ResponseReturnValue:
    """The empty till, or the card that was scanned."""
    if "card" not in request.args:
        return render_template("till/index.html", scan=ScanForm())
    scan = ScanForm(request.args)
    try:
        found = cards.find(scan.card.data)
    except Invalid as error:
        return _of_person(scan, error)
    except (NotFound, Conflict) as error:
        add_errors(scan, {"card": [error.args[0]]})
    else:
        return redirect(url_for(".card", card_id=found.id), 303)
    return render_template("till/index.html", scan=scan), 422


def _of_person(scan: ScanForm, error: Invalid) -> ResponseReturnValue:
    """What was typed is no number: the card of the person it names, or those of the people to choose from."""
    typed = (scan.card.data or "").strip()
    enough = len(typed) >= (LEAST if any(char.isalpha() for char in typed) else DIGITS)
    found = cards.search(typed, limit=MOST).items if enough else []
    if len(found) == 1:
        return redirect(url_for(".card", card_id=found[0][0].id), 303)
    if found:
        return render_template("till/index.html", scan=scan, found=found)
    named = any(char.isalpha() for char in typed)
    add_errors(scan, {"card": [_("Nobody of this name has a card")] if named else error.messages["_"]})
    return render_template("till/index.html", scan=scan, nobody=named), 422


@bp.get("/cards/<int:card_id>")
def card(card_id: int) -> ResponseReturnValue:
    return _card(card_id, AmountForm())


def _card(card_id: int, form: AmountForm, status: int = 200) -> ResponseReturnValue:
    lines = cards.ledger_of(card_id, limit=5)
    shown = render_template(
        "till/card.html",
        view=cards.view(card_id),
        lines=lines,
        last=next((line for line in lines if line.undoable), None),
        form=form,
        scan=ScanForm(),
        once=once(),
        fresh="done" in request.args,
    )
    return shown, status


@bp.post("/cards/<int:card_id>/amount")
def amount(card_id: int) -> ResponseReturnValue:
    form = AmountForm(request.form)
    other = _scanned(form.amount.data or "")
    if other is not None:
        return redirect(url_for(".card", card_id=other), 303)
    receipt = (form.receipt.data or "").strip() or request.form.get("once", "")[:80]
    try:
        done = points.add_amount(card_id, form.amount.data, receipt, by=_by())
    except Invalid as error:
        add_errors(form, error.messages)
        return _card(card_id, form, 422)
    except Conflict as error:
        return _refused(card_id, error, form)
    if done.repeated:
        flash(_("This receipt was entered before. Nothing was added."), "warn")
    else:
        gained, balance = done.movement.delta, number(done.card.balance)
        flash(
            ngettext(
                "%(gained)s point added. The card has %(balance)s now.",
                "%(gained)s points added. The card has %(balance)s now.",
                gained,
                gained=number(gained),
                balance=balance,
            )
        )
    for reward in done.given:
        flash(_("New reward: %(reward)s", reward=reward.title))
    return _back(card_id)


def _scanned(typed: str) -> int | None:
    """The card whose number was scanned into the wrong box."""
    try:
        return cards.find(loyalty.read_number(typed)).id
    except (Invalid, NotFound, Conflict):
        return None


@bp.post("/cards/<int:card_id>/undo/<int:movement_id>")
def undo(card_id: int, movement_id: int) -> ResponseReturnValue:
    try:
        done = points.undo(card_id, movement_id, by=_by())
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("Undone. The card has %(balance)s points now.", balance=number(done.card.balance)))
    for reward in done.withdrawn:
        flash(_("The reward is taken back: %(reward)s", reward=reward.title), "warn")
    return _back(card_id)


@bp.post("/cards/<int:card_id>/collect/<int:grant_id>")
def collect(card_id: int, grant_id: int) -> ResponseReturnValue:
    try:
        done = points.collect(card_id, grant_id, by=_by())
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("Collected: %(reward)s", reward=done.movement.reason))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/give/<int:reward_id>")
def give(card_id: int, reward_id: int) -> ResponseReturnValue:
    try:
        points.give(card_id, reward_id, by=_by())
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("The reward is given."))
    return _back(card_id)


def _by() -> By:
    return By("till", me().id)


def _back(card_id: int) -> Response:
    return redirect(url_for(".card", card_id=card_id, done=1), 303)


def _refused(card_id: int, error: Conflict, form: Any = None) -> ResponseReturnValue:
    """The card's page with what stood in the way."""
    shown = form or AmountForm()
    add_errors(shown, {"_": [error.args[0]]})
    return _card(card_id, shown, 409)
