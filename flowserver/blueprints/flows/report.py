"""What a flow has done: the report, the people behind its numbers, the numbers as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from babel import dates
from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _

from flowserver.blueprints.flows import chart
from flowserver.blueprints.say import say
from flowserver.domain.csvfile import rows_to_csv
from flowserver.errors import NotFound
from flowserver.services.flows import flow_numbers, flow_reports, flows, outline
from flowserver.text import N_, whole

bp = Blueprint("flow_report", __name__, url_prefix="/c/<client>/flows/<int:flow_id>/report")

REASONS = {  # why a message was not sent, or why somebody left
    "no_email": N_("No e-mail address"),
    "no_phone": N_("No mobile number"),
    "no_consent": N_("No consent"),
    "unsubscribed": N_("Unsubscribed"),
    "suppressed": N_("On the suppression list"),
    "bounced": N_("The address bounced before"),
    "deleted": N_("The contact was deleted"),
    "paused": N_("The flow was paused"),
    "flow_stopped": N_("The flow was stopped"),
    "client_archived": N_("The client is in the archive"),
    "left_flow": N_("The contact had left the flow"),
    "on_pause": N_("The contact asked for a pause"),
    "server_unreachable": N_("The server could not be reached for three days"),
    "no_connection": N_("No way to send is set up"),
    "finished": N_("Came to the end"),
    "end_step": N_("Left at an end step"),
    "failed": N_("A step failed"),
    "not_sent": N_("A message could not be sent"),
    "step_removed": N_("The step was removed"),
    "new_version": N_("Taken out by the next version"),
    "no_longer_matches": N_("No longer matched at the start"),
    "contact_deleted": N_("The contact was deleted"),
    "skipped": N_("Skipped"),
}
OUTCOMES = {"positive": N_("Positive"), "neutral": N_("Neutral"), "negative": N_("Negative")}
WHO = {
    "arrived": N_("came to this step"),
    "here": N_("are here now"),
    "passed": N_("went on from here"),
    "then": N_("went the way of yes"),
    "else": N_("went the way of no"),
    "skipped": N_("went on without this step"),
    "left": N_("left here"),
    "sent": N_("were sent this message"),
    "delivered": N_("got this message"),
    "opened": N_("opened this message"),
    "clicked": N_("clicked in this message"),
    "bounced": N_("could not be reached by this message"),
}


def reason(code: str) -> str:
    """A reason code in words; an unknown one as it is."""
    return str(say(REASONS[code])) if code in REASONS else code.replace("_", " ")


def _laid_out(flow: Any) -> outline.Outline:
    """The live version, or the draft of a flow that has not been live."""
    live = flows.live_version(flow)
    return outline.outline(live.definition if live else flow.draft, [])


@bp.get("")
def report(flow_id: int) -> str:
    """The report of a period: ``?d=7``, ``30``, ``90`` or ``all``."""
    flow = flows.get(flow_id)
    laid = _laid_out(flow)
    found = flow_reports.report(flow, request.args.get("d", ""), laid.flow.steps)
    live = flows.live_version(flow)
    series = [[day.sent for day in found.days], [day.opened for day in found.days], [day.clicked for day in found.days]]
    return render_template(
        "flows/report.html",
        flow=flow,
        live=live,
        since=flows.live_since(live) if live else None,
        who=flows.people_names([live.published_by if live else None]),
        found=found,
        rows=list(_rows(laid, _occupied(found))),
        wide=chart.draw(series),
        narrow=chart.draw([one[-15:] for one in series], 340, 200, 62, 3),
        narrow_days=found.days[-15:],
        reason=reason,
        outcomes=OUTCOMES,
        compared=_compared,
        short_day=short_day,
        reaction=_duration(found.now.reaction),
    )


def _occupied(found: flow_reports.Report) -> set[str]:
    """Steps where somebody stands now."""
    return {key for key, numbers in found.steps.items() if numbers.here}


def _rows(laid: outline.Outline, occupied: set[str]) -> Iterator[tuple[Any, int, str]]:
    """``(card or wait, depth, ways)`` in reading order; ways: "Yes, No" that lead there. Waits only where people stand."""

    def waits(gap: outline.Gap | None, depth: int, ways: tuple[str, ...]) -> Iterator[tuple[Any, int, str]]:
        for pill in gap.pills if gap else ():
            if pill.key in occupied and pill.key:
                yield pill, depth, ", ".join(ways)

    def walk(path: Any, depth: int, ways: tuple[str, ...]) -> Iterator[tuple[Any, int, str]]:
        for card in path.cards:
            yield from waits(card.gap, depth, ways)
            yield card, depth, ", ".join(ways)
            for lane in card.lanes:
                yield from walk(lane, depth + 1, (*ways, _("Yes") if lane.name == "then" else _("No")))
        yield from waits(path.ending.gap, depth, ways)

    return walk(laid, 0, ())


def short_day(day: Any) -> str:
    """``4 May``."""
    return dates.format_date(day, "d MMM", locale=get_locale())


def _compared(now: float | None, before: float | None, points: bool = False) -> tuple[str, str]:
    """A comparison in words and its direction: ``("9 % more", "up")``, ``("0.6 points less", "down")``."""
    if now is None or before is None or (not points and not before):
        return "", ""
    difference = round((now - before) * 100, 1) if points else round((now - before) / before * 100)
    if not difference:
        return _("as before"), ""
    size, up = abs(difference), difference > 0
    if points:
        text = _("%(n)s points more", n=size) if up else _("%(n)s points less", n=size)
    else:
        text = _("%(n)s %% more", n=size) if up else _("%(n)s %% less", n=size)
    return text, "up" if up else "down"


def _duration(seconds: float | None) -> str:
    """``3 h 12 min``, ``2 days``."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("under a minute")
    if minutes < 60:
        return _("%(n)s min", n=minutes)
    if minutes < 48 * 60:
        return _("%(hours)s h %(minutes)s min", hours=minutes // 60, minutes=minutes % 60)
    days = round(minutes / 1440)
    return ngettext("%(num)s day", "%(num)s days", days)


@bp.get("/who")
def who(flow_id: int) -> str:
    """The people behind a number: ``?step=<key>&what=here&d=30``."""
    flow = flows.get(flow_id)
    what, step = request.args.get("what", "arrived"), request.args.get("step", "")[:60]
    if what not in WHO:
        raise NotFound(_("There is no such list"))
    laid = _laid_out(flow)
    span = flow_reports.period(request.args.get("d", ""), flow, flow_numbers.zone())
    before = request.args.get("before", "")
    people = flow_reports.who(flow, step, what, span, whole(before))
    after = None
    if len(people) == flow_reports.WHO_PAGE:
        args: dict[str, Any] = {"step": step, "what": what, "d": span.name, "before": people[-1].enrollment_id}
        after = url_for("flow_report.who", flow_id=flow_id, **args)
    return render_template(
        "flows/who.html",
        flow=flow,
        people=people,
        what=WHO[what],
        now=what == "here",
        step=laid.names("step", step) if step else _("The beginning"),
        number=laid.number(step),
        span=span,
        after=after,
    )


@bp.get("/export.csv")
def csv(flow_id: int) -> Response:
    """The step table as a CSV file, a row for each step."""
    flow = flows.get(flow_id)
    laid = _laid_out(flow)
    found = flow_reports.report(flow, request.args.get("d", ""), laid.flow.steps)
    answer = Response("\ufeff" + "".join(rows_to_csv(_csv_rows(laid, found))), mimetype="text/csv")
    name = f"flow-{flow.id}-{found.period.name}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _csv_rows(laid: outline.Outline, found: flow_reports.Report) -> Iterator[list[Any]]:
    yield [
        _("Number"), _("Step"), _("Kind"), _("Path"), _("Reached"), _("Here now"), _("Went on"), _("Yes"), _("No"),
        _("Skipped"), _("Sent"), _("Delivered"), _("Bounced"), _("Opened"), _("Clicked"), _("Left here"),
    ]  # fmt: skip
    known = [
        ("", one.key, str(say(one.text)), _("Wait"), ways)
        if isinstance(one, outline.Pill)
        else (one.number, one.key, str(say(one.summary)), str(say(one.node.title)), ways)
        for one, _d, ways in _rows(laid, _occupied(found))
    ]
    gone = [("", key, key, _("Step of an earlier version"), "") for key, _numbers in found.gone]
    start = [("", "", str(say(laid.start)), _("Start"), "")]
    for number, key, name, kind, ways in [*start, *known, *gone]:
        n = found.steps.get(key, flow_numbers.StepNumbers())
        yield [
            number, name, kind, ways, n.arrived, n.here, n.passed, n.then, n.otherwise, sum(n.skipped.values()), n.sent,
            n.delivered, n.bounced, n.opened, n.clicked, n.left,
        ]  # fmt: skip
