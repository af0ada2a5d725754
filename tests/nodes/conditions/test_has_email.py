"""Has an e-mail address that works, as far as anybody knows."""

import pytest

from flowserver.nodes.conditions.has_email import HasEmail

from ..kit import holds, names, person

SAMPLES = [{}]


@pytest.mark.parametrize(
    ("contact", "answer"),
    [
        (person(), True),
        (person(email=None), False),
        (person(email=""), False),
        (person(status="bounced"), False),
        (person(status="suppressed"), True),
        (person(email_consent="withdrawn"), True),
    ],
)
def test_an_address_that_bounced_is_none(contact, answer):
    assert holds(HasEmail, {}, contact) is answer


def test_its_question():
    assert HasEmail({}).question(names) == "Has an e-mail address?"
