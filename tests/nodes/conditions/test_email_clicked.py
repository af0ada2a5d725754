"""Was an earlier mail clicked? Asked once, at this point."""

import pytest

from flowserver.domain.steps import Sent
from flowserver.nodes.actions.send_email import SendEmail
from flowserver.nodes.actions.send_sms import SendSms
from flowserver.nodes.conditions.email_clicked import EmailClicked

from ..kit import NOW, holds, item, mistakes, names

SAMPLES = [{"of": "welcome"}]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (Sent("accepted", NOW, accepted_at=NOW, clicked_at=NOW), True),
        (Sent("accepted", NOW, accepted_at=NOW, opened_at=NOW), False),
        (Sent("planned", NOW), False),
        (Sent("skipped", NOW), False),
        (None, False),
    ],
)
def test_only_a_click_is_a_click(sent, answer):
    assert holds(EmailClicked, SAMPLES[0], messages={"welcome": sent} if sent else {}) is answer


def test_another_mail_does_not_count():
    assert not holds(EmailClicked, SAMPLES[0], messages={"other": Sent("accepted", NOW, clicked_at=NOW)})


def test_it_says_what_decided():
    node = EmailClicked(SAMPLES[0])
    assert node.facts(item(messages={"welcome": Sent("skipped", NOW)})) == {"message": "skipped"}
    assert node.facts(item()) == {"message": "none"}


def test_it_asks_about_an_e_mail_that_comes_before():
    class Earlier:
        def __init__(self, key, node):
            self.key, self.node = key, node

    node = EmailClicked(SAMPLES[0])
    assert node.problems([Earlier("welcome", SendEmail({}))]) == []
    assert [problem.field for problem in node.problems([Earlier("welcome", SendSms({}))])] == ["of"]
    assert [problem.field for problem in EmailClicked({}).problems([])] == ["of"]
    assert mistakes(EmailClicked, {}) == {"of": ["Choose which e-mail"]}
    assert node.question(names) == "Did the contact click in “the step welcome”?"
