"""Loyalty programmes of a client with their rewards; cards: searching, one with its ledger, points by hand, replacing."""

from __future__ import annotations

import secrets
from typing import Any

from babel.numbers import format_decimal
from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.blueprints.loyalty.forms import AttachForm, CardForm, PointsForm, ProgrammeForm, RewardForm
from flowserver.blueprints.scope import me
from flowserver.domain.loyalty import show_number
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.services.loyalty import cards, points, programmes
from flowserver.services.loyalty.ledger import By
from flowserver.services.people import forms, usage
from flowserver.text import whole

bp = Blueprint("loyalty", __name__, url_prefix="/c/<client>/loyalty")

LINES = 20  # movements on one page

bp.add_app_template_filter(show_number, "card_number")


@bp.app_template_filter("cents")
def money(cents: int | None) -> str:
    """An amount in cents as the reader's language writes it: ``12.50``."""
    return "–" if cents is None else format_decimal(cents / 100, "#,##0.00", locale=get_locale())


def once() -> str:
    """A receipt number of our own in a page's form, so that sending it twice counts once."""
    return f"once-{secrets.token_hex(12)}"


def by() -> By:
    """The person who is logged in, at the console."""
    return By("console", me().id)


# --- programmes ------------------------------------------------------------------------------------------


@bp.get("")
def index() -> str:
    return render_template("loyalty/index.html", entries=programmes.everything())


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    usual = {"amount_per_point": "1", "welcome_points": "0", "code": "qr", "color": g.workspace.brand_color}
    form = ProgrammeForm(sent(), data=usual)
    if request.method == "POST":
        try:
            row = programmes.create(form.data)
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The loyalty programme is saved. Now say what its points are good for."))
            return redirect(url_for(".show", programme_id=row.id), 303)
    return _programme_page(form, None)


@bp.get("/<int:programme_id>")
def show(programme_id: int) -> str:
    return render_template(
        "loyalty/show.html",
        entry=programmes.entry(programme_id),
        rewards=programmes.reward_entries(programme_id),
        newest=cards.search("", programme_id, limit=5).items,
        uses=usage.of("programme", programme_id),
    )


@bp.route("/<int:programme_id>/edit", methods=["GET", "POST"])
def edit(programme_id: int) -> ResponseReturnValue:
    row = programmes.get(programme_id)
    typed = {**programmes.as_given(row), "amount_per_point": money(row.cents_per_point)}
    form = ProgrammeForm(sent(), data={**typed, "color": row.color or g.workspace.brand_color})
    if request.method == "POST":
        try:
            programmes.update(programme_id, form.data)
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The loyalty programme is saved."))
            return redirect(url_for(".show", programme_id=programme_id), 303)
    return _programme_page(form, row)


def _programme_page(form: ProgrammeForm, row: Any) -> ResponseReturnValue:
    form.prepare([(one.row.id, one.row.name) for one in forms.overview()])
    return page("loyalty/edit.html", form, row=row)


@bp.route("/<int:programme_id>/delete", methods=["GET", "POST"])
def delete(programme_id: int) -> ResponseReturnValue:
    row = programmes.get(programme_id)
    if request.method == "POST":
        try:
            programmes.delete(programme_id)
        except Conflict as error:
            return _delete_page(row, str(error)), 409
        flash(_("The loyalty programme is deleted."))
        return redirect(url_for(".index"), 303)
    return _delete_page(row)


def _delete_page(row: Any, error: str = "") -> str:
    entry, uses = programmes.entry(row.id), usage.of("programme", row.id)
    return render_template("loyalty/delete.html", row=row, entry=entry, uses=uses, errors=error)


# --- rewards ---------------------------------------------------------------------------------------------


@bp.route("/<int:programme_id>/rewards/new", methods=["GET", "POST"])
def new_reward(programme_id: int) -> ResponseReturnValue:
    programme = programmes.get(programme_id)
    form = RewardForm(sent(), data={"automatic": "1", "active": True})
    if request.method == "POST":
        try:
            programmes.create_reward(programme_id, {**form.data, "active": True})
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The reward is saved."))
            return redirect(url_for(".show", programme_id=programme_id), 303)
    return page("loyalty/reward.html", form, programme=programme, row=None)


@bp.route("/rewards/<int:reward_id>", methods=["GET", "POST"])
def reward(reward_id: int) -> ResponseReturnValue:
    row = programmes.get_reward(reward_id)
    form = RewardForm(sent(), data=_reward_values(row))
    if request.method == "POST":
        try:
            programmes.update_reward(reward_id, form.data)
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The reward is saved."))
            return redirect(url_for(".show", programme_id=row.programme_id), 303)
    return _reward_page(form, row)


def _reward_values(row: Any) -> dict[str, Any]:
    kept = {key: getattr(row, key) for key in ("title", "points", "uses_points", "active")}
    return {**kept, "automatic": "1" if row.automatic else ""}


def _reward_page(form: RewardForm, row: Any) -> ResponseReturnValue:
    return page("loyalty/reward.html", form, programme=programmes.get(row.programme_id), row=row)


@bp.post("/rewards/<int:reward_id>/delete")
def delete_reward(reward_id: int) -> ResponseReturnValue:
    row = programmes.get_reward(reward_id)
    programme_id = row.programme_id
    try:
        programmes.delete_reward(reward_id)
    except Conflict as error:
        form = RewardForm(data=_reward_values(row))
        add_errors(form, {"_": [error.args[0]]})
        shown = render_template("loyalty/reward.html", form=form, programme=programmes.get(programme_id), row=row)
        return shown, 409
    flash(_("The reward is deleted."))
    return redirect(url_for(".show", programme_id=programme_id), 303)


# --- cards -----------------------------------------------------------------------------------------------


@bp.get("/cards")
def card_list() -> str:
    q, programme = request.args.get("q", "")[:120].strip(), _number("programme")
    found = cards.search(q, programme, older=_number("older"), newer=_number("newer"))
    state = {key: value for key, value in {"q": q, "programme": programme}.items() if value}
    return render_template(
        "loyalty/cards.html", found=found, q=q, programme=programme, programmes=programmes.choices(), state=state
    )


def _number(name: str) -> int | None:
    return whole(request.args.get(name, ""))


@bp.route("/cards/new", methods=["GET", "POST"])
def new_card() -> ResponseReturnValue:
    form = CardForm(sent(), data={"programme": request.args.get("programme", "")})
    form.prepare(programmes.choices(open_only=True))
    if request.method == "POST":
        try:
            card, made = _make(form.programme.data or "", form.contact.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The card is made.") if made else _("The contact had this card already."))
            return redirect(url_for(".card", card_id=card.id), 303)
    return page("loyalty/new_card.html", form)


def _make(programme: str, contact: str) -> tuple[Any, bool]:
    if not programme.isdecimal() or len(programme) > 18:
        raise Invalid({"programme": [_("Choose a loyalty programme")]})
    return cards.make(int(programme), _whom(contact) if contact.strip() else None, by=by())


def _whom(typed: str) -> int:
    """The contact with this address; made where nobody has it. Raises :class:`Invalid` at the field ``contact``."""
    key = "email" if "@" in typed else "phone"
    try:
        return cards.whom({key: typed}, source="by hand")
    except Invalid as error:
        raise Invalid({"contact": [text for texts in error.messages.values() for text in texts]}) from None


@bp.post("/cards/for/<int:contact_id>")
def card_for(contact_id: int) -> ResponseReturnValue:
    """A card for a contact, from the contact's own page."""
    programme = request.form.get("programme", "")
    if not programme.isdecimal() or len(programme) > 18:
        raise NotFound(_("There is no such loyalty programme"))
    card, made = cards.make(int(programme), contact_id, by=by())
    flash(_("The card is made.") if made else _("The contact had this card already."))
    return redirect(url_for(".card", card_id=card.id), 303)


@bp.get("/cards/<int:card_id>")
def card(card_id: int) -> ResponseReturnValue:
    return _card(card_id)


def _card(card_id: int, points_form: Any = None, attach_form: Any = None, status: int = 200) -> tuple[str, int]:
    form = points_form or attach_form
    shown = render_template(
        "loyalty/card.html",
        view=cards.view(card_id),
        lines=cards.ledger_of(card_id, before=_number("before"), limit=LINES),
        most=LINES,
        before=_number("before"),
        once=once(),
        points_form=points_form or PointsForm(),
        attach_form=attach_form or AttachForm(),
        errors=bool(form and (form.errors or form.form_errors)),
    )
    return shown, status


@bp.post("/cards/<int:card_id>/points")
def give_points(card_id: int) -> ResponseReturnValue:
    form = PointsForm(request.form)
    try:
        points.add_points(card_id, form.points.data, form.reason.data, request.form.get("once", ""), by=by())
    except Invalid as error:
        add_errors(form, error.messages)
        return _card(card_id, points_form=form, status=422)
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("The points are noted."))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/attach")
def attach(card_id: int) -> ResponseReturnValue:
    form = AttachForm(request.form)
    try:
        if not (form.contact.data or "").strip():
            raise Invalid({"contact": [_("Enter the contact's e-mail address or mobile number")]})
        cards.attach(card_id, _whom(form.contact.data or ""), by=by())
    except Invalid as error:
        add_errors(form, error.messages)
        return _card(card_id, attach_form=form, status=422)
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("The card has its contact now."))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/undo/<int:movement_id>")
def undo(card_id: int, movement_id: int) -> ResponseReturnValue:
    try:
        points.undo(card_id, movement_id, by=by())
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("The movement is undone."))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/give/<int:reward_id>")
def give(card_id: int, reward_id: int) -> ResponseReturnValue:
    try:
        points.give(card_id, reward_id, by=by())
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("The reward is given. It can be collected at the till."))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/collect/<int:grant_id>")
def collect(card_id: int, grant_id: int) -> ResponseReturnValue:
    try:
        points.collect(card_id, grant_id, by=by())
    except Conflict as error:
        return _refused(card_id, error)
    flash(_("The reward is collected."))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/block")
def block(card_id: int) -> ResponseReturnValue:
    blocked = bool(request.form.get("blocked"))
    cards.block(card_id, blocked)
    flash(_("The card is blocked.") if blocked else _("The card works again."))
    return _back(card_id)


@bp.post("/cards/<int:card_id>/replace")
def replace(card_id: int) -> ResponseReturnValue:
    cards.replace(card_id)
    flash(_("The card has a new number. Points and rewards stayed; the old number and the old page are worth nothing."))
    return _back(card_id)


def _back(card_id: int) -> Response:
    return redirect(url_for(".card", card_id=card_id), 303)


def _refused(card_id: int, error: Conflict) -> ResponseReturnValue:
    """The card's page with what stood in the way: somebody else was quicker, most often."""
    form = PointsForm()
    add_errors(form, {"_": [error.args[0]]})
    return _card(card_id, points_form=form, status=409)
