"""The address book of a client: searching it, one contact with its history, adding, changing, deleting, tags."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from flowserver.blueprints.contacts.forms import (
    ConsentForm,
    ContactForm,
    DeleteForm,
    ScoreForm,
    TagForm,
    as_typed,
    contact_form,
)
from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.domain.consent import CHANNELS
from flowserver.errors import Conflict, Invalid
from flowserver.services.flows import hand_starts
from flowserver.services.loyalty import cards
from flowserver.services.messages import deliveries
from flowserver.services.people import (
    by_hand,
    consents,
    contacts,
    exports,
    lists,
    passages,
    scores,
    tags,
    timeline,
    why,
)
from flowserver.services.shop import coupon_codes

bp = Blueprint("contacts", __name__, url_prefix="/c/<client>/contacts")

CONSENTS = ("email", "no_email", "sms", "no_sms")
STATUSES = ("active", "suppressed", "bounced")


# --- the list ------------------------------------------------------------------------------------------


@bp.get("")
def index() -> str:
    wanted = _filter()
    found = contacts.search(wanted, older=_number("older"), newer=_number("newer"))
    ids = [contact.id for contact in found.items]
    on, has = contacts.lists_and_tags(ids)
    return render_template(
        "contacts/index.html",
        found=found,
        total=contacts.count(wanted),
        wanted=wanted,
        lists=lists.choices(),
        tags=[tag.name for tag, _n in tags.everything()],
        on=on,
        has=has,
        state=_state(wanted),
    )


def _filter() -> contacts.Filter:
    """The filter in the address; values that make no sense do not narrow."""
    consent, status = request.args.get("consent", ""), request.args.get("status", "")
    return contacts.Filter(
        q=request.args.get("q", "")[:120].strip(),
        list_id=_number("list"),
        tag=request.args.get("tag", "")[:60],
        consent=consent if consent in CONSENTS else "",
        status=status if status in STATUSES else "",
    )


def _state(wanted: contacts.Filter) -> dict[str, Any]:
    """The filter as it stands in addresses."""
    state = {
        "q": wanted.q,
        "list": wanted.list_id,
        "tag": wanted.tag,
        "consent": wanted.consent,
        "status": wanted.status,
    }
    return {key: value for key, value in state.items() if value}


def _number(name: str) -> int | None:
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


@bp.get("/export.csv")
def export() -> Response:
    lines = exports.contacts_csv(_filter())
    name = f"contacts-{datetime.now(UTC):%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store"}
    return Response(lines, mimetype="text/csv", headers=headers)


# --- one contact -----------------------------------------------------------------------------------------


@bp.get("/<int:contact_id>")
def show(contact_id: int) -> str:
    return _show(contact_id)


def _show(contact_id: int, consent: ConsentForm | None = None, score: ScoreForm | None = None) -> str:
    contact = contacts.get(contact_id)
    show = request.args.get("show", "all")
    asked = request.args.get("why", "")
    on, has = contacts.lists_and_tags([contact_id])
    return render_template(
        "contacts/show.html",
        contact=contact,
        lists=on[contact_id],
        tags=has[contact_id],
        specs=contacts.book().specs,
        consents=consents.history(contact_id),
        channels=CHANNELS,
        ledger=scores.ledger(contact_id, 20),
        gained=scores.gained(contact_id),
        inside=passages.inside(contact_id),
        coupons=coupon_codes.of_contact(contact_id),
        loyalty_cards=cards.of_contact(contact_id),
        loyalty_offers=cards.offers_for(contact_id),
        startable=hand_starts.choices(),
        history=timeline.of(contact_id, show, _moment("before")),
        show=show if show in timeline.SHOWS else "all",
        questions=why.questions(contact_id),
        asked=asked,
        answer=why.explain(contact, asked) if asked else None,
        consent_form=consent or ConsentForm(),
        score_form=score or ScoreForm(),
        errors=bool((consent and consent.errors) or (score and score.errors)),
    )


def _moment(name: str) -> datetime | None:
    """An instant from the address, as :func:`older_than` wrote it."""
    text = request.args.get(name, "")
    try:
        return datetime.fromtimestamp(int(text) / 1_000_000, UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None


@bp.app_template_filter("instant")
def instant(moment: datetime) -> int:
    """An instant as it stands in addresses: microseconds since 1970."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = _form()(sent())
    if request.method == "POST":
        try:
            contact, made = by_hand.save(None, form.values(), form.lists.data or [], form.tags.data or "")
        except Invalid as error:
            add_errors(form, form.place(error.messages))
        else:
            flash(_("The contact is saved.") if made else _("This contact was known already. What you typed is saved."))
            return redirect(url_for(".show", contact_id=contact.id), 303)
    return page("contacts/edit.html", form, contact=None)


@bp.route("/<int:contact_id>/edit", methods=["GET", "POST"])
def edit(contact_id: int) -> ResponseReturnValue:
    contact = contacts.get(contact_id)
    on, has = contacts.lists_and_tags([contact_id])
    typed = as_typed(contact, [number for number, _name in on[contact_id]], has[contact_id])
    form = _form()(sent(), data=typed)
    if request.method == "POST":
        try:
            by_hand.save(contact_id, form.values(), form.lists.data or [], form.tags.data or "")
        except Invalid as error:
            add_errors(form, form.place(error.messages))
        else:
            flash(_("The contact is saved."))
            return redirect(url_for(".show", contact_id=contact_id), 303)
    return page("contacts/edit.html", form, contact=contact)


def _form() -> type[ContactForm]:
    return contact_form(contacts.book().specs.values(), lists.choices())


@bp.post("/<int:contact_id>/consent")
def consent(contact_id: int) -> ResponseReturnValue:
    form = ConsentForm(request.form)
    try:
        by_hand.consent(contact_id, form.channel.data or "", form.state.data or "", form.words.data or "")
    except Invalid as error:
        add_errors(form, error.messages)
        return _show(contact_id, consent=form), 422
    flash(_("The consent is noted."))
    return redirect(url_for(".show", contact_id=contact_id), 303)


@bp.post("/<int:contact_id>/score")
def score(contact_id: int) -> ResponseReturnValue:
    form = ScoreForm(request.form)
    try:
        by_hand.score(contact_id, form.points.data or "", form.reason.data or "")
    except Invalid as error:
        add_errors(form, error.messages)
        return _show(contact_id, score=form), 422
    flash(_("The score is changed."))
    return redirect(url_for(".show", contact_id=contact_id), 303)


@bp.post("/<int:contact_id>/messages/<int:message_id>/settle")
def settle(contact_id: int, message_id: int) -> ResponseReturnValue:
    """A message whose answer was never heard: the person who asked the contact says whether it arrived."""
    again = bool(request.form.get("resend"))
    deliveries.settle(message_id, resend=again)
    flash(_("The message is sent again.") if again else _("The message counts as sent."))
    return redirect(url_for(".show", contact_id=contact_id), 303)


@bp.post("/<int:contact_id>/flows/<int:run_id>/leave")
def take_out(contact_id: int, run_id: int) -> ResponseReturnValue:
    passages.take_out(contact_id, run_id)
    flash(_("The contact has left the flow."))
    return redirect(url_for(".show", contact_id=contact_id), 303)


@bp.post("/<int:contact_id>/flows")
def start_flow(contact_id: int) -> ResponseReturnValue:
    """Start the contact in a flow, by the flow's own rules of who may enter."""
    contact = contacts.get(contact_id)
    flow_id = request.form.get("flow", "")
    row = hand_starts.begin(
        int(flow_id) if flow_id.isdecimal() and len(flow_id) < 19 else 0,
        hand_starts.some([contact.id]),
        user_id=current_user.id,
    )
    if row.entered:
        flash(_("The contact has entered the flow."))
    else:
        flash(_("Nothing changed: the contact is in the flow already, or may not enter it again."), "warn")
    return redirect(url_for(".show", contact_id=contact_id), 303)


@bp.route("/<int:contact_id>/delete", methods=["GET", "POST"])
def delete(contact_id: int) -> ResponseReturnValue:
    contact = contacts.get(contact_id)
    form = DeleteForm(sent())
    if request.method == "POST":
        if form.sure.data:
            contacts.delete(contact_id)
            flash(_("The contact is deleted."))
            return redirect(url_for(".index"), 303)
        add_errors(form, {"sure": [_("Tick the box to delete the contact")]})
    return page("contacts/delete.html", form, contact=contact, inside=passages.inside(contact_id))


# --- tags ------------------------------------------------------------------------------------------------


@bp.route("/tags", methods=["GET", "POST"])
def tag_list() -> ResponseReturnValue:
    form = TagForm(sent())
    if request.method == "POST":
        try:
            tags.create(form.name.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The tag is saved."))
            return redirect(url_for(".tag_list"), 303)
    return page("contacts/tags.html", form, tags=tags.everything())


@bp.route("/tags/<int:tag_id>", methods=["GET", "POST"])
def tag(tag_id: int) -> ResponseReturnValue:
    row, uses = tags.with_uses(tag_id)
    form = TagForm(sent(), data={"name": row.name})
    if request.method == "POST":
        try:
            tags.rename(tag_id, form.name.data or "")
        except Invalid as error:
            add_errors(form, error.messages)
        except Conflict as error:
            add_errors(form, {"name": [error.args[0]]})
            return _tag_page(form, tag_id), 409
        else:
            flash(_("The tag is saved."))
            return redirect(url_for(".tag_list"), 303)
    return page("contacts/tag.html", form, tag=row, uses=uses)


def _tag_page(form: TagForm, tag_id: int) -> str:
    row, uses = tags.with_uses(tag_id)
    return render_template("contacts/tag.html", form=form, tag=row, uses=uses)


@bp.post("/tags/<int:tag_id>/delete")
def delete_tag(tag_id: int) -> ResponseReturnValue:
    try:
        tags.delete(tag_id)
    except Conflict as error:
        form = TagForm(data={"name": tags.get(tag_id).name})
        add_errors(form, {"_": [error.args[0]]})
        return _tag_page(form, tag_id), 409
    flash(_("The tag is deleted."))
    return redirect(url_for(".tag_list"), 303)
