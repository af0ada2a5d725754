"""The form of a score rule: what a contact does, narrowed by whatever goes with it, and what that brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import wtforms

from flowserver.domain import scoring, urls
from flowserver.nodes.base import ChoiceOf
from flowserver.text import N_

_WORDS = "event_registered|event_checked_in|document_downloaded|app_installed"
_CARDS = "card_created|points_assigned|reward_collected"


class RuleForm(wtforms.Form):
    """All questions; those that do not go with the act are not read."""

    shows: ClassVar[Mapping[str, str]] = {
        "form": "act=form_filled",
        "list": "act=list_joined",
        "tag": "act=tag_added",
        "monitor": "act=page_visited",
        "pattern": "act=page_visited",
        "conversion_rule": "act=converted",
        "coupon_campaign": "act=coupon_redeemed",
        "programme": f"act={_CARDS}",
        "words": f"act={_WORDS}",
        "event": "act=custom_event",
    }

    title = wtforms.StringField(
        N_("Title"),
        description=N_("It explains the points on the contact's page. For example “Opened an e-mail”."),
        render_kw={"maxlength": 120, "autocomplete": "off"},
    )
    act = wtforms.SelectField(
        N_("When a contact does this"),
        choices={"": N_("Choose one"), **{name: act.title for name, act in scoring.ACTS.items()}},
        validate_choice=False,
    )
    form = ChoiceOf(N_("Which form"), source="form", none=N_("Any form"))
    list = ChoiceOf(N_("Which list"), source="list", none=N_("Any list"))
    tag = wtforms.StringField(N_("Which tag"), description=N_("Leave it empty for any tag."))
    monitor = ChoiceOf(N_("Which site"), source="monitor", none=N_("Any site"))
    pattern = wtforms.StringField(
        N_("Address of the page"),
        description=N_(
            "From https:// on, * and ** stand for anything. Leave it empty to count each visit once, whatever the page."
        ),
        render_kw={"maxlength": urls.LONGEST_PATTERN, "inputmode": "url", "autocomplete": "off"},
    )
    conversion_rule = ChoiceOf(N_("Which conversion"), source="conversion_rule", none=N_("Any conversion"))
    coupon_campaign = ChoiceOf(N_("Which coupon"), source="coupon_campaign", none=N_("Any coupon"))
    programme = ChoiceOf(N_("Which programme"), source="programme", none=N_("Any programme"))
    words = wtforms.StringField(
        N_("Which one"), description=N_("Its name as your system reports it. Leave it empty for any.")
    )
    event = wtforms.StringField(
        N_("Word"),
        description=N_("As your system reports it, for example test_drive_booked."),
        render_kw={"autocapitalize": "none", "spellcheck": "false"},
    )
    points = wtforms.StringField(
        N_("Points"),
        description=N_("A number below 0 takes points off."),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    frequency = wtforms.RadioField(
        N_("How often it counts"), choices=scoring.FREQUENCIES, default="every", validate_choice=False
    )

    def values(self) -> dict[str, Any]:
        """What was filled in, as ``services/people/score_rules.py`` takes it."""
        subject, detail = self._about()
        return {
            "title": self.title.data,
            "points": self.points.data,
            "act": self.act.data,
            "subject": subject.data if subject is not None else "",
            "detail": detail.data if detail is not None else "",
            "frequency": self.frequency.data,
        }

    def _about(self) -> tuple[Any, Any]:
        """The fields that ask for the subject and the detail of the act; ``None`` where nothing does."""
        act = scoring.ACTS.get(self.act.data or "")
        subject = {"text": "words"}.get(act.source, act.source) if act else ""
        detail = {"page_visited": "pattern", "custom_event": "event"}.get(self.act.data or "")
        return self[subject] if subject else None, self[detail] if detail else None

    def put_errors(self, messages: Mapping[str, Any]) -> None:
        """A service's messages at the fields that asked."""
        subject, detail = self._about()
        places = {"subject": subject, "detail": detail}
        for name, texts in messages.items():
            field = places.get(name) or self._fields.get(name, self.title)
            field.errors = [*field.errors, *texts]

    @classmethod
    def of(cls, rule: Any) -> dict[str, Any]:
        """A rule in the shape of the fields."""
        act = scoring.ACTS[rule.act]
        subject = {"text": "words"}.get(act.source, act.source)
        detail = {"page_visited": "pattern", "custom_event": "event"}.get(rule.act, "")
        plain = {name: getattr(rule, name) for name in ("title", "points", "act", "frequency")}
        return {**plain, **({subject: rule.subject} if subject else {}), **({detail: rule.detail} if detail else {})}
