"""Who a visitor is: the links of mails, signup forms."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from flowserver.domain import mail
from flowserver.domain.tokens import short
from flowserver.domain.visitors import Visitor as Reader
from flowserver.extensions import db
from flowserver.models import Event, Message, Signup, Visitor
from flowserver.services.messages import connections, tracking
from flowserver.services.people import forms, lists, signups
from flowserver.services.site import monitors

from .test_visits import BROWSER, Page

LINK = "https://caffelume.example/a"


@pytest.fixture
def site(workspace):
    return monitors.create({"name": "Home", "domains": "caffelume.example"})


@pytest.fixture
def message(flow, planned, clock):
    """A mail with a link to the site that was accepted a minute ago."""
    (id,) = planned(flow())
    row = db.session.get(Message, id)
    row.state, row.accepted_at = "accepted", clock.now
    db.session.commit()
    clock.forward(minutes=1)
    return row


def click(message, clock, **more):
    token = connections.signer().sign(mail.TRACK, short(message.id))
    return tracking.click(token, 0, Reader(**{"at": clock.now, "agent": BROWSER, "by_hand": True, **more}))


def token_of(url):
    return parse_qs(urlsplit(url).query).get("fs_id", [""])[0]


def page_of(client, site):
    page = Page(client, site)
    page.path = f"/t/{site.public_id}"
    return page


def look(page, token):
    page.send({"t": "view", "p": "b" * 32, "u": LINK, "i": token}, {"Origin": "https://caffelume.example"})


def test_a_persons_click_names_the_visitor(site, message, clock, client):
    url = click(message, clock)
    assert url.startswith(f"{LINK}?fs_id=")
    look(page_of(client, site), token_of(url))
    assert db.session.scalars(sa.select(Visitor.contact_id)).all() == [message.contact_id]
    assert [event.contact_id for event in db.session.scalars(sa.select(Event).where(Event.type == "page_visited"))]


def test_links_elsewhere_and_clicks_of_programs_and_old_mails_name_nobody(site, message, clock):
    assert click(message, clock, agent="python-requests/2") == LINK
    assert click(message, clock, method="HEAD") == LINK
    assert click(message, clock, purpose="prefetch") == LINK
    clock.forward(days=61)
    assert click(message, clock) == LINK
    monitors.update(site.id, {"domains": ["other.example"]})
    clock.forward(days=-60)
    assert click(message, clock) == LINK
    monitors.update(site.id, {"domains": ["caffelume.example"], "enabled": False})
    assert click(message, clock) == LINK


def test_a_link_that_is_passed_on_names_the_first_browser_only_and_not_for_long(site, message, clock, client):
    token = token_of(click(message, clock))
    mine, friend, late = (page_of(client, site) for _ in range(3))
    look(mine, token)
    look(friend, token)
    look(mine, token)  # a reload
    clock.forward(minutes=15, seconds=1)
    look(late, token)
    found = db.session.scalars(sa.select(Visitor.contact_id).order_by(Visitor.id)).all()
    assert found == [message.contact_id, None, None]


def test_a_parameter_is_added_to_whatever_the_address_is(workspace):
    from flowserver.services.site.recognition import with_parameter

    for url, wanted in (
        ("https://a.example", "https://a.example?fs_id=x"),
        ("https://a.example/b?c=1#d?e", "https://a.example/b?c=1&fs_id=x#d?e"),
        ("https://a.example/?", "https://a.example/?fs_id=x"),
        ("https://a.example/?c&", "https://a.example/?c&fs_id=x"),
    ):
        assert with_parameter(url, "fs_id", "x") == wanted


def test_a_signup_form_names_its_visitor_when_the_address_is_confirmed(site, client, clock, queue):
    news = lists.create("News")
    form = forms.create({"name": "Footer", "list_id": news.id, "double_opt_in": "y"})
    reference = f"{site.public_id}.{'c' * 32}"
    sent = {"email": "luca@people.example", "fs-visitor": reference}
    assert client.post(f"/f/{form.public_id}", data=sent).status_code == 303
    signup = db.session.scalar(sa.select(Signup))
    assert signup.visitor == reference and db.session.scalar(sa.select(Visitor.id)) is None
    signups.confirm(signups._link(signup).rpartition("/")[2])
    found = db.session.execute(sa.select(Visitor.uid, Visitor.contact_id)).one()
    assert found == ("c" * 32, signup.contact_id)


def test_a_forged_visitor_of_a_form_is_nobody(site, client, clock, other_site):
    news = lists.create("News")
    form = forms.create({"name": "Footer", "list_id": news.id, "double_opt_in": "", "email_consent_text": "Yes."})
    for n, forged in enumerate(("x", f"{site.public_id}.short", f"{other_site}.{'c' * 32}", "\0" * 80, "y" * 5000)):
        sent = {"email": f"l{n}@people.example", "consent-email": "y", "fs-visitor": forged}
        assert client.post(f"/f/{form.public_id}", data=sent).status_code == 303
    assert db.session.scalar(sa.select(Visitor.id)) is None


@pytest.fixture
def other_site(workspace, carol):
    """The key of a site of another client."""
    from flowserver import extensions as ext
    from flowserver.models import Workspace

    with ext.every_workspace():
        kino = db.session.scalar(sa.select(Workspace).where(Workspace.slug == "kino"))
    with ext.workspace(kino.id):
        return monitors.create({"name": "Kino", "domains": ["kino.example"]}).public_id


def test_the_token_is_in_no_mail_and_good_for_a_quarter_of_an_hour(site, message, clock):
    from flowserver.domain import identity

    found = identity.read(connections.signer(), token_of(click(message, clock)), clock.now)
    assert found.contact_id == message.contact_id and found.proof.startswith(f"{short(message.id)}-")
    assert found.until - clock.now <= timedelta(minutes=15)
