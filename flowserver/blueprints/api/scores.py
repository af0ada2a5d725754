"""Score rules, and the movements of a contact's score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from flowserver.blueprints.api import paging
from flowserver.blueprints.api.kit import ID, Answer, Resource, unchanged
from flowserver.blueprints.api.schemas import scores as schemas
from flowserver.services.people import browse, intake, score_rules

resource = Resource(
    "Scores", 24, "What brings contacts points, and where the score of a contact comes from.", part="contacts"
)

ONE = f"/score-rules/{ID % 'score_rule_id'}"
OF_CONTACT = f"/contacts/{ID % 'contact_id'}/score"
EXAMPLE = {
    "id": 4,
    "title": "Clicked in an e-mail",
    "points": 10,
    "act": "email_clicked",
    "subject": None,
    "detail": "",
    "frequency": "daily",
    "enabled": True,
    "created_at": "2026-05-04T09:00:00Z",
    "updated_at": "2026-05-04T09:00:00Z",
}
MOVEMENT = {
    "id": 812,
    "points": 10,
    "reason": "Clicked in an e-mail",
    "rule": 4,
    "event": "message:501:email_clicked",
    "at": "2026-05-04T09:12:00Z",
}


def show(row: Any) -> dict[str, Any]:
    """A score rule as the API shows it."""
    plain = ("id", "title", "points", "act", "detail", "frequency", "enabled", "created_at", "updated_at")
    return {**{name: getattr(row, name) for name in plain}, "subject": row.subject or None}


def one(score_rule_id: int) -> dict[str, Any]:
    """A score rule of the present client. Raises ``NotFound``."""
    return show(score_rules.get(score_rule_id))


def movement(row: Any) -> dict[str, Any]:
    """A movement as the API shows it."""
    return {
        "id": row.id,
        "points": row.points,
        "reason": row.reason,
        "rule": row.rule_id,
        "event": row.event_key,
        "at": row.at,
    }


@resource.reads(
    "/score-rules", query=schemas.ScoreRuleQuery, shows=schemas.ScoreRulePage, example={"data": [EXAMPLE], "next": None}
)
def list_score_rules(query: dict[str, Any]) -> Any:
    """List the score rules."""
    return paging.page(browse.score_rules(query["cursor"], query["limit"], query.get("updated_since")), show)


@resource.writes(
    "POST",
    "/score-rules",
    takes=schemas.ScoreRuleIn,
    body_example={"title": "Clicked in an e-mail", "act": "email_clicked", "points": 10, "frequency": "daily"},
    shows=schemas.ScoreRule,
    example=EXAMPLE,
    status=201,
    tagged=True,
)
def make_score_rule(body: Mapping[str, Any]) -> Any:
    """Make a score rule.

    It counts from now on; what happened before brings nothing.
    """
    made = score_rules.create(body)
    return Answer(show(made), 201, {"Location": url_for(".get_score_rule", score_rule_id=made.id)})


@resource.reads(ONE, shows=schemas.ScoreRule, example=EXAMPLE, tagged=True)
def get_score_rule(score_rule_id: int) -> Any:
    """Get a score rule."""
    return one(score_rule_id)


@resource.writes(
    "PATCH",
    ONE,
    takes=schemas.ScoreRuleChange,
    body_example={"points": 15},
    shows=schemas.ScoreRule,
    example=EXAMPLE,
    tagged=True,
    if_match=True,
)
def change_score_rule(score_rule_id: int, body: Mapping[str, Any]) -> Any:
    """Change a score rule, or switch it on or off.

    The points it brought so far stay.
    """
    unchanged("score_rule", score_rule_id, lambda: one(score_rule_id))
    score_rules.update(score_rule_id, body)
    return one(score_rule_id)


@resource.writes("DELETE", ONE, status=204, if_match=True)
def delete_score_rule(score_rule_id: int) -> None:
    """Delete a score rule.

    The points it brought stay, under its title.
    """
    unchanged("score_rule", score_rule_id, lambda: one(score_rule_id))
    score_rules.delete(score_rule_id)


@resource.reads(
    OF_CONTACT,
    query=paging.PageQuery,
    shows=schemas.ScoreMovementPage,
    example={"data": [MOVEMENT], "next": None},
)
def list_score_movements(contact_id: int, query: Mapping[str, Any]) -> Any:
    """List the movements of a contact's score.

    Their points add up to `score` of the contact.
    """
    return paging.page(browse.score_movements(contact_id, query["cursor"], query["limit"]), movement)


@resource.writes(
    "POST",
    OF_CONTACT,
    takes=schemas.PointsIn,
    body_example={"points": 25, "reason": "Came to the shop"},
    shows=schemas.ScoreTotal,
    example={"score": 125},
    status=201,
)
def add_points(contact_id: int, body: Mapping[str, Any]) -> Any:
    """Give a contact points, or take some off.

    Flows that start with a score compare the old total with the new one. Send an `Idempotency-Key`: the same points
    twice are two movements.
    """
    return Answer({"score": intake.points(contact_id, body["points"], body.get("reason", ""))}, 201)
