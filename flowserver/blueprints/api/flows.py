"""Flows: made from definitions, published, paused and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import body as bodies
from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, as_text, unchanged, wants_text
from flowserver.blueprints.api.schemas import flows as schemas
from flowserver.blueprints.say import say
from flowserver.domain import flowtext
from flowserver.errors import Invalid
from flowserver.services.flows import checks, flows, hand_starts, moving, recipes
from flowserver.services.people import browse
from flowserver.text import N_

resource = Resource(
    "Flows", 60, "What happens to contacts, step by step. Made by the console or here, edited by either.", part="flows"
)

ONE = f"/flows/{ID % 'flow_id'}"
DEFINITION = {
    "format": 1,
    "name": "Welcome series",
    "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"minutes": 10}, "reentry": "once"},
    "steps": [
        {
            "key": "welcome",
            "type": "send_email",
            "subject": "Hello {{ contact.first_name | default: 'there' }}",
            "body": [
                {"type": "heading", "text": "Welcome"},
                {"type": "text", "text": "Good to have you with us."},
                {"type": "button", "label": "See what is new", "url": "https://caffelume.example/new"},
            ],
        },
        {
            "key": "opened",
            "type": "wait_for_event",
            "event": "email_opened",
            "of": "welcome",
            "at_most": {"days": 2},
            "then": [{"key": "engaged", "type": "add_tag", "tag": "engaged"}],
            "else": [{"key": "nudge", "type": "send_sms", "text": "We wrote you an e-mail. Have a look?"}],
        },
        {"key": "done", "type": "end", "label": "welcomed", "outcome": "positive"},
    ],
}
TEXT = flowtext.dump(DEFINITION)
ROW = {
    "id": 1,
    "name": "Welcome series",
    "state": "active",
    "trigger": "list_joined",
    "live_version": 1,
    "draft_number": 2,
    "draft_changed": False,
    "closed": False,
    "archived": False,
    "pause_mode": None,
    "pause_reason": None,
    "broken": None,
    "inside": 12,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:05:00Z",
    "activated_at": "2026-05-04T09:05:00Z",
    "paused_at": None,
    "starts_at": None,
}
START = {
    "id": 1,
    "flow_id": 1,
    "by": "api",
    "list_id": 1,
    "segment_id": None,
    "contacts": None,
    "entered": 311,
    "done": True,
    "started_at": "2026-05-04T09:10:00Z",
    "done_at": "2026-05-04T09:10:01Z",
}
EXAMPLE = {**ROW, "definition": DEFINITION}


def show(row: Any, inside: int) -> dict[str, Any]:
    """A flow as lists of the API show it."""
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "trigger": row.trigger_type,
        "live_version": row.live_version,
        "draft_number": row.draft_number,
        "draft_changed": row.draft_changed,
        "closed": row.closed,
        "archived": row.archived_at is not None,
        "pause_mode": row.pause_mode or None,
        "pause_reason": row.pause_reason or None,
        "broken": row.broken or None,
        "inside": inside,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "activated_at": row.activated_at,
        "paused_at": row.paused_at,
        "starts_at": row.starts_at,
    }


def one(flow_id: int, references: str = "names") -> dict[str, Any]:
    """A flow of the present client with its draft's definition. Raises ``NotFound``."""
    page = browse.flow(flow_id)
    row = page.rows[0]
    definition = recipes.written(row.draft, by_name=references == "names")
    return {**show(row, page.numbers.get(row.id, 0)), "definition": definition}


@resource.reads("/flows", query=schemas.FlowQuery, shows=schemas.FlowPage, example={"data": [ROW], "next": None})
def list_flows(query: dict[str, Any]) -> Any:
    """List flows, without their definitions."""
    page = browse.flows(
        query["cursor"],
        query["limit"],
        state=query.get("state", ""),
        archived=query.get("archived"),
        updated_since=query.get("updated_since"),
    )
    return paging.page(page, lambda row: show(row, page.numbers.get(row.id, 0)))


@resource.writes(
    "POST",
    "/flows",
    takes=schemas.Definition,
    body_example=DEFINITION,
    uploads=(bodies.YAML, TEXT),
    shows=schemas.Flow,
    example={**EXAMPLE, "state": "draft", "live_version": None, "inside": 0, "activated_at": None},
    status=201,
    tagged=True,
)
def make_flow(body: Mapping[str, Any]) -> Any:
    """Make a flow from a definition.

    It begins as a draft; publish it to go live. Steps may be unfinished, but the starting point must be complete and
    every list, tag or other object must exist, given by id or name.
    """
    made = flows.create(body)
    return Answer(one(made.id), 201, {"Location": url_for(".get_flow", flow_id=made.id)})


@resource.reads(
    ONE, query=schemas.References, shows=schemas.Flow, example=EXAMPLE, tagged=True, also_as=(bodies.YAML, TEXT)
)
def get_flow(flow_id: int, query: Mapping[str, Any]) -> Any:
    """Get a flow with its draft's definition.

    The definition comes in its canonical order. What was deleted keeps its id where its name would stand. With
    `Accept: application/yaml` the answer is the definition alone, as text that is the same bytes whenever the flow is
    the same; it can be sent back as the draft.
    """
    found = one(flow_id, query["references"])
    return as_text(found, flowtext.dump(found["definition"])) if wants_text() else found


@resource.writes(
    "PUT",
    f"{ONE}/draft",
    query=schemas.DraftQuery,
    takes=schemas.Definition,
    body_example=DEFINITION,
    uploads=(bodies.YAML, TEXT),
    shows=schemas.Flow,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def replace_draft(flow_id: int, query: Mapping[str, Any], body: Mapping[str, Any]) -> Any:
    """Replace a flow's draft.

    The live version stays as it is until the draft is published. Keep the keys of steps: people inside are found by
    them. A flow that has been live keeps its starting point.
    """
    unchanged("flow", flow_id, lambda: one(flow_id), lambda: one(flow_id, "ids"))
    flows.save_draft(flow_id, body, query.get("draft_number") or one(flow_id)["draft_number"])
    return one(flow_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_flow(flow_id: int) -> None:
    """Delete a flow that never went live.

    One that was live keeps its numbers and is refused with 409.
    """
    unchanged("flow", flow_id, lambda: one(flow_id), lambda: one(flow_id, "ids"))
    flows.delete(flow_id)


# --- going live and after --------------------------------------------------------------------------------


@resource.reads(
    f"{ONE}/check",
    shows=schemas.Check,
    example={
        "ready": False,
        "findings": [{"kind": "fix", "path": "steps[1].else[0].text", "text": "Write the text of the SMS"}],
        "would_start": 311,
        "would_start_complete": True,
        "people": "finish",
        "inside": [{"version": 3, "step": "wait-1", "contacts": 395, "to": "wait-1", "again": 0, "at_once": 12}],
    },
    tagged=True,
)
def check_flow(flow_id: int) -> Any:
    """Check whether a draft is ready to go live, how many contacts already match, and what it means for those inside."""
    flow = flows.get(flow_id)
    findings = [
        {"kind": found.kind, "path": path, "text": str(say(text))}
        for found in checks.findings(flow.draft, flow)
        for path, texts in checks.by_path(flow.draft, [found]).items()
        for text in texts
    ]
    ready = all(found["kind"] != "fix" for found in findings)
    found = flows.would_start(flow) if flow.activated_at is None else None
    counted = {"would_start": found and found.contacts, "would_start_complete": found is None or found.complete}
    impact = moving.impact(flow)
    inside = [_inside(group) for group in reversed(impact.groups)]
    return {"ready": ready, "findings": findings, **counted, "people": impact.usual, "inside": inside}


def _inside(group: moving.Group) -> dict[str, Any]:
    landing = group.landing
    where = {"version": group.version.number, "step": landing.key, "contacts": group.contacts}
    return {**where, "to": landing.step, "again": group.again, "at_once": group.at_once}


@resource.writes(
    "POST",
    f"{ONE}/publish",
    takes=schemas.PublishIn,
    body_example={"people": "move", "people_at": {"wait-1": "finish"}},
    shows=schemas.Flow,
    example=EXAMPLE,
    tagged=True,
    body_required=False,
)
def publish_flow(flow_id: int, body: Mapping[str, Any]) -> Any:
    """Publish a flow: its draft becomes the live version.

    The first time the flow goes live. Later `people` says what becomes of those inside; whoever would come to a step a
    second time finishes the version entered in any case. What must be fixed first is answered with 422 by path; 409, by path too, when something it refers to was deleted, switched off or is over, and
    when the draft is live already or the flow was stopped.
    """
    people = moving.checked(flows.get(flow_id), body.get("people") or "", body.get("people_at") or {})
    flows.publish(flow_id, include_existing=body.get("include_existing"), people=people)
    return one(flow_id)


@resource.writes("POST", f"{ONE}/undo-publish", shows=schemas.Flow, example=EXAMPLE, tagged=True)
def undo_publish(flow_id: int) -> Any:
    """Make the version before the live one live again.

    Contacts who were moved and have not walked on stand where they stood, and who left because of it come back; all
    others finish the version they are in. The draft stays as it is. 409 when there is no version before, when the flow
    was stopped, or when something the version needs is gone.
    """
    flows.undo_publish(flow_id)
    return one(flow_id)


@resource.writes(
    "POST",
    f"{ONE}/pause",
    takes=schemas.PauseIn,
    body_example={"mode": "freeze"},
    shows=schemas.Flow,
    example={**EXAMPLE, "state": "paused", "pause_mode": "freeze", "paused_at": "2026-05-05T09:00:00Z"},
    tagged=True,
    body_required=False,
)
def pause_flow(flow_id: int, body: Mapping[str, Any]) -> Any:
    """Pause a live flow.

    Nobody enters; `mode` says what happens to the contacts inside.
    """
    flows.pause(flow_id, body["mode"])
    return one(flow_id)


@resource.writes(
    "POST",
    f"{ONE}/resume",
    takes=schemas.ResumeIn,
    body_example={"let_in": True},
    shows=schemas.Flow,
    example=EXAMPLE,
    tagged=True,
    body_required=False,
)
def resume_flow(flow_id: int, body: Mapping[str, Any]) -> Any:
    """Let a paused flow go on.

    After freeze every wait goes on where it stood; after hold what is overdue is spread out, never a flood. With
    `let_in` the contacts who would have started during the pause enter within half a minute.
    """
    flows.resume(flow_id, let_in=body["let_in"])
    return one(flow_id)


@resource.writes(
    "POST", f"{ONE}/stop", shows=schemas.Flow, example={**EXAMPLE, "state": "stopped", "inside": 0}, tagged=True
)
def stop_flow(flow_id: int) -> Any:
    """Stop a flow for good.

    Nobody enters and everybody inside leaves now. It cannot be undone.
    """
    flows.stop(flow_id)
    return one(flow_id)


@resource.writes(
    "POST", f"{ONE}/archive", shows=schemas.Flow, example={**EXAMPLE, "state": "stopped", "inside": 0}, tagged=True
)
def archive_flow(flow_id: int) -> Any:
    """Put a flow away.

    A draft, or one that has ended; a live one is refused. `archived=false` leaves it out of a list.
    """
    flows.archive(flow_id)
    return one(flow_id)


@resource.writes("POST", f"{ONE}/unarchive", shows=schemas.Flow, example={**EXAMPLE, "state": "draft"}, tagged=True)
def unarchive_flow(flow_id: int) -> Any:
    """Take a flow out of the archive again."""
    flows.archive(flow_id, False)
    return one(flow_id)


# --- starting contacts -----------------------------------------------------------------------------------


def show_start(row: Any) -> dict[str, Any]:
    """Contacts that are started together, as the API shows them."""
    rule = row.rule
    return {
        "id": row.id,
        "flow_id": row.flow_id,
        "by": row.by,
        "list_id": rule["members"]["list"] if "members" in rule else None,
        "segment_id": rule["segment"]["segment"] if "segment" in rule else None,
        "contacts": rule.get("contacts"),
        "entered": row.entered,
        "done": row.done_at is not None,
        "started_at": row.at,
        "done_at": row.done_at,
    }


@resource.writes(
    "POST",
    f"{ONE}/start",
    takes=schemas.StartIn,
    body_example={"list": "Newsletter", "key": "spring-2026"},
    shows=schemas.Start,
    example={**START, "entered": 0, "done": False, "done_at": None},
    status=202,
)
def start_flow(flow_id: int, body: Mapping[str, Any]) -> Any:
    """Start contacts in a live flow: some by id, or everybody on a list or in a segment now.

    They enter by the flow's own rules: nobody twice at a time, and again only where the flow allows it. Contacts named
    by id enter at once, groups in the background: ask again to see how far it came. The same `key` again starts nobody
    twice. 409 when nobody can enter the flow now, or it is one that starts at a fixed date.
    """
    wanted = {name: body[name] for name in ("contacts", "list", "segment") if body.get(name) is not None}
    if len(wanted) != 1:
        raise Invalid({"contacts": [N_("Name contacts, a list or a segment, one of the three")]})
    rule = hand_starts.some(wanted["contacts"]) if "contacts" in wanted else hand_starts.group(**wanted)
    row = hand_starts.begin(flow_id, rule, by="api", key=body.get("key", ""))
    return Answer(show_start(row), 202, {"Location": url_for(".get_start", flow_id=flow_id, start_id=row.id)})


@resource.reads(
    f"{ONE}/starts", query=paging.PageQuery, shows=schemas.StartPage, example={"data": [START], "next": None}
)
def list_starts(flow_id: int, query: Mapping[str, Any]) -> Any:
    """List who was started together in a flow: by a date, by hand or over the API."""
    rows, following = hand_starts.listing(flow_id, query["cursor"], query["limit"])
    return paging.page(browse.Page(rows, following), show_start)


@resource.reads(f"{ONE}/starts/{ID % 'start_id'}", shows=schemas.Start, example=START, tagged=True)
def get_start(flow_id: int, start_id: int) -> Any:
    """Get contacts that were started together, and how many have entered."""
    return show_start(hand_starts.get(flow_id, start_id))


# --- versions --------------------------------------------------------------------------------------------


@resource.reads(
    f"{ONE}/versions",
    query=paging.PageQuery,
    shows=schemas.VersionPage,
    example={
        "data": [{"number": 1, "live": True, "inside": 12, "undone_at": None, "created_at": "2026-05-04T09:05:00Z"}],
        "next": None,
    },
)
def list_versions(flow_id: int, query: Mapping[str, Any]) -> Any:
    """List what went live of a flow."""
    flow = flows.get(flow_id)
    inside = flows.people_inside(flow_id)
    page = browse.versions(flow_id, query["cursor"], query["limit"])
    return paging.page(
        page,
        lambda row: {
            "number": row.number,
            "live": row.id == flow.version_id,
            "inside": inside.get(row.id, 0),
            "undone_at": row.undone_at,
            "created_at": row.created_at,
        },
    )


@resource.reads(
    f"{ONE}/versions/{ID % 'number'}",
    query=schemas.References,
    shows=schemas.Version,
    example={"number": 1, "created_at": "2026-05-04T09:05:00Z", "definition": DEFINITION},
    tagged=True,
    also_as=(bodies.YAML, TEXT),
)
def get_version(flow_id: int, number: int, query: Mapping[str, Any]) -> Any:
    """Get a version with its definition.

    Versions never change. With `Accept: application/yaml` the answer is the definition alone, as text.
    """
    row = browse.version(flow_id, number)
    definition = recipes.written(row.definition, by_name=query["references"] == "names")
    found = {"number": row.number, "created_at": row.created_at, "definition": definition}
    return as_text(found, flowtext.dump(definition)) if wants_text() else found
