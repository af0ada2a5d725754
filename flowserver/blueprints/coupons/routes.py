"""Coupon campaigns of a client: making them, their codes, giving coupons to contacts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _
from wtforms import SelectChoice

from flowserver.blueprints.console import number
from flowserver.blueprints.coupons.forms import CampaignForm, GiveForm, ImportForm, PrintForm
from flowserver.blueprints.fieldkit import add_errors, page, sent
from flowserver.domain.coupons import STATES
from flowserver.errors import Conflict, Invalid, TooLarge
from flowserver.services.people import lists, usage
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons
from flowserver.text import whole

bp = Blueprint("coupons", __name__, url_prefix="/c/<client>/coupons")


@bp.app_template_filter("amount")
def amount(value: Any) -> str:
    """An amount of money without its currency, as the reader's language writes it: ``1,234.50``."""
    return str(format_decimal(value, "#,##0.00"))


# --- campaigns -------------------------------------------------------------------------------------------


@bp.get("")
def index() -> str:
    rows = coupon_campaigns.everything()
    return render_template("coupons/index.html", rows=rows, numbers=coupon_campaigns.numbers([row.id for row in rows]))


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = CampaignForm(sent())
    if request.method == "POST":
        try:
            row = coupon_campaigns.create(form.data)
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            if row.codes == "pool":
                flash(_("The coupon campaign is saved. Now import its codes."))
                return redirect(url_for(".take_in", campaign_id=row.id), 303)
            flash(_("The coupon campaign is saved."))
            return redirect(url_for(".show", campaign_id=row.id), 303)
    return page("coupons/edit.html", form, row=None)


@bp.route("/<int:campaign_id>/edit", methods=["GET", "POST"])
def edit(campaign_id: int) -> ResponseReturnValue:
    row = coupon_campaigns.get(campaign_id)
    form = CampaignForm(sent(), obj=row)
    if request.method == "POST":
        try:
            coupon_campaigns.update(campaign_id, form.data)
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            flash(_("The coupon campaign is saved."))
            return redirect(url_for(".show", campaign_id=campaign_id), 303)
    return page("coupons/edit.html", form, row=row)


@bp.route("/<int:campaign_id>/delete", methods=["GET", "POST"])
def delete(campaign_id: int) -> ResponseReturnValue:
    row = coupon_campaigns.get(campaign_id)
    problem = ""
    if request.method == "POST":
        try:
            coupon_campaigns.delete(campaign_id)
        except Conflict as error:
            problem = error.args[0]
        else:
            flash(_("The coupon campaign is deleted."))
            return redirect(url_for(".index"), 303)
    shown = render_template(
        "coupons/delete.html",
        row=row,
        problem=problem,
        uses=usage.of("coupon_campaign", campaign_id),
        numbers=coupon_campaigns.numbers([campaign_id])[campaign_id],
    )
    return shown, 409 if problem else 200


# --- codes -----------------------------------------------------------------------------------------------


@bp.get("/<int:campaign_id>")
def show(campaign_id: int) -> str:
    row = coupon_campaigns.get(campaign_id)
    state, q = request.args.get("state", ""), request.args.get("q", "")[:80].strip()
    state = state if state in STATES else ""
    found = coupon_codes.search(campaign_id, state=state, q=q, older=_number("older"), newer=_number("newer"))
    return render_template(
        "coupons/show.html",
        row=row,
        numbers=coupon_campaigns.numbers([campaign_id])[campaign_id],
        found=found,
        state=state,
        q=q,
        narrowed={key: value for key, value in (("state", state), ("q", q)) if value},
        uses=usage.of("coupon_campaign", campaign_id),
        used=coupon_codes.uses(campaign_id=campaign_id, limit=10),
        over=coupon_campaigns.is_over(row),
    )


def _number(name: str) -> int | None:
    return whole(request.args.get(name, ""))


@bp.get("/<int:campaign_id>/codes.csv")
def download(campaign_id: int) -> Response:
    coupon_campaigns.get(campaign_id)
    state = request.args.get("state", "")
    lines = coupon_codes.as_csv(campaign_id, state if state in STATES else "")
    name = f"coupons-{datetime.now(UTC):%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f"attachment; filename={name}", "Cache-Control": "no-store"}
    return Response(lines, mimetype="text/csv", headers=headers)


@bp.route("/<int:campaign_id>/import", methods=["GET", "POST"])
def take_in(campaign_id: int) -> ResponseReturnValue:
    row = coupon_campaigns.get(campaign_id)
    form = ImportForm(sent())
    if request.method == "GET":
        return page("coupons/import.html", form, row=row, result=None)
    file = request.files.get("file")
    handed_out = bool(form.handed_out.data)
    try:
        if file is not None and file.filename:
            result = coupon_codes.import_file(campaign_id, file.stream, handed_out)
        else:
            result = coupon_codes.import_text(campaign_id, form.codes.data or "", handed_out)
    except Invalid as error:
        add_errors(form, error.messages)
        return page("coupons/import.html", form, row=row, result=None)
    except (Conflict, TooLarge) as error:
        add_errors(form, {"file": [error.args[0]]})
        return render_template("coupons/import.html", form=form, row=row, result=None), error.status
    if result.refused:
        return render_template("coupons/import.html", form=ImportForm(), row=row, result=result)
    flash(_added(result.added))
    return redirect(url_for(".show", campaign_id=campaign_id), 303)


def _added(count: int) -> str:
    return ngettext("%(number)s code is in.", "%(number)s codes are in.", count, number=number(count))


@bp.route("/<int:campaign_id>/print", methods=["GET", "POST"])
def to_print(campaign_id: int) -> ResponseReturnValue:
    row = coupon_campaigns.get(campaign_id)
    form = PrintForm(sent())
    if request.method == "POST":
        try:
            made = coupon_codes.generate(campaign_id, form.count.data)
        except Invalid as error:
            add_errors(form, error.messages)
        except Conflict as error:
            add_errors(form, {"count": [error.args[0]]})
            return render_template("coupons/print.html", form=form, row=row), 409
        else:
            flash(_made(made))
            return redirect(url_for(".show", campaign_id=campaign_id, state="issued"), 303)
    return page("coupons/print.html", form, row=row)


def _made(count: int) -> str:
    return ngettext(
        "%(number)s code is made. Download it as CSV below.",
        "%(number)s codes are made. Download them as CSV below.",
        count,
        number=number(count),
    )


@bp.post("/<int:campaign_id>/void/<int:coupon_id>")
def void(campaign_id: int, coupon_id: int) -> ResponseReturnValue:
    try:
        coupons.void(coupon_codes.get(campaign_id, coupon_id).code)
    except Conflict as error:
        flash(error.args[0], "warn")
    else:
        flash(_("The code is void."))
    return redirect(url_for(".show", campaign_id=campaign_id), 303)


# --- giving out ------------------------------------------------------------------------------------------


@bp.route("/<int:campaign_id>/give", methods=["GET", "POST"])
def give(campaign_id: int) -> ResponseReturnValue:
    row = coupon_campaigns.get(campaign_id)
    form = GiveForm(sent(), data={"who": request.args.get("who", "")})
    form.list_id.choices = [
        SelectChoice("", _("Choose a list")),
        *(SelectChoice(str(n), name) for n, name in lists.choices()),
    ]
    if request.method == "POST":
        try:
            flash(_give_to_list(campaign_id, form) if form.to.data == "list" else _give_to_one(campaign_id, form))
        except Invalid as error:
            add_errors(form, error.messages)
        except Conflict as error:
            add_errors(form, {"_": [error.args[0]]})
            return render_template("coupons/give.html", form=form, row=row), 409
        else:
            return redirect(url_for(".show", campaign_id=campaign_id), 303)
    return page("coupons/give.html", form, row=row)


def _give_to_one(campaign_id: int, form: GiveForm) -> str:
    contact = coupon_codes.contact_of(form.who.data or "")
    coupon = coupons.issue(campaign_id, contact.id)
    return _("%(contact)s has the code %(code)s.", contact=contact.email or contact.phone, code=coupon.code)


def _give_to_list(campaign_id: int, form: GiveForm) -> str:
    chosen = whole(form.list_id.data or "")
    if chosen is None or chosen not in dict(lists.choices()):
        raise Invalid({"list_id": [_("Choose the list")]})
    given = coupons.give_to_list(campaign_id, chosen)
    if given is None:
        return _("The list is large. Its coupons are given out in the background.")
    count = len(given.rows)
    if given.without:
        return ngettext(
            "%(number)s contact got a coupon, then no code was left. Import more and do this again.",
            "%(number)s contacts got a coupon, then no code was left. Import more and do this again.",
            count,
            number=number(count),
        )
    return ngettext(
        "%(number)s contact got a coupon.", "%(number)s contacts got a coupon.", count, number=number(count)
    )
