"""Segments: saved rules, who they describe, and what may use them."""

import pytest
import sqlalchemy as sa

from flowserver import extensions
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Segment
from flowserver.services.engine import engine
from flowserver.services.flows import flows
from flowserver.services.people import contacts, fields, lists, segments, tags, usage

from . import town

VIP = {"type": "has_tag", "tag": "vip"}
MAIL = {"type": "has_consent", "channel": "email"}


def test_it_is_the_contacts_for_whom_the_rule_holds_now(workspace):
    ada, bob, cleo = town.people(workspace, 3)
    tags.add([ada, bob], ["vip"])
    segment = segments.create(" Vip ", VIP)
    assert (segment.name, segment.rule) == ("Vip", VIP)
    assert segments.matching(segment.id, [ada, bob, cleo]) == {ada, bob}
    assert segments.matching(segment.id, [bob, cleo]) == {bob}
    assert segments.matching(segment.id, []) == set()
    tags.remove([bob], "vip")
    assert segments.matching(segment.id, [ada, bob, cleo]) == {ada}


def test_every_kind_of_condition_counts_in_any_grouping(workspace):
    ada, bob, cleo = town.people(workspace, 3)
    news = town.a_list(workspace, "News", [ada, bob])
    fields.add(label="City", type="text")
    for one, city in ((ada, "Roma"), (cleo, "ROMA ")):
        db.session.get(Contact, one).fields = {"city": city}
    db.session.get(Contact, bob).score = 50
    db.session.commit()
    rome = {"type": "field_compares", "field": "City", "operator": "equals", "value": "roma"}
    on = {"type": "in_list", "list": "news"}
    hot = {"type": "score_compares", "operator": "at_least", "points": 50}
    for rule, wanted in (
        (on, {ada, bob}),
        ({"not": on}, {cleo}),
        ({"all": [on, rome]}, {ada}),
        ({"any": [hot, rome]}, {ada, bob, cleo}),
        ({"all": [on, {"any": [hot, rome]}, {"not": hot}]}, {ada}),
    ):
        saved = segments.create(f"S {rule}"[:100], rule)
        assert segments.matching(saved.id, [ada, bob, cleo]) == wanted, rule
    assert segments.create("By id", rome).rule["field"] == "city"
    assert segments.create("On", on).rule["list"] == news


def test_it_counts_in_chunks_and_says_when_there_are_more(workspace, monkeypatch):
    ids = town.people(workspace, 7)
    tags.add(ids[::2], ["vip"])
    segment = segments.create("Vip", VIP)
    monkeypatch.setattr(segments, "CHUNK", 2)
    found = segments.count(segment.id)
    assert (found.contacts, found.complete, found.first) == (4, True, ids[::2])
    found = segments.count(segment.id, most=2)
    assert (found.contacts, found.complete) == (2, False)
    assert segments.count(segment.id, seconds=0).complete is False
    assert [one.id for one in segments.some(found.first[:2])] == ids[:3:2]


def test_a_large_segment_is_gone_through_chunk_by_chunk(workspace):
    ids = town.people(workspace, 5)
    tags.add(ids[1:], ["vip"])
    segment = segments.create("Vip", VIP)
    assert segments.after(segment.id, 0, 2) == ([ids[1]], ids[1])
    assert segments.after(segment.id, ids[1], 2) == (ids[2:4], ids[3])
    assert segments.after(segment.id, ids[3], 2) == ([ids[4]], None)
    assert segments.page(segment.id, 0, 3) == (ids[1:4], ids[3])
    assert segments.page(segment.id, ids[3], 3) == ([ids[4]], None)


def test_a_chunk_costs_the_same_number_of_queries_however_many_it_holds(workspace):
    ids = town.people(workspace, 30)
    tags.add(ids, ["vip"])
    rule = {"all": [VIP, {"type": "in_list", "list": town.a_list(workspace)}]}
    segment = segments.create("Vip", rule)
    asked = []

    @sa.event.listens_for(db.engine, "before_cursor_execute")
    def _count(*given):
        asked.append(given[2])

    try:
        counts = []
        for some in (ids[:3], ids):
            asked.clear()
            segments.matching(segment.id, some)
            counts.append(len(asked))
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", _count)
    assert counts[1] <= counts[0] < 12


@pytest.mark.parametrize(
    ("name", "rule", "wrong"),
    [
        ("", VIP, {"name": ["Enter a name for the segment"]}),
        ("VIP", VIP, {"name": ["There is already a segment called VIP"]}),
        ("x", None, {"rule": ["Choose what to ask"]}),
        ("x", {}, {"rule": ["Choose what to ask"]}),
        ("x", {"type": "has_tag"}, {"rule": {"tag": ["Enter a tag"]}}),
        ("x", {"type": "email_opened", "of": "hello"}, {"rule": {"type": ["This can only be asked inside a flow"]}}),
        ("x", {"all": [VIP, {"type": "in_segment", "segment": 1}]},
         {"rule": {"all": {1: {"type": ["This can only be asked inside a flow"]}}}}),
        ("x", {"type": "nothing"}, {"rule": {"type": ["There is no condition “nothing”"]}}),
        ("x", {"all": [VIP, {"not": {"type": "in_list", "list": "News"}}]},
         {"rule": {"all": {1: {"not": {"list": ["There is no list “News” in this client"]}}}}}),
        ("x", {"type": "field_compares", "field": "city", "operator": "is_set"},
         {"rule": {"field": ["There is no field “city” in this client"]}}),
    ],
)  # fmt: skip
def test_bad_segments_are_refused_at_their_place(workspace, name, rule, wrong):
    segments.create("Vip", VIP)
    with pytest.raises(Invalid) as refused:
        segments.create(name, rule)
    assert refused.value.messages == wrong
    assert len(segments.all()) == 1


def test_a_segment_keeps_its_own_name_and_takes_a_new_rule(workspace):
    segment = segments.create("Vip", VIP)
    segments.update(segment.id, "VIP", MAIL)
    assert [(one.name, one.rule) for one in segments.all()] == [("VIP", MAIL)]


def test_it_is_kept_while_a_flow_uses_it_and_keeps_what_it_asks_about(workspace):
    news = lists.create("News")
    segment = segments.create("On", {"type": "in_list", "list": news.id})
    branch = {"key": "b", "type": "if_else", "if": {"type": "in_segment", "segment": "On"}}
    flow = flows.create({"name": "F", "trigger": {"type": "list_joined"}, "steps": [branch]}, None)
    assert flow.draft["steps"][0]["if"]["segment"] == segment.id
    for refused in (lambda: segments.delete(segment.id), lambda: lists.delete(news.id, "keep")):
        with pytest.raises(usage.InUse):
            refused()
    assert usage.of("list", news.id) == [usage.Use("segment", segment.id, "On")]
    assert usage.of("segment", segment.id) == [usage.Use("flow", flow.id, "F")]
    tagged = segments.create("Vip", VIP)
    assert usage.of("tag", "vip") == [usage.Use("segment", tagged.id, "Vip")]
    segments.delete(tagged.id)
    with pytest.raises(NotFound):
        segments.get(tagged.id)


def test_a_flow_asks_it_about_the_contact_as_it_is_at_that_step(workspace, clock, queue):
    """The tag that the step before put on counts, though nothing is written yet."""
    segment = segments.create("Vip", VIP)

    def asked(key):
        branch = {"type": "if_else", "if": {"type": "in_segment", "segment": segment.id}}
        return {**branch, "key": key, "then": [town.tag(f"{key}-yes")], "else": [town.tag(f"{key}-no")]}

    town.live(workspace, asked("before"), town.tag("vip"), asked("after"))
    contact, _ = contacts.upsert({"email": "ada@x.example"}, source="test")
    engine.advance()
    assert contacts.lists_and_tags([contact.id])[1][contact.id] == ["after-yes", "before-no", "vip"]


def test_another_client_sees_and_matches_nothing_of_it(workspace):
    segment = segments.create("Vip", VIP)
    ada = town.people(workspace, 1)
    tags.add(ada, ["vip"])
    other = town.client("kino")
    eve = town.people(other, 1)
    with extensions.workspace(other.id):
        assert segments.all() == []
        for ask in (segments.get, segments.delete, segments.count):
            with pytest.raises(NotFound):
                ask(segment.id)
        tags.add(eve, ["vip"])
        mine = segments.create("Vip", VIP)
        assert segments.matching(mine.id, [*ada, *eve]) == {*eve}
        assert segments.count(mine.id).first == eve
    assert segments.count(segment.id).first == ada
    with extensions.every_workspace():
        assert db.session.scalar(sa.select(sa.func.count(Segment.id))) == 2
