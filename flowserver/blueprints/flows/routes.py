"""The list of flows, the step list of one flow, its steps, its starting point, its history."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

from babel import Locale
from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from flowserver.blueprints.flows.forms import Start, put_errors, shown_when, wait_when
from flowserver.blueprints.flows.rule_form import RuleForm
from flowserver.blueprints.say import message, say
from flowserver.domain import definition as definitions
from flowserver.domain import duration, edits, flow_graph
from flowserver.errors import Conflict, Invalid, NotFound, flat
from flowserver.nodes import catalogue
from flowserver.services.flows import checks, drafts, flow_numbers, flows, options, outline
from flowserver.text import N_, whole

bp = Blueprint("flows", __name__, url_prefix="/c/<client>/flows")

STATES = {  # state → how its chip looks
    "draft": ("", "pencil", N_("Draft")),
    "active": ("ok", "live", N_("Live")),
    "paused": ("warn", "pause", N_("Paused")),
    "stopped": ("", "end", N_("Stopped")),
    "completed": ("", "check", N_("Completed")),
    "archived": ("", "archive", N_("Archived")),
    "broken": ("bad", "alert", N_("Needs attention")),
    "closed": ("ok", "live", N_("Live, door closed")),
}
GROUPS = (
    ("messages", N_("Messages")),
    ("time", N_("Time")),
    ("decisions", N_("Decisions")),
    ("contact", N_("The contact")),
    ("team", N_("Your team")),
    ("", N_("More")),
)


def init_app(app: Flask) -> None:
    """Filters of the flow pages, and whether the reader may change anything."""
    app.context_processor(lambda: {"may_write": getattr(current_user, "role", "client") != "client"})
    app.jinja_env.filters.update(
        first_sentence=first_sentence,
        shown_when=shown_when,
        wait_when=wait_when,
        help=help_of,
        state_chip=state_chip,
        unit_forms=unit_forms,
        people=people,
        span_words=span_words,
    )


# --- filters ---------------------------------------------------------------------------------------------


def help_of(node: type) -> str:
    """What a node does, in the words of its file's docstring."""
    text = inspect.cleandoc(sys.modules[node.__module__].__doc__ or "")
    return message(" ".join(text.split("\n\n")[0].split()))


def first_sentence(text: str) -> str:
    """What stands before the first colon or full stop: help short enough for a button."""
    return re.split(r"(?<=\w)[.:;](?:\s|$)", text, maxsplit=1)[0]


def state_chip(flow: Any) -> tuple[str, str, str]:
    """How a flow's state looks: kind of chip, icon, word."""
    if flow.archived_at:
        return STATES["archived"]
    if flow.broken:
        return STATES["broken"]
    if flow.state == "active" and flow.closed:
        return STATES["closed"]
    return STATES[flow.state]


def people(number: int) -> str:
    """``550 contacts``."""
    return ngettext("%(num)s contact", "%(num)s contacts", number)


def span_words(span: Any) -> str:
    """``{"days": 1}`` → ``1 day``."""
    return str(say(duration.words(span))) if span else ""


def unit_forms(unit: str) -> dict[str, str]:
    """The word for a unit of time in every plural form of the language: ``{"one": "minute", "other": "minutes"}``."""
    words = {
        "minutes": lambda n: ngettext("minute", "minutes", n),
        "hours": lambda n: ngettext("hour", "hours", n),
        "days": lambda n: ngettext("day", "days", n),
    }
    rule = (get_locale() or Locale("en")).plural_form
    return {rule(n): words[unit](n) for n in reversed(range(200))} if unit in words else {}


# --- the list --------------------------------------------------------------------------------------------


@bp.get("")
def index() -> str:
    """All flows of the client with the numbers of the last 30 days."""
    status, wanted = request.args.get("status", ""), request.args.get("q", "").strip()[:120]
    found = flow_numbers.overview(status, wanted)
    return render_template("flows/index.html", found=found, status=status, q=wanted)


@bp.get("/<int:flow_id>")
def show(flow_id: int) -> Response:
    """To the report of a flow that runs, to the steps of one that does not yet."""
    flow = flows.get(flow_id)
    return redirect(url_for("flow_report.report" if flow.version_id else "flows.steps", flow_id=flow.id), 303)


# --- the step list ---------------------------------------------------------------------------------------


def step_list(flow: Any, at: edits.Place | None = None, **more: Any) -> str:
    """The step list of a draft; ``at`` opens the chooser in a gap, ``more`` holds what the panel shows."""
    findings = checks.findings(flow.draft, flow)
    laid = outline.outline(flow.draft, findings)
    last = next(iter(drafts.history(flow.id, most=1)), None)
    live = flows.live_version(flow)
    time, messages = flow_graph.longest(laid.flow)
    return render_template(
        "flows/steps.html",
        flow=flow,
        outline=laid,
        at=at,
        numbers=flow_numbers.step_numbers(flow),
        live=live,
        inside=sum(flows.people_inside(flow.id).values()) if live else 0,
        last=last,
        who=flows.people_names([last.user_id if last else None, live.published_by if live else None]),
        chooser=_chooser(),
        longest=(time.days, messages),
        **more,
    )


def _chooser() -> list[tuple[str, list[type]]]:
    """Step types by group, for adding a step."""
    known = {group for group, _title in GROUPS}
    nodes = sorted(catalogue.actions().values(), key=lambda node: (-len(node.ports), node.icon, node.name))
    groups = [(title, [n for n in nodes if (n.group if n.group in known else "") == group]) for group, title in GROUPS]
    return [(title, found) for title, found in groups if found]


def place() -> edits.Place:
    """The gap a request names: ``after`` and ``lane``."""
    lane = request.values.get("lane", "")
    return request.values.get("after", "")[:60], lane if lane in definitions.LANES else ""


@bp.get("/<int:flow_id>/steps")
def steps(flow_id: int) -> str:
    """The step list; ``?after=<key>&lane=<then|else>`` opens the chooser in that gap."""
    flow = flows.get(flow_id)
    at = place() if "after" in request.args else None
    if at is None and not flow.draft.get("steps"):
        at = ("", "")
    done = request.args.get("done", "")
    number = whole(done)
    edit = drafts.get_edit(flow.id, number) if number is not None else None
    return step_list(flow, at=at, done=edit)


@bp.post("/<int:flow_id>/steps")
def add(flow_id: int) -> Response:
    """Add a step of the chosen kind and open it."""
    kind = request.form.get("kind", "")
    key = drafts.add(flow_id, kind, place(), current_user.id)
    return redirect(address_of(flow_id, key), 303)


def address_of(flow_id: int, key: str) -> str:
    """Where a step is written: messages in the composer, the others in the panel."""
    step = edits.step(flows.get(flow_id).draft, key)
    cls = catalogue.actions().get(step["type"])
    if cls and cls.sends:
        return url_for("flow_message.write", flow_id=flow_id, key=key)
    return url_for("flows.step", flow_id=flow_id, key=key, _anchor="panel")


@bp.get("/<int:flow_id>/steps/<key>/open")
def open_step(flow_id: int, key: str) -> Response:
    """To where a step is written: a message in the composer, anything else in the panel."""
    return redirect(address_of(flow_id, key), 303)


# --- one step --------------------------------------------------------------------------------------------


@bp.route("/<int:flow_id>/steps/<key>", methods=["GET", "POST"])
def step(flow_id: int, key: str) -> str | Response | tuple[str, int]:
    """A step's form in the panel: POST saves it and goes back to the list."""
    flow = flows.get(flow_id)
    current = edits.step(flow.draft, key)
    cls = catalogue.actions().get(current["type"])
    if cls is None:
        raise NotFound(_("We do not know this kind of step"))
    posted = request.form if request.method == "POST" else None
    if "if" in {field.data_key or name for name, field in cls.Settings().fields.items()}:
        return _rule_step(flow, current, cls, posted)
    return _form_step(flow, current, cls, posted)


def _form_step(flow: Any, current: dict[str, Any], cls: Any, posted: Any) -> str | Response | tuple[str, int]:
    own = definitions.own_settings(current)
    form = options.fill(cls.Form(posted, data=cls.Form.from_settings(own)), flow.draft, current["key"])
    if posted is None:
        return _panel(flow, current, cls, form=form)
    try:
        _save(flow, current, cls, {**kept(cls, form, own), **form.to_settings()})
    except Invalid as error:
        put_errors(form, error.messages)
        return _panel(flow, current, cls, form=form, errors=True), 422
    except Conflict as error:
        return _panel(flow, current, cls, form=form, conflict=error), 409
    return redirect(_back(flow.id, current["key"]), 303)


def kept(cls: Any, form: Any, own: dict[str, Any]) -> dict[str, Any]:
    """Settings the form does not ask for: a message's text is written in the composer."""
    asked = {field.short_name for field in form}
    return {name: value for name, value in own.items() if name not in asked} if cls.sends else {}


def _rule_step(flow: Any, current: dict[str, Any], cls: Any, posted: Any) -> str | Response | tuple[str, int]:
    form = RuleForm(current.get("if"), posted, flow.draft, current["key"])
    if posted is None or form.only_shown:
        return _panel(flow, current, cls, rule=form)
    try:
        _save(flow, current, cls, {"if": form.rule()})
    except Invalid as error:
        if not form.errors:
            form.rows[0].choice.type.errors = flat(error.messages)
        return _panel(flow, current, cls, rule=form, errors=True), 422
    except Conflict as error:
        return _panel(flow, current, cls, rule=form, conflict=error), 409
    return redirect(_back(flow.id, current["key"]), 303)


def _save(flow: Any, current: dict[str, Any], cls: Any, settings: dict[str, Any]) -> None:
    drafts.update(flow.id, current["key"], settings, current_user.id, seen=request.form.get("seen", ""))


def _panel(flow: Any, current: dict[str, Any], cls: Any, **more: Any) -> str:
    return step_list(flow, current=current, cls=cls, seen=drafts.print_of(current), **more)


def _back(flow_id: int, key: str) -> str:
    """The list, at the card of a step."""
    return url_for("flows.steps", flow_id=flow_id, _anchor=anchor(flow_id, key))


def anchor(flow_id: int, key: str) -> str:
    """``step-7`` for a card, ``wait-<key>`` for a wait, which has no number; "" where the step is gone."""
    step = options.compiled(flows.get(flow_id).draft).steps.get(key)
    return anchor_of(step) if step else ""


def anchor_of(step: Any) -> str:
    """The id a compiled step has on the page."""
    return f"step-{step.number}" if step.number else f"wait-{step.key}"


@bp.post("/<int:flow_id>/steps/<key>/move")
def move(flow_id: int, key: str) -> Response:
    """Move a step: ``do`` is up or down (``-menu`` from the menu), or ``to`` is the index it was dropped at.

    The focus comes back to the button that was pressed.
    """
    wish, _dash, menu = request.form.get("do", "").partition("-")
    dropped = whole(request.form.get("to", ""))
    if dropped is not None:
        edit = drafts.move(flow_id, key, _dropped(flow_id, key, dropped), current_user.id)
    elif wish in ("up", "down"):
        edit = (drafts.step_up if wish == "up" else drafts.step_down)(flow_id, key, current_user.id)
        if edit is None:
            flash(_("This is the first step already.") if wish == "up" else _("This is the last step already."), "warn")
    else:
        raise NotFound(_("Steps move up or down"))
    at = anchor(flow_id, key)
    return redirect(
        url_for("flows.steps", flow_id=flow_id, _anchor=_button(at, "menu" if menu or dropped else wish)), 303
    )


def _button(at: str, which: str) -> str:
    """The id of a card's button, so that the browser puts the focus back there; a wait has none and gets it itself."""
    return f"{at}-{which}" if at.startswith("step-") else at


def _dropped(flow_id: int, key: str, index: int) -> edits.Place:
    """The gap a card was dropped at: its index among the cards of its own list."""
    draft = flows.get(flow_id).draft
    edits.step(draft, key)
    holder, _index = definitions.find(draft, key)
    shape = drafts.shape()
    cards = [step["key"] for step in holder if not shape.waiting(step)]
    index = min(index, len(cards) - 1)
    if cards[index] == key:
        return key, ""
    if cards.index(key) < index:
        return cards[index], ""
    before = next(i for i, step in enumerate(holder) if step["key"] == cards[index])
    return (holder[before - 1]["key"], "") if before else edits.owner(draft, key)


@bp.route("/<int:flow_id>/steps/<key>/place", methods=["GET", "POST"])
def place_of(flow_id: int, key: str) -> str | Response:
    """Move a step with its paths to any other place of the flow."""
    flow = flows.get(flow_id)
    current = edits.step(flow.draft, key)
    if request.method == "POST":
        after, _slash, lane = request.form.get("place", "").partition("/")
        drafts.move(flow_id, key, (after, lane), current_user.id)
        at = anchor(flow_id, key)
        return redirect(url_for("flows.steps", flow_id=flow_id, _anchor=_button(at, "menu")), 303)
    return step_list(flow, current=current, cls=catalogue.actions()[current["type"]], places=_places(flow.draft, key))


def _places(draft: dict[str, Any], key: str) -> list[tuple[str, str, int]]:
    """``[(value, words, depth)]`` of every gap a step can move to, in reading order."""
    shape, names = drafts.shape(), options.namer(draft)
    compiled = options.compiled(draft)
    own = set(edits.inside(edits.step(draft, key)))
    found = []
    for after, lane in edits.places(draft, shape):
        if after in own or (after and shape.ending(edits.step(draft, after)) and not lane):
            continue
        step = compiled.steps.get(after)
        called = names("step", after)
        if not after:
            text = _("At the beginning")
        elif lane:
            answer = _("Yes") if lane == "then" else _("No")
            text = _("“%(answer)s” of step %(n)s, first", answer=answer, n=step.number if step else "")
        elif step and step.number:
            text = _("After %(n)s · %(name)s", n=step.number, name=say(called))
        else:
            text = _("After “%(name)s”", name=say(called))
        found.append((f"{after}/{lane}", text, (step.depth if step else 0) + bool(lane)))
    return found


@bp.post("/<int:flow_id>/steps/<key>/copy")
def duplicate(flow_id: int, key: str) -> Response:
    """A copy right after the step."""
    new = drafts.duplicate(flow_id, key, current_user.id)
    at = anchor(flow_id, new)
    return redirect(url_for("flows.steps", flow_id=flow_id, _anchor=_button(at, "menu")), 303)


@bp.post("/<int:flow_id>/steps/<key>/delete")
def delete(flow_id: int, key: str) -> Response:
    """Delete the step and its paths; the list offers to undo it."""
    edit = drafts.delete(flow_id, key, current_user.id)
    return redirect(url_for("flows.steps", flow_id=flow_id, done=edit.id if edit else None), 303)


# --- the starting point ----------------------------------------------------------------------------------


@bp.route("/<int:flow_id>/start", methods=["GET", "POST"])
def start(flow_id: int) -> str | Response | tuple[str, int]:
    """The starting point's questions, filled in with what the draft says."""
    flow = flows.get(flow_id)
    trigger = flow.draft.get("trigger", {})
    if trigger.get("type") not in catalogue.triggers():
        raise NotFound(_("We do not know this starting point"))
    page = Start(trigger["type"], request.form if request.method == "POST" else None, trigger, flow.name)
    seen = drafts.print_of(trigger)
    if request.method == "GET" or page.only_shown:
        return _start_page(flow, page, seen)
    try:
        drafts.update_trigger(flow.id, page.trigger(), current_user.id, seen=request.form.get("seen", ""))
    except Invalid as error:
        page.put_errors(error.messages)
        return _start_page(flow, page, seen), 422
    except Conflict as error:
        flash(say(error.args[0]), "warn")
        return _start_page(flow, page, seen), 409
    return redirect(url_for("flows.steps", flow_id=flow.id), 303)


def _start_page(flow: Any, page: Start, seen: str) -> str:
    sentences = page.sentences(options.namer())
    return render_template("flows/start.html", flow=flow, start=page, sentences=sentences, seen=seen)


# --- history ---------------------------------------------------------------------------------------------


@bp.get("/<int:flow_id>/history")
def history(flow_id: int) -> str:
    """Every change of the draft, and every version that went live."""
    flow = flows.get(flow_id)
    before = request.args.get("before", "")
    found = drafts.history(flow.id, whole(before))
    versions = flows.versions(flow.id)
    who = flows.people_names([*(edit.user_id for edit in found), *(version.published_by for version in versions)])
    return render_template(
        "flows/history.html", flow=flow, edits=found, versions=versions, who=who, first=not before, most=50
    )


@bp.post("/<int:flow_id>/history/<int:edit_id>/undo")
def undo(flow_id: int, edit_id: int) -> Response:
    """Bring the draft back to what it was before a change."""
    if drafts.undo(flow_id, edit_id, current_user.id) is None:
        flash(_("The draft is as it was before this change already."), "warn")
    else:
        flash(_("Done. The draft is as it was before this change."), "ok")
    return redirect(url_for("flows.steps", flow_id=flow_id), 303)


@bp.post("/<int:flow_id>/discard")
def discard(flow_id: int) -> Response:
    """Throw the draft away and go back to what is live."""
    edit = drafts.discard(flow_id, current_user.id)
    return redirect(url_for("flows.steps", flow_id=flow_id, done=edit.id if edit else None), 303)
