"""Coupons that flows give out: set-based, once, with the code in the very next mail."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver.models import Alert, Coupon, Decision, Event
from flowserver.services.engine import engine
from flowserver.services.flows import checks
from flowserver.services.messages import deliveries
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons

from .conftest import use
from .test_coupons import campaign, pool
from .town import Worker, a_list, join, live, people, runs, sound, tag

GIVE = {"key": "give", "type": "assign_coupon"}
MAIL = {
    "key": "mail", "type": "send_email", "subject": "Your code {{ event.coupon }}",
    "body": [{"type": "text", "text": "Worth {{ event.coupon_value }}, until {{ event.coupon_until }}."}],
}  # fmt: skip


def coupons_of(db):
    db.session.expire_all()
    query = sa.select(Coupon.contact_id, Coupon.code).where(Coupon.contact_id.is_not(None)).order_by(Coupon.contact_id)
    return [tuple(row) for row in db.session.execute(query)]


def enter(workspace, ids, *steps):
    """These contacts join a list that starts a live flow."""
    number = a_list(workspace)
    live(workspace, *steps, list=number)
    join(number, ids)


def test_the_next_mail_shows_the_code_its_worth_and_its_last_day(db, workspace, clock, sink):
    [one] = people(workspace, 1)
    row = campaign(days=30)
    enter(workspace, [one], {**GIVE, "campaign": row.id}, MAIL)
    engine.advance()
    [(contact, code)] = coupons_of(db)
    deliveries.deliver(use(sink).id)
    [mail] = sink.mails
    assert contact == one and mail.message["Subject"] == f"Your code {code}"
    assert "Worth 15 %, until 2026-06-03." in mail.part("plain")
    [event] = db.session.scalars(sa.select(Event).where(Event.type == "coupon_issued"))
    assert event.data["code"] == code and event.origin == runs()[0].flow_id


def test_many_get_theirs_with_a_few_statements(db, workspace, clock):
    row = campaign()
    ids = people(workspace, 120)
    enter(workspace, ids, {**GIVE, "campaign": row.id}, tag("done"))
    statements = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    engine.advance()
    assert len([one for one in statements if "coupon" in one]) < 12
    assert [contact for contact, _ in coupons_of(db)] == ids and len({code for _, code in coupons_of(db)}) == 120
    assert all(run.data["coupon"] == code for run, (_, code) in zip(runs(), coupons_of(db), strict=True))
    sound()


def test_a_pool_that_runs_out_lets_the_others_go_on_and_tells(db, workspace, clock):
    row = pool("A", "B")
    ids = people(workspace, 3)
    enter(workspace, ids, {**GIVE, "campaign": row.id}, tag("done"))
    engine.advance()
    assert coupons_of(db) == [(ids[0], "A"), (ids[1], "B")]
    assert "coupons_empty" in {one.kind for one in db.session.scalars(sa.select(Alert))}
    skipped = db.session.scalars(sa.select(Decision).where(Decision.reason == "no_coupon")).all()
    assert len(skipped) == 1 and all(run.end_reason == "finished" for run in runs())
    assert coupon_campaigns.left(row.id) == 0


def test_two_steps_of_one_batch_take_different_codes_and_a_replaced_one_is_void(db, workspace, clock):
    [one] = people(workspace, 1)
    row = pool("A", "B", "C")
    enter(workspace, [one], {**GIVE, "campaign": row.id}, {**GIVE, "key": "again", "campaign": row.id})
    engine.advance()
    assert coupons_of(db) == [(one, "A"), (one, "B")]
    coupon_campaigns.update(row.id, {"replaces": True})
    [two] = people(workspace, 1)
    old = coupons.issue(row.id, two).code
    coupon_codes.import_text(row.id, "D\nE")
    number = a_list(workspace, "Other")
    live(workspace, {**GIVE, "campaign": row.id}, name="Replace", list=number)
    join(number, [two])
    engine.advance()
    db.session.expire_all()
    assert coupons.find(old).state == "void" and coupons.find("D").contact_id == two


def test_a_campaign_that_is_over_gives_nothing(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign(ends_on="2026-05-04")
    enter(workspace, [one], {**GIVE, "campaign": row.id})
    clock.forward(days=1)
    engine.advance()
    assert coupons_of(db) == []


def test_a_batch_that_fails_gives_nothing_and_the_next_try_gives_once(db, workspace, clock, monkeypatch):
    ids = people(workspace, 2)
    row = pool("A", "B")
    enter(workspace, ids, {**GIVE, "campaign": row.id})
    real, calls = engine._ring, []

    def broken(wishes):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no")
        real(wishes)

    monkeypatch.setattr(engine, "_ring", broken)
    engine.advance()
    assert sorted(code for _, code in coupons_of(db)) == ["A", "B"]


def test_two_workers_never_give_one_code_twice(app, db, workspace, clock):
    ids = people(workspace, 40)
    row = pool(*(f"K{n}" for n in range(40)))
    enter(workspace, ids, {**GIVE, "campaign": row.id})
    workers = [Worker(app, lambda: engine.batch(10) + engine.batch(10)) for _ in range(2)]
    [worker.result() for worker in workers]
    engine.advance()
    codes = [code for _, code in coupons_of(db)]
    assert len(codes) == len(set(codes)) == 40


def test_a_pool_without_codes_and_a_flow_that_would_start_itself_cannot_go_live(workspace, clock):
    row = pool()
    definition = {
        "name": "Loop",
        "trigger": {"type": "coupon", "campaign": row.id, "event": "issued"},
        "steps": [{**GIVE, "campaign": row.id}],
    }
    found = {(one.place, str(one.text)) for one in checks.findings(definition) if one.kind == "fix"}
    assert ("step", "This coupon campaign has no codes yet. Import them first") in found
    assert any("start its own flow again" in text for _, text in found)


@pytest.mark.parametrize("used", [False, True])
def test_a_code_given_by_a_flow_is_used_like_any_other(db, workspace, clock, used):
    [one] = people(workspace, 1)
    row = campaign(days=1)
    enter(workspace, [one], {**GIVE, "campaign": row.id})
    engine.advance()
    [(_, code)] = coupons_of(db)
    if used:
        assert coupons.redeem(code).contact_id == one
    clock.forward(days=2)
    coupons.expire()
    expired = db.session.scalars(sa.select(Event).where(Event.type == "coupon_expired")).all()
    assert len(expired) == (0 if used else 1)


def test_a_flow_asks_whether_a_coupon_was_used_and_a_use_taken_back_is_none(db, workspace, clock):
    ids = people(workspace, 3)
    row = campaign()
    used, back, _ = (coupons.issue(row.id, one).code for one in ids)
    coupons.redeem(used)
    coupons.undo(coupons.redeem(back).id)
    asks = {"key": "if", "type": "if_else", "if": {"type": "coupon_used", "campaign": row.id}}
    enter(workspace, ids, {**asks, "then": [tag("yes")], "else": [tag("no")]})
    engine.advance()
    went = sa.select(Decision.outcome).where(Decision.step == "if").order_by(Decision.enrollment_id)
    assert list(db.session.scalars(went)) == ["then", "else", "else"]
