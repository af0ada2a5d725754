"""Changes to a draft: whatever is done in whatever order, keys stay unique, nothing gets lost, and each step back works."""

from __future__ import annotations

import copy
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowserver.domain import definition as definitions
from flowserver.domain import edits
from flowserver.errors import Conflict, NotFound
from flowserver.nodes import catalogue

SHAPE = edits.Shape(
    waits=frozenset({"wait"}),
    ends=frozenset({"end"}),
    lanes={"if_else": ("then", "else"), "wait_for_event": ("then", "else")},
)
TYPES = ["add_tag", "wait", "if_else", "end", "change_score"]


def flow(*steps):
    return {"format": 1, "name": "F", "trigger": {"type": "list_joined"}, "steps": list(steps)}


def card(key, **lanes):
    return {"key": key, "type": "if_else" if lanes else "add_tag", **{name.strip("_"): v for name, v in lanes.items()}}


def wait(key):
    return {"key": key, "type": "wait", "for": {"days": 1}}


def shown(definition):
    """The keys as nested lists: ``["a", ["b", ["c"], ["d"]]]``."""

    def of(steps):
        return [
            s["key"] if s["type"] != "if_else" else [s["key"], of(s.get("then", [])), of(s.get("else", []))]
            for s in steps
        ]

    return of(definition["steps"])


# --- moves, one by one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "key", "after"),
    [
        ([card("a"), card("b")], "b", ["b", "a"]),
        ([card("a"), wait("w"), card("b")], "b", ["b", "w", "a"]),  # the wait stays in its gap
        ([card("a"), wait("w"), card("b")], "w", ["w", "a", "b"]),
        ([card("i", then=[card("x")], else_=[card("y")]), card("b")], "b", [["i", ["x"], ["y", "b"]]]),
        ([card("i", then=[card("x")], else_=[card("y")])], "y", [["i", ["x", "y"], []]]),
        ([card("i", then=[card("x")], else_=[card("y")])], "x", ["x", ["i", [], ["y"]]]),
        ([wait("w"), card("i", then=[card("x")], else_=[])], "x", ["x", "w", ["i", [], []]]),
    ],
)
def test_up_goes_one_place_up_in_reading_order(steps, key, after):
    assert shown(edits.up(flow(*steps), key, SHAPE)) == after


def test_a_step_moved_up_into_a_lane_stops_before_its_end():
    end = {"key": "e", "type": "end"}
    moved = edits.up(flow(card("i", then=[card("x")], else_=[end]), card("b")), "b", SHAPE)
    assert shown(moved) == [["i", ["x"], ["b", "e"]]]


def test_the_first_step_goes_no_higher_and_the_last_no_lower():
    draft = flow(wait("w"), card("a"), card("b"))
    assert edits.up(draft, "a", SHAPE) is None
    assert edits.down(draft, "b", SHAPE) is None


def test_nothing_moves_below_an_end():
    assert edits.down(flow(card("a"), {"key": "e", "type": "end"}), "a", SHAPE) is None


def test_down_is_the_way_back_of_up():
    draft = flow(card("a"), card("i", then=[card("x")], else_=[card("y")]), card("b"))
    for key in ("b", "y", "x", "i"):
        up = edits.up(draft, key, SHAPE)
        assert edits.down(up, key, SHAPE) == draft, key


def test_a_step_cannot_move_into_itself():
    draft = flow(card("i", then=[card("x")], else_=[]))
    with pytest.raises(Conflict):
        edits.move(draft, "i", ("i", "then"))
    with pytest.raises(Conflict):
        edits.move(draft, "i", ("x", ""))


def test_unknown_places_and_steps_are_named():
    with pytest.raises(NotFound):
        edits.insert(flow(), card("a"), ("nothing", ""))
    with pytest.raises(NotFound):
        edits.delete(flow(), "nothing")
    with pytest.raises(NotFound):
        edits.insert(flow(card("a")), card("b"), ("a", "sideways"))


def test_a_copy_has_fresh_keys_and_its_references_follow():
    draft = flow(card("i", then=[card("x")], else_=[card("y")]))
    numbers = itertools.count()
    seen = {}
    after, new = edits.copy(
        draft, "i", lambda kind: f"{kind}-{next(numbers)}", lambda step, names: seen.update(names) or step
    )
    assert shown(after) == [["i", ["x"], ["y"]], ["if_else-0", ["add_tag-1"], ["add_tag-2"]]]
    assert (new, seen) == ("if_else-0", {"i": "if_else-0", "x": "add_tag-1", "y": "add_tag-2"})


def test_a_flow_that_is_full_takes_no_more():
    draft = flow(*(card(f"k{n}") for n in range(definitions.MOST_STEPS)))
    with pytest.raises(Conflict):
        edits.insert(draft, card("one-more"), ("", ""))


def test_update_keeps_key_and_lanes():
    draft = flow(card("i", then=[card("x")], else_=[]))
    after = edits.update(draft, "i", {"event": "email_opened"}, type="wait_for_event")
    assert after["steps"][0] == {
        "key": "i",
        "type": "wait_for_event",
        "event": "email_opened",
        "then": [card("x")],
        "else": [],
    }


# --- any sequence of edits -------------------------------------------------------------------------------


def sound(definition):
    """Compiles but for settings: unique keys, known types, lanes where they belong."""
    found = definitions.compile(definition, catalogue.triggers(), catalogue.actions(), lenient=True)
    bad = [path for path in found.mistakes if path.endswith((".key", ".type", ".then", ".else"))]
    assert bad == []
    keys = definitions.keys(definition)
    assert len(keys) == len(set(keys))
    assert set(found.steps) == set(keys)
    return set(keys)


acts = st.lists(
    st.tuples(
        st.sampled_from(["add", "up", "down", "move", "copy", "delete"]), st.integers(0, 10**6), st.integers(0, 10**6)
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(acts)
def test_any_sequence_of_edits_keeps_the_draft_sound_and_each_can_be_undone(sequence):
    draft, numbers, ever = flow(), itertools.count(), set()

    def fresh(kind):
        key = f"{kind}-{next(numbers)}"
        assert key not in ever
        ever.add(key)
        return key

    for act, one, two in sequence:
        before, kept = draft, copy.deepcopy(draft)
        keys = definitions.keys(draft)
        key = keys[one % len(keys)] if keys else ""
        gaps = list(edits.places(draft, SHAPE))
        place = gaps[two % len(gaps)]
        if act == "add":
            kind = TYPES[one % len(TYPES)]
            draft = edits.insert(draft, {"key": fresh(kind), "type": kind}, place)
            assert sound(draft) - set(keys) == {f"{kind}-{len(ever) - 1}"}
        elif not key:
            continue
        elif act in ("up", "down"):
            draft = (edits.up if act == "up" else edits.down)(draft, key, SHAPE) or draft
            assert sound(draft) == set(keys)
        elif act == "move":
            inside = edits.inside(edits.step(draft, key))
            if place[0] in inside and place != (key, ""):
                with pytest.raises(Conflict):
                    edits.move(draft, key, place)
            else:
                draft = edits.move(draft, key, place)
            assert sound(draft) == set(keys)
        elif act == "copy":
            draft, new = edits.copy(draft, key, fresh)
            assert new in sound(draft) and set(keys) < sound(draft)
        else:
            gone = edits.inside(edits.step(draft, key))
            draft = edits.delete(draft, key)
            assert sound(draft) == set(keys) - set(gone)
        assert before == kept  # the draft before is untouched: going back to it is the undo


@settings(max_examples=60, deadline=None)
@given(acts)
def test_every_gap_has_one_name_and_takes_a_step_there(sequence):
    draft, numbers = flow(), itertools.count()
    for _act, one, two in sequence[:12]:
        gaps = list(edits.places(draft, SHAPE))
        assert len(gaps) == len(set(gaps))
        kind = TYPES[one % len(TYPES)]
        draft = edits.insert(draft, {"key": f"k{next(numbers)}", "type": kind}, gaps[two % len(gaps)])
    for place in edits.places(draft, SHAPE):
        after = edits.insert(draft, {"key": "new", "type": "add_tag"}, place)
        assert edits.owner(after, "new") == (
            place if place[1] else edits.owner(draft, place[0]) if place[0] else ("", "")
        )
