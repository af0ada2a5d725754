"""Definitions: sound or not, said by path; lanes flattened to next steps."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowserver.domain import checks, flow_graph
from flowserver.domain import definition as definitions
from flowserver.domain.definition import MOST_LEVELS, MOST_STEPS
from flowserver.errors import Invalid
from flowserver.nodes import catalogue

TRIGGER = {"type": "list_joined", "list": 3}


def tag(key, **more):
    return {"key": key, "type": "add_tag", "tag": str(key), **more}


def wait(key, days=1):
    return {"key": key, "type": "wait", "for": {"days": days}}


def branch(key, then=None, other=None, **more):
    lanes = {name: lane for name, lane in (("then", then), ("else", other)) if lane is not None}
    return {"key": key, "type": "if_else", "if": {"type": "has_phone"}, **lanes, **more}


def end(key):
    return {"key": key, "type": "end", "label": key}


def flow(*steps, **more):
    return {"format": 1, "name": "Welcome", "trigger": TRIGGER, "steps": list(steps), **more}


def compiled(raw, lenient=False):
    return definitions.compile(raw, catalogue.triggers(), catalogue.actions(), lenient)


def ports(*steps):
    return {key: step.ports for key, step in compiled(flow(*steps)).steps.items()}


def wrong(raw):
    """The mistakes by path; the same ones, whether strict or lenient."""
    with pytest.raises(Invalid) as error:
        compiled(raw)
    assert compiled(raw, lenient=True).mistakes == error.value.messages
    return error.value.messages


# --- sound ones ------------------------------------------------------------------------------------------


def test_an_empty_flow_is_sound():
    empty = compiled(flow())
    assert (empty.first, empty.steps, empty.needs) == (None, {}, frozenset())


def test_steps_follow_one_another():
    assert ports(tag("a"), wait("b"), tag("c")) == {"a": {"next": "b"}, "b": {"next": "c"}, "c": {"next": None}}


def test_both_lanes_meet_at_the_next_step():
    assert ports(branch("q", [tag("yes")], [tag("no")]), tag("after")) == {
        "q": {"then": "yes", "else": "no"},
        "yes": {"next": "after"},
        "no": {"next": "after"},
        "after": {"next": None},
    }


def test_an_empty_or_missing_lane_goes_straight_on():
    for lanes in (branch("q", [tag("yes")], []), branch("q", [tag("yes")])):
        assert ports(lanes, tag("after"))["q"] == {"then": "yes", "else": "after"}
    assert ports(branch("q", [tag("yes")], []))["q"] == {"then": "yes", "else": None}


def test_a_lane_that_ends_does_not_meet():
    found = ports(branch("q", [tag("yes"), end("done")], [tag("no")]), tag("after"))
    assert (found["yes"], found["done"], found["no"]) == ({"next": "done"}, {}, {"next": "after"})


def test_nested_lanes_meet_where_their_list_goes_on():
    inner = branch("inner", [tag("a")], [tag("b")])
    found = ports(branch("outer", [inner, tag("c")], [branch("last", [tag("d")])]), tag("after"))
    assert found["a"] == found["b"] == {"next": "c"}
    assert found["c"] == found["d"] == {"next": "after"}
    assert found["last"] == {"then": "d", "else": "after"}


def test_waits_have_no_number_and_steps_are_numbered_as_read():
    steps = compiled(flow(tag("a"), wait("w"), branch("q", [tag("b")], [wait("v"), tag("c")]), tag("d"))).steps
    assert [(key, step.number, step.depth) for key, step in steps.items()] == [
        ("a", 1, 0),
        ("w", None, 0),
        ("q", 2, 0),
        ("b", 3, 1),
        ("v", None, 1),
        ("c", 4, 1),
        ("d", 5, 0),
    ]
    assert steps["c"].path == "steps[2].else[1]"


def test_it_gathers_what_the_nodes_need():
    raw = flow(tag("a"), branch("q", [{"key": "m", "type": "send_email", "subject": "Hi"}]))
    assert compiled(raw).needs == {"tags", "suppression", "caps"}


def test_compiling_changes_nothing():
    raw = flow(tag("A".lower(), rev=1), branch("q", [tag("b")], []))
    before = copy.deepcopy(raw)
    compiled(raw)
    assert raw == before


def test_the_trigger_has_its_defaults():
    found = compiled(flow())
    assert (found.wait, found.reentry, found.cooldown, found.include_existing) == ({"minutes": 0}, "once", None, False)
    given = {
        **TRIGGER,
        "wait": {"hours": 1},
        "reentry": "after_finish",
        "cooldown": {"days": 2},
        "include_existing": True,
    }
    found = compiled(flow(trigger=given))
    assert (found.wait, found.reentry, found.cooldown, found.include_existing) == (
        {"hours": 1},
        "after_finish",
        {"days": 2},
        True,
    )


def test_nothing_said_is_as_good_as_nothing():
    left_out = compiled(flow(trigger={**TRIGGER, "wait": None, "reentry": None, "include_existing": None}))
    assert (left_out.wait, left_out.reentry, left_out.include_existing) == ({"minutes": 0}, "once", False)


def test_five_hundred_steps_are_fine_one_more_is_not():
    steps = [tag(f"s{n}") for n in range(MOST_STEPS)]
    assert len(compiled(flow(*steps)).steps) == MOST_STEPS
    assert wrong(flow(*steps, tag("more"))) == {"steps": ["A flow can have 500 steps at most"]}
    assert wrong(flow(*([5] * 100_000)))["steps"] == ["A flow can have 500 steps at most"]


def nested(levels):
    steps = [tag("deepest")]
    for n in range(levels):
        steps = [branch(f"q{n}", steps)]
    return flow(*steps)


def test_lanes_may_be_deep_but_not_without_end():
    assert compiled(nested(MOST_LEVELS)).steps["deepest"].depth == MOST_LEVELS
    deeper = wrong(nested(MOST_LEVELS + 1))
    assert list(deeper.values()) == [["Paths can be 25 levels deep at most"]]
    assert len(wrong(nested(5000))) == 1  # and no stack overflows


def test_a_copy_is_one_and_stops_where_no_flow_goes():
    raw = flow(branch("q", [tag("b")]))
    copied = definitions.plain(raw)
    assert copied == raw
    copied["steps"][0]["then"].append(tag("c"))
    assert copied != raw
    definitions.plain(nested(MOST_LEVELS))
    for deep in (nested(5000), {"x": [[]]}):
        body = []
        for _ in range(500):
            body = [body]
        with pytest.raises(Invalid):
            definitions.plain({**deep, "body": body})


# --- mistakes by path ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (flow(tag("a", tag="")), "steps[0].tag"),
        (flow(tag("a"), branch("q", [tag("b", tag="")])), "steps[1].then[0].tag"),
        (flow(branch("q", [], [branch("r", [tag("b", colour="red")])])), "steps[0].else[0].then[0].colour"),
        (flow({"key": "a", "type": "fly"}), "steps[0].type"),
        (flow({"key": "a", "type": ["add_tag"]}), "steps[0].type"),
        (flow({"key": "a"}), "steps[0].type"),
        (flow({"type": "add_tag", "tag": "x"}), "steps[0].key"),
        (flow(tag("", tag="a")), "steps[0].key"),
        (flow(tag("Big", tag="a")), "steps[0].key"),
        (flow(tag("a\n", tag="a")), "steps[0].key"),
        (flow(tag("x" * 61, tag="a")), "steps[0].key"),
        (flow(tag(1, tag="a")), "steps[0].key"),
        (flow(tag(["a"], tag="a")), "steps[0].key"),
        (flow(tag("a"), tag("a")), "steps[1].key"),
        (flow(tag("a"), branch("q", [tag("b")], [tag("a")])), "steps[1].else[0].key"),
        (flow(tag("a", then=[])), "steps[0].then"),
        (flow(branch("q", {"key": "x"})), "steps[0].then"),
        (flow(branch("q", "abc")), "steps[0].then"),
        (flow(branch("q", 5)), "steps[0].then"),
        (flow(tag("a"), "b"), "steps[1]"),
        (flow(None), "steps[0]"),
        (flow(tag("a", rev=2)), "steps[0].rev"),
        (flow(tag("a", rev="new")), "steps[0].rev"),
        (flow(steps="a"), "steps"),
        (flow(steps={"a": 1}), "steps"),
        (flow(steps=None), "steps"),
        (flow(name=""), "name"),
        (flow(name="   "), "name"),
        (flow(name=5), "name"),
        (flow(name="x" * 121), "name"),
        (flow(format=2), "format"),
        (flow(format="1"), "format"),
        (flow(colour="red"), "colour"),
        (flow(purpose={"event": "purchase"}), "purpose"),
        (flow(trigger=None), "trigger.type"),
        (flow(trigger="list_joined"), "trigger.type"),
        (flow(trigger={"type": "moon_rises"}), "trigger.type"),
        (flow(trigger={"type": ["list_joined"]}), "trigger.type"),
        (flow(trigger={"type": "list_joined", "scope": "list"}), "trigger.list"),
        (flow(trigger={**TRIGGER, "moon": "full"}), "trigger.moon"),
        (flow(trigger={**TRIGGER, "rev": 9}), "trigger.rev"),
        (flow(trigger={**TRIGGER, "wait": {"days": -1}}), "trigger.wait"),
        (flow(trigger={**TRIGGER, "wait": {"days": 366}}), "trigger.wait"),
        (flow(trigger={**TRIGGER, "wait": {"hours": 1.5}}), "trigger.wait"),
        (flow(trigger={**TRIGGER, "wait": "soon"}), "trigger.wait"),
        (flow(trigger={**TRIGGER, "wait": {"weeks": 1}}), "trigger.wait"),
        (flow(trigger={**TRIGGER, "cooldown": {"days": -1}}), "trigger.cooldown"),
        (flow(trigger={**TRIGGER, "reentry": "always"}), "trigger.reentry"),
        (flow(trigger={**TRIGGER, "reentry": ["once"]}), "trigger.reentry"),
        (flow(trigger={**TRIGGER, "include_existing": "yes"}), "trigger.include_existing"),
    ],
)
def test_every_mistake_has_its_path(raw, path):
    assert list(wrong(raw)) == [path]


def test_all_mistakes_are_said_together():
    raw = flow(tag("a", tag=""), branch("q", [tag("a")]), name="", trigger={"type": "x"}, colour="red")
    assert set(wrong(raw)) == {"colour", "name", "trigger.type", "steps[0].tag", "steps[1].then[0].key"}


@pytest.mark.parametrize("raw", [None, 5, "flow", [], True])
def test_what_is_no_object_is_no_flow(raw):
    with pytest.raises(Invalid):
        compiled(raw)


def test_a_trigger_that_nobody_can_match_already_lets_nobody_in():
    class Sudden(catalogue.triggers()["list_joined"]):  # type: ignore[misc]
        offers_existing = False

    raw = flow(trigger={**TRIGGER, "include_existing": True})
    with pytest.raises(Invalid) as error:
        definitions.compile(raw, {"list_joined": Sudden}, catalogue.actions())
    assert list(error.value.messages) == ["trigger.include_existing"]


# --- drafts that are not finished ------------------------------------------------------------------------


def test_a_lenient_compile_keeps_what_was_written_and_gives_the_node_what_is_sound():
    raw = {"key": "m", "type": "send_email", "subject": "Hi", "class": "spam", "colour": "red"}
    step = compiled(flow(raw), lenient=True).steps["m"]
    assert step.settings == {"subject": "Hi", "class": "spam", "colour": "red"}
    assert step.node.settings == {"subject": "Hi", "body": []}


def test_faulty_steps_are_passed_by():
    draft = compiled(flow(tag("a"), {"key": "x", "type": "fly"}, 5, tag("a"), tag("b")), lenient=True)
    assert {key: step.ports for key, step in draft.steps.items()} == {"a": {"next": "b"}, "b": {"next": None}}
    assert [step.number for step in draft.steps.values()] == [1, 2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def drafts(draw):
    """Something like a flow, with anything anywhere."""

    def steps(depth):
        return st.lists(
            JSON
            | st.fixed_dictionaries(
                {
                    "key": st.sampled_from("abcdefgh") | JSON,
                    "type": st.sampled_from(sorted(catalogue.actions())) | JSON,
                },
                optional={
                    **dict.fromkeys(
                        ("tag", "list", "for", "until", "if", "of", "event", "at_most", "rev", "body"), JSON
                    ),
                    **({lane: steps(depth - 1) | JSON for lane in ("then", "else")} if depth else {}),
                },
            ),
            max_size=4,
        )

    trigger = st.fixed_dictionaries(
        {"type": st.sampled_from(sorted(catalogue.triggers())) | JSON},
        optional=dict.fromkeys(("wait", "reentry", "cooldown", "include_existing", "rev", "list", "scope"), JSON),
    )
    return {
        "format": 1,
        "name": draw(st.just("x") | JSON),
        "trigger": draw(trigger | JSON),
        "steps": draw(steps(2) | JSON),
    }


@given(drafts())
@settings(max_examples=150, deadline=None)
def test_whatever_comes_in_gets_an_answer_and_leads_forward(raw):
    draft = compiled(raw, lenient=True)
    order = list(draft.steps)
    for step in draft.steps.values():
        assert set(step.ports) == set(type(step.node).ports)
        assert all(target is None or order.index(target) > order.index(step.key) for target in step.ports.values())
        assert step.node.summary(lambda source, id: str(id)) is not None
        assert flow_graph.before(draft, step.key) is not None
    assert flow_graph.longest(draft) and flow_graph.arrivals(draft) is not None
    assert all(str(finding.text) for finding in checks.findings(draft, checks.Client(), {}))
    if not draft.mistakes:
        assert compiled(raw).first == draft.first
        json.dumps([step.settings for step in draft.steps.values()])


# --- looking into a definition ---------------------------------------------------------------------------


def test_walking_and_finding():
    raw = flow(tag("a"), branch("q", [tag("b")], [tag("c")]), tag("d"))
    assert definitions.keys(raw) == ["a", "q", "b", "c", "d"]
    holder, index = definitions.find(raw, "c")
    assert (holder[index]["key"], holder) == ("c", raw["steps"][1]["else"])
    with pytest.raises(KeyError):
        definitions.find(raw, "z")


def test_own_settings_are_what_is_not_common():
    step = branch("q", [tag("b")], rev=1)
    assert definitions.own_settings(step) == {"if": {"type": "has_phone"}}
    trigger = {**TRIGGER, "wait": {}, "reentry": "", "cooldown": {}, "include_existing": True, "rev": 1}
    assert definitions.trigger_settings(trigger) == {"list": 3}
