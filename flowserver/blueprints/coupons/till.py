"""The till page for coupons: look a code up, use it, take that back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flowserver import clock
from flowserver.blueprints.coupons.forms import TillForm
from flowserver.blueprints.fieldkit import add_errors
from flowserver.blueprints.scope import me
from flowserver.errors import Conflict, FlowserverError, Gone, Invalid, NotFound
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons

bp = Blueprint("coupon_till", __name__, url_prefix="/c/<client>/till/coupons")


@bp.get("")
def show() -> ResponseReturnValue:
    code = request.args.get("code", "")[:80].strip()
    form = TillForm(data={"code": code, "place": coupon_codes.last_place(me().id)})
    if not code:
        return _page(form)
    try:
        return _page(form, coupons.find(code))
    except NotFound as error:
        add_errors(form, {"code": [error.args[0]]})
        return _page(form), 404


@bp.post("")
def use() -> ResponseReturnValue:
    form = TillForm(request.form)
    given = {name: form[name].data or "" for name in ("place", "receipt", "amount")}
    code = form.code.data or ""
    try:
        used = coupons.redeem(code, **given, user_id=me().id)
    except Invalid as error:
        add_errors(form, error.messages)
        return _page(form, _known(code)), 422
    except (NotFound, Conflict, Gone) as error:
        add_errors(form, {"code": [error.args[0]]})
        return _page(form, _known(code)), error.status
    return redirect(url_for(".show", used=used.id), 303)


@bp.post("/<int:redemption_id>/undo")
def undo(redemption_id: int) -> ResponseReturnValue:
    try:
        coupons.undo(redemption_id)
    except Conflict as error:
        flash(error.args[0], "warn")
    else:
        flash(_("The use is taken back. The code can be used again."))
    return redirect(url_for(".show"), 303)


def _known(code: str) -> Any:
    try:
        return coupons.find(code)
    except FlowserverError:
        return None


def _page(form: TillForm, coupon: Any = None) -> str:
    uses = coupon_codes.uses(limit=6)
    return render_template(
        "till/coupons.html",
        form=form,
        coupon=coupon,
        campaign=coupon_campaigns.get(coupon.campaign_id) if coupon else None,
        contact=coupon_codes.holder(coupon) if coupon else None,
        trouble=coupons.trouble(coupon, clock.now()) if coupon else None,
        uses=uses,
        used=next((one for one in uses if str(one.row.id) == request.args.get("used")), None),
        campaigns=coupon_codes.campaigns_of(uses),
    )
