"""Visits: who is watched, who is not, when a visit ends, and what flows hear of it."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Contact, Enrollment, Event, Monitor, PageView, Visit, Visitor
from flowserver.services.flows import flows
from flowserver.services.people import contacts
from flowserver.services.site import monitors, recognition, visits

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SHOP = "https://shop.example"


@pytest.fixture
def site(workspace, clock):
    """The shop of Caffè Lume, which has been visited before."""
    row = monitors.create({"name": "Shop", "domains": "shop.example"})
    row.verified_at = clock.now
    db.session.commit()
    return row


@pytest.fixture
def marta(workspace):
    return contacts.upsert({"email": "marta@people.example", "first_name": "Marta"}, source="api")[0]


class Page:
    """A browser on a site, as the script speaks for it."""

    def __init__(self, client, site, visitor=""):
        self.client, self.path = client, f"/t/{site.public_id}"
        self.visitor, self.view = visitor or secrets.token_hex(16), ""

    def send(self, message, headers=None, **more):
        body = message if isinstance(message, bytes) else json.dumps({"v": self.visitor, **message}).encode()
        head = {"Origin": SHOP, "User-Agent": BROWSER, "Content-Type": "text/plain;charset=UTF-8", **(headers or {})}
        head = {name: value for name, value in head.items() if value is not None}
        answer = self.client.post(self.path, data=body, headers=head, **more)
        assert answer.status_code == 204 and not answer.data and "Set-Cookie" not in answer.headers
        return answer

    def look(self, url="/", **more):
        self.view = more.pop("p", secrets.token_hex(16))
        headers = more.pop("headers", None)
        return self.send({"t": "view", "p": self.view, "u": SHOP + url if url[:1] == "/" else url, **more}, headers)

    def stay(self, seconds):
        return self.send({"t": "stay", "p": self.view, "s": seconds})

    def track(self, name, /, **properties):
        return self.send({"t": "event", "p": secrets.token_hex(16), "u": SHOP + "/", "n": name, "d": properties})


@pytest.fixture
def page(client, site):
    return Page(client, site)


def known(page, contact):
    """The same browser, after its visitor has logged in."""
    page.send({"t": "identify", "i": recognition.token_for(contact.id)[0]})
    return page


def count(table):
    return db.session.scalar(sa.select(sa.func.count()).select_from(table))


def told(*types):
    query = sa.select(Event).where(Event.type.in_(types or ("page_visited",))).order_by(Event.id)
    return [(event.type, event.data) for event in db.session.scalars(query)]


def live(trigger, name="Visited"):
    definition = {"name": name, "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": []}
    flow = flows.create(definition)
    flows.publish(flow.id)
    return flow


def runs(flow):
    query = sa.select(Enrollment).where(Enrollment.flow_id == flow.id).order_by(Enrollment.id)
    return db.session.scalars(query).all()


def test_a_page_on_a_host_that_left_its_site_stays_broken_after_the_next_visit(page, site):
    monitors.update(site.id, {"domains": ["shop.example", "coffee.example"]})
    page.look("/")
    flow = live({"type": "site_visit", "monitor": site.id, "url": "https://shop.example/dark"})
    monitors.update(site.id, {"domains": ["coffee.example"]})
    page.look("https://coffee.example/", headers={"Origin": "https://coffee.example"})
    db.session.expire_all()
    assert "This address is not on the site" in flows.get(flow.id).broken
    monitors.update(site.id, {"domains": ["shop.example"]})
    page.look("/")
    db.session.expire_all()
    assert flows.get(flow.id).broken == ""


# --- who is watched ------------------------------------------------------------------------------------------


def test_a_stranger_is_counted_and_starts_nothing(page, site):
    flow = live({"type": "site_visit", "monitor": site.id})
    page.look("/coffee")
    assert (count(Visitor), count(Visit), count(PageView)) == (1, 1, 1)
    assert runs(flow) == [] and told() == []


def test_who_identifies_later_starts_nothing_with_what_was_seen_before(page, site, marta):
    flow = live({"type": "site_visit", "monitor": site.id})
    page.look("/coffee")
    known(page, marta)
    assert runs(flow) == [] and told() == []
    page.look("/tea")
    assert [run.contact_id for run in runs(flow)] == [marta.id]
    assert [row.contact_id for row in db.session.scalars(sa.select(PageView).order_by(PageView.id))] == [None, marta.id]


def test_the_event_of_a_page_brings_where_and_how(page, site, marta):
    known(page, marta).look("/coffee/?utm_source=news&x=1#top", r="https://search.example/?q=secret")
    page.look("/tea")
    (_, first), (_, second) = told()
    assert first == {
        "url": f"{SHOP}/coffee/?utm_source=news&x=1",
        "path": "/coffee",
        "monitor": "Shop",
        "visit": first["visit"],
        "first": True,
        "stay": 0,
        "utm_source": "news",
    }
    assert second["first"] is False and second["visit"] == first["visit"]
    assert db.session.scalar(sa.select(Visit.referrer)) == "https://search.example/"


def test_the_first_visit_verifies_the_site(page, site, clock):
    site.verified_at = None
    db.session.commit()
    page.look()
    db.session.expire_all()
    assert db.session.get(Monitor, site.id).verified_at == clock.now


def test_bots_and_people_who_refused_tracking_and_other_sites_are_dropped(page):
    for headers in (
        {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        {"User-Agent": "curl/8.5.0"},
        {"User-Agent": ""},
        {"DNT": "1"},
        {"Sec-GPC": "1"},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://shop.example.evil.example"},
        {"Origin": "https://blog.shop.example"},
    ):
        page.look(headers=headers)
        assert count(Visitor) == 0, headers


def test_www_and_case_of_the_site_do_not_count(page):
    page.look("https://WWW.Shop.example/a", headers={"Origin": "https://www.shop.example"})
    assert count(PageView) == 1


def test_whatever_is_no_message_is_answered_alike_and_kept_nowhere(page, site):
    good = {"t": "view", "p": "a" * 32, "u": f"{SHOP}/"}
    for bad in (
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 8000,
        json.dumps({**good, "v": page.visitor, "d": "x" * 9000}).encode(),
        {**good, "v": "short"},
        {**good, "v": ["a"]},
        {**good, "p": "A" * 32},
        {**good, "t": "buy"},
        {**good, "t": ["view"]},
        {**good, "u": "javascript:alert(1)"},
        {**good, "u": "https://evil.example/"},
        {**good, "u": 5},
        {"t": "view", "u": SHOP},
        {"t": "stay", "p": "a" * 32, "s": 10},
        {"t": "stay", "p": "a" * 32, "s": True},
        {"t": "event", "p": "a" * 32, "u": SHOP, "n": "<b>"},
        {"t": "event", "p": "a" * 32, "u": SHOP, "n": "email_opened"},
        {"t": "identify", "i": ""},
    ):
        page.send(bad)
    assert Page(page.client, site).client.post("/t/0000000000000000", data=b"{}").status_code == 204
    assert (count(Visitor), count(Visit), count(PageView)) == (0, 0, 0)


def test_text_a_database_cannot_keep_is_cleaned(page, marta):
    known(page, marta).look("/\ud800\u0000a", r="\ud800")
    page.track("size", name="\u0000\ud800x", **{"bad name": 1, "chain": [1], "nested": {"a": 1}, "n": float("nan")})
    assert told("size")[0][1]["name"] == "x" and set(told("size")[0][1]) == {"name", "url", "path", "monitor", "visit"}


def test_a_switched_off_site_keeps_nothing_and_its_script_does_nothing(page, site, client):
    monitors.update(site.id, {"enabled": False})
    page.look()
    assert count(Visitor) == 0
    script = client.get(f"/t/{site.public_id}.js")
    assert script.status_code == 200 and "sendBeacon" not in script.text and "flowserver" in script.text


# --- visits --------------------------------------------------------------------------------------------------


def test_half_an_hour_without_a_sign_ends_a_visit(page, marta, clock):
    known(page, marta).look("/a")
    clock.forward(minutes=29)
    page.look("/b")
    clock.forward(minutes=30)
    page.look("/c")
    assert [data["first"] for _, data in told()] == [True, False, True]
    assert [row.views for row in db.session.scalars(sa.select(Visit).order_by(Visit.id))] == [2, 1]


def test_the_same_page_reported_twice_is_one(page, marta):
    known(page, marta).look("/a", p="c" * 32)
    page.look("/a", p="c" * 32)
    assert (count(PageView), len(told()), db.session.scalar(sa.select(Visit.views))) == (1, 1, 1)


def test_an_endless_visit_is_counted_but_not_kept(page, marta, monkeypatch):
    monkeypatch.setattr(visits, "MOST_VIEWS", 2)
    known(page, marta)
    for n in range(4):
        page.look(f"/{n}")
    assert (count(PageView), len(told()), db.session.scalar(sa.select(Visit.views))) == (2, 2, 4)


def test_another_person_in_the_same_browser_begins_a_visit_of_their_own(page, marta):
    luca = contacts.upsert({"email": "luca@people.example"}, source="api")[0]
    known(page, marta).look("/a")
    known(page, luca).look("/b")
    assert [row.contact_id for row in db.session.scalars(sa.select(Event).where(Event.type == "page_visited"))] == [
        marta.id,
        luca.id,
    ]
    assert [data["first"] for _, data in told()] == [True, True]


def test_a_page_counts_only_after_the_minimum_stay(page, site, marta, clock, client):
    flow = live({"type": "site_visit", "monitor": site.id, "stay": 20})
    other = live({"type": "site_visit", "monitor": site.id, "stay": 60}, "Longer")
    assert '"s":[20,60]' in client.get(f"/t/{site.public_id}.js").text
    known(page, marta).look("/a")
    page.stay(20)  # claims what cannot be
    assert runs(flow) == []
    clock.forward(seconds=19)
    page.stay(20)
    page.stay(20)
    assert len(runs(flow)) == 1 and runs(other) == []
    assert [(data["stay_before"], data["stay"]) for _, data in told("page_stayed")] == [(0, 20)]
    assert db.session.scalar(sa.select(PageView.stay)) == 20


def test_a_custom_event_of_somebody_we_know_is_an_event_of_its_own_name(page, marta):
    page.track("Roast chosen", roast="dark")
    assert told("roast_chosen") == []
    known(page, marta).track("Roast chosen", roast="dark", cups=2, url="https://evil.example")
    data = told("roast_chosen")[0][1]
    assert (data["roast"], data["cups"], data["url"], data["monitor"]) == ("dark", 2, f"{SHOP}/", "Shop")


def test_a_look_is_the_last_activity_of_a_contact(page, marta, clock):
    clock.forward(days=1)
    known(page, marta).look()
    db.session.expire_all()
    assert db.session.get(Contact, marta.id).last_activity_at == clock.now


# --- who it is -----------------------------------------------------------------------------------------------


def test_forged_contact_ids_and_tokens_name_nobody(page, marta, db):
    token, _until = recognition.token_for(marta.id)
    signed = {"unsubscribe": f"{marta.id:x}", "track": token.rpartition(".")[0]}
    from flowserver.services.messages import connections

    others = [connections.signer().sign(purpose, payload) for purpose, payload in signed.items()]
    for forged in (str(marta.id), "marta@people.example", token[:-1] + "x", token.replace("-", "-0", 1), *others):
        page.look("/", i=forged)
        page.send({"t": "identify", "i": forged})
        page.look("/", contact=marta.id, contact_id=marta.id)
    assert db.session.scalars(sa.select(Visitor.contact_id)).all() == [None] and told() == []


def test_a_token_ends_and_is_bound_to_its_client(page, marta, clock, carol, db):
    from flowserver import extensions as ext
    from flowserver.models import Workspace

    token, until = recognition.token_for(marta.id)
    assert until == clock.now + timedelta(hours=1)
    with ext.every_workspace():
        kino = db.session.scalar(sa.select(Workspace).where(Workspace.slug == "kino"))
    with ext.workspace(kino.id):
        theirs = Page(page.client, monitors.create({"name": "Kino", "domains": ["shop.example"]}))
    theirs.look("/", i=token)
    with ext.every_workspace():
        assert db.session.scalars(sa.select(Visitor.contact_id)).all() == [None]
    clock.forward(hours=1, seconds=1)
    page.look("/", i=token)
    assert told() == []


def test_a_contact_that_is_deleted_takes_its_visits_along(page, site, marta):
    token = recognition.token_for(marta.id)[0]
    known(page, marta).look()
    contacts.delete(marta.id)
    assert (count(Visitor), count(Visit), count(PageView)) == (0, 0, 0)
    page.look("/", i=token)
    assert db.session.scalars(sa.select(Visitor.contact_id)).all() == [None]


def test_old_pages_visits_and_visitors_are_deleted_in_chunks(page, site, marta, clock):
    known(page, marta)
    for n in range(5):
        page.look(f"/{n}")
    clock.forward(days=170)
    page.look("/young")
    clock.forward(days=20)
    assert visits.expire(clock.now, chunk=2) == 5 + 1 + 5
    assert (count(PageView), count(Visit), len(told()), count(Visitor)) == (1, 1, 1, 1)
    clock.forward(days=400)
    visits.expire(clock.now)
    assert (count(PageView), count(Visit), len(told()), count(Visitor)) == (0, 0, 0, 0)


def test_a_landing_by_an_ad_starts_its_flow(page, site, marta):
    flow = live({"type": "ad_click", "monitor": site.id, "network": "google", "campaign": "spring"}, "Ad")
    known(page, marta).look("/?gclid=Cj0K&utm_campaign=winter")
    assert runs(flow) == []
    page.look("/?gclid=Cj0K&utm_campaign=Spring")
    assert [run.data["gclid"] for run in runs(flow)] == ["Cj0K"]


def test_a_custom_event_of_the_site_starts_the_flow_of_its_word(page, marta):
    flow = live({"type": "custom_event", "event": "roast_chosen", "property": "roast", "value": "dark"}, "Roast")
    known(page, marta).track("roast_chosen", roast="light")
    assert runs(flow) == []
    page.track("roast_chosen", roast="dark")
    assert [run.data["roast"] for run in runs(flow)] == ["dark"]
