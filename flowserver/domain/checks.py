"""What keeps a flow from going live (fix), and what deserves a look before it does (check)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flowserver.domain import content_checks, flow_graph
from flowserver.domain.definition import LANES, Compiled, Step
from flowserver.domain.steps import Fact
from flowserver.errors import flat
from flowserver.text import N_, Text

DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. ``kind``: ``fix`` blocks going live, ``check`` does not.

    ``place`` says where the way out is: ``step`` (``step`` holds its key, ``field`` the setting), ``trigger``,
    ``flow`` or ``client`` (the client's settings).
    """

    kind: str
    text: str
    place: str = "flow"
    step: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """What of the client's settings a flow depends on."""

    sender_email: str = ""
    sms_sender: str = ""
    fields: frozenset[str] = frozenset()  # keys of its custom fields


def findings(flow: Compiled, client: Client, unknown: Mapping[str, Any]) -> list[Finding]:
    """Everything to look at, what must be fixed first, each in reading order.

    ``unknown``: references that lead nowhere, by path.
    """
    found = [
        *_mistakes(flow, {**flow.mistakes, **unknown}),
        *_starting_point(flow),
        *_senders(flow, client),
        *_steps(flow, client),
    ]
    return sorted(dict.fromkeys(found), key=lambda one: one.kind != "fix")


def _mistakes(flow: Compiled, mistakes: Mapping[str, Any]) -> Iterator[Finding]:
    by_path = {step.path: step for step in flow.steps.values()}
    for path, texts in mistakes.items():
        place, step, field = _whose(path, by_path)
        for text in flat(texts):
            yield Finding("fix", text, place, step, field)


def _whose(path: str, by_path: Mapping[str, Step]) -> tuple[str, str, str]:
    """Which step a path such as ``steps[1].then[0].subject`` belongs to, and which of its settings."""
    if path.startswith("trigger"):
        return "trigger", "", path.partition(".")[2]
    best = max((one for one in by_path if path == one or path.startswith(one + ".")), key=len, default="")
    if best:
        return "step", by_path[best].key, path[len(best) + 1 :]
    return "flow", "", path if not path.startswith("steps") else ""


def _starting_point(flow: Compiled) -> Iterator[Finding]:
    if flow.trigger is not None:
        wait = {} if "trigger.wait" in flow.mistakes else flow.trigger.wait_problems(flow.wait)
        for problem in (*flow.trigger.problems(), *wait):
            yield Finding(problem.kind, problem.text, "trigger", "", problem.field)


def _senders(flow: Compiled, client: Client) -> Iterator[Finding]:
    """A flow needs somebody to send as."""
    sends = [step for step in flow.steps.values() if step.node.sends]
    if not client.sender_email and any(s.node.sends == "email" and not s.settings.get("from_email") for s in sends):
        yield Finding("fix", N_("The client has no sender address for e-mail"), "client", field="sender_email")
    if not client.sms_sender and any(s.node.sends == "sms" and not s.settings.get("sender") for s in sends):
        yield Finding("check", N_("The client has no sender name for SMS"), "client", field="sms_sender")


def _steps(flow: Compiled, client: Client) -> Iterator[Finding]:
    if not flow.steps:
        yield Finding("check", N_("The flow has no steps yet: contacts enter and leave at once"))
    reached = flow_graph.reached(flow)
    ended, deep = False, False
    for step in flow.steps.values():
        before = flow_graph.before(flow, step.key)
        for problem in step.node.problems(before):
            yield Finding(problem.kind, problem.text, "step", step.key, problem.field)
        yield from _content(step, client)
        yield from _paths(step)
        yield from _asked_too_soon(flow, step)
        yield from _starts_itself(flow, step)
        if step.key not in reached and not ended:
            ended = True
            yield Finding("check", N_("Nobody comes to this step: the flow ends before it"), "step", step.key)
        if step.depth > DEEPEST and not deep:
            deep = True
            text = Text("Paths here are more than %(n)s levels deep. A second flow is easier to follow", n=DEEPEST)
            yield Finding("check", text, "step", step.key)


def _starts_itself(flow: Compiled, step: Step) -> Iterator[Finding]:
    """A step that makes happen what its own flow starts with."""
    for type_, subject in step.node.causes():
        listens = flow.trigger is not None and type_ in flow.trigger.listens_to
        if listens and flow.trigger.admits(Fact(type_, datetime.max, subject)):
            text = N_("This step would start its own flow again. Start the flow otherwise, or take the step out")
            yield Finding("fix", text, "step", step.key)


def _content(step: Step, client: Client) -> Iterator[Finding]:
    if step.node.sends:
        for remark in content_checks.of_step(step.node.sends, step.node.settings, client.fields):
            yield Finding(remark.kind, remark.text, "step", step.key, remark.field)


def _paths(step: Step) -> Iterator[Finding]:
    lanes = [port for port in type(step.node).ports if port in LANES]
    if lanes and len({step.ports.get(lane) for lane in lanes}) == 1:  # both go straight on
        yield Finding("fix", N_("No path of this step has anything on it"), "step", step.key)


def _asked_too_soon(flow: Compiled, step: Step) -> Iterator[Finding]:
    """ "Opened?" right after sending answers no for nearly everybody."""
    for condition in getattr(step.node, "asked", list)():
        of = condition.settings.get("of")
        if not of or of not in flow.steps or "messages" not in condition.needs:
            continue
        time = flow_graph.shortest(flow, of, step.key)
        if time is not None and time < flow_graph.DAY:
            text = N_(
                "This asks about a message less than a day after it went out. Put a wait of a day or more between"
            )
            yield Finding("check", text, "step", step.key)
