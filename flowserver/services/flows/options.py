"""What a form can choose from, what an id is called, and which objects a definition refers to.

A node never queries: its form names a *source* (``list``, ``field``, ``user`` …: ``SOURCES``), its settings mark
references (:class:`flowserver.nodes.base.Ref`), and this file knows what stands behind a source.
References are ids in the database and names in text (``field``: always the key, ``step``: the step's key).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import marshmallow as ma
import sqlalchemy as sa
import wtforms
from marshmallow import fields

from flowserver.domain import definition as definitions
from flowserver.domain import flow_graph, people, urls
from flowserver.errors import Invalid
from flowserver.extensions import current_workspace, db
from flowserver.models import (
    Access,
    Campaign,
    ContactList,
    ConversionRule,
    Coupon,
    CouponCampaign,
    Field,
    Flow,
    Form,
    Monitor,
    Programme,
    Reward,
    Segment,
    Tag,
    User,
)
from flowserver.nodes import catalogue
from flowserver.nodes.base import BY_KEY, ChoiceOf, Names, Ref, ValueField, ValueOf
from flowserver.nodes.conditions.field_compares import fit
from flowserver.services.people import contacts as people_of
from flowserver.text import N_, Text

CORE_FIELDS = (
    ("first_name", N_("First name")),
    ("last_name", N_("Last name")),
    ("email", N_("E-mail address")),
    ("phone", N_("Mobile number")),
    ("external_id", N_("Customer number")),
    ("locale", N_("Language")),
)


class NotYet(Text):
    """Words for an object that still has to be set up: nothing was lost."""


@dataclass(frozen=True)
class Source:
    """A kind of object that forms choose from and definitions refer to: what the database holds, and its words."""

    query: Callable[[], Any]  # a select of id and label, in the order they are offered
    blank: Text = N_("Choose one")
    none_yet: Text = N_("There is nothing to choose yet")
    gone: Text = N_("something deleted")  # what stands for a name that is not there any more
    unknown: Text = N_("There is no “%(name)s” in this client")
    deleted: Text = N_("This was deleted. Choose another one")
    flaws: Callable[[Iterable[Any]], Mapping[Any, Text]] | None = (
        None  # which of these ids cannot do what is asked, why
    )
    over: Callable[[Iterable[Any]], Mapping[Any, Text]] | None = None
    """Which of these ids are at their end, and why: nothing can be done with them, though it can be asked what was."""
    misfits: Callable[[Any, Mapping[str, Any]], Mapping[str, Text]] | None = None
    """What else in the settings that name an object does not go with it: ``(id, settings)`` → setting to words."""


def _named(table: Any, *where: Any) -> Callable[[], Any]:
    """All rows of a table with a name, by name."""
    return lambda: sa.select(table.id, table.name).where(*where).order_by(sa.func.lower(table.name))


def _site_misfits(monitor_id: int, settings: Mapping[str, Any]) -> Mapping[str, Text]:
    """A page on a site that is not watched would never be seen."""
    domains = db.session.scalar(sa.select(Monitor.domains).where(Monitor.id == monitor_id)) or []
    try:
        host = urls.parse(settings.get("url") or "*").host
    except Invalid:
        return {}
    if not host or host in domains:
        return {}
    words = N_("This address is not on the site. Begin with https://%(domain)s")
    return {"url": Text(words.msgid, domain=domains[0] if domains else "…")}


def _sites_not_ready(ids: Iterable[int]) -> Mapping[int, Text]:
    """Sites that are switched off, or from which no visit has come yet."""
    found: dict[int, Text] = {}
    for site in db.session.scalars(sa.select(Monitor).where(Monitor.id.in_(ids))):
        if not site.enabled:
            found[site.id] = Text("Tracking of %(name)s is switched off", name=site.name)
        elif site.verified_at is None:
            words = N_("No visit has come from %(name)s yet. Put the script into its pages first")
            found[site.id] = NotYet(words.msgid, name=site.name)
    return found


def _rules_off(ids: Iterable[int]) -> Mapping[int, Text]:
    """Conversion rules that are switched off."""
    rows = db.session.scalars(sa.select(ConversionRule).where(ConversionRule.id.in_(ids), ~ConversionRule.enabled))
    return {row.id: Text("The conversion rule %(name)s is switched off", name=row.name) for row in rows}


def _programmes_closed(ids: Iterable[int]) -> Mapping[int, Text]:
    """Loyalty programmes that give no cards and no points any more."""
    rows = db.session.scalars(sa.select(Programme).where(Programme.id.in_(ids), Programme.closed))
    return {row.id: Text("The loyalty programme %(name)s is closed", name=row.name) for row in rows}


def _rewards_off(ids: Iterable[int]) -> Mapping[int, Text]:
    """Rewards that are not given any more."""
    rows = db.session.scalars(sa.select(Reward).where(Reward.id.in_(ids), ~Reward.active))
    return {row.id: Text("The reward %(name)s is switched off", name=row.title) for row in rows}


def _people() -> Any:
    mine = sa.select(Access.user_id).where(Access.workspace_id == current_workspace())
    here = sa.or_(User.role == "admin", User.id.in_(mine))
    return sa.select(User.id, User.email).where(User.active, here).order_by(User.email)


def _coupons_over(ids: Iterable[int]) -> Mapping[int, Text]:
    """Coupon campaigns whose last day has passed."""
    from flowserver.services.shop import coupon_campaigns

    dated = sa.select(CouponCampaign).where(CouponCampaign.id.in_(ids), CouponCampaign.ends_on.is_not(None))
    over = [row for row in db.session.scalars(dated) if coupon_campaigns.is_over(row)]
    return {row.id: Text("The coupon campaign %(name)s is over", name=row.name) for row in over}


def _without_codes(ids: Iterable[int]) -> Mapping[int, Text]:
    """Coupon campaigns that take their codes from an import that never came."""
    any_code = sa.exists().where(Coupon.campaign_id == CouponCampaign.id)
    empty = sa.select(CouponCampaign.id).where(CouponCampaign.id.in_(ids), CouponCampaign.codes == "pool", ~any_code)
    return dict.fromkeys(db.session.scalars(empty), NotYet(_NO_CODES.msgid))


_NO_CODES = N_("This coupon campaign has no codes yet. Import them first")

_OF_RULES = (
    N_("Choose a conversion rule"),
    N_("There is no conversion rule yet"),
    N_("a deleted conversion rule"),
    N_("There is no conversion rule “%(name)s” in this client that can be used here"),
    N_("The conversion rule was deleted. Choose another one"),
)


def _campaigns(channel: str) -> Any:
    """Those that are on their way or have gone out, newest first."""
    mine = sa.and_(Campaign.channel == channel, Campaign.state.in_(("scheduled", "sending", "sent")))
    return sa.select(Campaign.id, Campaign.name).where(mine).order_by(Campaign.id.desc())


def _clickable(campaign_id: Any, settings: Mapping[str, Any]) -> Mapping[str, Text]:
    """Without a link nobody can click, and everybody has not clicked."""
    from flowserver.services.messages import campaigns

    if settings.get("event") in ("clicked", "not_clicked") and not campaigns.has_links(campaign_id):
        return {"event": N_("This e-mail has no links: nobody can click in it. Choose something else")}
    return {}


SOURCES = {
    "email_campaign": Source(
        lambda: _campaigns("email"),
        N_("Choose an e-mail campaign"),
        N_("None is scheduled or sent yet"),
        N_("a campaign that was cancelled or deleted"),
        N_("There is no e-mail campaign “%(name)s” that is scheduled or sent"),
        N_("Choose an e-mail campaign that is scheduled or sent"),
        misfits=_clickable,
    ),
    "sms_campaign": Source(
        lambda: _campaigns("sms"),
        N_("Choose an SMS campaign"),
        N_("None is scheduled or sent yet"),
        N_("a campaign that was cancelled or deleted"),
        N_("There is no SMS campaign “%(name)s” that is scheduled or sent"),
        N_("Choose an SMS campaign that is scheduled or sent"),
    ),
    "list": Source(
        _named(ContactList),
        N_("Choose a list"),
        N_("There is no list yet"),
        N_("a deleted list"),
        N_("There is no list “%(name)s” in this client"),
        N_("The list was deleted. Choose another one"),
    ),
    "tag": Source(
        _named(Tag),
        N_("Choose a tag"),
        N_("There is no tag yet"),
        N_("a deleted tag"),
        N_("There is no tag “%(name)s” in this client"),
        N_("The tag was deleted. Choose another one"),
    ),
    "field": Source(
        lambda: sa.select(Field.key, Field.label).order_by(Field.label),
        N_("Choose a field"),
        gone=N_("a deleted field"),
        unknown=N_("There is no field “%(name)s” in this client"),
    ),
    "date": Source(
        lambda: sa.select(Field.key, Field.label).where(Field.type == "date").order_by(Field.label),
        N_("Choose a date field"),
        N_("There is no date field yet"),
        N_("a deleted field"),
        N_("There is no date field “%(name)s” in this client"),
    ),
    "audience": Source(
        lambda: None,  # lists and segments, told apart by what stands before the id
        N_("Choose a list or segment"),
        N_("There is no list and no segment yet"),
        N_("a deleted list"),
    ),
    "user": Source(
        _people,
        N_("Choose a person"),
        gone=N_("somebody who left"),
        unknown=N_("Nobody called “%(name)s” works for this client"),
        deleted=N_("This person no longer works for the client. Choose somebody else"),
    ),
    "form": Source(
        _named(Form),
        N_("Choose a form"),
        N_("There is no form yet"),
        N_("a deleted form"),
        N_("There is no form “%(name)s” in this client"),
        N_("The form was deleted. Choose another one"),
    ),
    "segment": Source(
        _named(Segment),
        N_("Choose a segment"),
        N_("There is no segment yet"),
        N_("a deleted segment"),
        N_("There is no segment “%(name)s” in this client"),
        N_("The segment was deleted. Choose another one"),
    ),
    "programme": Source(
        _named(Programme),
        N_("Choose a loyalty programme"),
        N_("There is no loyalty programme yet"),
        N_("a deleted loyalty programme"),
        N_("There is no loyalty programme “%(name)s” in this client"),
        N_("The loyalty programme was deleted. Choose another one"),
        flaws=_programmes_closed,
    ),
    "reward": Source(
        lambda: sa.select(Reward.id, Reward.title).order_by(sa.func.lower(Reward.title)),
        N_("Choose a reward"),
        N_("There is no reward yet"),
        N_("a deleted reward"),
        N_("There is no reward “%(name)s” in this client"),
        N_("The reward was deleted. Choose another one"),
        over=_rewards_off,
    ),
    "coupon_campaign": Source(
        _named(CouponCampaign),
        N_("Choose a coupon campaign"),
        N_("There is no coupon campaign yet"),
        N_("a deleted coupon campaign"),
        N_("There is no coupon campaign “%(name)s” in this client"),
        N_("The coupon campaign was deleted. Choose another one"),
        flaws=_without_codes,
        over=_coupons_over,
    ),
    "monitor": Source(
        _named(Monitor),
        N_("Choose a site"),
        N_("No site is tracked yet"),
        N_("a deleted site"),
        N_("There is no site “%(name)s” in this client"),
        N_("The site was deleted. Choose another one"),
        misfits=_site_misfits,
        flaws=_sites_not_ready,
    ),
    "conversion_rule": Source(_named(ConversionRule), *_OF_RULES, flaws=_rules_off),
    "manual_rule": Source(
        _named(ConversionRule, ConversionRule.source == "manual"),
        _OF_RULES[0],
        N_("There is no conversion rule that steps record yet"),
        *_OF_RULES[2:],
        flaws=_rules_off,
    ),
    "flow": Source(
        lambda: (
            sa.select(Flow.id, Flow.name)
            .where(Flow.archived_at.is_(None), Flow.state.not_in(("stopped", "completed")))
            .order_by(sa.func.lower(Flow.name))
        ),
        N_("Choose a flow"),
        N_("There is no other flow yet"),
        N_("a flow that has ended"),
        N_("There is no flow “%(name)s” in this client that can start"),
        N_("This flow has ended or was deleted. Choose another one"),
    ),
    "step": Source(
        lambda: None,  # not in the database: the messages sent before a step
        N_("Choose a message"),
        N_("No message comes before this step"),
        N_("a step that is gone"),
    ),
}


# --- what can be chosen ----------------------------------------------------------------------------------


def choices(source: str, definition: Mapping[str, Any] | None = None, key: str = "") -> list[tuple[Any, str]]:
    """``[(id, label)]`` of a source, by name. ``step`` needs the definition: the messages sent before step ``key``."""
    if source == "step":
        return _messages_before(definition or {}, key)
    if source == "audience":
        return [(f"{kind}:{id}", label) for kind in GROUPED for id, label in choices(kind)]
    found = [(id, label) for id, label in db.session.execute(SOURCES[source].query())]
    return [*CORE_FIELDS, *found] if source == "field" else found


def empty(sources: Iterable[str]) -> set[str]:
    """Those of some sources that hold nothing in the present client."""
    return {source for source in sources if not choices(source)}


def _messages_before(definition: Mapping[str, Any], key: str) -> list[tuple[str, str]]:
    flow = compiled(definition)
    names = namer(definition)
    found = flow_graph.before(flow, key) if key in flow.steps else list(flow.steps.values())
    return [
        (step.key, Text("Step %(n)s: %(name)s", n=step.number, name=names("step", step.key)))
        for step in found
        if step.node.sends
    ]


GROUPED = {"list": N_("Lists"), "segment": N_("Segments")}
SAME = {"date": "field"}  # sources that are a part of another one


def _group(value: str) -> str:
    return GROUPED.get(value.partition(":")[0], "")


def fill(form: Any, definition: Mapping[str, Any] | None = None, key: str = "") -> Any:
    """Give every :class:`ChoiceOf` of a form its options, a hint to choose first. Returns the form.

    A :class:`ValueField` is asked for as the field of the contact needs it that was chosen beside it.
    """
    for field in form:
        if isinstance(field, ValueField):
            spec = specs().get(form[field.of].data)
            field.suit(spec.type if spec else "text", spec.choices if spec else ())
        elif isinstance(field, ChoiceOf):
            found = choices(field.source, definition, key)
            source = SOURCES[field.source]
            hint = field.none or (source.blank if found else source.none_yet)
            known = {str(id) for id, _ in found}
            if field.none or str(field.data) not in known:
                found = [("", hint), *found]
            grouped = field.source == "audience"
            field.choices = [
                wtforms.SelectChoice(value, label, optgroup=_group(str(value)) if grouped else None)
                for value, label in found
            ]
        elif isinstance(field, wtforms.FormField):
            fill(field.form, definition, key)
    return form


# --- what things are called ------------------------------------------------------------------------------


def name(source: str, id: Any) -> str:
    """What an id is called: ``name("list", 12)`` → "Newsletter"."""
    return namer()(source, id)


def namer(definition: Mapping[str, Any] | None = None) -> Names:
    """A function from source and id to name that asks the database once per source. ``step`` needs the definition."""
    known: dict[str, dict[str, str]] = {}

    def names(source: str, id: Any) -> str:
        if id in (None, ""):
            return Text("…")
        if source == "step":
            return _step_name(definition or {}, str(id), names)
        if source not in known:
            known[source] = {str(one): label for one, label in choices(source)}
        return known[source].get(str(id)) or SOURCES[source].gone

    return names


def _step_name(definition: Mapping[str, Any], key: str, names: Names) -> str:
    for _, _, step in definitions.walk(definition.get("steps", [])):
        if isinstance(step, Mapping) and step.get("key") == key:
            return summary(step, names)
    return SOURCES["step"].gone


def summary(step: Mapping[str, Any], names: Names) -> str:
    """A step in a few words; its type's title while its settings are not sound."""
    cls = catalogue.actions().get(str(step.get("type", "")))
    if cls is None:
        return str(step.get("type", ""))
    try:
        return cls(cls.load(definitions.own_settings(step), step.get("rev", 1))).summary(names)
    except Invalid:
        return cls.title


# --- references in a definition --------------------------------------------------------------------------

Spot = tuple[dict[str, Any] | list[Any], Any, str, str]
"""Where a reference stands: the dict or list that holds it, its key or index there, its source, its path."""


def spots(definition: Mapping[str, Any]) -> Iterator[Spot]:
    """Every reference of a definition, starting point and conditions included."""
    for mark, holder, key, path in _marked(definition):
        if isinstance(mark, Ref):
            yield holder, key, mark.source, path


Marked = tuple[Any, Any, Any, str]
"""A setting that points outside the definition: its :class:`Ref` or :class:`ValueOf`, what holds it, its key, its path."""


def _marked(definition: Mapping[str, Any]) -> Iterator[Marked]:
    trigger = definition.get("trigger")
    if isinstance(trigger, dict) and str(trigger.get("type", "")) in catalogue.triggers():
        yield from _of_schema(catalogue.triggers()[str(trigger["type"])].Settings(), trigger, "trigger")
    for kind in definitions.GOALS:
        goal = definition.get(kind)
        if isinstance(goal, dict) and str(goal.get("type", "")) in catalogue.triggers():
            yield from _of_schema(catalogue.triggers()[str(goal["type"])].Settings(), goal, kind)
    actions = catalogue.actions()
    steps = definition.get("steps", [])
    for path, _, step in definitions.walk(steps if isinstance(steps, list) else []):
        if isinstance(step, dict) and str(step.get("type", "")) in actions:
            yield from _of_schema(actions[str(step["type"])].Settings(), step, path)


def _of_schema(schema: ma.Schema, data: dict[str, Any], path: str) -> Iterator[Marked]:
    for name, field in schema.fields.items():
        key = field.data_key or name
        if data.get(key) not in (None, ""):
            yield from _of_field(field, data, key, f"{path}.{key}")


def _of_field(field: Any, holder: Any, key: Any, path: str) -> Iterator[Marked]:
    value = holder[key]
    if isinstance(field, Ref | ValueOf):
        yield field, holder, key, path
    elif isinstance(field, fields.Nested):
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from _of_schema(field.schema, inner, path)
    elif isinstance(field, fields.List) and isinstance(value, list):
        for index in range(len(value)):
            yield from _of_field(field.inner, value, index, f"{path}[{index}]")
    elif isinstance(field, fields.Raw) and isinstance(value, dict):
        yield from _of_rule(value, path)


def _of_rule(rule: dict[str, Any], path: str) -> Iterator[Marked]:
    kind = rule.get("type")
    if isinstance(kind, str) and kind in catalogue.conditions():
        yield from _of_schema(catalogue.conditions()[kind].Settings(), rule, path)
    for word in ("all", "any", "not"):
        inner = rule.get(word)
        for place, part in enumerate(inner) if isinstance(inner, list) else [("", inner)]:
            if isinstance(part, dict):
                yield from _of_rule(part, f"{path}.{word}" if place == "" else f"{path}.{word}[{place}]")


def as_definition(rule: Any) -> dict[str, Any]:
    """A rule that stands alone, as a definition whose references can be looked up: at ``steps[0].if``."""
    return {"steps": [{"key": "rule", "type": "if_else", "if": rule}]}


def references(definition: Mapping[str, Any]) -> set[tuple[str, Any]]:
    """``{("list", 3), ("field", "city"), …}``: what a definition refers to, steps of its own included."""
    return {(SAME.get(source, source), holder[key]) for holder, key, source, _ in spots(definition)}


def look_up(definition: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """A copy of the definition with names turned into ids and values in the type of their field; what is wrong, by path."""
    result = copy.deepcopy(dict(definition))
    unknown: dict[str, list[str]] = {}
    tables: dict[str, dict[str, Any]] = {}
    for holder, key, source, path in spots(result):
        if source == "step":
            continue
        if source not in tables:
            tables[source] = _by_name(source)
        given = holder[key]
        found = tables[source].get(_fold(given))
        if found is None:
            unknown[path] = [not_found(source, given)]
            continue
        holder[key] = found
        misfits = SOURCES[source].misfits
        if misfits is not None and isinstance(holder, dict):
            start = path.rpartition(".")[0]
            unknown.update({f"{start}.{name}": [text] for name, text in misfits(found, holder).items()})
    unknown.update(_fit_values(result))
    return result, unknown


def lost(definition: Mapping[str, Any]) -> dict[str, str]:
    """What a definition refers to that was deleted, switched off or is over, in words by path."""
    unfit = {path: text for path, text in flaws(definition).items() if not isinstance(text, NotYet)}
    return {**gone(definition), **unfit}


def gone(definition: Mapping[str, Any]) -> dict[str, str]:
    """What a definition refers to that was deleted, in words by path."""
    _, unknown = look_up(definition)
    return {path: unknown[path][0] for *_, path in spots(definition) if path in unknown}


def unfit(definition: Mapping[str, Any]) -> dict[str, str]:
    """As :func:`gone`, and what of the starting point its objects do not fit any more: a page on no host of its site."""
    _, unknown = look_up(definition)
    named = {path for *_, path in spots(definition)}
    return {path: texts[0] for path, texts in unknown.items() if path in named or path.startswith("trigger.")}


def flaws(definition: Mapping[str, Any]) -> dict[str, Text]:
    """Why objects that exist cannot do what the definition asks of them, by path."""
    asked: dict[Any, dict[str, Any]] = {}
    for holder, key, source, path in spots(definition):
        for tell in (SOURCES[source].flaws, None if _is_condition(holder) else SOURCES[source].over):
            if tell is not None:
                asked.setdefault(tell, {})[path] = holder[key]
    found: dict[str, Text] = {}
    for tell, by_path in asked.items():
        wrong = tell(set(by_path.values()))
        found.update({path: wrong[id] for path, id in by_path.items() if id in wrong})
    return found


def _is_condition(holder: Any) -> bool:
    return isinstance(holder, dict) and holder.get("type") in catalogue.conditions()


def _fit_values(definition: Mapping[str, Any]) -> dict[str, list[str]]:
    """Write every value for a field of the contact in the type of that field; what does not fit, by path."""
    wrong: dict[str, list[str]] = {}
    marks = [one for one in _marked(definition) if isinstance(one[0], ValueOf)]
    known, customs = (specs(), people_of.book().customs) if marks else ({}, people.Customs())
    for mark, holder, key, path in marks:
        spec = known.get(holder.get(mark.field)) if isinstance(holder.get(mark.field), str) else None
        if spec is None or not isinstance(holder[key], str | int | float | bool):
            continue  # said elsewhere
        try:
            holder[key] = fit(spec, str(holder.get(mark.how) or "equals"), holder[key], customs)
        except Invalid as error:
            wrong.update({f"{path.removesuffix(key)}{at}": texts for at, texts in error.messages.items()})
    return wrong


def specs() -> dict[str, people.Spec]:
    """The fields of the contact by key, the client's own and those everybody has (of the type ``core``)."""
    core = {key: people.Spec(key, label, "core") for key, label in CORE_FIELDS}
    return {**core, **people_of.book().specs}


def find(source: str, given: Any) -> Any:
    """The id of an object of the present client, given by id or by name; ``None`` where there is none."""
    known = _by_name(source)
    found = known.get(_fold(given))
    return known.get(int(given)) if found is None and str(given).isdecimal() and len(str(given)) < 19 else found


def not_found(source: str, given: Any) -> Text:
    """What to say about a reference to an object that does not exist."""
    if isinstance(given, int):
        return SOURCES[source].deleted
    return Text(SOURCES[source].unknown.msgid, name=str(given)[:120])


def resolve(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with names turned into ids. Raises :class:`Invalid` by path for what does not exist here."""
    result, unknown = look_up(definition)
    if unknown:
        raise Invalid(unknown)
    return result


def unresolve(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with ids turned into names, as it is exported. What was deleted keeps its id."""
    result = copy.deepcopy(dict(definition))
    names: dict[str, dict[str, str]] = {}
    for holder, key, source, _ in spots(result):
        if source in BY_KEY:
            continue
        if source not in names:
            names[source] = {str(id): str(label) for id, label in choices(source)}
        holder[key] = names[source].get(str(holder[key]), holder[key])
    return result


def _by_name(source: str) -> dict[Any, Any]:
    """Ids, and names without case, to ids. An id wins over a name that looks like one."""
    found = choices(source)
    return {**{_fold(str(label)): id for id, label in found}, **{_fold(id): id for id, _ in found}}


def _fold(value: Any) -> Any:
    return value if isinstance(value, int) else " ".join(str(value).split()).casefold()


def rename_steps(step: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A step (and its paths) whose references to the steps ``names`` point to their new keys; changed in place."""
    for holder, key, source, _ in spots({"steps": [step]}):
        if source == "step" and holder[key] in names:
            holder[key] = names[holder[key]]
    return step


# --- compiled definitions --------------------------------------------------------------------------------


def compiled(definition: Mapping[str, Any]) -> definitions.Compiled:
    """A definition, finished or not, ready to be shown: mistakes stand in ``Compiled.mistakes``."""
    return definitions.compile(definition, catalogue.triggers(), catalogue.actions(), lenient=True)
