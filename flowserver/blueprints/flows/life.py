"""Check and go live; pause, resume, stop, close, archive, duplicate, rename, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wtforms
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response

from flowserver.blueprints.flows import taking_along
from flowserver.blueprints.flows.forms import put_errors
from flowserver.domain.localtime import WEEKDAYS
from flowserver.errors import Invalid
from flowserver.services.flows import checks, composer, drafts, flows, options, outline
from flowserver.text import N_

bp = Blueprint("flow_life", __name__, url_prefix="/c/<client>/flows/<int:flow_id>")


class NameForm(wtforms.Form):
    """The flow's name."""

    name = wtforms.StringField(
        N_("Flow name"),
        description=N_("Only your team sees it."),
        render_kw={"maxlength": 120, "autocomplete": "off"},
    )


class PauseForm(wtforms.Form):
    """What happens to the people inside while a flow is paused."""

    mode = wtforms.RadioField(
        N_("What happens to the contacts inside?"),
        choices={
            "freeze": N_("They stand still"),
            "hold": N_("Their waits run on, steps wait for the end of the pause"),
            "skip": N_("They walk on, messages are left out"),
        },
        default="freeze",
    )


class HoursForm(wtforms.Form):
    """When the flow may send. Empty times: at any time."""

    days = wtforms.SelectMultipleField(
        N_("Days"),
        choices=[
            wtforms.SelectChoice("monday", N_("Monday")),
            wtforms.SelectChoice("tuesday", N_("Tuesday")),
            wtforms.SelectChoice("wednesday", N_("Wednesday")),
            wtforms.SelectChoice("thursday", N_("Thursday")),
            wtforms.SelectChoice("friday", N_("Friday")),
            wtforms.SelectChoice("saturday", N_("Saturday")),
            wtforms.SelectChoice("sunday", N_("Sunday")),
        ],
        validate_choice=False,
        widget=wtforms.widgets.ListWidget(prefix_label=False),
        option_widget=wtforms.widgets.CheckboxInput(),
    )
    opens = wtforms.StringField(
        N_("From"), description=N_("Client's time, such as 09:00. Leave both times empty to send at any time."),
        render_kw={"maxlength": 5, "class": "w-time"},
    )  # fmt: skip
    closes = wtforms.StringField(N_("Until"), render_kw={"maxlength": 5, "class": "w-time"})

    @classmethod
    def of(cls, draft: Mapping[str, Any]) -> HoursForm:
        """Filled in with what a draft says."""
        hours = draft.get("sending_hours") or {}
        days = hours.get("days", list(WEEKDAYS))
        return cls(data={"days": days, "opens": hours.get("from", ""), "closes": hours.get("until", "")})

    def hours(self) -> dict[str, Any] | None:
        """The sending hours as they stand in a definition."""
        opens, closes = (self.opens.data or "").strip(), (self.closes.data or "").strip()
        if not opens and not closes:
            return None
        days = [day for day in WEEKDAYS if day in (self.days.data or [])]
        return {**({} if len(days) == 7 else {"days": days}), "from": opens, "until": closes}


NOTES = {
    "freeze": N_(
        "Nobody moves. When you resume, every wait goes on where it stood. Dates that have passed go on at once."
    ),
    "hold": N_("What falls due runs when you resume, spread out, never all at once."),
    "skip": N_("Contacts take every step but the messages, and those are never sent later."),
}


# --- check and go live -----------------------------------------------------------------------------------


@bp.route("/check", methods=["GET", "POST"])
def check(flow_id: int) -> str | Response | tuple[str, int]:
    """Everything to look at before going live; POST goes live."""
    flow = flows.get(flow_id)
    if request.method == "GET":
        return _check_page(flow)
    existing = "existing" in request.form if flow.activated_at is None else None
    found = flows.would_start(flow) if existing else None
    try:
        version = flows.publish(flow.id, current_user.id, existing, taking_along.chosen(flow, request.form))
    except Invalid as error:
        wrong = [
            text for path, texts in error.messages.items() if path.startswith(taking_along.FIELD) for text in texts
        ]
        return _check_page(flows.get(flow_id), refused=True, wrong=wrong[:1]), error.status
    if found is not None and not found.complete:
        flash(_("Live with version %(version)s. Everybody who matches starts now.", version=version.number), "ok")
    elif found is not None and found.contacts:
        flash(
            ngettext(
                "Live with version %(version)s. %(num)s contact starts now.",
                "Live with version %(version)s. %(num)s contacts start now.",
                found.contacts,
                version=version.number,
            ),
            "ok",
        )
    else:
        flash(_("Live with version %(version)s.", version=version.number), "ok")
    return redirect(url_for("flow_report.report", flow_id=flow_id), 303)


def _check_page(flow: Any, refused: bool = False, wrong: Sequence[Any] = ()) -> str:
    findings = checks.findings(flow.draft, flow)
    laid = outline.outline(flow.draft, findings)
    sends = [card for card in laid.every() if card.node.sends]
    live = flows.live_version(flow)
    return render_template(
        "flows/check.html",
        flow=flow,
        outline=laid,
        live=live,
        refused=refused,
        wrong=wrong,
        emails=[card for card in sends if card.node.sends == "email"],
        sms=[card for card in sends if card.node.sends == "sms"],
        people=taking_along.question(flow, live, laid, request.form) if live and flow.draft_changed else None,
        usual_sender=composer.sms_sender(),
        goals=outline.goals(flow.draft, laid.names),
        meant=flows.meant_now(flow) if not laid.to_fix() else None,
        existing=flows.would_start(flow) if flow.activated_at is None and not laid.to_fix() else None,
    )


# --- settings and states ---------------------------------------------------------------------------------


@bp.route("/settings", methods=["GET", "POST"])
def settings(flow_id: int) -> str | Response | tuple[str, int]:
    """Name and state of the flow; POST renames it."""
    flow = flows.get(flow_id)
    form = NameForm(request.form if request.method == "POST" else None, data={"name": flow.name})
    if request.method == "POST":
        try:
            flows.rename(flow.id, form.name.data or "", current_user.id)
        except Invalid as error:
            put_errors(form, error.messages)
            return _settings_page(flows.get(flow_id), form), 422
        flash(_("Renamed."), "ok")
        return redirect(url_for("flow_life.settings", flow_id=flow_id), 303)
    return _settings_page(flow, form)


@bp.post("/hours")
def hours(flow_id: int) -> Response | tuple[str, int]:
    """Say on which days and at what time the flow may send."""
    form = HoursForm(request.form)
    try:
        drafts.update_hours(flow_id, form.hours(), current_user.id)
    except Invalid as error:
        names = {"from": "opens", "until": "closes"}
        put_errors(form, {names.get(name, name): texts for name, texts in error.messages.items()})
        flow = flows.get(flow_id)
        return _settings_page(flow, NameForm(data={"name": flow.name}), hours=form), 422
    flash(_("Saved in the draft. It counts when you go live."), "ok")
    return redirect(url_for("flow_life.settings", flow_id=flow_id, _anchor="hours"), 303)


def _settings_page(flow: Any, form: NameForm, pausing: PauseForm | None = None, hours: HoursForm | None = None) -> str:
    inside = sum(flows.people_inside(flow.id).values()) if flow.version_id else 0
    return render_template(
        "flows/settings.html",
        flow=flow,
        form=form,
        pausing=pausing or PauseForm(),
        hours=hours or HoursForm.of(flow.draft),
        notes=NOTES,
        inside=inside,
        missed=flows.would_have_started(flow),
        goals=outline.goals(flow.draft, options.namer(flow.draft)),
    )


@bp.post("/pause")
def pause(flow_id: int) -> Response | tuple[str, int]:
    """Pause: nobody enters, and what the person chose for those inside."""
    form = PauseForm(request.form)
    try:
        flow = flows.pause(flow_id, form.mode.data or "", current_user.id)
    except Invalid as error:
        put_errors(form, error.messages)
        flow = flows.get(flow_id)
        return _settings_page(flow, NameForm(data={"name": flow.name}), form), 422
    flash(_("“%(flow)s” is paused.", flow=flow.name), "ok")
    return _back(flow_id)


@bp.post("/resume")
def resume(flow_id: int) -> Response:
    """Go on after a pause."""
    flow = flows.resume(flow_id, current_user.id, let_in="let_in" in request.form)
    flash(_("“%(flow)s” is live again.", flow=flow.name), "ok")
    return _back(flow_id)


@bp.post("/stop")
def stop(flow_id: int) -> Response:
    """Stop for good; the tick beside the button must be set, because nothing brings the people back."""
    flows.get(flow_id)
    if "sure" not in request.form:
        flash(_("Tick the box to stop the flow for good."), "warn")
        return _back(flow_id)
    flow = flows.stop(flow_id, current_user.id)
    flash(_("“%(flow)s” is stopped. Everybody inside has left.", flow=flow.name), "ok")
    return _back(flow_id)


@bp.post("/door")
def door(flow_id: int) -> Response:
    """Close the door or open it again (``closed=1`` or ``0``)."""
    closed = request.form.get("closed") == "1"
    flows.close(flow_id, closed, current_user.id)
    flash(_("Nobody enters any more. Those inside finish.") if closed else _("Contacts enter again."), "ok")
    return _back(flow_id)


@bp.post("/archive")
def archive(flow_id: int) -> Response:
    """Put away or take out again (``archived=1`` or ``0``)."""
    archived = request.form.get("archived") == "1"
    flow = flows.archive(flow_id, archived, current_user.id)
    flash(
        _("“%(flow)s” is in the archive.", flow=flow.name)
        if archived
        else _("“%(flow)s” is back in the list.", flow=flow.name),
        "ok",
    )
    return _back(flow_id)


@bp.post("/undo")
def undo_publish(flow_id: int) -> Response:
    """Make the version before the live one live again."""
    version, count = flows.undo_publish(flow_id, current_user.id)
    live = _("Version %(n)s is live again.", n=version.number)
    back = ngettext(
        "%(num)s contact stands where it stood.", "%(num)s contacts stand where they stood.", count
    )  # fmt: skip
    flash(f"{live} {back}" if count else live, "ok")
    return redirect(url_for("flows.history", flow_id=flow_id), 303)


@bp.post("/duplicate")
def duplicate(flow_id: int) -> Response:
    """A new draft with the same steps."""
    copy = flows.duplicate(flow_id, current_user.id)
    flash(_("“%(flow)s” is a draft of its own now.", flow=copy.name), "ok")
    return redirect(url_for("flows.steps", flow_id=copy.id), 303)


@bp.post("/delete")
def delete(flow_id: int) -> Response:
    """Delete a draft that never went live; the tick beside the button must be set."""
    flows.get(flow_id)
    if "sure" not in request.form:
        flash(_("Tick the box to delete the draft."), "warn")
        return _back(flow_id)
    name = flows.delete(flow_id, current_user.id)
    flash(_("The draft “%(flow)s” is deleted.", flow=name), "ok")
    return redirect(url_for("flows.index"), 303)


def _back(flow_id: int) -> Response:
    return redirect(url_for("flow_life.settings", flow_id=flow_id), 303)
