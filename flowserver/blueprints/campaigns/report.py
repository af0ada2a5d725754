"""What became of a campaign: its numbers, and its recipients with a status each."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from flowserver.blueprints.campaigns.routes import reason, state_chip
from flowserver.errors import NotFound
from flowserver.services.messages import campaign_numbers, campaigns, evidence
from flowserver.text import N_

bp = Blueprint("campaign_report", __name__, url_prefix="/c/<client>/campaigns/<int:campaign_id>")

STATUSES = {  # colour, word for e-mail, word for SMS
    "waiting": ("", N_("Waiting"), N_("Waiting")),
    "sent": ("", N_("Sent"), N_("Sent")),
    "delivered": ("ok", N_("Delivered"), N_("Delivered")),
    "opened": ("ok", N_("Opened"), N_("Opened")),
    "clicked": ("ok", N_("Clicked"), N_("Clicked")),
    "unsubscribed": ("warn", N_("Unsubscribed"), N_("Unsubscribed")),
    "bounced": ("bad", N_("Came back"), N_("Came back")),
    "failed": ("bad", N_("Failed"), N_("Not delivered")),
    "skipped": ("warn", N_("Not sent"), N_("Not sent")),
    "unknown": ("warn", N_("Perhaps sent"), N_("Perhaps sent")),
}
FILTERS = {
    "email": {
        "": N_("All"),
        "opened": N_("Opened"),
        "not_opened": N_("Not opened"),
        "clicked": N_("Clicked"),
        "unsubscribed": N_("Unsubscribed"),
        "bounced": N_("Came back"),
        "failed": N_("Failed"),
        "skipped": N_("Not sent"),
        "waiting": N_("Waiting"),
    },
    "sms": {
        "": N_("All"),
        "delivered": N_("Delivered"),
        "failed": N_("Not delivered"),
        "sent": N_("Sent"),
        "skipped": N_("Not sent"),
        "waiting": N_("Waiting"),
    },
}


@bp.get("/report")
def report(campaign_id: int) -> Any:
    """The numbers of one that has begun."""
    row = campaigns.get(campaign_id)
    if row.state in ("draft", "scheduled"):
        return redirect(url_for("campaigns.check", campaign_id=campaign_id), 303)
    numbers = campaign_numbers.of(row)
    names = campaign_numbers.audience_names([row])
    return render_template(
        "campaigns/report.html",
        row=row,
        numbers=numbers,
        audience=names.get(row.id, ""),
        chip=state_chip,
        reason=reason,
        most=max((link.people for link in numbers.links), default=0),
    )


@bp.get("/recipients")
def recipients(campaign_id: int) -> str:
    """Everybody it went to, or should have: ``?status=opened``."""
    row = campaigns.get(campaign_id)
    status, after = request.args.get("status", ""), request.args.get("after", "")
    if status and status not in campaign_numbers.STATUSES:
        raise NotFound(_("There is no such list"))
    found = campaign_numbers.recipients(campaign_id, status, int(after) if after.isdecimal() and len(after) < 19 else 0)
    further = None
    if found.next is not None:
        further = url_for(".recipients", campaign_id=campaign_id, status=status or None, after=found.next)
    return render_template(
        "campaigns/recipients.html",
        row=row,
        rows=found.rows,
        status=status,
        filters=FILTERS[row.channel],
        further=further,
        words=_words,
        reason=reason,
    )


def _words(one: Any, channel: str) -> tuple[str, str]:
    """Colour and word of a recipient's status."""
    colour, email, sms = STATUSES[campaign_numbers.status_of(one)]
    return colour, email if channel == "email" else sms


@bp.post("/judge")
def judge(campaign_id: int) -> Any:
    """Judge the opens and clicks of this campaign again, by today's rules and the client's present choice."""
    row = campaigns.get(campaign_id)
    evidence.ask_to_judge(row.id)
    flash(
        _("People and programs are being told apart again, in the background. The numbers change as it goes on."), "ok"
    )
    return redirect(url_for(".report", campaign_id=campaign_id), 303)
