"""What the context writes down for the engine."""

from collections import Counter

import pytest

from tests.nodes.kit import NOW, context, item, person


def test_events_carry_the_chain_of_flows_that_led_here():
    ctx = context()
    ctx.emit(item(data={"chain": [3, 5], "order": 12}), "tag_added", "vip", {"by": "flow"})
    (row,) = ctx.wishes.events
    assert row == (
        1,
        1,
        "tag_added",
        "vip",
        "10:here:1:tag_added:vip",
        NOW,
        {"by": "flow", "chain": [3, 5, 7]},
        3,
        7,
        False,
    )


def test_changes_nobody_listens_to_are_no_events():
    ctx = context(heard=frozenset())
    one = item()
    assert ctx.change_contact(one, first_name="Ada")
    ctx.change_score(one, 5, "")
    ctx.add_tag(one, "vip")
    assert [row[2] for row in ctx.wishes.events] == ["tag_added"]
    assert (one.contact.first_name, one.contact.score) == ("Ada", 5)


def test_a_change_that_changes_nothing_is_not_written():
    ctx = context()
    assert ctx.change_contact(
        item(person(first_name="Ada", fields={"a": 1})), first_name="Ada", fields={"a": 1, "b": None}
    )
    assert not ctx.wishes.contacts and not ctx.wishes.events


def test_clearing_a_field_removes_it():
    ctx, one = context(), item(person(fields={"a": 1, "b": 2}))
    ctx.change_contact(one, fields={"a": None})
    assert one.contact.fields == {"b": 2}


def test_a_value_that_does_not_fit_changes_nothing_at_all():
    ctx, one = context(fields={"age": ("number", ())}), item()
    assert ctx.change_contact(one, first_name="Ada", fields={"age": "old"}) is False
    assert (one.contact.first_name, one.contact.fields) == ("", {})


def test_equal_looking_values_keep_their_own_type():
    ctx, one = context(fields={"n": ("number", ()), "yes": ("yes_no", ())}), item()
    for value in (1, True):
        ctx.change_contact(one, fields={"yes": value})
        assert one.contact.fields["yes"] is True
    assert ctx.change_contact(one, fields={"n": 1}) and one.contact.fields["n"] == 1
    assert ctx.change_contact(one, fields={"n": True}) is False


def test_a_pick_is_fixed_and_fair():
    ctx = context()
    picks = [ctx.pick(item(person(n)), [50, 30, 20]) for n in range(4000)]
    assert picks == [context().pick(item(person(n)), [50, 30, 20]) for n in range(4000)]
    shares = Counter(picks)
    assert all(abs(shares[index] / 4000 - wanted) < 0.04 for index, wanted in enumerate((0.5, 0.3, 0.2)))
    assert {ctx.pick(item(person(n)), [0, 1]) for n in range(50)} == {1}


def test_another_step_picks_anew():
    ctx = context()
    here = [ctx.pick(item(person(n), step="a"), [1, 1]) for n in range(200)]
    there = [ctx.pick(item(person(n), step="b"), [1, 1]) for n in range(200)]
    assert here != there


@pytest.mark.parametrize("weights", [[1], [0, 0, 5]])
def test_where_there_is_one_way_it_is_taken(weights):
    assert context().pick(item(), weights) == len(weights) - 1
