"""The page of a loyalty card: balance, rewards, and the code for the till. Its address is all it takes; no script, no cookie."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template
from werkzeug.wrappers import Response

from flowserver.blueprints import console
from flowserver.blueprints.limits import limiter
from flowserver.domain import cardcode
from flowserver.services.accounts import brand
from flowserver.services.loyalty import cards, programmes

bp = Blueprint("cardpage", __name__, url_prefix="/k")

limiter.limit("120 per minute; 1500 per hour")(bp)  # an address of 120 bits of chance is not found by trying


@bp.after_request
def _unseen(response: Response) -> Response:
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = (
        "no-referrer"  # the address opens the card, and a logo may come from elsewhere
    )
    return response


@bp.get("/<public_id>")
def show(public_id: str) -> str:
    view = _open(public_id)
    rewards = programmes.rewards_of(view.programme.id, active_only=True)
    had = {one.reward.id for one in view.held if one.open or not one.reward.uses_points}
    ahead = [one for one in rewards if one.id not in had and one.points > view.card.balance]
    return render_template("cardpage/show.html", view=view, ahead=ahead, client=g.workspace, pub_class="")


def _open(public_id: str) -> Any:
    view, g.workspace = cards.public(public_id)
    console.speak((view.contact.locale if view.contact else "") or g.workspace.locale)
    return view


@bp.get("/<public_id>/code.svg")
def code(public_id: str) -> Response:
    """The number as a picture to scan."""
    view = _open(public_id)
    picture = cardcode.svg(view.programme.code, view.card.number)
    headers = {"Cache-Control": "private, max-age=300", "Content-Security-Policy": "default-src 'none'"}
    return Response(picture, mimetype="image/svg+xml", headers=headers)


@bp.get("/<public_id>/brand.css")
def brand_css(public_id: str) -> Response:
    """The programme's colour, or the client's."""
    view = _open(public_id)
    color = view.programme.color or g.workspace.brand_color
    sheet = f".pub {{ --brand: {color}; --on-brand: {brand.ink_on(color)}; }}\n"
    return Response(sheet, mimetype="text/css", headers={"Cache-Control": "private, max-age=300"})
