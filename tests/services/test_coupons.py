"""Coupons: given out, used at two tills at once, taken back, expired by the clock, and the flows they start."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.errors import Conflict, Invalid, NotFound, TooLarge
from flowserver.models import Alert, Coupon, CouponCampaign, CouponRedemption, Enrollment, Event
from flowserver.services.engine import engine, ticks
from flowserver.services.flows import checks, flows
from flowserver.services.people import contacts, usage
from flowserver.services.shop import coupon_campaigns, coupon_codes, coupons

from .town import MAIL, Worker, a_list, client, people, runs, tag


def campaign(**given):
    return coupon_campaigns.create({"name": "Spring beans", "value": "15 %", **given})


def pool(*codes, **given):
    row = campaign(codes="pool", **given)
    if codes:
        coupon_codes.import_text(row.id, "\n".join(codes))
    return row


def live(campaign_id, event="used", steps=(), **trigger):
    """A live flow that starts with what happens to a coupon."""
    definition = {
        "name": f"On {event}",
        "trigger": {"type": "coupon", "campaign": campaign_id, "event": event, "wait": {"minutes": 0}, **trigger},
        "steps": list(steps) or [tag("seen")],
    }
    flow = flows.create(definition, None)
    flows.publish(flow.id, None)
    return flow


def told(db, type_):
    """The data of the events of a type, oldest first."""
    db.session.expire_all()
    return [row.data for row in db.session.scalars(sa.select(Event).where(Event.type == type_).order_by(Event.id))]


def state(db, code):
    db.session.expire_all()
    row = coupons.find(code)
    return row.state, row.uses


# --- campaigns -------------------------------------------------------------------------------------------


def test_campaigns_are_made_and_changed_and_bad_answers_refused_at_their_field(db, workspace, clock):
    row = campaign(message="Not on gift cards", ends_on="2026-05-31", days="10", uses="2", prefix="spring-")
    assert (row.ends_on, row.days, row.uses, row.prefix) == (date(2026, 5, 31), 10, 2, "SPRING-")
    assert coupon_campaigns.update(row.id, {"value": "20 %"}).days == 10
    for wrong, where in (
        ({"name": ""}, "name"),
        ({"name": "spring BEANS"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"value": " "}, "value"),
        ({"value": "<b>"}, "value"),
        ({"codes": "somewhere"}, "codes"),
        ({"prefix": "a b/c"}, "prefix"),
        ({"length": 5}, "length"),
        ({"length": "x"}, "length"),
        ({"starts_on": "2026-02-30"}, "starts_on"),
        ({"ends_on": "tomorrow"}, "ends_on"),
        ({"starts_on": "2026-06-02", "ends_on": "2026-06-01"}, "ends_on"),
        ({"days": 0}, "days"),
        ({"days": 1.5}, "days"),
        ({"uses": 0}, "uses"),
        ({"uses": -1}, "uses"),
        ({"low_at": ""}, "low_at"),
    ):
        with pytest.raises(Invalid) as error:
            coupon_campaigns.create({"name": "Other", "value": "5 €", **wrong})
        assert list(error.value.messages) == [where], wrong
    assert db.session.scalar(sa.select(sa.func.count(CouponCampaign.id))) == 1


def test_a_campaign_with_codes_keeps_where_they_come_from(workspace, clock):
    row = pool("A1")
    with pytest.raises(Invalid) as error:
        coupon_campaigns.update(row.id, {"codes": "generated"})
    assert list(error.value.messages) == ["codes"]


def test_a_campaign_in_use_is_kept_and_another_goes_with_all_its_codes(db, workspace, clock):
    row = campaign()
    flow = live(row.id)
    with pytest.raises(usage.InUse) as error:
        coupon_campaigns.delete(row.id)
    assert [use.id for use in error.value.uses] == [flow.id]
    other = coupon_campaigns.create({"name": "Gone", "value": "1 €"})
    coupons.redeem(coupons.issue(other.id, None).code)
    coupon_campaigns.delete(other.id)
    assert db.session.scalar(sa.select(sa.func.count(Coupon.id))) == 0
    assert db.session.scalar(sa.select(sa.func.count(CouponRedemption.id))) == 0


def test_another_client_sees_nothing_and_may_have_the_same_codes(workspace, clock):
    pool("SAME")
    with ext.workspace(client("kino").id):
        with pytest.raises(NotFound):
            coupons.find("SAME")
        with pytest.raises(NotFound):
            coupons.redeem("SAME")
        assert coupon_codes.import_text(pool().id, "same").added == 1


# --- codes -----------------------------------------------------------------------------------------------


def test_an_import_keeps_the_good_codes_and_tells_the_others_by_line(db, workspace, clock):
    row = pool("TAKEN")
    text = "\ufeffcode;note\r\nA-1;x\r\n\r\na-1\r\ntaken\r\n" + "x" * 41 + '\r\nB 2\r\nC/3\r\n"D4"'
    found = coupon_codes.import_file(row.id, io.BytesIO(text.encode("utf-8")))
    assert found.added == 3 and found.refused == 5
    assert [(one.line, str(one.why)) for one in found.lines] == [
        (3, "The line is empty"),
        (4, "There is this code already"),
        (5, "There is this code already"),
        (6, "Use at most 40 characters"),
        (8, "Use letters, digits and the signs - _ . + * : @ $ ! = only"),
    ]
    assert {coupons.find(code).code for code in ("a-1", "b2", "d4")} == {"A-1", "B2", "D4"}
    with pytest.raises(Invalid):
        coupon_codes.import_text(row.id, "")
    with pytest.raises(Conflict):
        coupon_codes.import_text(coupon_campaigns.create({"name": "Own", "value": "1"}).id, "X")


def test_many_codes_come_in_chunk_by_chunk(db, workspace, clock, monkeypatch):
    row = pool()
    text = "\n".join(f"C{n:05d}" for n in range(20_000))
    found = coupon_codes.import_text(row.id, text)
    assert (found.added, found.refused) == (20_000, 0)
    assert coupon_campaigns.left(row.id) == 20_000
    monkeypatch.setattr(coupon_codes, "MOST_CODES", 3)
    with pytest.raises(TooLarge):
        coupon_codes.import_text(row.id, "a\nb\nc\nd")


def test_codes_to_print_are_made_without_a_contact_and_start_no_run(db, workspace, clock):
    row = campaign(prefix="P-")
    live(row.id)
    assert coupon_codes.generate(row.id, "1500") == 1500
    lines = "".join(coupon_codes.as_csv(row.id)).splitlines()
    assert len(lines) == 1501 and lines[1].startswith("P-") and len({line.split(",")[0] for line in lines}) == 1501
    coupons.redeem(lines[1].split(",")[0])
    assert runs() == [] and told(db, "coupon_redeemed") == []  # a code with no contact: no run
    for wrong in (0, "x", 200_001):
        with pytest.raises(Invalid):
            coupon_codes.generate(row.id, wrong)


def test_generated_codes_look_like_nothing_else(workspace, clock):
    code = coupons.issue(campaign(prefix="lume", length=12).id, None).code
    assert code.startswith("LUME") and len(code) == 16 and not set(code[4:]) & set("01ILOU")


# --- giving out ------------------------------------------------------------------------------------------


def test_a_coupon_is_given_once_and_carries_its_validity(db, workspace, clock):
    row = campaign(starts_on="2026-05-05", ends_on="2026-05-20", days=10)
    [one] = people(workspace, 1)
    coupon = coupons.issue(row.id, one)
    assert coupon.contact_id == one and coupon.state == "issued"
    assert coupon.valid_from.isoformat() == "2026-05-04T22:00:00+00:00"  # midnight in Rome
    assert coupon.expires_at == clock.now + timedelta(days=10)
    clock.forward(days=8)
    assert coupons.issue(row.id, one).expires_at.isoformat() == "2026-05-20T22:00:00+00:00"
    clock.forward(days=9)
    with pytest.raises(Conflict):
        coupons.issue(row.id, one)
    with pytest.raises(NotFound):
        coupons.issue(row.id + 99, one)
    assert told(db, "coupon_issued")[0] == {"code": coupon.code, "campaign": "Spring beans", "value": "15 %"}


def test_a_new_coupon_replaces_the_old_one_only_where_the_campaign_says_so(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign()
    first, second = coupons.issue(row.id, one), coupons.issue(row.id, one)
    assert state(db, first.code) == state(db, second.code) == ("issued", 0)
    coupon_campaigns.update(row.id, {"replaces": True})
    third = coupons.issue(row.id, one)
    assert [state(db, coupon.code)[0] for coupon in (first, second, third)] == ["void", "void", "issued"]
    assert len(told(db, "coupon_voided")) == 2


def test_an_empty_pool_is_refused_and_told_and_an_import_mends_it(db, workspace, clock):
    ids = people(workspace, 3)
    row = pool("A", "B", low_at=2)
    alerts = sa.select(Alert).where(Alert.resolved_at.is_(None))
    assert coupons.issue(row.id, ids[0]).code == "A"
    assert [one.kind for one in db.session.scalars(alerts)] == ["coupons_low"]
    given = coupons.issue_many(row.id, ids[1:])
    assert [one["code"] for one in given.rows] == ["B"] and given.without == [ids[2]]
    assert [one.kind for one in db.session.scalars(alerts)] == ["coupons_empty"]
    with pytest.raises(coupons.NoneLeft):
        coupons.issue(row.id, ids[2])
    coupon_codes.import_text(row.id, "C\nD\nE")
    assert list(db.session.scalars(alerts)) == []


def test_a_list_gets_its_coupons_chunk_by_chunk_and_nobody_two(db, workspace, clock, queue, monkeypatch):
    ids = people(workspace, 7)
    row, number = campaign(), a_list(workspace, members=ids)
    coupons.issue(row.id, ids[3])
    monkeypatch.setattr(coupons, "AT_ONCE", 2)
    monkeypatch.setattr(coupons._give_chunk, "__defaults__", (3,))
    assert coupons.give_to_list(row.id, number) is None and queue.rings == [("give_coupons", row.id)]
    with pytest.raises(Conflict):
        coupons.give_to_list(row.id, number)
    with pytest.raises(Conflict):
        coupon_campaigns.delete(row.id)
    coupons._give_chunk(row.id)  # … and the worker dies
    queue.rings.clear()
    ticks._coupons(clock.now)
    queue.drain()
    held = db.session.scalars(sa.select(Coupon.contact_id).order_by(Coupon.contact_id)).all()
    assert held == ids
    monkeypatch.setattr(coupons, "AT_ONCE", 10)
    assert coupons.give_to_list(row.id, number).rows == []
    assert coupons.give_to_list(pool("X", "Y", name="Pool").id, number).without == [ids[2]]  # and stops there


# --- using -----------------------------------------------------------------------------------------------


def test_a_code_is_used_whatever_its_case_and_the_event_tells_code_value_and_place(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign().id, one).code
    used = coupons.redeem(f" {code.lower()} ", place="Via Po", receipt="R-1", amount="12,50")
    assert used.amount == Decimal("12.50") and state(db, code) == ("redeemed", 1)
    assert told(db, "coupon_redeemed") == [
        {
            "code": code, "campaign": "Spring beans", "value": "15 %", "place": "Via Po", "receipt": "R-1",
            "redemption": used.id, "amount": 12.5,
        }
    ]  # fmt: skip


def refused(db, code, error, **more):
    """The use is refused with this error, and nobody hears of it."""
    before = told(db, "coupon_redeemed")
    with pytest.raises(error) as caught:
        coupons.redeem(code, **more)
    assert told(db, "coupon_redeemed") == before
    return caught.value.status


def test_code_unknown(db, workspace, clock):
    assert refused(db, "NOBODY", NotFound) == 404


def test_used_up(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign(uses=2).id, one).code
    coupons.redeem(code), coupons.redeem(code)
    assert len(told(db, "coupon_redeemed")) == 2  # each further use is a new event
    assert refused(db, code, coupons.UsedUp) == 409


def test_expired_by_the_clock_even_before_the_clock_job_noticed(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign(days=1).id, one).code
    clock.forward(days=1)
    assert state(db, code) == ("issued", 0)
    assert refused(db, code, coupons.Expired) == 410
    coupons.expire()
    assert refused(db, code, coupons.Expired) == 410


def test_void(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign().id, one).code
    assert coupons.void(code).state == "void"
    assert refused(db, code, coupons.MadeVoid) == 410
    with pytest.raises(Conflict):
        coupons.void(code)


def test_not_good_yet(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign(starts_on="2026-05-06").id, one).code
    assert refused(db, code, coupons.NotYetGood) == 409
    pool("FREE", name="Pool")
    assert refused(db, "free", coupons.NotYetGood) == 409
    clock.forward(days=2)
    coupons.redeem(code)


def test_bad_words_at_the_till_are_refused_at_their_field(db, workspace, clock):
    code = coupons.issue(campaign().id, None).code
    for given, where in (
        ({"amount": "-1"}, "amount"),
        ({"amount": "twelve"}, "amount"),
        ({"amount": "1.005"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e30"}, "amount"),
        ({"amount": True}, "amount"),
        ({"place": "x" * 121}, "place"),
        ({"receipt": "<script>"}, "receipt"),
        ({"code": ""}, "code"),
        ({"code": "x" * 41}, "code"),
    ):
        with pytest.raises(Invalid) as error:
            coupons.redeem(**{"code": code, **given})
        assert list(error.value.messages) == [where], given
    assert state(db, code) == ("issued", 0)


def test_the_same_receipt_sent_twice_is_one_use(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign(uses=3)
    single, several = coupons.issue(row.id, one).code, None
    first = coupons.redeem(single, receipt="R-7")
    assert coupons.redeem(single.lower(), receipt="R-7").id == first.id
    assert state(db, single) == ("issued", 1)
    coupons.redeem(single, receipt="R-8"), coupons.redeem(single, receipt="R-9")
    assert coupons.redeem(single, receipt="R-7").id == first.id, several
    assert len(told(db, "coupon_redeemed")) == 3


def test_two_tills_at_the_same_moment_one_wins(app, db, workspace, clock, database):
    [one] = people(workspace, 1)
    code, number = coupons.issue(campaign().id, one).code, workspace.id
    db.session.commit()

    def till():
        with ext.workspace(number):
            try:
                return coupons.redeem(code).id
            except coupons.UsedUp:
                return None

    for attempt in range(3):
        db.session.commit()
        results = [worker.result() for worker in [Worker(app, till) for _ in range(4)]]
        assert len([one for one in results if one]) == 1, results
        assert state(db, code) == ("redeemed", 1)
        assert len(told(db, "coupon_redeemed")) == attempt + 1
        coupons.undo(next(one for one in results if one))


def test_two_workers_hand_out_of_one_pool_and_no_code_goes_twice(app, db, workspace, clock):
    ids, row = people(workspace, 40), pool(*(f"K{n}" for n in range(30)))
    number, campaign_id = workspace.id, row.id
    db.session.commit()

    def giver(mine):
        with ext.workspace(number):
            return coupons.issue_many(campaign_id, mine)

    both = [Worker(app, lambda mine=mine: giver(mine)) for mine in (ids[:20], ids[20:])]
    codes = [one["code"] for worker in both for one in worker.result().rows]
    assert len(codes) == len(set(codes)) and len(codes) >= 20


# --- taking back, running out ------------------------------------------------------------------------------


def test_a_use_is_taken_back_once_and_the_code_is_good_again(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign().id, one).code
    used = coupons.redeem(code)
    assert coupons.undo(used.id).voided_at == clock.now and state(db, code) == ("issued", 0)
    with pytest.raises(Conflict):
        coupons.undo(used.id)
    with pytest.raises(NotFound):
        coupons.undo(used.id + 9)
    assert coupons.redeem(code).id != used.id
    with pytest.raises(Conflict):
        coupons.void(code)  # used up: take the use back instead


def test_coupons_expire_by_the_clock_and_unused_ones_are_events(db, workspace, clock, queue):
    ids = people(workspace, 3)
    row = campaign(days=1, uses=2)
    codes = [one["code"] for one in coupons.issue_many(row.id, ids).rows]
    coupons.redeem(codes[0])
    loose = coupons.issue(row.id, None).code
    ticks._coupons(clock.now)
    assert queue.rings == []
    clock.forward(days=1)
    ticks._coupons(clock.now)
    queue.drain()
    assert [state(db, code)[0] for code in (*codes, loose)] == ["expired"] * 4
    assert sorted(one["code"] for one in told(db, "coupon_expired")) == sorted(codes[1:])
    assert coupons.expire() == 0


def test_many_expire_in_chunks(db, workspace, clock):
    ids = people(workspace, 7)
    coupons.issue_many(campaign(days=1).id, ids)
    clock.forward(days=2)
    assert coupons.expire(size=3) == 7 and len(told(db, "coupon_expired")) == 7


# --- flows -----------------------------------------------------------------------------------------------


def test_a_used_coupon_starts_its_flow_with_code_value_and_place(db, workspace, clock):
    [one] = people(workspace, 1)
    row, other = campaign(), coupon_campaigns.create({"name": "Other", "value": "5 €"})
    flow = live(row.id)
    coupons.redeem(coupons.issue(other.id, one).code)
    assert runs() == []
    code = coupons.issue(row.id, one).code
    coupons.redeem(code, place="Via Po")
    [run] = runs()
    assert (run.flow_id, run.contact_id) == (flow.id, one)
    assert (run.data["code"], run.data["value"], run.data["place"]) == (code, "15 %", "Via Po")
    engine.advance()
    coupons.redeem(coupons.issue(row.id, one).code)  # after the first run has ended: enters again
    assert len(runs()) == 2


def test_a_void_inside_the_start_wait_cancels(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign(uses=3)
    live(row.id, wait={"hours": 1})
    code = coupons.issue(row.id, one).code
    used = coupons.redeem(code)
    assert len(runs(Enrollment.due_at.is_not(None))) == 1
    coupons.undo(used.id)
    [run] = runs()
    assert run.end_reason == "start_undone" and run.entered_at is None


def test_a_use_taken_back_after_the_start_wait_lets_the_run_go_on(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign()
    live(row.id, steps=[tag("a"), {"key": "w", "type": "wait", "for": {"days": 1}}])
    used = coupons.redeem(coupons.issue(row.id, one).code)
    engine.advance()
    coupons.undo(used.id)
    [run] = runs()
    assert run.due_at is not None


def test_a_code_made_void_cancels_the_start_that_getting_it_made(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign()
    live(row.id, "issued", wait={"hours": 1})
    coupons.void(coupons.issue(row.id, one).code)
    assert [run.end_reason for run in runs()] == ["start_undone"]


def test_an_unused_coupon_starts_a_flow_when_it_expires(db, workspace, clock):
    ids = people(workspace, 2)
    row = campaign(days=1)
    live(row.id, "expired")
    codes = [one["code"] for one in coupons.issue_many(row.id, ids).rows]
    coupons.redeem(codes[0])
    clock.forward(days=1)
    coupons.expire()
    assert [run.contact_id for run in runs()] == [ids[1]]


def test_the_event_says_when_the_coupon_expired_and_not_when_the_clock_noticed(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign(days=1)
    live(row.id, "expired")
    expires = coupons.issue(row.id, one).expires_at
    clock.forward(days=3)
    coupons.expire()
    assert list(db.session.scalars(sa.select(Event.at).where(Event.type == "coupon_expired"))) == [expires]
    assert [run.triggered_at for run in runs()] == [expires]


def test_every_use_of_a_code_is_heard_and_who_is_inside_is_not_doubled(db, workspace, clock):
    [one] = people(workspace, 1)
    row = campaign(uses=3)
    live(row.id)
    code = coupons.issue(row.id, one).code
    coupons.redeem(code)
    coupons.redeem(code)
    assert len(runs()) == 1
    engine.advance()
    coupons.redeem(code)
    assert len(runs()) == 2 and len(told(db, "coupon_redeemed")) == 3


def test_campaign_without_coupon(db, workspace, clock):
    row = pool()
    definition = {
        "name": "Thanks",
        "trigger": {"type": "coupon", "campaign": row.id, "event": "used"},
        "steps": [{"key": "m", **MAIL}],
    }
    found = [one for one in checks.findings(definition) if one.place == "trigger"]
    assert [(one.kind, one.field) for one in found] == [("fix", "campaign")] and "no codes yet" in found[0].text
    flow = flows.create(definition, None)
    with pytest.raises(Invalid):
        flows.publish(flow.id, None)
    coupon_codes.import_text(row.id, "A1")
    assert [one for one in checks.findings(definition) if one.place == "trigger"] == []
    flows.publish(flow.id, None)


def test_coupons_outlive_a_contact_without_naming_it(db, workspace, clock):
    [one] = people(workspace, 1)
    code = coupons.issue(campaign().id, one).code
    contacts.delete(one)
    assert coupons.find(code).contact_id is None
    coupons.redeem(code)
    assert told(db, "coupon_redeemed") == []
