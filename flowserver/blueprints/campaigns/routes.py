"""Campaigns of a client: all of them, making one, its audience, its message, check and send, cancel, copy, delete."""

from __future__ import annotations

from typing import Any

import wtforms
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from flowserver import clock
from flowserver.blueprints import composer
from flowserver.blueprints.composer import Desk
from flowserver.blueprints.fieldkit import add_errors, sent
from flowserver.blueprints.flows.forms import Fields
from flowserver.blueprints.say import say
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.nodes.base import ChoiceOf
from flowserver.services.flows import composer as composing
from flowserver.services.flows import options
from flowserver.services.messages import campaign_numbers, campaigns
from flowserver.services.people import timeline
from flowserver.text import N_

bp = Blueprint("campaigns", __name__, url_prefix="/c/<client>/campaigns")

STATES = {  # colour, icon, word
    "draft": ("", "pencil", N_("Draft")),
    "scheduled": ("accent", "calendar", N_("Scheduled")),
    "sending": ("accent", "send", N_("Being sent")),
    "sent": ("ok", "check", N_("Sent")),
    "cancelled": ("", "stop", N_("Cancelled")),
}
STAGES = (N_("Campaign"), N_("Audience"), N_("Message"), N_("Check and send"))


class NewForm(wtforms.Form):
    """What a campaign begins with."""

    channel = wtforms.RadioField(
        N_("What do you want to send?"),
        choices={"email": N_("E-mail"), "sms": N_("SMS")},
        default="email",
        validate_choice=False,
    )
    name = wtforms.StringField(
        N_("Campaign name"),
        description=N_("Only your team sees it. For example “May letter”."),
        render_kw={"maxlength": 120, "autocomplete": "off"},
    )


class AudienceForm(wtforms.Form):
    """Who gets it, and what it is called."""

    name = wtforms.StringField(
        N_("Campaign name"),
        description=N_("Only your team sees it."),
        render_kw={"maxlength": 120, "autocomplete": "off"},
    )
    to = wtforms.RadioField(
        N_("Who gets it?"),
        choices={"list": N_("Everybody on a list"), "segment": N_("Everybody in a segment")},
        default="list",
        validate_choice=False,
    )
    list = ChoiceOf(N_("List"), source="list")
    segment = ChoiceOf(N_("Segment"), source="segment")

    def audience(self) -> dict[str, Any]:
        """The chosen list or segment; what is hidden by the other answer does not count."""
        chosen = self[self.to.data].data if self.to.data in ("list", "segment") else None
        return {f"{self.to.data}_id": chosen if isinstance(chosen, int) else None}


class SendForm(wtforms.Form):
    """When it goes out."""

    when = wtforms.RadioField(
        N_("When does it go out?"),
        choices={"now": N_("Now"), "later": N_("At a time")},
        default="now",
        validate_choice=False,
    )
    date = wtforms.StringField(N_("Date"), render_kw={"type": "date", "autocomplete": "off"})
    time = wtforms.StringField(N_("Time"), render_kw={"type": "time", "autocomplete": "off"})


def state_chip(row: Any) -> tuple[str, str, str]:
    """Colour, icon and word of a campaign's state; one that stands still needs attention."""
    if row.held:
        return "bad", "alert", N_("Needs attention")
    if row.state == "scheduled" and row.send_at <= clock.now():
        return "accent", "send", N_("About to be sent")
    return STATES[row.state]


def stages(row: Any, current: int) -> dict[str, Any]:
    """What the progress above the pages of a draft shows."""
    steps = [None, url_for("campaigns.audience", campaign_id=row.id), url_for("campaigns.write", campaign_id=row.id)]
    return {"current": current, "labels": STAGES, "addresses": steps}


# --- all of them ---------------------------------------------------------------------------------------------


@bp.get("")
def index() -> str:
    """All campaigns, newest first, by state."""
    state = request.args.get("state", "")
    before = request.args.get("before", "")
    lines = campaign_numbers.lines(
        state if state in STATES else "", before=int(before) if before.isdecimal() and len(before) < 19 else None
    )
    after = None
    if len(lines) == campaign_numbers.PAGE:
        after = url_for(".index", state=state or None, before=lines[-1].row.id)
    counts = campaign_numbers.states()
    return render_template(
        "campaigns/index.html", lines=lines, state=state, states=STATES, counts=counts, after=after, chip=state_chip
    )


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """E-mail or SMS, and a name."""
    form = NewForm(sent())
    if request.method == "POST":
        try:
            row = campaigns.create(form.channel.data or "", form.name.data or "", current_user.id)
        except Invalid as error:
            add_errors(form, error.messages)
        else:
            return redirect(url_for(".audience", campaign_id=row.id), 303)
    status = 422 if form.errors else 200
    return render_template("campaigns/new.html", form=form, labels=STAGES), status


@bp.get("/<int:campaign_id>")
def show(campaign_id: int) -> ResponseReturnValue:
    """Where a campaign's work goes on: a draft is checked, one that went out has a report."""
    row = campaigns.get(campaign_id)
    page = ".check" if row.state in ("draft", "scheduled") else "campaign_report.report"
    return redirect(url_for(page, campaign_id=campaign_id), 303)


# --- audience ------------------------------------------------------------------------------------------------


@bp.route("/<int:campaign_id>/audience", methods=["GET", "POST"])
def audience(campaign_id: int) -> ResponseReturnValue:
    """Who gets it."""
    row = campaigns.get(campaign_id)
    given = {
        "name": row.name,
        "to": "segment" if row.segment_id else "list",
        "list": row.list_id,
        "segment": row.segment_id,
    }
    form = options.fill(AudienceForm(sent(), data=given))
    conflict = None
    if request.method == "POST":
        try:
            changes = form.audience() if row.state == "draft" else {}
            if row.state == "draft" and not any(changes.values()):
                raise Invalid({form.to.data or "to": [campaigns.NO_AUDIENCE]})
            campaigns.update(campaign_id, name=form.name.data or "", **changes)
        except Invalid as error:
            add_errors(form, error.messages)
        except Conflict as error:
            conflict = error
        else:
            draft = row.state == "draft" and not row.content
            return redirect(url_for(".write" if draft else ".show", campaign_id=campaign_id), 303)
    status = 409 if conflict else 422 if form.errors else 200
    return render_template(
        "campaigns/audience.html", row=row, form=form, conflict=conflict, stages=stages(row, 2)
    ), status


# --- the message ---------------------------------------------------------------------------------------------


def _desk(campaign_id: int) -> Desk:
    row = campaigns.get(campaign_id)
    node = campaigns.NODES[row.channel]
    check = url_for(".check", campaign_id=campaign_id)
    return Desk(
        sends=row.channel,
        title=node.title,
        own=row.content,
        form=_FORMS[row.channel],
        seen=campaigns.print_of(row.content),
        save=lambda settings, seen: _save(campaign_id, settings, seen),
        here=url_for(".write", campaign_id=campaign_id),
        back=url_for(".audience", campaign_id=campaign_id),
        back_label=N_("Back to the audience"),
        done=check,
        lede=_("The message of the campaign “%(campaign)s”", campaign=row.name),
        crumbs=[(_("Campaigns"), url_for(".index")), (row.name, check), (_("Message"), None)],
        nav="campaigns",
        more=N_("Another sender, kind of e-mail"),
    )


def _save(campaign_id: int, settings: dict[str, Any], seen: str) -> None:
    campaigns.update(campaign_id, content=settings, seen=seen)


class _EmailForm(campaigns.NODES["email"].Form):  # type: ignore[misc]
    title = None
    on_failure = None


class _SmsForm(campaigns.NODES["sms"].Form):  # type: ignore[misc]
    title = None
    on_failure = None


_FORMS: dict[str, Any] = {"email": _EmailForm, "sms": _SmsForm}


@bp.route("/<int:campaign_id>/message", methods=["GET", "POST"])
def write(campaign_id: int) -> ResponseReturnValue:
    """The composer."""
    return composer.answer(_desk(campaign_id))


@bp.get("/<int:campaign_id>/message/preview")
def preview(campaign_id: int) -> Response:
    """The saved e-mail as a contact sees it, for a frame."""
    desk = _desk(campaign_id)
    if desk.sends != "email":
        raise NotFound(_("This campaign sends no e-mail"))
    return composer.frame(desk.own, request.args.get("as", ""))


# --- check and send ------------------------------------------------------------------------------------------


@bp.route("/<int:campaign_id>/check", methods=["GET", "POST"])
def check(campaign_id: int) -> ResponseReturnValue:
    """What will happen, and the button that makes it happen."""
    row = campaigns.get(campaign_id)
    if row.state not in ("draft", "scheduled"):
        return redirect(url_for("campaign_report.report", campaign_id=campaign_id), 303)
    day, _t, time = row.wish.partition("T")
    form = SendForm(sent(), data={"when": "later" if row.wish else "now", "date": day, "time": time})
    refused: list[str] = []
    if request.method == "POST":
        try:
            if form.when.data == "later":
                campaigns.schedule(campaign_id, form.date.data or "", form.time.data or "")
                flash(_("The campaign is scheduled."), "ok")
            else:
                campaigns.send(campaign_id)
                flash(_("The campaign is on its way."), "ok")
        except Invalid as error:
            own = {name: texts for name, texts in error.messages.items() if name in form}
            add_errors(form, own or {"audience": error.messages.get("audience", [])})
            refused = [] if own else ["refused"]
        else:
            return redirect(url_for(".show", campaign_id=campaign_id), 303)
    return _check_page(campaigns.get(campaign_id), form, bool(refused))


def _check_page(row: Any, form: SendForm, refused: bool) -> ResponseReturnValue:
    found = campaigns.look(row)
    names = campaign_numbers.audience_names([row])
    status = 422 if form.errors or form.form_errors or refused else 200
    return render_template(
        "campaigns/check.html",
        row=row,
        form=form,
        fields=Fields(form, form.form_errors),
        found=found,
        fixes=found.fixes,
        audience=names.get(row.id, ""),
        stages=stages(row, 4),
        chip=state_chip,
        reason=reason,
        place=_place(row),
        held=campaigns.held_until(row),
        usual_sender=composing.sms_sender(),
    ), status


def reason(code: str) -> str:
    """A reason code in words."""
    return str(say(timeline.reason(code)))


def _place(row: Any) -> Any:
    """Where a finding is mended: ``(address, words)``."""
    places = {
        "content": (url_for(".write", campaign_id=row.id), _("Message")),
        "audience": (url_for(".audience", campaign_id=row.id), _("Audience")),
    }
    return lambda finding: places.get(
        finding.place, (url_for("settings.sending", _anchor=finding.field or None), _("Client settings"))
    )


# --- acts ----------------------------------------------------------------------------------------------------


def _back(campaign_id: int) -> Any:
    return redirect(url_for(".show", campaign_id=campaign_id), 303)


@bp.post("/<int:campaign_id>/take-back")
def take_back(campaign_id: int) -> Any:
    """A scheduled one becomes a draft again."""
    campaigns.take_back(campaign_id)
    flash(_("The campaign is a draft again. Nothing goes out."), "ok")
    return _back(campaign_id)


@bp.post("/<int:campaign_id>/cancel")
def cancel(campaign_id: int) -> Any:
    """Stop it for good; the tick beside the button must be set."""
    campaigns.get(campaign_id)
    if "sure" not in request.form:
        flash(_("Tick the box to cancel the campaign for good."), "warn")
        return _back(campaign_id)
    campaigns.cancel(campaign_id)
    flash(_("The campaign is cancelled. What had not left stays here."), "ok")
    return _back(campaign_id)


@bp.post("/<int:campaign_id>/go-on")
def go_on(campaign_id: int) -> Any:
    """Let one that stands still go on, once the obstacle is gone."""
    try:
        campaigns.go_on(campaign_id)
    except Conflict as error:
        flash(str(say(error.args[0])), "bad")
    else:
        flash(_("The campaign goes on."), "ok")
    return _back(campaign_id)


@bp.post("/<int:campaign_id>/copy")
def copy(campaign_id: int) -> Any:
    """A new draft with the same message and audience."""
    made = campaigns.copy(campaign_id, current_user.id)
    flash(_("“%(campaign)s” is a draft of its own.", campaign=made.name), "ok")
    return _back(made.id)


@bp.post("/<int:campaign_id>/delete")
def delete(campaign_id: int) -> Any:
    """Delete a draft; the tick beside the button must be set."""
    campaigns.get(campaign_id)
    if "sure" not in request.form:
        flash(_("Tick the box to delete the campaign."), "warn")
        return _back(campaign_id)
    name = campaigns.delete(campaign_id)
    flash(_("“%(campaign)s” is deleted.", campaign=name), "ok")
    return redirect(url_for(".index"), 303)
