"""Any e-mail opened or clicked, of a campaign or of a flow."""

from flowserver.domain.steps import Fact, Sent
from flowserver.nodes.triggers.any_email import AnyEmail

from ..kit import NOW, item, mistakes, names

SAMPLES = [{"event": "opened"}, {"event": "clicked"}]


def trigger(event):
    return AnyEmail(AnyEmail.load({"event": event}))


def test_it_lets_in_with_every_e_mail():
    for subject in ("campaign:5", "7:hello"):
        assert trigger("opened").admits(Fact("email_opened", NOW, subject, {}))
        assert not trigger("opened").admits(Fact("email_clicked", NOW, subject, {}))
        assert trigger("clicked").admits(Fact("email_clicked", NOW, subject, {}))
    assert trigger("clicked").hears() == {"email_clicked"}


def test_an_open_that_was_a_scanners_after_all_starts_nothing():
    assert trigger("opened").still_holds(item())
    assert trigger("opened").still_holds(item(cause=Sent("accepted", NOW, opened_at=NOW)))
    assert not trigger("opened").still_holds(item(cause=Sent("accepted", NOW)))
    assert not trigger("clicked").still_holds(item(cause=Sent("accepted", NOW, opened_at=NOW)))


def test_settings_that_do_not_do_are_refused_at_their_field():
    assert mistakes(AnyEmail, {}) == {"event": ["Choose opened or clicked"]}
    assert mistakes(AnyEmail, {"event": "sent"}) == {"event": ["Choose opened or clicked"]}


def test_it_says_how_it_starts():
    assert trigger("opened").sentence(names) == "When a contact opens any e-mail"
    assert trigger("clicked").sentence(names) == "When a contact clicks a link in any e-mail"
