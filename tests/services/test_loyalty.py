"""Loyalty: cards, the ledger of points, rewards, and what they start."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.domain import loyalty
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Card, CardReward, Enrollment, Event, Movement
from flowserver.services.engine import engine, events
from flowserver.services.flows import flows
from flowserver.services.loyalty import cards, points, programmes
from flowserver.services.loyalty.ledger import By
from flowserver.services.people import contacts, forms, signups

from .test_at_once import together
from .town import a_list, client, ledger, messages, people, runs, tag

TILL = By("till")


def programme(**given):
    return programmes.create({"name": "Lume Club", "amount_per_point": "1", **given})


def reward(row, **given):
    return programmes.create_reward(row.id, {"title": "Free coffee", "points": 10, **given})


def a_card(workspace, row=None, **given):
    """A card of somebody, in a programme that is made for it."""
    row = row or programme(**given)
    return cards.make(row.id, people(workspace, 1)[0], by=TILL)[0]


def told(*types):
    """``[(type, data)]`` of the events there are, in order."""
    query = sa.select(Event).where(Event.type.in_(types)) if types else sa.select(Event)
    return [(one.type, one.data) for one in db.session.scalars(query.order_by(Event.id))]


def live(event="points", *, wait=0, steps=(), **more):
    """A live flow that starts with a loyalty card."""
    mail = {"key": "mail", "type": "send_sms", "text": "Hi", "class": "service"}
    definition = {
        "name": f"Flow {event} {len(more)}",
        "trigger": {"type": "fidelity", "event": event, "wait": {"minutes": wait}, **more},
        "steps": [*steps] or [mail],
    }
    flow = flows.create(definition, None)
    flows.publish(flow.id, None, include_existing=False)
    return flow


def sound():
    """Every balance is the sum of its ledger."""
    db.session.expire_all()
    query = sa.select(Card.balance, sa.select(sa.func.coalesce(sa.func.sum(Movement.delta), 0)).where(Movement.card_id == Card.id).scalar_subquery())  # fmt: skip
    assert all(balance == total for balance, total in db.session.execute(query))


# --- cards -----------------------------------------------------------------------------------------------


def test_a_card_is_made_once_for_a_contact_and_programme(workspace, clock):
    row = programme(welcome_points=5)
    one = people(workspace, 1)[0]
    card, new = cards.make(row.id, one, by=TILL)
    assert new and cards.make(row.id, one, by=TILL) == (card, False)
    assert (card.balance, len(card.number), loyalty.read_number(card.number)) == (5, 13, card.number)
    other, new = cards.make(programme(name="Other").id, one, by=TILL)
    assert new and other.number != card.number and other.public_id != card.public_id
    assert [(type, data["card"], data["balance"]) for type, data in told()] == [
        ("card_created", card.number, 5),
        ("card_created", other.number, 0),
    ]  # the welcome is no “points assigned”


def test_a_card_number_tells_a_mistyped_digit():
    for _ in range(50):
        number = cards.new_number()
        assert loyalty.read_number(f" {loyalty.show_number(number)} ") == number
        wrong = number[:5] + str((int(number[5]) + 1) % 10) + number[6:]
        with pytest.raises(Invalid, match="A digit of this number is wrong"):
            loyalty.read_number(wrong)
    for typed in ("", "123", "x" * 13, "4" + "0" * 12, "٢" * 13):
        with pytest.raises(Invalid):
            loyalty.read_number(typed)


def test_a_card_is_found_by_its_number_or_its_page(workspace):
    card = a_card(workspace)
    assert cards.find(loyalty.show_number(card.number)).id == card.id
    assert cards.find(f"https://lume.example/k/{card.public_id}").id == card.id
    with pytest.raises(NotFound):
        cards.find(cards.new_number())
    with pytest.raises(NotFound):
        cards.find("http://localhost/k/nobodys-card-at-all")


def test_a_replaced_card_keeps_its_points_and_its_old_number_is_worth_nothing(workspace):
    card = a_card(workspace, welcome_points=7)
    old, page = card.number, card.public_id
    cards.block(card.id)
    with pytest.raises(Conflict, match="blocked"):
        points.add_amount(card.id, "5", by=TILL)
    new = cards.replace(card.id)
    assert new.id == card.id and (new.balance, new.blocked) == (7, False)
    assert new.number != old and new.public_id != page
    with pytest.raises(Conflict, match="replaced by a new one"):
        cards.find(old)
    with pytest.raises(NotFound):
        cards.public(page)
    assert cards.public(new.public_id)[0].card.id == card.id


def test_cards_are_searched_by_number_and_by_person(workspace):
    row = programme()
    mario = contacts.upsert({"email": "mario@x.example", "first_name": "Mario"}, source="api")[0]
    theirs = cards.make(row.id, mario.id, by=TILL)[0]
    loose = [cards.make(row.id, by=TILL)[0] for _ in range(3)]

    def found(q, **more):
        return [card.id for card, _, _ in cards.search(q, **more).items]

    assert found("mario") == [theirs.id] and found(theirs.number) == [theirs.id]
    assert found("nobody") == [] and found("", programme_id=row.id + 1) == []
    first = cards.search("", limit=3)
    assert [card.id for card, _, _ in first.items] == [one.id for one in reversed(loose)]
    assert found("", older=first.older) == [theirs.id]


def test_a_card_of_another_client_is_not_there(workspace):
    card = a_card(workspace)
    kino = client("kino")
    with ext.workspace(kino.id):
        for act in (cards.get, cards.view, cards.block, cards.replace):
            with pytest.raises(NotFound):
                act(card.id)
        with pytest.raises(NotFound):
            points.add_amount(card.id, 5, by=TILL)
        with pytest.raises(NotFound):
            cards.find(card.number)
        assert cards.search().items == [] and programmes.everything() == []


# --- points ----------------------------------------------------------------------------------------------


def test_an_amount_gives_whole_points_rounded_down(workspace):
    cases = [
        ("1", "12,99", 12),
        ("0.50", 10, 20),
        ("10", "9.99", 0),
        ("2.5", 7.49, 2),
        ("0.01", "0.01", 1),
        (3, 3.0, 1),
    ]
    for n, (per_point, amount, given) in enumerate(cases):
        card = a_card(workspace, name=f"P{n}", amount_per_point=per_point)
        done = points.add_amount(card.id, amount, by=TILL)
        assert (done.movement.delta, done.card.balance) == (given, given)
    sound()


def test_zero_or_negative_amounts_and_what_is_no_amount_are_refused(workspace):
    card = a_card(workspace)
    for amount in ("", None, "0", 0, -5, "-5", "1.234,567", 1.005, "many", True, 1e12, "٣x"):
        with pytest.raises(Invalid) as error:
            points.add_amount(card.id, amount, "R1", by=TILL)
        assert list(error.value.messages) == ["amount"]
    assert told("points_assigned") == []


def test_zero_points_by_hand_or_more_than_there_are_taken_off_are_refused(workspace):
    card = a_card(workspace)
    for given in ("", None, 0, "0", "1.5", 2_000_000, "many", True, -1):
        with pytest.raises(Invalid) as error:
            points.add_points(card.id, given, by=TILL)
        assert list(error.value.messages) == ["points"]


def test_points_are_given_and_taken_by_hand(workspace, bob):
    card = a_card(workspace)
    points.add_points(card.id, "+30", "Goodwill", by=By("console", bob.id))
    assert points.add_points(card.id, -10, by=TILL).card.balance == 20
    lines = cards.ledger_of(card.id)
    assert [(line.row.delta, line.row.balance, line.row.reason, line.who) for line in lines] == [
        (-10, 20, "", ""),
        (30, 30, "Goodwill", "Bob"),
    ]
    assert [data["points"] for _, data in told("points_assigned")] == [30]
    sound()


def test_an_amount_too_small_for_a_point_is_kept_but_tells_nothing(workspace):
    card = a_card(workspace, amount_per_point=10)
    assert points.add_amount(card.id, 3, "R1", by=TILL).movement.delta == 0
    assert told("points_assigned") == []


def test_the_same_till_receipt_sent_twice_counts_once(workspace):
    card = a_card(workspace)
    first = points.add_amount(card.id, 12, "R-1", by=TILL)
    again = points.add_amount(card.id, "12.00", " R-1 ", by=TILL)
    assert (first.repeated, again.repeated) == (False, True) and again.movement.id == first.movement.id
    assert again.card.balance == 12 and len(told("points_assigned")) == 1
    other = cards.make(card.programme_id, by=TILL)[0]
    for wrong in (lambda: points.add_amount(card.id, 13, "R-1", by=TILL), lambda: points.add_amount(other.id, 12, "R-1", by=TILL)):  # fmt: skip
        with pytest.raises(Conflict, match="entered before"):
            wrong()
    elsewhere = a_card(workspace, name="Other")
    assert not points.add_amount(elsewhere.id, 12, "R-1", by=TILL).repeated  # receipts are of a programme
    sound()


def test_an_unknown_card_is_not_found(workspace):
    with pytest.raises(NotFound):
        points.add_amount(12345, 5, by=TILL)
    with pytest.raises(NotFound):
        cards.make(12345, by=TILL)


def test_what_was_entered_is_undone_once(workspace):
    card = a_card(workspace, welcome_points=5)
    paid = points.add_amount(card.id, 20, "R1", by=TILL).movement
    back = points.undo(card.id, paid.id, by=TILL)
    assert (back.movement.delta, back.card.balance) == (-20, 5)
    for again in (paid.id, back.movement.id, cards.ledger_of(card.id)[-1].row.id):  # nor the undoing, nor the welcome
        with pytest.raises(Conflict):
            points.undo(card.id, again, by=TILL)
    with pytest.raises(NotFound):
        points.undo_receipt(card.id, "R2", by=TILL)
    assert points.add_amount(card.id, 20, "R1", by=TILL).repeated  # the receipt is used up
    points.add_amount(card.id, 8, "R3", by=TILL)
    assert points.undo_receipt(card.id, "R3", by=TILL).card.balance == 5
    assert [(line.row.delta, line.undone, line.undoable) for line in cards.ledger_of(card.id)] == [
        (-8, False, False),
        (8, True, False),
        (-20, False, False),
        (20, True, False),
        (5, False, False),
    ]
    assert next(data["movement"] for _, data in told("points_reversed")) == paid.id
    sound()


def test_a_closed_programme_gives_no_cards_and_no_points(workspace):
    card = a_card(workspace)
    programmes.update(card.programme_id, {"closed": True})
    with pytest.raises(Conflict, match="closed"):
        points.add_amount(card.id, 5, by=TILL)
    with pytest.raises(Conflict, match="closed"):
        cards.make(card.programme_id, by=TILL)


# --- rewards ---------------------------------------------------------------------------------------------


def held(card):
    return [(one.reward.title, one.open) for one in cards.held_by(cards.get(card.id))]


def test_a_reward_is_given_when_its_points_are_reached_and_collected_later(workspace, bob):
    card = a_card(workspace)
    reward(programmes.get(card.programme_id))
    assert points.add_amount(card.id, 9, by=TILL).given == []
    assert [one.title for one in points.add_amount(card.id, 1, by=TILL).given] == ["Free coffee"]
    assert points.add_amount(card.id, 50, by=TILL).given == []  # once
    grant = cards.held_by(card)[0].grant
    done = points.collect(card.id, grant.id, by=By("till", bob.id))
    assert (done.card.balance, grant.collected_by) == (60, bob.id)
    with pytest.raises(Conflict, match="collected before"):
        points.collect(card.id, grant.id, by=TILL)
    assigned, collected = told("reward_assigned", "reward_collected")
    assert assigned[1]["reward"] == collected[1]["reward"] == "Free coffee"
    assert (assigned[1]["grant"], assigned[1]["balance"]) == (grant.id, 10)


def test_a_reward_that_costs_points_comes_again_when_there_are_enough(workspace):
    card = a_card(workspace)
    reward(programmes.get(card.programme_id), uses_points=True)
    points.add_amount(card.id, 25, by=TILL)
    for left, given in ((15, 1), (5, 0)):
        grant = next(one.grant for one in cards.held_by(cards.get(card.id)) if one.open)
        done = points.collect(card.id, grant.id, by=TILL)
        assert (done.card.balance, len(done.given)) == (left, given)
    assert held(card) == [("Free coffee", False)] * 2
    sound()


def test_a_reward_given_by_hand_needs_its_points_and_is_given_once_at_a_time(workspace):
    card = a_card(workspace)
    mug = reward(programmes.get(card.programme_id), title="Mug", points=20, automatic=False)
    with pytest.raises(Conflict, match="needs 20 points, the card has 0"):
        points.give(card.id, mug.id, by=TILL)
    points.add_amount(card.id, 30, by=TILL)
    assert held(card) == [] and [one.title for one in cards.view(card.id).offers] == ["Mug"]
    points.give(card.id, mug.id, by=TILL)
    with pytest.raises(Conflict, match="has this reward already"):
        points.give(card.id, mug.id, by=TILL)
    assert held(card) == [("Mug", True)] and [type for type, _ in told("reward_assigned")] == ["reward_assigned"]
    foreign = reward(programme(name="Other"), title="Theirs", points=0, automatic=False)
    with pytest.raises(NotFound):
        points.give(card.id, foreign.id, by=TILL)


def test_points_taken_back_take_back_the_reward_they_earned_and_it_can_be_earned_again(workspace):
    card = a_card(workspace)
    reward(programmes.get(card.programme_id))
    paid = points.add_amount(card.id, 10, by=TILL).movement
    grant = cards.held_by(card)[0].grant.id
    assert [one.title for one in points.undo(card.id, paid.id, by=TILL).withdrawn] == ["Free coffee"]
    assert held(card) == []
    with pytest.raises(Conflict, match="taken back"):
        points.collect(card.id, grant, by=TILL)
    points.add_amount(card.id, 10, by=TILL)
    assert held(card) == [("Free coffee", True)] and len(told("reward_assigned")) == 2


def test_a_collected_reward_can_be_undone(workspace):
    card = a_card(workspace)
    reward(programmes.get(card.programme_id), uses_points=True)
    points.add_amount(card.id, 10, by=TILL)
    grant = cards.held_by(card)[0].grant
    movement = points.collect(card.id, grant.id, by=TILL).movement
    assert held(card) == [("Free coffee", False)]
    assert points.undo(card.id, movement.id, by=TILL).card.balance == 10
    assert held(card) == [("Free coffee", True)]
    sound()


def test_welcome_points_may_earn_a_reward(workspace):
    row = programme(welcome_points=10)
    reward(row)
    card = a_card(workspace, row)
    assert held(card) == [("Free coffee", True)]
    assert [type for type, _ in told()] == ["reward_assigned", "card_created"]


# --- what they start -------------------------------------------------------------------------------------


def test_points_start_a_flow_that_knows_them(workspace, clock):
    flow = live(steps=[{"key": "sms", "type": "send_sms", "text": "+{{ event.points }}, {{ event.balance }} in all", "class": "service"}])  # fmt: skip
    card = a_card(workspace, welcome_points=3)
    assert runs() == []
    points.add_amount(card.id, 5, "R1", by=TILL)
    run = runs()[0]
    assert (run.flow_id, run.contact_id) == (flow.id, card.contact_id)
    wanted = {"card": card.number, "programme": "Lume Club", "points": 5, "balance": 8, "amount": 5.0, "receipt": "R1"}
    assert {key: run.data[key] for key in wanted} == wanted
    assert run.data["card_url"] == f"http://localhost/k/{card.public_id}"
    engine.advance()
    assert len(messages()) == 1


def test_each_event_starts_its_flow_once(workspace, clock):
    for event in ("card", "points", "reward"):
        live(event, wait=5)
    card = a_card(workspace)
    reward(programmes.get(card.programme_id))
    points.add_amount(card.id, 12, "R1", by=TILL)
    points.add_amount(card.id, 12, "R1", by=TILL)
    points.collect(card.id, cards.held_by(card)[0].grant.id, by=TILL)
    with ext.every_workspace():
        started = db.session.scalars(sa.select(Enrollment.event_key).order_by(Enrollment.flow_id)).all()
    assert [key.split(":")[0] for key in started] == ["card", "points", "reward_assigned"]


def test_a_card_not_tied_to_a_contact_starts_nothing_until_it_is(workspace, clock):
    live("points"), live("card")
    row = programme()
    card, _ = cards.make(row.id, by=TILL)
    points.add_amount(card.id, 5, by=TILL)
    assert runs() == [] and told() == []
    one = people(workspace, 1)[0]
    cards.attach(card.id, one, by=TILL)
    cards.attach(card.id, one, by=TILL)
    assert [type for type, _ in told()] == ["card_created"] and len(runs()) == 1
    with pytest.raises(Conflict, match="belongs to somebody"):
        cards.attach(card.id, people(workspace, 1)[0], by=TILL)
    with pytest.raises(Conflict, match="already"):
        cards.attach(cards.make(row.id, by=TILL)[0].id, one, by=TILL)


def test_points_taken_back_within_the_start_wait_start_nothing(workspace, clock):
    live(wait=60)
    card = a_card(workspace)
    paid = points.add_amount(card.id, 5, by=TILL).movement
    clock.forward(minutes=30)
    points.undo(card.id, paid.id, by=TILL)
    assert [(run.end_reason, run.entered_at) for run in runs()] == [("start_undone", None)]
    again = points.add_amount(card.id, 5, by=TILL).movement
    clock.forward(minutes=61)
    engine.advance()
    points.undo(card.id, again.id, by=TILL)  # too late: the run went on
    assert [run.end_reason for run in runs()] == ["start_undone", "finished"]


def test_other_points_taken_back_do_not_undo_the_start(workspace, clock):
    live(wait=60)
    card = a_card(workspace)
    points.add_amount(card.id, 5, by=TILL)
    other = points.add_amount(card.id, 7, by=TILL).movement  # ignored: the first is still waiting
    points.undo(card.id, other.id, by=TILL)
    assert [run.end_reason for run in runs()] == [None]


def test_a_reward_taken_back_within_the_start_wait_starts_nothing(workspace, clock):
    live("reward", wait=60)
    card = a_card(workspace)
    reward(programmes.get(card.programme_id))
    paid = points.add_amount(card.id, 10, by=TILL).movement
    points.undo(card.id, paid.id, by=TILL)
    assert [run.end_reason for run in runs()] == ["start_undone"]


def test_filters_of_the_starting_point(workspace, clock):
    row, other = programme(), programme(name="Other")
    flow = live(programme=row.id, least=5, passes=20)
    card, foreign = a_card(workspace, row), a_card(workspace, other)
    points.add_amount(foreign.id, 50, by=TILL)
    points.add_amount(card.id, 16, by=TILL)
    points.add_amount(card.id, 4, by=TILL)  # reaches 20, but with less than 5
    assert runs() == []
    second = a_card(workspace, row)
    points.add_amount(second.id, 19, by=TILL)
    points.add_amount(second.id, 6, by=TILL)
    assert [(run.flow_id, run.contact_id) for run in runs()] == [(flow.id, second.contact_id)]


def test_a_programme_a_flow_needs_is_kept(workspace, clock):
    row = programme()
    live(programme=row.id)
    with pytest.raises(Conflict, match="in use"):
        programmes.delete(row.id)


def test_a_deleted_contact_leaves_a_card_of_nobody(workspace):
    card = a_card(workspace)
    points.add_amount(card.id, 5, by=TILL)
    contacts.delete(card.contact_id)
    assert (cards.get(card.id).contact_id, cards.get(card.id).balance) == (None, 5)


# --- at once ---------------------------------------------------------------------------------------------


def test_two_tills_at_once_lose_no_point_and_give_no_reward_twice(app, workspace):
    card = a_card(workspace)
    reward(programmes.get(card.programme_id), points=20)
    number = card.id

    def till(name):
        for n in range(5):
            points.add_amount(number, 1, f"{name}-{n}", by=TILL)

    assert together(app, workspace.id, *[lambda name=name: till(name) for name in "abcdef"]) == []
    assert cards.get(number).balance == 30 and held(card) == [("Free coffee", True)]
    assert len(told("points_assigned")) == 30 and len(told("reward_assigned")) == 1
    sound()


def test_one_receipt_at_eight_tills_at_once_counts_once(app, workspace):
    card = a_card(workspace)
    other = cards.make(card.programme_id, people(workspace, 1)[0], by=TILL)[0]
    numbers = [card.id, other.id]
    acts = [lambda n=n: points.add_amount(numbers[n % 2], 5, "R1", by=TILL) for n in range(8)]
    errors = together(app, workspace.id, *acts)
    assert len(errors) == 4 and all(isinstance(error, Conflict) for error in errors)
    assert sorted(cards.get(one).balance for one in numbers) == [0, 5]


def test_one_reward_collected_at_eight_tills_at_once_is_collected_once(app, workspace):
    card = a_card(workspace)
    reward(programmes.get(card.programme_id), uses_points=True)
    points.add_amount(card.id, 15, by=TILL)
    number, grant = card.id, cards.held_by(card)[0].grant.id
    errors = together(app, workspace.id, *[lambda: points.collect(number, grant, by=TILL)] * 8)
    assert len(errors) == 7 and all(isinstance(error, Conflict) for error in errors)
    assert cards.get(number).balance == 5 and len(told("reward_collected")) == 1


def test_a_card_made_by_eight_at_once_is_one(app, workspace):
    row, one = programme(welcome_points=5), people(workspace, 1)[0]
    number = row.id
    assert together(app, workspace.id, *[lambda: cards.make(number, one, by=TILL)] * 8) == []
    assert db.session.scalar(sa.select(sa.func.count(Card.id))) == 1 and len(told("card_created")) == 1
    assert db.session.scalar(sa.select(sa.func.count(CardReward.id))) == 0
    sound()


# --- steps of flows --------------------------------------------------------------------------------------


def finish():
    while engine.batch() or events.match_unmatched():
        pass


def test_a_step_gives_points_that_earn_rewards_and_start_other_flows_but_never_itself(workspace, clock):
    row = programme()
    reward(row, points=20)
    give = {"key": "bonus", "type": "give_points", "programme": row.id, "points": 20, "reason": "Bonus"}
    first = live("points", steps=[give], reentry="after_finish")
    second = live("reward", programme=row.id)
    card, other = a_card(workspace, row), a_card(workspace, row)
    cards.block(other.id)
    points.add_amount(card.id, 5, by=TILL)
    finish()
    assert cards.get(card.id).balance == 25 and held(card) == [("Free coffee", True)]
    assert [(run.flow_id, run.end_reason) for run in runs()] == [(first.id, "finished"), (second.id, "finished")]
    line = cards.ledger_of(card.id)[0]
    assert (line.row.kind, line.row.reason, line.row.source) == ("flow", "Bonus", "flow")
    sound()


def test_a_step_gives_a_reward_to_cards_that_have_its_points(workspace, clock):
    row = programme()
    gift = reward(row, title="Gift", points=0, automatic=False)
    mug = reward(row, title="Mug", points=99, automatic=False)
    give = [{"key": f"give{n}", "type": "give_reward", "reward": one.id} for n, one in enumerate((gift, mug))]
    live("card", programme=row.id, steps=give)
    second = live("reward", programme=row.id)
    card = a_card(workspace, row)
    finish()
    assert held(card) == [("Gift", True)]
    assert [run.flow_id for run in runs()][1:] == [second.id]


def test_a_step_gives_points_to_many_with_a_few_statements(workspace, clock, queue):
    row = programme()
    reward(row, points=20)
    give = {"key": "bonus", "type": "give_points", "programme": row.id, "points": 20}
    live("card", programme=row.id, steps=[give])

    def statements(count):
        ids = [a_card(workspace, row).id for _ in range(count)]
        while engine.batch():
            pass
        seen = []
        listen = lambda *args: seen.append(args[2])  # noqa: E731
        sa.event.listen(db.engine, "before_cursor_execute", listen)
        finish()
        sa.event.remove(db.engine, "before_cursor_execute", listen)
        assert [cards.get(one).balance for one in ids] == [20] * count
        return len(seen)

    assert statements(40) - statements(2) < 12


def test_conditions_know_the_points_and_the_rewards_of_a_contact(workspace, clock):
    row = programme()
    coffee = reward(row)
    asks = {"all": [{"type": "card_points", "points": 10, "programme": row.id}, {"type": "reward_collected"}]}
    branch = {"key": "ask", "type": "if_else", "if": asks, "then": [tag("yes")], "else": [tag("no")]}
    live("reward", wait=60, steps=[branch], programme=row.id)
    happy, sad = a_card(workspace, row), a_card(workspace, row)
    for card in (happy, sad):
        points.add_amount(card.id, 12, by=TILL)
    points.collect(happy.id, cards.held_by(happy)[0].grant.id, by=TILL)
    clock.forward(hours=2)
    finish()
    asked = {line[0]: line[4] for line in ledger() if line[1] == "ask"}
    assert asked == {happy.contact_id: "then", sad.contact_id: "else"}
    with pytest.raises(Conflict):
        programmes.delete_reward(coffee.id)


def test_who_fills_in_the_programmes_form_gets_a_card_once(workspace, clock):
    form = forms.create({"name": "Club", "list_id": a_list(workspace), "double_opt_in": False, "email_consent_text": "Yes"})  # fmt: skip
    row = programme(form_id=form.id, welcome_points=5)
    live("card")
    for _ in range(2):
        signups.receive(form, {"email": "ada@x.example", "consent_email": "1"})
    card = db.session.scalar(sa.select(Card))
    assert card.programme_id == row.id and card.balance == 5 and len(runs()) == 1
    assert [type for type, _ in told("card_created")] == ["card_created"]
