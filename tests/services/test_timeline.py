"""What happened to a contact and why a message did not come, told from what the engine really wrote."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, NotFound
from flowserver.models import Engagement, Enrollment, Message
from flowserver.services.flows import flows
from flowserver.services.people import by_hand, consents, contacts, lists, passages, scores, tags, timeline, why
from flowserver.services.people.chapters import Chapters, headline

STEPS = [
    {"key": "hello", "type": "send_email", "subject": "Welcome", "body": [{"type": "text", "text": "Hi"}]},
    {"key": "phone", "type": "if_else", "if": {"type": "has_phone"}, "then": [
        {"key": "text", "type": "send_sms", "text": "A story waits in your inbox"},
    ], "else": [{"key": "tag", "type": "add_tag", "tag": "no-phone"}]},
    {"key": "pause", "type": "wait", "for": {"days": 2}},
    {"key": "second", "type": "send_email", "subject": "Second letter", "body": [{"type": "text", "text": "Hi"}]},
]  # fmt: skip


@pytest.fixture
def news(workspace):
    """A list."""
    return lists.create("Newsletter")


@pytest.fixture
def nurturing(news, clock):
    """A live flow: welcome, SMS to those with a number, two days, second letter."""
    flow = flows.create(
        {
            "format": 1,
            "name": "Lead nurturing",
            "trigger": {"type": "list_joined", "list": news.id, "wait": {"minutes": 0}, "reentry": "once"},
            "steps": STEPS,
        }
    )
    flows.publish(flow.id)
    clock.forward(minutes=1)
    return flow


def advance(queue):
    """Run the engine, but deliver nothing."""
    queue.rings[:] = [ring for ring in queue.rings if ring[0] != "deliver"]
    while queue.rings:
        job, *ids = queue.rings.pop(0)
        if job in ("advance", "match"):
            from importlib import import_module

            getattr(import_module(f"flowserver.jobs.{job}"), job)(*ids)


def test_subjects_are_filled_in_for_their_reader():
    hello = Message(content={"subject": "Hi {{ contact.first_name | default: 'you' }}, {{ event.points }} points"})
    assert headline(hello, Chapters([]), {"first_name": "Marta"}) == "Hi Marta, … points"
    assert headline(hello, Chapters([]), {}) == "Hi you, … points"
    odd = Message(content={"subject": "Hi {{ contact.first_name"})
    assert headline(odd, Chapters([]), {}) == "Hi {{ contact.first_name"


def test_lines_lead_to_what_they_are_about(marta, nurturing, news):
    links = {entry.link for entry in timeline.of(marta.id).entries}
    assert {("flow", nurturing.id), ("list", news.id)} <= links


@pytest.fixture
def marta(db, nurturing, news, queue, clock):
    """Agreed to e-mails only, has a number, joined the list, and went through the first steps."""
    person, _ = contacts.upsert(
        {"email": "marta@x.example", "phone": "3331234567", "first_name": "Marta"}, source="api"
    )
    consents.change(person, "email", "given", source="Footer", words="I agree")
    db.session.commit()
    lists.join(news.id, [person.id])
    advance(queue)
    return person


def titles(page):
    return [(str(entry.title), str(entry.text)) for entry in page.entries]


def test_it_tells_everything_newest_first(db, marta, news, clock, workspace):
    found = titles(timeline.of(marta.id))
    assert found[-1][0] == "Agreed to e-mails"
    words = [title for title, _ in found]
    for one in (
        "Came into the address book",
        "Joined the list Newsletter",
        "Entered Lead nurturing",
        "E-mail planned",
        "SMS not sent",
    ):
        assert one in words, words
    assert "Took the path Yes: Has a mobile number?" in words
    assert (
        words.index("SMS not sent") < words.index("Entered Lead nurturing") < words.index("Joined the list Newsletter")
    )
    (sms,) = [entry for entry in timeline.of(marta.id).entries if entry.title == "SMS not sent"]
    assert sms.detail == "A story waits in your inbox" and sms.why
    assert str(sms.text) == "There is no consent for this channel. Lead nurturing, step 3"


def test_reactions_are_told_and_those_of_programs_marked(db, marta, clock, workspace):
    message = db.session.scalar(sa.select(Message).where(Message.channel == "email"))
    for machine, minutes in ((True, 1), (False, 5)):
        db.session.add(
            Engagement(
                workspace_id=workspace.id, message_id=message.id, contact_id=marta.id, kind="open",
                at=clock.now + timedelta(minutes=minutes), machine=machine,
            )
        )  # fmt: skip
    db.session.commit()
    human, program = titles(timeline.of(marta.id, "messages"))[:2]
    assert human[0] == program[0] == "Opened “Welcome”" and "not counted" in program[1]


def test_changes_by_hand_and_scores_are_told(db, marta, clock):
    clock.forward(hours=1)
    contacts.update(marta.id, {"first_name": "Martha", "last_name": ""})
    scores.change(marta.id, -5, "returned goods")
    tags.add([marta.id], ["vip"])
    by_hand.consent(marta.id, "sms", "given", "at the fair")
    found = titles(timeline.of(marta.id))
    assert ("First name is now: Martha", "Was: Marta") in found
    assert ("Score −5", "returned goods") in found and ("Got the tag vip", "") in found
    assert titles(timeline.of(marta.id, "consent"))[0] == ("Agreed to SMS", "by hand")


def test_pages_of_a_long_history_miss_nothing(db, marta, clock):
    for number in range(130):
        if number % 7 == 0:
            clock.forward(seconds=1)
        tags.add([marta.id], [f"t{number:03}"])
    seen, before = [], None
    while True:
        page = timeline.of(marta.id, "activity", before)
        seen += [str(entry.title) for entry in page.entries]
        before = page.older
        if before is None:
            break
    got = [title for title in seen if title.startswith("Got the tag t")]
    assert len(got) == 130 == len(set(got))


def test_why_names_the_missing_consent_and_what_was_checked_before(marta):
    (first, *_rest) = [one for one in why.questions(marta.id) if one.channel == "sms"]
    answer = why.explain(marta, first.key)
    assert answer.kind == "warn" and "no consent" in str(answer.title)
    states = [(check.state, str(check.title)) for check in answer.checks]
    assert states[0] == ("ok", "Was in the flow at that moment") and states[1] == (
        "ok",
        "Took the path to this message",
    )
    assert ("bad", "Has consent for SMS") in states and states[-1][0] == "skip"
    assert "Step 2, yes: Has a mobile number?" in str(answer.checks[1].text)
    assert [state for state, _ in states] == ["ok"] * 4 + ["bad", "skip"]


def test_why_shows_when_and_where_consent_was_withdrawn(db, nurturing, news, queue, clock):
    paolo, _ = contacts.upsert({"email": "p@x.example"}, source="api")
    consents.change(paolo, "email", "given", source="Footer")
    clock.forward(minutes=5)
    gone = clock.now
    consents.change(paolo, "email", "withdrawn", source="preference page")
    db.session.commit()
    clock.forward(minutes=5)
    lists.join(news.id, [paolo.id])
    advance(queue)
    message = db.session.scalar(sa.select(Message).where(Message.contact_id == paolo.id, Message.step == "hello"))
    answer = why.explain(paolo, str(message.id))
    (bad,) = [check for check in answer.checks if check.state == "bad"]
    assert answer.at == bad.at == gone and str(bad.text) == "Withdrawn: preference page" and bad.link == "consent"


def test_why_not_yet(marta, clock):
    answer = why.explain(marta, _key(marta, "Second letter"))
    assert answer.kind == "info" and answer.at == clock.now + timedelta(days=2)
    assert "Wait 2 days" in str(answer.checks[1].text)


def _key(contact, title):
    return next(one.key for one in why.questions(contact.id) if one.title == title)


def test_why_another_path(db, nurturing, news, queue, clock):
    ugo, _ = contacts.upsert({"email": "u@x.example"}, source="api")
    lists.join(news.id, [ugo.id])
    advance(queue)
    clock.forward(days=3)
    from flowserver.services.engine import engine

    engine.advance()
    answer = why.explain(ugo, _key(ugo, "A story waits in your inbox"))
    assert str(answer.title) == "Took another path" and "Step 2, no: Has a mobile number?" in str(answer.text)


@pytest.mark.parametrize(
    ("how", "words"),
    [("silently", "joined it silently"), ("never", "This never happened"), ("before", "before the flow went live")],
)
def test_why_somebody_never_entered(db, nurturing, news, clock, how, words):
    ida, _ = contacts.upsert({"email": "i@x.example"}, source="import", silent=True)
    if how == "silently":
        lists.join(news.id, [ida.id], silent=True)
    elif how == "before":
        from flowserver.services.engine import events

        events.record(ida.id, "list_joined", subject=str(news.id), at=nurturing.activated_at - timedelta(days=1))
        db.session.commit()
    answer = why.explain(ida, f"{nurturing.id}:hello")
    assert str(answer.title) == "Was never in this flow" and words in str(answer.checks[0].text)
    assert [check.state for check in answer.checks] == ["bad", "skip", "skip"]


@pytest.mark.parametrize(
    ("state", "reason", "kind", "words"),
    [
        ("accepted", None, "ok", "sent and accepted"),
        ("delivered", None, "ok", "delivered"),
        ("bounced", "550 no such user", "warn", "550 no such user"),
        ("failed", "server_unreachable", "warn", "could not be reached"),
        ("unknown", None, "warn", "Perhaps sent"),
        ("skipped", "message_limit", "warn", "message limit"),
        ("skipped", "left_flow", "warn", "had left the flow"),
        ("skipped", "suppressed", "warn", "left alone"),
        ("skipped", "no_phone", "warn", "no mobile number"),
    ],
)
def test_why_answers_for_every_state(db, marta, clock, state, reason, kind, words):
    message = db.session.scalar(sa.select(Message).where(Message.channel == "sms"))
    message.state, message.reason = state, reason
    if state in ("accepted", "delivered"):
        message.accepted_at = message.delivered_at = clock.now
    db.session.commit()
    answer = why.explain(marta, str(message.id))
    assert answer.kind == kind and words.lower() in str(answer.title).lower()
    bad = [check for check in answer.checks if check.state == "bad"]
    assert len(bad) == (kind == "warn")


@pytest.mark.parametrize("key", ["", "x", "99999", "1:nothing", "9999:hello", "-1", "1" * 30, "1:"])
def test_why_of_nothing_is_not_found(marta, key):
    with pytest.raises(NotFound):
        why.explain(marta, key)


def test_a_message_of_somebody_else_is_not_explained(db, marta, workspace):
    other, _ = contacts.upsert({"email": "o@x.example"}, source="api")
    message = db.session.scalar(sa.select(Message.id))
    with pytest.raises(NotFound):
        why.explain(other, str(message))


def test_where_a_contact_is_and_taking_it_out(db, marta, clock):
    (inside,) = passages.inside(marta.id)
    assert (inside.flow_name, str(inside.where), inside.until) == (
        "Lead nurturing",
        "Wait 2 days",
        clock.now + timedelta(days=2),
    )
    passages.take_out(marta.id, inside.id)
    run = db.session.get(Enrollment, inside.id)
    assert (run.end_reason, run.due_at) == ("taken_out", None) and not passages.inside(marta.id)
    with pytest.raises(Conflict):
        passages.take_out(marta.id, inside.id)
    with pytest.raises(NotFound):
        passages.take_out(marta.id + 1, inside.id)
    assert ("Left Lead nurturing", "Taken out by hand") in titles(timeline.of(marta.id))
