"""Score rules: what brings points, once for each event, explained afterwards; and the flows that start with a score."""

import pytest
import sqlalchemy as sa

from flowserver import extensions
from flowserver.domain import mail
from flowserver.domain.tokens import short
from flowserver.domain.visitors import Visitor
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Event, ScoreEntry
from flowserver.services.engine import engine, enrollment, events
from flowserver.services.engine.events import NewEvent
from flowserver.services.flows import flows
from flowserver.services.messages import connections, outcomes, tracking
from flowserver.services.people import by_hand, contacts, forms, lists, score_rules, scores, tags, usage
from flowserver.services.reactions import score_rules as reaction

from . import town


def rule(act="email_clicked", points=10, **given):
    """A rule of this act."""
    return score_rules.create(
        {"title": f"{act} no {len(score_rules.everything())}", "act": act, "points": points, **given}
    )


def score_of(contact_id):
    db.session.expire_all()
    return db.session.get(Contact, contact_id).score


def happens(workspace, contact_id, type, subject="", key="", **data):
    events.record_many([NewEvent(workspace.id, contact_id, type, subject, key, data=data or None)])
    db.session.commit()


def starts_with(operator, points, **trigger):
    """A live flow that starts with a score."""
    definition = {"type": "score", "operator": operator, "points": points, "wait": {"minutes": 0}, **trigger}
    flow = flows.create({"name": f"{operator} {points}", "trigger": definition, "steps": [town.tag("t")]})
    flows.publish(flow.id)
    return flow


def inside(flow):
    return [run.contact_id for run in town.runs() if run.flow_id == flow.id]


@pytest.fixture
def ada(workspace):
    return town.people(workspace, 1)[0]


# --- what counts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "type", "subject", "data", "counts"),
    [
        ({"act": "email_opened"}, "email_opened", "3:hello", {}, True),
        ({"act": "email_clicked"}, "email_opened", "3:hello", {}, False),
        ({"act": "tag_added"}, "tag_added", "vip", {}, True),
        ({"act": "tag_added", "subject": "VIP"}, "tag_added", "vip", {}, True),
        ({"act": "tag_added", "subject": "vip"}, "tag_added", "lead", {}, False),
        ({"act": "purchase"}, "purchase", "order-1", {"amount": 5}, True),
        ({"act": "document_downloaded", "subject": "Price list"}, "document_downloaded", "price list", {}, True),
        ({"act": "page_visited"}, "page_visited", "1", {"url": "https://x.example/a", "first": True}, True),
        ({"act": "page_visited"}, "page_visited", "1", {"url": "https://x.example/a", "first": False}, False),
        ({"act": "page_visited", "detail": "https://x.example/a*"}, "page_visited", "1",
         {"url": "https://x.example/abc", "first": False}, True),
        ({"act": "page_visited", "detail": "https://x.example/b"}, "page_visited", "1",
         {"url": "https://x.example/a", "first": True}, False),
        ({"act": "custom_event", "detail": "test_drive_booked"}, "test_drive_booked", "", {}, True),
        ({"act": "custom_event", "detail": "test_drive_booked"}, "test_drive_missed", "", {}, False),
        ({"act": "unsubscribed", "points": -50}, "unsubscribed", "email", {}, True),
    ],
)  # fmt: skip
def test_a_rule_counts_its_act_and_what_it_is_narrowed_to(workspace, ada, given, type, subject, data, counts):
    made = rule(**given)
    happens(workspace, ada, type, subject, **data)
    assert score_of(ada) == (made.points if counts else 0)
    assert [entry.points for entry in scores.ledger(ada)] == ([made.points] if counts else [])


def test_a_form_a_list_and_others_are_named_by_id_or_name(workspace, ada):
    news = lists.create("News")
    assert rule("list_joined", 5, subject="news").subject == str(news.id)
    form = forms.create({"name": "Footer", "list_id": news.id})
    made = rule("form_filled", 7, subject=form.id)
    assert made.subject == str(form.id) and score_rules.about(made) == "Fills in a form: Footer"
    lists.join(news.id, [ada])
    assert score_of(ada) == 5
    happens(workspace, ada, "form_filled", str(form.id))
    assert score_of(ada) == 12
    with pytest.raises(usage.InUse, match="form_filled"):
        forms.delete(form.id)


def test_all_rules_of_an_event_are_summed_before_anybody_compares(workspace, ada, clock):
    rule("email_clicked", 60)
    rule("email_clicked", 50, title="Second")
    rule("email_clicked", -10, title="Third")
    flow, exactly = starts_with("gte", 100), starts_with("eq", 60)
    happens(workspace, ada, "email_clicked", "1:a")
    assert score_of(ada) == 100 and inside(flow) == [ada] and inside(exactly) == []
    told = list(db.session.scalars(sa.select(Event).where(Event.type == "score_changed")))
    assert [(one.data["old"], one.data["new"], one.data["points"]) for one in told] == [(0, 100, 100)]


def test_each_event_of_a_contact_is_compared_for_itself(workspace, ada, clock):
    rule("tag_added", 50)
    exactly = starts_with("eq", 50)
    events.record_many([NewEvent(workspace.id, ada, "tag_added", word) for word in ("a", "b")])
    db.session.commit()
    assert score_of(ada) == 100 and inside(exactly) == [ada]


def test_the_same_event_again_changes_nothing(workspace, ada, clock):
    rule("purchase", 5)
    for _ in range(3):
        happens(workspace, ada, "purchase", key="order:1")
    assert score_of(ada) == 5
    again = NewEvent(workspace.id, ada, "purchase", key="order:1")  # matched twice, by two workers
    reaction.react([again], clock.now)
    db.session.commit()
    assert score_of(ada) == 5 and len(scores.ledger(ada)) == 1


def test_rules_that_bring_nothing_together_are_no_change(workspace, ada, clock):
    rule("purchase", 5)
    rule("purchase", -5)
    flow = starts_with("eq", 0)
    happens(workspace, ada, "purchase")
    assert score_of(ada) == 0 and inside(flow) == [] and len(scores.ledger(ada)) == 2


def test_once_ever_once_a_day_and_every_time(workspace, ada, clock):
    """The day is the client's: 23:30 in Rome and 00:30 an hour later are two."""
    rule("purchase", 1, frequency="every")
    rule("purchase", 10, frequency="daily")
    rule("purchase", 100, frequency="once")
    for hours, total in ((0, 111), (1, 112), (11.5, 113), (1, 124), (24, 135)):
        clock.forward(hours=hours)
        happens(workspace, ada, "purchase")
        assert score_of(ada) == total, clock.now


def test_a_batch_asks_few_questions_and_counts_everybody(workspace):
    ids = town.people(workspace, 40)
    rule("tag_added", 3)
    asked = []

    @sa.event.listens_for(db.engine, "before_cursor_execute")
    def _count(*given):
        asked.append(given[2])

    try:
        for some in (ids[:5], ids[5:]):
            asked.clear()
            events.record_many([NewEvent(workspace.id, one, "tag_added", "x") for one in some])
            db.session.commit()
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", _count)
    assert len(asked) < 20
    assert {score_of(one) for one in ids} == {3}


def test_a_rule_that_is_off_or_somebody_elses_brings_nothing(workspace, ada):
    made = rule("purchase", 5)
    score_rules.switch(made.id, False)
    happens(workspace, ada, "purchase")
    assert score_of(ada) == 0
    other = town.client("kino")
    eve = town.people(other, 1)[0]
    score_rules.switch(made.id, True)
    happens(other, eve, "purchase")
    with extensions.workspace(other.id):
        assert score_of(eve) == 0 and score_rules.everything() == []
        with pytest.raises(NotFound):
            score_rules.get(made.id)


# --- where the points come from -----------------------------------------------------------------------------


def test_the_ledger_says_which_rule_and_when(workspace, ada, clock):
    made = rule("purchase", 5, title="Bought")
    happens(workspace, ada, "purchase", key="order:1")
    clock.forward(hours=1)
    happens(workspace, ada, "purchase", key="order:2")
    by_hand.score(ada, "-3", "Complained")
    found = scores.ledger(ada)
    assert [(one.points, one.reason, one.rule_id, one.event_key) for one in found] == [
        (-3, "Complained", None, None),
        (5, "Bought", made.id, "order:2"),
        (5, "Bought", made.id, "order:1"),
    ]
    assert [(one.title, one.times, one.points) for one in scores.shares(ada)] == [
        ("Bought", 2, 10),
        ("Complained", 1, -3),
    ]
    assert sum(one.points for one in scores.shares(ada)) == score_of(ada) == 7
    entry = score_rules.everything()[0]
    assert (entry.times, entry.points) == (2, 10)
    score_rules.delete(made.id)
    assert [one.title for one in scores.shares(ada)] == ["Bought", "Complained"]
    assert scores.known_rules(scores.ledger(ada)) == {}


def test_a_total_is_the_sum_of_its_movements_and_can_be_mended(workspace):
    ids = town.people(workspace, 5)
    eve = town.people(town.client("kino"), 1, score=9)[0]
    for one in ids:
        by_hand.score(one, "10", "x")
    db.session.execute(sa.update(Contact).where(Contact.id.in_(ids[:2])).values(score=3))
    db.session.commit()
    assert scores.recompute(chunk=2) == 2 and scores.recompute() == 0
    assert [score_of(one) for one in ids] == [10] * 5
    with extensions.every_workspace():
        assert score_of(eve) == 9


def test_a_rule_that_changes_leaves_what_it_brought(workspace, ada):
    made = rule("purchase", 5)
    happens(workspace, ada, "purchase")
    score_rules.update(made.id, {"points": 50})
    assert score_of(ada) == 5
    happens(workspace, ada, "purchase")
    assert score_of(ada) == 55


# --- opens and clicks ---------------------------------------------------------------------------------------


def mail_to(workspace, ada, text="Hi"):
    """A sent message of a flow, as reports see it."""
    body = [{"type": "text", "text": text}]
    flow = town.live(workspace, {**town.MAIL, "key": "hello", "body": body}, list=town.a_list(workspace))
    town.join(int(flow.draft["trigger"]["list"]), [ada])
    engine.advance()
    return town.messages()[0]


def test_an_open_and_a_click_bring_points_once_for_each_mail(workspace, ada, clock):
    rule("email_opened", 1)
    rule("email_clicked", 10)
    row = mail_to(workspace, ada)
    for _ in range(2):
        outcomes.tell(row, "email_opened", clock.now)
        outcomes.tell(row, "email_clicked", clock.now, link=0)
    db.session.commit()
    assert score_of(ada) == 11


@pytest.mark.parametrize(("counted", "points"), [(False, 0), (True, 1)])
def test_an_open_by_a_machine_brings_points_only_where_the_client_counts_them(workspace, ada, clock, counted, points):
    rule("email_opened", 1)
    workspace.count_machine_opens = counted
    row = mail_to(workspace, ada)
    row.state, row.accepted_at = "accepted", clock.now
    db.session.commit()
    clock.forward(hours=1)
    token = connections.signer().sign(mail.TRACK, short(row.id))
    tracking.open(token, Visitor(at=clock.now, agent="Mozilla/5.0"))  # Apple's privacy protection
    assert score_of(ada) == points


def test_points_for_clicks_that_a_scanner_made_are_taken_back(workspace, ada, clock):
    """Its first clicks look like a person's until the others follow; the points do not stay, and may come again."""
    rule("email_clicked", 10, frequency="once")
    rule("email_opened", 1)
    links = "[a](https://x.example/a) [b](https://x.example/b) [c](https://x.example/c)"
    row = mail_to(workspace, ada, links)
    row.state, row.accepted_at = "accepted", clock.now
    db.session.commit()
    clock.forward(hours=1)
    token = connections.signer().sign(mail.TRACK, short(row.id))
    totals = []
    for link in range(3):
        tracking.click(token, link, Visitor(at=clock.now, agent="Mozilla/5.0 Firefox/140.0", by_hand=True))
        totals.append(score_of(ada))
        clock.forward(seconds=1)
    assert totals == [11, 11, 0]
    assert sorted(entry.points for entry in scores.ledger(ada)) == [-11, 1, 10]
    happens(workspace, ada, "email_clicked", "3:hello", key="another")
    assert score_of(ada) == 10


# --- flows that start with a score --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "moves", "starts"),
    [
        ("gte", [100], True),
        ("gte", [95, 10], True),
        ("gte", [99], False),
        ("gt", [100], False),
        ("gt", [100, 1], True),
        ("eq", [95, 10], False),
        ("eq", [105, -5], True),
        ("eq", [100], True),
        ("lt", [150, -100], True),
    ],
)
def test_a_score_starts_a_flow_when_it_crosses(workspace, queue, clock, operator, moves, starts):
    ada = town.people(workspace, 1)[0]
    flow = starts_with(operator, 100)
    for points in moves:
        by_hand.score(ada, str(points), "")
    assert inside(flow) == ([ada] if starts else [])


def test_up_and_down_again_starts_once_unless_the_author_lets_them_in_again(workspace, ada, clock):
    once, again = starts_with("gte", 100), starts_with("gt", 99, reentry="after_finish", cooldown={"minutes": 0})
    for points in (100, -2, 2):
        by_hand.score(ada, str(points), "")
        while engine.batch():
            pass
        clock.forward(minutes=1)
    assert len(inside(once)) == 1 and len(inside(again)) == 2


def test_still_below_is_decided_when_the_wait_is_over(workspace, clock):
    flow = starts_with("lt", 50, wait={"days": 30})
    slow, _ = contacts.upsert({"email": "slow@x.example"}, source="test")
    fast, _ = contacts.upsert({"email": "fast@x.example"}, source="test")
    by_hand.score(fast.id, "80", "")
    clock.forward(days=31)
    engine.advance()
    assert {run.contact_id: run.end_reason for run in town.runs() if run.flow_id == flow.id} == {
        slow.id: "finished",
        fast.id: "no_longer_matches",
    }
    by_hand.score(fast.id, "-50", "")  # falls below, so it is a candidate; it did not use up "once"
    clock.forward(days=31)
    engine.advance()
    assert [run.end_reason for run in town.runs() if run.contact_id == fast.id] == ["no_longer_matches", "finished"]


def test_those_who_are_there_already_are_let_in_only_if_ticked(workspace, queue, clock):
    ids = town.people(workspace, 2, score=120)
    town.people(workspace, 1, score=99)
    assert inside(starts_with("gte", 100)) == []
    ticked = starts_with("gt", 99, include_existing=True)
    assert flows.would_start(ticked).contacts == 2
    enrollment.enroll_existing(ticked.id)
    assert inside(ticked) == ids


def test_a_step_that_changes_the_score_starts_another_flow_but_not_its_own(workspace, queue, clock):
    other = starts_with("gte", 10)
    ada = town.people(workspace, 1)[0]
    more = {"key": "p", "type": "change_score", "points": 10}
    list_id = town.a_list(workspace)
    own = town.live(workspace, more, list=list_id)
    town.join(list_id, [ada])
    engine.advance()
    queue.drain()
    assert inside(other) == [ada] and len(inside(own)) == 1


def test_points_that_a_flows_own_tag_brings_do_not_start_it_again(workspace, queue, clock):
    """The chain goes on through the score rule: a flow that tags, a rule that scores the tag, the same flow."""
    rule("tag_added", 10)
    ada = town.people(workspace, 1)[0]
    flow = starts_with("gte", 5, reentry="after_finish", cooldown={"minutes": 0})
    by_hand.score(ada, "5", "")
    engine.advance()
    queue.drain()
    assert score_of(ada) == 15 and len(inside(flow)) == 1
    told = db.session.scalars(sa.select(Event).where(Event.type == "score_changed").order_by(Event.id)).all()[-1]
    assert told.data["chain"] == [flow.id] and told.chain == 1


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"title": ""}, {"title": ["Enter a title for the rule"]}),
        ({"title": "TAKEN"}, {"title": ["There is already a rule called TAKEN"]}),
        ({"points": "many"}, {"points": ["Enter a whole number other than 0"]}),
        ({"points": 0}, {"points": ["Enter a whole number other than 0"]}),
        ({"points": 1.5}, {"points": ["Enter a whole number other than 0"]}),
        ({"points": 1_000_001}, {"points": ["Enter a number between -1,000,000 and 1,000,000"]}),
        ({"act": ""}, {"act": ["Choose what the contact does"]}),
        ({"act": "sleeps"}, {"act": ["Choose what the contact does"]}),
        ({"frequency": "weekly"}, {"frequency": ["Choose how often it counts"]}),
        ({"act": "form_filled", "subject": "Nothing"}, {"subject": ["There is no form “Nothing” in this client"]}),
        ({"act": "list_joined", "subject": 99}, {"subject": ["The list was deleted. Choose another one"]}),
        ({"act": "purchase", "subject": "x"}, {"subject": ["This act cannot be narrowed down: leave it out"]}),
        ({"act": "purchase", "detail": "x"}, {"detail": ["This act has no details: leave them out"]}),
        ({"act": "custom_event"},
         {"detail": ["Enter the word the event is reported under, like test_drive_booked"]}),
        ({"act": "custom_event", "detail": "purchase"},
         {"detail": ["This is one of our own words: choose what the contact does above"]}),
    ],
)  # fmt: skip
def test_bad_rules_are_refused_at_their_field(workspace, given, wrong):
    rule("purchase", 5, title="Taken")
    with pytest.raises(Invalid) as error:
        score_rules.create({"title": "New", "act": "purchase", "points": 5, **given})
    assert error.value.messages == wrong
    assert len(score_rules.everything()) == 1


def test_a_pattern_that_is_no_address_is_refused(workspace):
    with pytest.raises(Invalid) as error:
        rule("page_visited", 5, detail="javascript:alert(1)")
    assert list(error.value.messages) == ["detail"]
    assert rule("page_visited", 5, detail="**").detail == ""


def test_another_act_forgets_what_the_old_one_was_narrowed_to(workspace):
    made = rule("tag_added", 5, subject="vip")
    changed = score_rules.update(made.id, {"act": "purchase"})
    assert (changed.act, changed.subject, changed.points) == ("purchase", "", 5)


def test_a_tag_that_a_rule_counts_is_kept(workspace, ada):
    tags.add([ada], ["vip"])
    made = rule("tag_added", 5, subject="vip")
    tag = tags.everything()[0][0]
    with pytest.raises(usage.InUse):
        tags.delete(tag.id)
    score_rules.delete(made.id)
    tags.delete(tag.id)


def test_entries_of_a_deleted_contact_go(workspace, ada):
    rule("purchase", 5)
    happens(workspace, ada, "purchase")
    contacts.delete(ada)
    assert db.session.scalar(sa.select(sa.func.count(ScoreEntry.id))) == 0
